"""Stories with messages: to users whose id must be looked up, to new contacts, and about messages sent before."""

from __future__ import annotations

from collections.abc import Callable

from envtune.playground import values
from envtune.playground.phrase import read_phrases
from envtune.playground.story_builder import StoryBuilder, Storyline, storyline

MESSAGES = "MessageAPI"
PHRASES = read_phrases("messages")


class Phone:
    """A user's contacts and messages. Each id is looked up once."""

    def __init__(self, story: StoryBuilder) -> None:
        self.story = story
        rng = story.rng
        names = rng.sample(values.FIRST_NAMES, story.many(4, 6, crowd=14))
        ids = [f"USR{number}" for number in rng.sample(range(101, 900), len(names))]
        self.ids = dict(zip(names, ids, strict=True))
        self.me = ids[0]
        self.others = names[1:]
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
            current_user=self.me if self.logged_in else None,
            random_seed=rng.randint(1, 999_999),
        )

    def enter(self) -> None:
        """Add a login to the current turn unless the user is logged in."""
        if not self.logged_in:
            self.story.add(PHRASES["who"], user=self.me)
            self.story.first("message_login", user_id=self.me)
            self.logged_in = True

    def id_of(self, name: str) -> str:
        """Return the id of a user, which is looked up in the current turn if it is not known."""
        if name not in self.known:
            self.known[name] = self.story.look_up("get_user_id", "user_id", user=name)
        return self.known[name]

    def send(self, name: str) -> None:
        """Ask to send a message to a user."""
        self._send(PHRASES["send"], name)

    def send_too(self) -> None:
        """Ask to send a message to a user whose id is not known yet."""
        name = self.story.rng.choice([name for name in self.others if name not in self.known])
        self._send(PHRASES["send_too"], name)

    def take_back(self, name: str) -> None:
        """Ask to delete the last message to a user."""
        self.story.say(PHRASES["take_back"], name=name)
        self.story.call("delete_message", receiver_id=self.known[name])

    def view(self) -> None:
        """Ask for the messages sent."""
        self.story.say(PHRASES["view"])
        self.enter()
        self.story.call("view_messages_sent")

    def view_and_act(self) -> None:
        """Tell two turns: the messages sent, then an action for the receiver of one of them."""
        self.view()
        word = self.story.rng.choice(tuple(self.sent))
        receiver = self.ids[self.sent[word]]
        if self.story.sometimes():
            self.story.say(PHRASES["take_back_found"], word=word)
            self.story.call("delete_message", receiver_id=receiver)
        else:
            text = values.sentence(self.story.rng)
            self.story.say(PHRASES["answer_found"], word=word, text=text)
            self.story.call("send_message", receiver_id=receiver, message=text)

    def act(self, *others: Callable[[], None]) -> None:
        """View the messages and act on one in a crowded story; else send one and go on, also with ``others``."""
        if self.story.crowded:
            self.view_and_act()
        else:
            self.send(self.story.rng.choice(self.others))
            self.story.go_on([self.send_too, self.view, *others])

    def look_for(self) -> None:
        """Ask for the messages with a keyword."""
        word = self.story.rng.choice(tuple(self.sent))
        self.story.say(PHRASES["look_for"], word=word)
        self.enter()
        self.story.call("search_messages", keyword=word)

    def stats(self) -> None:
        """Ask for the message statistics."""
        self.story.say(PHRASES["stats"])
        self.enter()
        self.story.call("get_message_stats")

    def _send(self, what: object, name: str) -> None:
        text = values.sentence(self.story.rng)
        self.story.say(what, name=name, text=text)  # type: ignore[arg-type]
        self.enter()
        self.story.call("send_message", receiver_id=self.id_of(name), message=text)

    def _about(self, word: str) -> str:
        adjective, day = self.story.rng.choice(values.ADJECTIVES), self.story.rng.choice(values.DAYS)
        return self.story.rng.choice((f"The {word} is {adjective}", f"We need the {word} on {day}"))


@storyline(MESSAGES)
def message_send(story: StoryBuilder) -> None:
    """Send a message, then more."""
    phone = Phone(story)
    name = story.rng.choice(phone.others)
    phone.send(name)
    acts: list[Callable[[], None]] = [phone.send_too, phone.view, phone.stats]
    story.go_on(acts, [lambda: phone.take_back(name)])


@storyline(MESSAGES)
def message_contact(story: StoryBuilder) -> None:
    """Add a contact and send a message to them."""
    phone = Phone(story)
    new = story.rng.choice([name for name in values.FIRST_NAMES if name not in phone.ids])
    story.say(PHRASES["add"], name=new)
    user_id = story.call("add_contact", user_name=new)["user_id"]
    text = values.sentence(story.rng)
    story.say(PHRASES["send_new"], text=text)
    phone.enter()
    story.call("send_message", receiver_id=user_id, message=text)
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


STORYLINES: tuple[Storyline, ...] = (message_send, message_contact, message_sent, message_search)
