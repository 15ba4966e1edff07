"""Stories on a social network: post and what follows from it, find a tweet, follow people, tweet a file's text."""

from __future__ import annotations

from typing import Any

from envtune.playground import values
from envtune.playground.storylines import files
from envtune.playground.tale import Storyline, Tale, storyline
from envtune.playground.wording import gap, phrase

TWEETS = "TwitterAPI"

POST = phrase(
    [
        "[Tweet|Post] '{text}' with the tag '{tag}'.",
        "[Post|Write] a tweet: '{text}', [tag|tagged] '{tag}'.",
        "With the tag '{tag}', [tweet|post] '{text}'.",
    ],
    ["I want to tweet '{text}', and the tag should be '{tag}'."],
    ["A new tweet, please: the tag is '{tag}' and the text '{text}'."],
    gap(
        "text",
        "text",
        ["[Tweet|Post] something with the tag '{tag}'.", "Post a tweet for me, tagged '{tag}'."],
        ["I want to tweet something, and the tag should be '{tag}'."],
        ["A new tweet, please: the tag is '{tag}'."],
    ),
)
COMMENT = phrase(
    ["[Comment|Write a comment] on [that|the] tweet: '{text}'.", "Add the comment '{text}' to [it|that tweet]."],
    ["I want to comment '{text}' on that tweet."],
    ["That tweet needs a comment: '{text}'."],
    gap(
        "text",
        "comment",
        ["[Comment|Write a comment] on that tweet.", "Add a comment to [it|that tweet]."],
        ["I want to comment on that tweet."],
        ["That tweet needs a comment."],
    ),
)
MENTION = phrase(
    [
        "Mention {names} in [that|the] tweet.",
        "[That|The] tweet should mention {names}. Add [them|that].",
        "Those should be mentioned in the tweet: {names}.",
        "I want a tweet that mentions {names}. Add them to it.",
    ],
    ["I want {names} to be mentioned in that tweet."],
    ["Add {names} to those that the tweet mentions."],
    gap(
        "names",
        "users to mention",
        ["Mention someone in [that|the] tweet."],
        ["I want someone to be mentioned in that tweet."],
        ["Add someone to those that the tweet mentions."],
    ),
)
RETWEET = phrase(
    ["Retweet [it|that tweet].", "[That|The] tweet is worth a retweet."],
    ["I want to retweet that one."],
    ["Make a retweet of that tweet."],
)
COMMENTS = phrase(
    ["Show me the comments on [it|that tweet].", "What [are the|] comments does [it|that tweet] have?"],
    ["I want to see all comments on that tweet."],
    ["Which comments are there on that tweet?"],
)
OF_USER = phrase(
    ["Show me [all |]the tweets of {user}.", "What did {user} tweet?", "List the tweets that {user} wrote."],
    ["I want to see all that {user} tweeted."],
    ["Which tweets did {user} write?"],
    gap(
        "user",
        "user",
        ["Show me [all |]the tweets of a user.", "What did one of the users tweet?"],
        ["I want to see all that someone tweeted."],
        ["Which tweets did a certain user write?"],
    ),
)
COMMENT_FOUND = phrase(
    [
        "[Comment|Write a comment] on the one about the {word}: '{text}'.",
        "Add the comment '{text}' to the one about the {word}.",
    ],
    ["I want to comment '{text}' on the one about the {word}."],
    ["The one about the {word} needs a comment: '{text}'."],
    gap(
        "text",
        "comment",
        ["[Comment|Write a comment] on the one about the {word}."],
        ["I want to comment on the one about the {word}."],
        ["The one about the {word} needs a comment."],
    ),
)
RETWEET_FOUND = phrase(
    ["Retweet the one about the {word}.", "The one about the {word} is good. Retweet it."],
    ["I want to retweet the one about the {word}."],
    ["Make a retweet of the one about the {word}."],
)
FOLLOW = phrase(
    ["[Follow|Start to follow] {user}[ for me|].", "{user} writes good tweets. Follow that user."],
    ["I want to follow {user}."],
    ["Make me follow the user {user}."],
    gap(
        "user",
        "user",
        ["[Follow|Start to follow] someone[ for me|]."],
        ["I want to follow someone."],
        ["Make me follow a user."],
    ),
)
UNFOLLOW = phrase(
    ["[Unfollow|Stop to follow] {user}.", "I do not want to follow {user} any more."],
    ["I no longer want to follow {user}."],
    ["Make me unfollow the user {user}."],
    gap(
        "user",
        "user",
        ["Unfollow someone[ for me|]."],
        ["I no longer want to follow someone."],
        ["Make me unfollow a user."],
    ),
)
FOLLOWING = phrase(
    ["[Whom|Which users] do I follow[ now|]?", "List [all |]the users [that |]I follow."],
    ["I want to see all users that I follow."],
    ["Tell me which users I follow."],
)
STATS = phrase(
    ["Show me the statistics of {user}.", "How many tweets [does {user} have|are there of {user}]?"],
    ["I want to see the statistics of the user {user}."],
    ["What do the statistics of {user} say?"],
)
POST_IT = phrase(
    ["[Tweet|Post] that text.", "[Post|Write] a tweet with [that text|what it says].", "That text should be tweeted."],
    ["I want to tweet what it says."],
    ["A new tweet, please, with that text."],
)


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
    tale.say(files.SHOW_IN, file=names[0], folder=where)
    tale.first("cd", folder=where)
    text = tale.call("cat", file_name=names[0])["file_content"]
    tale.say(POST_IT)
    account.enter()
    account.tweet = tale.call("post_tweet", content=text)["id"]
    tale.go_on([account.comment, account.mention, account.retweet])


STORYLINES: tuple[Storyline, ...] = (tweet_post, tweet_find, tweet_follow, tweet_file)
