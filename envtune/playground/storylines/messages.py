"""Stories with messages: to people whose id must be looked up, to new contacts, and about what was sent before."""

from __future__ import annotations

from collections.abc import Callable

from envtune.playground import values
from envtune.playground.tale import Storyline, Tale, storyline
from envtune.playground.wording import gap, phrase

MESSAGES = "MessageAPI"

WHO = phrase(
    ["[I am|My user id is] {user}.", "[Log me in|Sign me in] as {user}.", "My id is {user}."],
    ["For the login: my id is {user}."],
    ["The id to log in with is {user}."],
)
SEND = phrase(
    [
        "[Send|Write] {name} [the message|a message that says] '{text}'.",
        "Tell {name}: '{text}'.",
        "Send '{text}' to {name}.",
    ],
    ["I want {name} to [get|have] the message '{text}'."],
    ["A message for {name}: '{text}'. Send it."],
    gap(
        "text",
        "message",
        ["[Send|Write] {name} a message.", "I want to tell {name} something. Send it."],
        ["I want {name} to get a message."],
        ["A message for {name}: send it."],
    ),
)
SEND_TOO = phrase(
    [
        "[Send|Write] {name} '{text}' as well.",
        "{name} should [know|hear] too: send '{text}'.",
        "Also send '{text}' to {name}.",
    ],
    ["I want {name} to get a message too: '{text}'."],
    ["Another message, for {name}: '{text}'."],
    gap(
        "text",
        "message",
        ["[Send|Write] {name} a message as well.", "Also send something to {name}."],
        ["I want {name} to get a message too."],
        ["Another message, for {name}."],
    ),
)
ADD = phrase(
    [
        "[Add {name} as|Make {name}] a new contact[ of mine|].",
        "{name} is new here. Add {name} to my contacts.",
        "Put {name} into my contacts.",
    ],
    ["I want {name} to be one of my contacts."],
    ["My contacts need {name}. Add that name."],
    gap(
        "name",
        "name",
        ["Add a new contact[ for me|].", "Someone is new here. Add a contact."],
        ["I want someone to be one of my contacts."],
        ["My contacts need a new name. Add it."],
    ),
)
SEND_NEW = phrase(
    ["Send [them|the new contact] '{text}'.", "Tell [them|the new contact]: '{text}'."],
    ["I want the new contact to get the message '{text}'."],
    ["A message for the new contact: '{text}'. Send it."],
    gap(
        "text",
        "message",
        ["Send [them|the new contact] a message.", "I want to tell the new contact something."],
        ["I want the new contact to get a message."],
        ["A message for the new contact: send it."],
    ),
)
VIEW = phrase(
    ["Show me [all |]the messages that I sent.", "What messages did I send?", "List what I sent."],
    ["I want to see all messages from me."],
    ["Which messages did I send so far?"],
)
TAKE_BACK_FOUND = phrase(
    [
        "One of them is about the {word}. Delete my [latest|last] message to that person.",
        "Delete my [latest|last] message to the person that got the one about the {word}.",
    ],
    ["I want the last message to the person that got the one about the {word} deleted."],
    ["Who got the one about the {word}? Delete my last message to that person."],
)
ANSWER_FOUND = phrase(
    [
        "One of them is about the {word}. Send '{text}' to that person.",
        "Send '{text}' to the person that got the one about the {word}.",
    ],
    ["I want the person that got the one about the {word} to get '{text}' too."],
    ["Who got the one about the {word}? Send '{text}' to that person."],
    gap(
        "text",
        "message",
        ["One of them is about the {word}. Send a message to that person."],
        ["I want the person that got the one about the {word} to get another message."],
        ["Who got the one about the {word}? Send a new message to that person."],
    ),
)
TAKE_BACK = phrase(
    [
        "Delete [that|the last] message to {name}.",
        "I did not want to send that to {name}. Delete it.",
        "Take back [my|the] last message to {name}: delete it.",
    ],
    ["I want my last message to {name} deleted."],
    ["{name} should not get that message. Delete it."],
)
LOOK_FOR = phrase(
    [
        "[Search|Look in] my messages for '{word}'.",
        "Which of my messages [say|have] '{word}'?",
        "Find my messages with '{word}'.",
    ],
    ["I want to see my messages that have '{word}' in them."],
    ["Search for the messages of mine that say '{word}'."],
    gap(
        "word",
        "word",
        ["Search my messages for a word.", "Find my messages with a [certain |]word."],
        ["I want to see my messages that have a certain word in them."],
        ["Search for the messages of mine that say a certain word."],
    ),
)
STATS = phrase(
    [
        "Show me [the numbers of|the statistics of] my messages.",
        "How many messages and contacts [do I have|are there]?",
    ],
    ["I want to see the statistics of my messages."],
    ["What do the statistics of my messages say?"],
)


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
