"""Hints for the posting tools (BFCL's TwitterAPI): the session, tweet ids, who is followed."""

from __future__ import annotations

from collections.abc import Mapping

from envtune.environment.augmentation.rule import Rule, given_as_text
from envtune.trajectory import HintKind

BY_TWEET_ID = ("retweet", "comment", "mention", "get_tweet", "get_tweet_comments")
FIND_TWEET = (
    "`search_tweets` and `get_user_tweets` show tweets with their ids.",
    "`search_tweets` shows tweets with their ids.",
    "`get_user_tweets` shows tweets with their ids.",
    "The id is given out when a tweet is posted.",
)
LIST_FOLLOWING = ("`list_all_following` shows who is followed.", "Check the spelling of the name.")

RULES: tuple[Rule, ...] = (
    Rule(
        name="twitter.not_logged_in",
        tools=("post_tweet", "retweet", "comment", "follow_user", "list_all_following", "unfollow_user"),
        pattern=r"User not authenticated",
        kind=HintKind.DEPENDENCY,
        text="`{tool}` needs a logged-in user, and nobody is logged in here.",
        directions=(
            "`authenticate_twitter` opens a session; its credentials are the user's to give.",
            "A session has to be opened first.",
        ),
    ),
    Rule(
        name="twitter.wrong_credentials",
        tools=("authenticate_twitter",),
        pattern=r'"authentication_status": false',
        text="'{username}' and the password given do not belong together, so nobody was logged in.",
        directions=("Compare both with what the user wrote, letter by letter, or ask the user.",),
    ),
    Rule(
        name="twitter.tweet_id_is_text",
        tools=BY_TWEET_ID,
        pattern=r"Tweet with ID .* not found",
        text="Tweet ids are whole numbers, and you gave '{tweet_id}' as text.",
        directions=FIND_TWEET,
        when=given_as_text("tweet_id"),
    ),
    Rule(
        name="twitter.unknown_tweet",
        tools=BY_TWEET_ID,
        pattern=r"Tweet with ID .* not found",
        kind=HintKind.DEPENDENCY,
        text="There is no tweet with the id {tweet_id}.",
        directions=FIND_TWEET,
    ),
    Rule(
        name="twitter.already_followed",
        tools=("follow_user",),
        pattern=r'"follow_status": false',
        text="'{username_to_follow}' is followed already, so nothing was changed.",
        directions=LIST_FOLLOWING[:1],
    ),
    Rule(
        name="twitter.not_followed",
        tools=("unfollow_user",),
        pattern=r'"unfollow_status": false',
        text="'{username_to_unfollow}' is not followed, so nothing was changed.",
        directions=LIST_FOLLOWING,
    ),
)

ALREADY_ACTIONABLE: Mapping[str, str] = {}
