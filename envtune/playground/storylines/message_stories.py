"""Stories with messages: to users whose id must be looked up, to new contacts, and about messages sent before."""

from __future__ import annotations

from collections.abc import Callable

from typing_extensions import override

from envtune.playground import values
from envtune.playground.phrase import read_phrases
from envtune.playground.story_builder import Scene, StoryBuilder, storyline

MESSAGES = "MessageAPI"


class Phone(Scene):
    """A user's contacts and messages. Each id is looked up once."""

    phrases = read_phrases("messages")
    behind_login = ("get_message_stats", "search_messages", "send_message", "view_messages_sent")

    def __init__(self, story: StoryBuilder) -> None:
        super().__init__(story)
        rng = story.rng
        names = rng.sample(values.FIRST_NAMES, story.many(4, 6, crowd=14))
        ids = [f"USR{number}" for number in rng.sample(range(101, 900), len(names))]
        self.ids = dict(zip(names, ids, strict=True))
        self.user, self.others = ids[0], names[1:]
        self.known: dict[str, str] = {}
        self.logged_in = story.sometimes(0.25)
        # Sent before: one message to each of some users, each about another thing.
        about = values.distinct_words(rng, min(len(self.others), story.many(2, 3, crowd=11)))
        self.sent = dict(zip(about, rng.sample(self.others, len(about)), strict=True))
        story.world(
            MESSAGES,
            user_count=rng.randint(900, 990),
            user_map=self.ids,
            inbox=[{self.ids[name]: self._about(word)} for word, name in self.sent.items()],
            message_count=len(self.sent),
            current_user=self.user if self.logged_in else None,
            random_seed=rng.randint(1, 999_999),
        )

    @override
    def enter(self) -> None:
        if not self.logged_in:
            self.story.add(self.phrases["who"], user=self.user)
            self.story.first("message_login", user_id=self.user)
            self.logged_in = True

    def send(self, name: str, phrase: str = "send") -> None:
        """Ask to send a message to a user, whose id is looked up if it is not known."""
        text = values.sentence(self.rng)
        self.story.say(self.phrases[phrase], name=name, text=text)
        self.enter()
        if name not in self.known:
            self.known[name] = self.story.look_up("get_user_id", "user_id", user=name)
        self.story.call("send_message", receiver_id=self.known[name], message=text)

    def send_too(self) -> None:
        """Ask to send a message to a user whose id is not known yet."""
        self.send(self.rng.choice([name for name in self.others if name not in self.known]), "send_too")

    def take_back(self, name: str) -> None:
        """Ask to delete the last message to a user."""
        self.ask("take_back", "delete_message", {"name": name}, receiver_id=self.known[name])

    def view(self) -> None:
        """Ask for the messages sent."""
        self.ask("view", "view_messages_sent")

    def view_and_act(self) -> None:
        """Tell two turns: the messages sent, then an action for the receiver of one of them."""
        self.view()
        word = self.rng.choice(tuple(self.sent))
        receiver = self.ids[self.sent[word]]
        if self.story.sometimes():
            self.ask("take_back_found", "delete_message", {"word": word}, receiver_id=receiver)
        else:
            text = values.sentence(self.rng)
            slots = {"word": word, "text": text}
            self.ask("answer_found", "send_message", slots, receiver_id=receiver, message=text)

    def act(self, *others: Callable[[], None]) -> None:
        """View the messages and act on one in a crowded story; else send one and go on, also with ``others``."""
        if self.story.crowded:
            self.view_and_act()
        else:
            self.send(self.rng.choice(self.others))
            self.story.go_on([self.send_too, self.view, *others])

    def look_for(self) -> None:
        """Ask for the messages with a keyword."""
        word = self.rng.choice(tuple(self.sent))
        self.ask("look_for", "search_messages", {"word": word}, keyword=word)

    def stats(self) -> None:
        """Ask for the message statistics."""
        self.ask("stats", "get_message_stats")

    def _about(self, word: str) -> str:
        adjective, day = self.rng.choice(values.ADJECTIVES), self.rng.choice(values.DAYS)
        return self.rng.choice((f"The {word} is {adjective}", f"We need the {word} on {day}"))


@storyline(MESSAGES)
def message_send(story: StoryBuilder) -> None:
    """Send a message, then more."""
    phone = Phone(story)
    name = story.rng.choice(phone.others)
    phone.send(name)
    story.go_on([phone.send_too, phone.view, phone.stats], [lambda: phone.take_back(name)])


@storyline(MESSAGES)
def message_contact(story: StoryBuilder) -> None:
    """Add a contact and send a message to them."""
    phone = Phone(story)
    new = story.rng.choice([name for name in values.FIRST_NAMES if name not in phone.ids])
    user_id = phone.ask("add", "add_contact", {"name": new}, user_name=new)["user_id"]
    text = values.sentence(story.rng)
    phone.ask("send_new", "send_message", {"text": text}, receiver_id=user_id, message=text)
    story.go_on([phone.send_too, phone.view])


@storyline(MESSAGES, can_crowd=True)
def message_sent(story: StoryBuilder) -> None:
    """View the messages sent, then act on one."""
    phone = Phone(story)
    phone.view_and_act()
    story.go_on([phone.send_too, phone.stats])


@storyline(MESSAGES)
def message_search(story: StoryBuilder) -> None:
    """Search for a message, then send others."""
    phone = Phone(story)
    phone.look_for()
    story.go_on([phone.send_too, phone.stats, phone.view])
