"""Stories on a social network: post and what follows from it, find a tweet, follow people, tweet a file's text."""

from __future__ import annotations

from typing import Any

from envtune.playground import values
from envtune.playground.phrases.files import SHOW_IN
from envtune.playground.phrases.tweets import (
    COMMENT,
    COMMENT_FOUND,
    COMMENTS,
    FOLLOW,
    FOLLOWING,
    MENTION,
    OF_USER,
    POST,
    POST_IT,
    RETWEET,
    RETWEET_FOUND,
    STATS,
    UNFOLLOW,
)
from envtune.playground.storylines import files
from envtune.playground.tale import Storyline, Tale, storyline

TWEETS = "TwitterAPI"


class Account:
    """A user of the network with some tweets of others, and one tweet that the story is about."""

    def __init__(self, tale: Tale) -> None:
        self.tale = tale
        rng = tale.rng
        self.user, self.password = values.user_name(rng), values.password(rng)
        self.others = [f"{name.lower()}_{rng.randint(2, 99)}" for name in rng.sample(values.FIRST_NAMES, 5)]
        self.logged_in = tale.sometimes(0.25)
        self.tweet = 0
        ids = sorted(rng.sample(range(10, 800), tale.many(2, 3, crowd=10)))
        self.author = self.others[0]
        self.about = dict(zip(values.distinct_words(rng, len(ids)), ids, strict=True))
        self.following = self.others[1:3]
        tale.world(
            TWEETS,
            username=self.user,
            password=self.password,
            authenticated=self.logged_in,
            tweets={str(number): self._entry(number, word) for word, number in self.about.items()},
            tweet_counter=ids[-1] + rng.randint(1, 9),
            following_list=list(self.following),
            comments={},
            retweets={},
        )

    def enter(self) -> None:
        """In the turn that has begun: the user logs in, unless that was done."""
        if not self.logged_in:
            self.tale.log_in("authenticate_twitter", self.user, self.password)
            self.logged_in = True

    def find(self) -> None:
        """Two turns: a user's tweets, and then one of them by what it is about."""
        self.tale.say(OF_USER, user=self.author)
        self.tale.call("get_user_tweets", username=self.author)
        word = self.tale.rng.choice(tuple(self.about))
        self.tweet = self.about[word]
        if self.tale.sometimes():
            self.tale.say(RETWEET_FOUND, word=word)
            self.enter()
            self.tale.call("retweet", tweet_id=self.tweet)
        else:
            text = values.sentence(self.tale.rng)
            self.tale.say(COMMENT_FOUND, word=word, text=text)
            self.enter()
            self.tale.call("comment", tweet_id=self.tweet, comment_content=text)

    def comment(self) -> None:
        text = values.sentence(self.tale.rng)
        self.tale.say(COMMENT, text=text)
        self.enter()
        self.tale.call("comment", tweet_id=self.tweet, comment_content=text)

    def mention(self) -> None:
        names = self.tale.rng.sample(self.others, self.tale.rng.randint(1, 2))
        self.tale.say(MENTION, names=names)
        self.tale.call("mention", tweet_id=self.tweet, mentioned_usernames=names)

    def retweet(self) -> None:
        self.tale.say(RETWEET)
        self.enter()
        self.tale.call("retweet", tweet_id=self.tweet)

    def comments(self) -> None:
        self.tale.say(COMMENTS)
        self.tale.call("get_tweet_comments", tweet_id=self.tweet)

    def follow(self) -> None:
        user = self.tale.rng.choice(self.others[3:])
        self.tale.say(FOLLOW, user=user)
        self.enter()
        self.tale.call("follow_user", username_to_follow=user)

    def unfollow(self) -> None:
        user = self.tale.rng.choice(self.following)
        self.tale.say(UNFOLLOW, user=user)
        self.enter()
        self.tale.call("unfollow_user", username_to_unfollow=user)

    def list_following(self) -> None:
        self.tale.say(FOLLOWING)
        self.enter()
        self.tale.call("list_all_following")

    def stats(self) -> None:
        self.tale.say(STATS, user=self.author)
        self.tale.call("get_user_stats", username=self.author)

    def _entry(self, number: int, word: str) -> dict[str, Any]:
        text = f"The {word} is {self.tale.rng.choice(values.ADJECTIVES)}"
        return {"id": number, "username": self.author, "content": text, "tags": [], "mentions": []}


@storyline(TWEETS)
def tweet_post(tale: Tale) -> None:
    account = Account(tale)
    text, tag = values.sentence(tale.rng), f"#{values.word(tale.rng)}"
    tale.say(POST, text=text, tag=tag)
    account.enter()
    account.tweet = tale.call("post_tweet", content=text, tags=[tag])["id"]
    tale.go_on([account.comment, account.mention, account.retweet, account.follow, account.comments])


@storyline(TWEETS, can_crowd=True)
def tweet_find(tale: Tale) -> None:
    account = Account(tale)
    account.find()
    tale.go_on([account.mention, account.stats, account.follow])


@storyline(TWEETS)
def tweet_follow(tale: Tale) -> None:
    account = Account(tale)
    begin, then = tale.rng.sample([account.follow, account.unfollow], 2)
    begin()
    tale.go_on([then, account.list_following, account.stats])


@storyline(TWEETS, files.FILES)
def tweet_file(tale: Tale) -> None:
    account = Account(tale)
    where, _ = files.two_folders(tale, names := values.distinct_files(tale.rng, 2), one_line=True)
    tale.say(SHOW_IN, file=names[0], folder=where)
    tale.first("cd", folder=where)
    text = tale.call("cat", file_name=names[0])["file_content"]
    tale.say(POST_IT)
    account.enter()
    account.tweet = tale.call("post_tweet", content=text)["id"]
    tale.go_on([account.comment, account.mention, account.retweet])


STORYLINES: tuple[Storyline, ...] = (tweet_post, tweet_find, tweet_follow, tweet_file)
