"""Stories on a social network: post or find a tweet, follow users, post a file's text."""

from __future__ import annotations

from envtune.playground import values
from envtune.playground.phrase import read_phrases
from envtune.playground.story_builder import Scene, StoryBuilder, storyline
from envtune.playground.storylines import file_stories

TWEETS = "TwitterAPI"


class Account(Scene):
    """A user of the network, tweets of another user, and the tweet that the story is about."""

    phrases = read_phrases("tweets")
    login = "authenticate_twitter"
    behind_login = ("comment", "follow_user", "list_all_following", "post_tweet", "retweet", "unfollow_user")

    def __init__(self, story: StoryBuilder) -> None:
        super().__init__(story)
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
            tweets={
                str(number): {
                    "id": number,
                    "username": self.author,
                    "content": f"The {word} is {rng.choice(values.ADJECTIVES)}",
                    "tags": [],
                    "mentions": [],
                }
                for word, number in self.about.items()
            },
            tweet_counter=ids[-1] + rng.randint(1, 9),
            following_list=list(self.following),
            comments={},
            retweets={},
        )

    def find(self) -> None:
        """Tell two turns: the tweets of a user, then a retweet or comment of one by its subject."""
        self.ask("of_user", "get_user_tweets", {"user": self.author}, username=self.author)
        word = self.rng.choice(tuple(self.about))
        self.tweet = self.about[word]
        (self.retweet if self.story.sometimes() else self.comment)(word)

    def comment(self, word: str | None = None) -> None:
        """Ask to comment on the tweet, or on the one about ``word``."""
        text = values.sentence(self.rng)
        phrase, slots = ("comment", {}) if word is None else ("comment_found", {"word": word})
        slots |= {"text": text}
        self.ask(phrase, "comment", slots, tweet_id=self.tweet, comment_content=text)

    def mention(self) -> None:
        """Ask to mention users in the tweet."""
        names = self.rng.sample(self.others, self.rng.randint(1, 2))
        self.ask("mention", "mention", {"names": names}, tweet_id=self.tweet, mentioned_usernames=names)

    def retweet(self, word: str | None = None) -> None:
        """Ask to retweet the tweet, or the one about ``word``."""
        phrase, slots = ("retweet", {}) if word is None else ("retweet_found", {"word": word})
        self.ask(phrase, "retweet", slots, tweet_id=self.tweet)

    def comments(self) -> None:
        """Ask for the tweet's comments."""
        self.ask("comments", "get_tweet_comments", tweet_id=self.tweet)

    def follow(self) -> None:
        """Ask to follow a user."""
        user = self.rng.choice(self.others[3:])
        self.ask("follow", "follow_user", {"user": user}, username_to_follow=user)

    def unfollow(self) -> None:
        """Ask to unfollow a user."""
        user = self.rng.choice(self.following)
        self.ask("unfollow", "unfollow_user", {"user": user}, username_to_unfollow=user)

    def list_following(self) -> None:
        """Ask for the users who are followed."""
        self.ask("following", "list_all_following")

    def stats(self) -> None:
        """Ask for the author's statistics."""
        self.ask("stats", "get_user_stats", {"user": self.author}, username=self.author)


@storyline(TWEETS)
def tweet_post(story: StoryBuilder) -> None:
    """Post a tweet, then act on it."""
    account = Account(story)
    text, tag = values.sentence(story.rng), f"#{values.word(story.rng)}"
    slots = {"text": text, "tag": tag}
    account.tweet = account.ask("post", "post_tweet", slots, content=text, tags=[tag])["id"]
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
    file_stories.enter(story, file_stories.PHRASES["show_in"], where, file=names[0])
    text = story.call("cat", file_name=names[0])["file_content"]
    account.tweet = account.ask("post_it", "post_tweet", content=text)["id"]
    story.go_on([account.comment, account.mention, account.retweet])
