"""Stories with messages: to people whose id must be looked up, to new contacts, and about what was sent before."""

from __future__ import annotations

from collections.abc import Callable

from envtune.playground import values
from envtune.playground.phrases.messages import (
    ADD,
    ANSWER_FOUND,
    LOOK_FOR,
    SEND,
    SEND_NEW,
    SEND_TOO,
    STATS,
    TAKE_BACK,
    TAKE_BACK_FOUND,
    VIEW,
    WHO,
)
from envtune.playground.tale import Storyline, Tale, storyline

MESSAGES = "MessageAPI"


class Phone:
    """A user's contacts and messages. Ids are looked up once; after that they are known."""

    def __init__(self, tale: Tale) -> None:
        self.tale = tale
        rng = tale.rng
        names = rng.sample(values.FIRST_NAMES, tale.many(4, 6, crowd=14))
        ids = [f"USR{number}" for number in rng.sample(range(101, 900), len(names))]
        self.ids = dict(zip(names, ids, strict=True))
        self.me = ids[0]
        self.others = names[1:]
        self.known: dict[str, str] = {}
        self.logged_in = tale.sometimes(0.25)
        # What was sent before: one message about one thing to each of some people.
        about = values.distinct_words(rng, min(len(self.others), tale.many(2, 3, crowd=11)))
        self.sent = dict(zip(about, rng.sample(self.others, len(about)), strict=True))
        tale.world(
            MESSAGES,
            user_count=rng.randint(900, 990),
            user_map=self.ids,
            inbox=[{self.ids[name]: self._about(word)} for word, name in self.sent.items()],
            message_count=len(self.sent),
            current_user=self.me if self.logged_in else None,
            random_seed=rng.randint(1, 999_999),
        )

    def enter(self) -> None:
        """In the turn that has begun: the user logs in, unless that was done."""
        if not self.logged_in:
            self.tale.add(WHO, user=self.me)
            self.tale.first("message_login", user_id=self.me)
            self.logged_in = True

    def id_of(self, name: str) -> str:
        if name not in self.known:
            self.known[name] = self.tale.look_up("get_user_id", "user_id", user=name)
        return self.known[name]

    def send(self, name: str) -> None:
        self._send(SEND, name)

    def send_too(self) -> None:
        name = self.tale.rng.choice([name for name in self.others if name not in self.known])
        self._send(SEND_TOO, name)

    def take_back(self, name: str) -> None:
        self.tale.say(TAKE_BACK, name=name)
        self.tale.call("delete_message", receiver_id=self.known[name])

    def view(self) -> None:
        self.tale.say(VIEW)
        self.enter()
        self.tale.call("view_messages_sent")

    def view_and_act(self) -> None:
        """Two turns: all that was sent, and then something with the person who got one of the messages."""
        self.view()
        word = self.tale.rng.choice(tuple(self.sent))
        receiver = self.ids[self.sent[word]]
        if self.tale.sometimes():
            self.tale.say(TAKE_BACK_FOUND, word=word)
            self.tale.call("delete_message", receiver_id=receiver)
        else:
            text = values.sentence(self.tale.rng)
            self.tale.say(ANSWER_FOUND, word=word, text=text)
            self.tale.call("send_message", receiver_id=receiver, message=text)

    def look_for(self) -> None:
        word = self.tale.rng.choice(tuple(self.sent))
        self.tale.say(LOOK_FOR, word=word)
        self.enter()
        self.tale.call("search_messages", keyword=word)

    def stats(self) -> None:
        self.tale.say(STATS)
        self.enter()
        self.tale.call("get_message_stats")

    def _send(self, what: object, name: str) -> None:
        text = values.sentence(self.tale.rng)
        self.tale.say(what, name=name, text=text)  # type: ignore[arg-type]
        self.enter()
        self.tale.call("send_message", receiver_id=self.id_of(name), message=text)

    def _about(self, word: str) -> str:
        adjective, day = self.tale.rng.choice(values.ADJECTIVES), self.tale.rng.choice(values.DAYS)
        return self.tale.rng.choice((f"The {word} is {adjective}", f"We need the {word} on {day}"))


@storyline(MESSAGES)
def message_send(tale: Tale) -> None:
    phone = Phone(tale)
    name = tale.rng.choice(phone.others)
    phone.send(name)
    acts: list[Callable[[], None]] = [phone.send_too, phone.view, phone.stats]
    tale.go_on(acts, [lambda: phone.take_back(name)])


@storyline(MESSAGES)
def message_contact(tale: Tale) -> None:
    phone = Phone(tale)
    new = tale.rng.choice([name for name in values.FIRST_NAMES if name not in phone.ids])
    tale.say(ADD, name=new)
    user_id = tale.call("add_contact", user_name=new)["user_id"]
    text = values.sentence(tale.rng)
    tale.say(SEND_NEW, text=text)
    phone.enter()
    tale.call("send_message", receiver_id=user_id, message=text)
    tale.go_on([phone.send_too, phone.view])


@storyline(MESSAGES, can_crowd=True)
def message_sent(tale: Tale) -> None:
    phone = Phone(tale)
    phone.view_and_act()
    tale.go_on([phone.send_too, phone.stats])


@storyline(MESSAGES)
def message_search(tale: Tale) -> None:
    phone = Phone(tale)
    phone.look_for()
    tale.go_on([phone.send_too, phone.stats, phone.view])


STORYLINES: tuple[Storyline, ...] = (message_send, message_contact, message_sent, message_search)
