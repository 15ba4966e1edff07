"""Stories on a social network: post or find a tweet, follow users, post a file's text."""

from __future__ import annotations

from typing import Any

from envtune.playground import values
from envtune.playground.phrase import read_phrases
from envtune.playground.story_builder import StoryBuilder, Storyline, storyline
from envtune.playground.storylines import file_stories

TWEETS = "TwitterAPI"
PHRASES = read_phrases("tweets")


class Account:
    """A user of the network, tweets of another user, and the tweet that the story is about."""

    def __init__(self, story: StoryBuilder) -> None:
        self.story = story
        rng = story.rng
        self.user, self.password = values.user_name(rng), values.password(rng)
        self.others = [f"{name.lower()}_{rng.randint(2, 99)}" for name in rng.sample(values.FIRST_NAMES, 5)]
        self.logged_in = story.sometimes(0.25)
        self.tweet = 0
        ids = sorted(rng.sample(range(10, 800), story.many(2, 3, crowd=10)))
        self.author = self.others[0]
        self.about = dict(zip(values.distinct_words(rng, len(ids)), ids, strict=True))
        self.following = self.others[1:3]
        story.world(
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
        """Add a login to the current turn unless the user is logged in."""
        if not self.logged_in:
            self.story.log_in("authenticate_twitter", self.user, self.password)
            self.logged_in = True

    def find(self) -> None:
        """Tell two turns: the tweets of a user, then a retweet or comment of one by its subject."""
        self.story.say(PHRASES["of_user"], user=self.author)
        self.story.call("get_user_tweets", username=self.author)
        word = self.story.rng.choice(tuple(self.about))
        self.tweet = self.about[word]
        if self.story.sometimes():
            self.story.say(PHRASES["retweet_found"], word=word)
            self.enter()
            self.story.call("retweet", tweet_id=self.tweet)
        else:
            text = values.sentence(self.story.rng)
            self.story.say(PHRASES["comment_found"], word=word, text=text)
            self.enter()
            self.story.call("comment", tweet_id=self.tweet, comment_content=text)

    def comment(self) -> None:
        """Ask to comment on the tweet."""
        text = values.sentence(self.story.rng)
        self.story.say(PHRASES["comment"], text=text)
        self.enter()
        self.story.call("comment", tweet_id=self.tweet, comment_content=text)

    def mention(self) -> None:
        """Ask to mention users in the tweet."""
        names = self.story.rng.sample(self.others, self.story.rng.randint(1, 2))
        self.story.say(PHRASES["mention"], names=names)
        self.story.call("mention", tweet_id=self.tweet, mentioned_usernames=names)

    def retweet(self) -> None:
        """Ask to retweet the tweet."""
        self.story.say(PHRASES["retweet"])
        self.enter()
        self.story.call("retweet", tweet_id=self.tweet)

    def comments(self) -> None:
        """Ask for the tweet's comments."""
        self.story.say(PHRASES["comments"])
        self.story.call("get_tweet_comments", tweet_id=self.tweet)

    def follow(self) -> None:
        """Ask to follow a user."""
        user = self.story.rng.choice(self.others[3:])
        self.story.say(PHRASES["follow"], user=user)
        self.enter()
        self.story.call("follow_user", username_to_follow=user)

    def unfollow(self) -> None:
        """Ask to unfollow a user."""
        user = self.story.rng.choice(self.following)
        self.story.say(PHRASES["unfollow"], user=user)
        self.enter()
        self.story.call("unfollow_user", username_to_unfollow=user)

    def list_following(self) -> None:
        """Ask for the users who are followed."""
        self.story.say(PHRASES["following"])
        self.enter()
        self.story.call("list_all_following")

    def stats(self) -> None:
        """Ask for the author's statistics."""
        self.story.say(PHRASES["stats"], user=self.author)
        self.story.call("get_user_stats", username=self.author)

    def _entry(self, number: int, word: str) -> dict[str, Any]:
        text = f"The {word} is {self.story.rng.choice(values.ADJECTIVES)}"
        return {"id": number, "username": self.author, "content": text, "tags": [], "mentions": []}


@storyline(TWEETS)
def tweet_post(story: StoryBuilder) -> None:
    """Post a tweet, then act on it."""
    account = Account(story)
    text, tag = values.sentence(story.rng), f"#{values.word(story.rng)}"
    story.say(PHRASES["post"], text=text, tag=tag)
    account.enter()
    account.tweet = story.call("post_tweet", content=text, tags=[tag])["id"]
    story.go_on([account.comment, account.mention, account.retweet, account.follow, account.comments])


@storyline(TWEETS, can_crowd=True)
def tweet_find(story: StoryBuilder) -> None:
    """Find a tweet of a user by its subject, then act on it."""
    account = Account(story)
    account.find()
    story.go_on([account.mention, account.stats, account.follow])


@storyline(TWEETS)
def tweet_follow(story: StoryBuilder) -> None:
    """Follow and unfollow users."""
    account = Account(story)
    begin, then = story.rng.sample([account.follow, account.unfollow], 2)
    begin()
    story.go_on([then, account.list_following, account.stats])


@storyline(TWEETS, file_stories.FILES)
def tweet_file(story: StoryBuilder) -> None:
    """Show a file and post its text."""
    account = Account(story)
    where, _ = file_stories.two_folders(story, names := values.distinct_files(story.rng, 2), one_line=True)
    story.say(file_stories.PHRASES["show_in"], file=names[0], folder=where)
    story.first("cd", folder=where)
    text = story.call("cat", file_name=names[0])["file_content"]
    story.say(PHRASES["post_it"])
    account.enter()
    account.tweet = story.call("post_tweet", content=text)["id"]
    story.go_on([account.comment, account.mention, account.retweet])


STORYLINES: tuple[Storyline, ...] = (tweet_post, tweet_find, tweet_follow, tweet_file)
