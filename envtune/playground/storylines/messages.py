"""Stories with messages: to people whose id must be looked up, to new contacts, and about what was sent before."""

from __future__ import annotations

from collections.abc import Callable

from envtune.playground import values
from envtune.playground.tale import Storyline, Tale, storyline
from envtune.playground.wording import gap, phrase

MESSAGES = "MessageAPI"

WHO = phrase(
    [
        "[I am|My user id is] {user}.",
        "[Log me in|Sign me in] as {user}.",
        "My id is {user}.",
        "[Can|Could] you [log|sign] me in [as|with the id] {user}?",
        "I [need|would like] to be logged in [as|with the id] {user}.",
        "{user} is [my id|my user id|who I am].",
        "My login is [the id |]{user}.",
        "I [have|use] the id {user}.",
        "[Use|Take] [my id|the id] {user} [to log in|for my login].",
    ],
    ["For the login: my id is {user}."],
    ["The id to log in with is {user}."],
)
SEND = phrase(
    [
        "[Send|Write] {name} [the message|a message that says] '{text}'.",
        "Tell {name}: '{text}'.",
        "Send '{text}' to {name}.",
        "[Can|Could] you [send|write] {name} [the message |]'{text}'[, please|]?",
        "{name} should [know|hear] [this|the following]: '{text}'. Send it.",
        "I [need|want] to tell {name} [this|something]: '{text}'.",
        "I would like to send a message to {name}. It [says|should say|reads] '{text}'.",
        "It is time to [write to|tell] {name}: '{text}'.",
        "'{text}' is what {name} [should know|should hear|needs to know]. Send [it|that].",
    ],
    ["I want {name} to [get|have] the message '{text}'."],
    ["A message for {name}: '{text}'. Send it."],
    gap(
        "text",
        "message",
        [
            "[Send|Write] {name} a message.",
            "I want to tell {name} something. Send it.",
            "[Can|Could] you [send a message to|write to] {name}[, please|]?",
            "{name} should [know|hear] something. Send [it|a message].",
            "I [need|want|would like] to [send a message to|write to] {name}.",
            "It is time to [write to|send something to] {name}.",
            "There is something that {name} [should know|should hear|needs to know]. Send it.",
        ],
        ["I want {name} to get a message."],
        ["A message for {name}: send it."],
    ),
)
SEND_TOO = phrase(
    [
        "[Send|Write] {name} '{text}' as well.",
        "{name} should [know|hear] too: send '{text}'.",
        "Also send '{text}' to {name}.",
        "[Can|Could] you [send|write] {name} '{text}', too?",
        "I [need|would like] to [tell|write] {name} something as well: '{text}'.",
        "There is a message for {name}, too. It [says|should say|reads] '{text}'.",
        "'{text}' is what {name} [should know|should hear|needs to know] as well. Send [it|that].",
        "And {name} needs to [know|hear] this: '{text}'. Send it [too|as well].",
        "It is time to [write to|tell] {name} as well: '{text}'.",
    ],
    ["I want {name} to get a message too: '{text}'."],
    ["Another message, for {name}: '{text}'."],
    gap(
        "text",
        "message",
        [
            "[Send|Write] {name} a message as well.",
            "Also send something to {name}.",
            "[Can|Could] you [send a message to|write to] {name}, too?",
            "I [need|would like] to [tell {name} something|write to {name}] as well.",
            "There is [something|a message] for {name}, too. Send [it|that].",
            "{name} should [know|hear] something, too. Send [it|a message].",
            "It is time to [write to|send something to] {name} as well.",
            "And {name} needs to [know|hear] something as well.",
        ],
        ["I want {name} to get a message too."],
        ["Another message, for {name}."],
    ),
)
ADD = phrase(
    [
        "[Add {name} as|Make {name}] a new contact[ of mine|].",
        "{name} is new here. Add {name} to my contacts.",
        "Put {name} into my contacts.",
        "[Can|Could] you add {name} to my contacts[, please|]?",
        "I [need|want|would like] to have {name} [as a contact|among my contacts].",
        "{name} should be [a contact of mine|added to my contacts].",
        "There is someone new, {name}. Add a contact [of|with] that name.",
        "It is time to add {name} [to my contacts|as a contact].",
        "{name} is not [in|among] my contacts yet. [Change that|Add {name}].",
    ],
    ["I want {name} to be one of my contacts."],
    ["My contacts need {name}. Add that name."],
    gap(
        "name",
        "name",
        [
            "Add a new contact[ for me|].",
            "Someone is new here. Add a contact.",
            "[Can|Could] you add [someone|a new name] to my contacts[, please|]?",
            "I [need|would like] [to have |]a new contact.",
            "Someone should be [a contact of mine|added to my contacts].",
            "There is someone new that I [want|need|would like] among my contacts.",
            "It is time [to add|for] a new contact.",
            "Someone is not [in|among] my contacts yet. Add [them|that person].",
        ],
        ["I want someone to be one of my contacts."],
        ["My contacts need a new name. Add it."],
    ),
)
SEND_NEW = phrase(
    [
        "Send [them|the new contact] '{text}'.",
        "Tell [them|the new contact]: '{text}'.",
        "[Can|Could] you [send|write] [them|the new contact] '{text}'[, please|]?",
        "[They|The new contact] should [know|hear] [this|the following]: '{text}'. Send it.",
        "I [need|would like] to [tell|write] [them|the new contact] [this|something]: '{text}'.",
        "'{text}' is what [they|the new contact] should [know|hear]. Send [it|that].",
        "It is time to [write to|tell] [them|the new contact]: '{text}'.",
        "There is a message to send to [them|the new contact]. It [says|should say|reads] '{text}'.",
    ],
    ["I want the new contact to get the message '{text}'."],
    ["A message for the new contact: '{text}'. Send it."],
    gap(
        "text",
        "message",
        [
            "Send [them|the new contact] a message.",
            "I want to tell the new contact something.",
            "[Can|Could] you [send a message to|write to] [them|the new contact][, please|]?",
            "[They|The new contact] should [know|hear] something. Send [it|a message].",
            "I [need|would like] to [write to|send something to] [them|the new contact].",
            "It is time to [write to|send something to] [them|the new contact].",
            "There is something that [they|the new contact] should [know|hear]. Send it.",
        ],
        ["I want the new contact to get a message."],
        ["A message for the new contact: send it."],
    ),
)
VIEW = phrase(
    [
        "Show me [all |]the messages that I sent.",
        "What messages did I send?",
        "List what I sent.",
        "[Can|Could] you [show me|list] [all |]the messages that I sent[, please|]?",
        "I [need|would like] a list of [the messages that I sent|what I sent].",
        "I would like to [see|know] [what|all that] I [sent|wrote] to others.",
        "What did I [send|write] to [others|people]?",
        "I do not know what I sent [any more|before]. Show me [the messages|all of it].",
        "It is time to look at [what I sent|the messages that I sent].",
    ],
    ["I want to see all messages from me."],
    ["Which messages did I send so far?"],
)
TAKE_BACK_FOUND = phrase(
    [
        "One of them is about the {word}. Delete my [latest|last] message to that person.",
        "Delete my [latest|last] message to the person that got the one about the {word}.",
        "[Can|Could] you find the one about the {word} and delete my [latest|last] message to its receiver?",
        "Someone got one about the {word}. My [latest|last] message to [them|that person] should be [deleted|removed].",
        "The person who was told about the {word} should not have my [latest|last] message. [Delete|Remove] it.",
        "I sent one about the {word}. My [latest|last] message to the same person should [go|be deleted|be removed].",
        "It is time to delete a message: [my|the] [latest|last] one to the person who was told about the {word}.",
        "I [need|want] to take back my [latest|last] message to the one who was told about the {word}: delete it.",
    ],
    ["I want the last message to the person that got the one about the {word} deleted."],
    ["Who got the one about the {word}? Delete my last message to that person."],
)
ANSWER_FOUND = phrase(
    [
        "One of them is about the {word}. Send '{text}' to that person.",
        "Send '{text}' to the person that got the one about the {word}.",
        "[Can|Could] you find the one about the {word} and send [its receiver|that person] '{text}'[, please|]?",
        "Someone got one about the {word}. [They|That person] should [know|hear] this, too: '{text}'. Send it.",
        "I [need|would like] to [tell|write] the person who was told about the {word} something: '{text}'.",
        "'{text}' is for the [person|one] who was told about the {word}. Send [it|that].",
        "I sent one about the {word}. Now [the same person should hear|send the same person] '{text}'.",
        "The one about the {word} went to someone. Send them '{text}' [too|as well].",
    ],
    ["I want the person that got the one about the {word} to get '{text}' too."],
    ["Who got the one about the {word}? Send '{text}' to that person."],
    gap(
        "text",
        "message",
        [
            "One of them is about the {word}. Send a message to that person.",
            "[Can|Could] you find the one about the {word} and send its receiver [a|another] message[, please|]?",
            "Someone got one about the {word}. [They|That person] should [know|hear] something else, too. Send it.",
            "I [need|would like] to [write to|tell something to] the person who was told about the {word}.",
            "There is something new for the person who was told about the {word}. Send [it|that].",
            "I sent one about the {word}. Now send the same person [something else|another message].",
            "The one about the {word} went to someone. Send them something [too|as well].",
        ],
        ["I want the person that got the one about the {word} to get another message."],
        ["Who got the one about the {word}? Send a new message to that person."],
    ),
)
TAKE_BACK = phrase(
    [
        "Delete [that|the last] message to {name}.",
        "I did not want to send that to {name}. Delete it.",
        "Take back [my|the] last message to {name}: delete it.",
        "[Can|Could] you delete [that|my last] message to {name}[, please|]?",
        "I [need|would like] to take back what I sent to {name}: delete [it|the message].",
        "That message to {name} was [wrong|a mistake]. [Delete|Remove] it.",
        "[That|The last] message to {name} should [go|be deleted|be removed].",
        "What I sent to {name} should be [deleted|removed].",
        "It is time to [delete|remove] what {name} got from me last.",
    ],
    ["I want my last message to {name} deleted."],
    ["{name} should not get that message. Delete it."],
)
LOOK_FOR = phrase(
    [
        "[Search|Look in] my messages for '{word}'.",
        "Which of my messages [say|have] '{word}'?",
        "Find my messages with '{word}'.",
        "[Can|Could] you [search|look through] my messages for '{word}'[, please|]?",
        "I [need|would like] all my messages with '{word}'.",
        "Did I [write|say] '{word}' in [any|one] of my messages? [Find it.|Search them.]",
        "'{word}' is in some of my messages. [Find them|Search for it].",
        "There is a message of mine with '{word}' in it. [Find it.|Look for it.|Where is it?]",
        "It is time to [look|search] for '{word}' in my messages.",
    ],
    ["I want to see my messages that have '{word}' in them."],
    ["Search for the messages of mine that say '{word}'."],
    gap(
        "word",
        "word",
        [
            "Search my messages for a word.",
            "Find my messages with a [certain |]word.",
            "[Can|Could] you [search|look through] my messages for a [certain |]word[, please|]?",
            "I [need|would like] all my messages with a certain word.",
            "A word is in some of my messages. [Find them|Search for it].",
            "There is a word in my messages that I [need to find|look for].",
            "It is time to [look|search] for a [certain |]word in my messages.",
            "Did I [write|say] a certain word in [any|one] of my messages? [Find it.|Search them.]",
        ],
        ["I want to see my messages that have a certain word in them."],
        ["Search for the messages of mine that say a certain word."],
    ),
)
STATS = phrase(
    [
        "Show me [the numbers of|the statistics of] my messages.",
        "How many messages and contacts [do I have|are there]?",
        "[Can|Could] you [show|tell] me the [numbers|statistics] of my messages[, please|]?",
        "I [need|would like] [some |]statistics [about|on] my messages.",
        "Count my messages and my contacts[ for me| now|].",
        "The statistics of my messages are what I need[ now|]. Show them.",
        "What are the numbers [for|of] my messages[ so far|]?",
        "It is time to look at the [numbers|statistics] of my messages.",
        "I would like to know how many messages and contacts [I have|there are].",
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
