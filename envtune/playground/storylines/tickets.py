"""Stories in a ticket system: open a ticket, find one, and see it through."""

from __future__ import annotations

from typing import Any

from envtune.playground import values
from envtune.playground.tale import Storyline, Tale, storyline
from envtune.playground.wording import gap, phrase

TICKETS = "TicketAPI"

OPEN = phrase(
    [
        "[Open|Create] a ticket titled '{title}', priority {priority}, [described as|with the description] '{text}'.",
        "I need a ticket of priority {priority}: title '{title}', description '{text}'.",
        "A ticket is needed: '{title}' as its title, '{text}' as its description, priority {priority}.",
        "[Create|Open] a ticket. Description: '{text}'. Title: '{title}'. Priority: {priority}.",
        "[Can|Could] you [open|create] a ticket? Title '{title}', priority {priority}, description '{text}'.",
        "I [want|would like] a ticket: '{text}' is the description, '{title}' the title, {priority} the priority.",
        "There should be a ticket titled '{title}', priority {priority}. [Describe it as|Its description is] '{text}'.",
        "Priority {priority}, title '{title}', description '{text}': [open|create] [this|a] ticket[, please|].",
        "It is time for a [new |]ticket. '{text}' is its description, {priority} its priority and '{title}' its title.",
        "'{title}' is the title of a ticket that I need. Describe it as '{text}' and give it priority {priority}.",
    ],
    ["Please open a ticket titled '{title}' that says '{text}', with priority {priority}."],
    ["A new ticket of priority {priority} is needed. '{title}' is the title and '{text}' the description."],
    gap(
        "title",
        "title",
        [
            "[Open|Create] a ticket [with|of] priority {priority}. [The description is|Describe it as] '{text}'.",
            "I need a ticket of priority {priority} with the description '{text}'.",
            "[Can|Could] you [open|create] a ticket? [Its|The] priority is {priority}, [its|the] description '{text}'.",
            "I [want|would like] a ticket: '{text}' is the description, and the priority is {priority}.",
            "There should be a ticket with priority {priority}. [Describe it as|Its description is] '{text}'.",
            "Priority {priority}, description '{text}': [open|create] [this|a] ticket[, please|].",
            "It is time for a [new |]ticket. '{text}' should be its description and {priority} its priority.",
            "'{text}' is the description of a ticket that I need. Give it priority {priority}.",
        ],
        ["Please open a ticket that says '{text}', with priority {priority}."],
        ["A new ticket of priority {priority} is needed, with '{text}' as the description."],
    ),
)
LOOK = phrase(
    [
        "Show me ticket {id}.",
        "What does [the |]ticket {id} say?",
        "I want to see [the |]ticket {id}.",
        "I [need|would like] to [know|see] what ticket {id} says.",
        "Could you [read me|look up] ticket {id}[, please|]?",
        "[Let me see|Look up] the ticket [with the number |]{id}.",
        "There is a ticket with the [number|id] {id}. [What does it say?|Show it to me.]",
        "I do not know ticket {id} yet. Show it[ to me|].",
        "It is time to [look at|read] [the |]ticket {id}.",
        "The number of the ticket is {id}. [Show it|Let me see it].",
    ],
    ["Can you show me what is in ticket {id}?"],
    ["Tell me what ticket {id} is about."],
    gap(
        "id",
        "number of the ticket",
        [
            "Show me [one of my tickets|a ticket].",
            "I want to see a ticket.",
            "I [need|would like] to [know|see] what [one of my tickets|a ticket] says.",
            "Could you [read me|look up] [one of my tickets|a ticket][, please|]?",
            "There is a ticket that I [need|want|would like] to [see|read].",
            "It is time to [look at|read] [one of my tickets|a ticket].",
            "What does [one of my tickets|my ticket] say?",
            "[One of my tickets|A ticket] should be shown to me.",
        ],
        ["Can you show me what is in a ticket?"],
        ["Tell me what a ticket is about."],
    ),
)
MINE = phrase(
    [
        "[Show|List] all my tickets.",
        "Which tickets do I have?",
        "[Show|List] the tickets that are mine.",
        "I [need|would like] a list of [my tickets|the tickets that I have].",
        "Could you [list|show me] [my tickets|the tickets that are mine][, please|]?",
        "What tickets [do I have|are there for me]?",
        "I want to [see|know] [my tickets|what tickets there are for me].",
        "It is time to look at [all |]my tickets.",
        "There are some tickets of mine. [List|Show] them[ all|].",
        "All of my tickets should be [listed|shown].",
    ],
    ["Can you show me all the tickets I have?"],
    ["Tell me which tickets are mine."],
)
CLOSE_TITLED = phrase(
    [
        "Close the one [titled|with the title] '{title}'.",
        "The one titled '{title}' is done. Close it.",
        "[Can|Could] you close the [one|ticket] [titled|with the title] '{title}'[, please|]?",
        "I [need|would like] '{title}' to be closed.",
        "It is time to close [the ticket |]'{title}'.",
        "One is titled '{title}'. [Close it|That one should be closed|It can be closed].",
        "The [one|ticket] titled '{title}' should be closed[ now|].",
        "There is no need for '{title}' any more. Close [it|that one|that ticket].",
    ],
    ["I want the one with '{title}' as its title closed."],
    ["'{title}' is done, so close that one."],
)
RESOLVE_TITLED = phrase(
    [
        "Resolve the one [titled|with the title] '{title}'. The resolution is '{text}'.",
        "Write '{text}' as the resolution of the one titled '{title}' and resolve it.",
        "[Can|Could] you resolve the [one|ticket] [titled|with the title] '{title}'? Its resolution is '{text}'.",
        "I [need|would like] '{title}' to be resolved with '{text}' as [its|the] resolution.",
        "'{text}' is the resolution [for|of] '{title}'. Resolve [it|that one|that ticket].",
        "One is titled '{title}'. [Resolve it|It should be resolved] with the resolution '{text}'.",
        "It is time to resolve '{title}': [write|the resolution is] '{text}'.",
        "The [one|ticket] titled '{title}' is done, so resolve it. Write '{text}' as the resolution.",
    ],
    ["The one with '{title}' as its title is resolved: '{text}'."],
    ["Resolve '{title}', and let '{text}' be the resolution."],
    gap(
        "text",
        "resolution",
        [
            "Resolve the one [titled|with the title] '{title}'.",
            "[Can|Could] you resolve the [one|ticket] [titled|with the title] '{title}'[, please|]?",
            "I [need|would like] '{title}' to be resolved.",
            "One is titled '{title}'. [Resolve it|It should be resolved].",
            "It is time to resolve [the ticket |]'{title}'.",
            "The [one|ticket] titled '{title}' is done, so resolve it.",
            "There is a resolution for '{title}'. Resolve [it|that one|that ticket].",
        ],
        ["The one with '{title}' as its title is resolved."],
        ["Resolve '{title}' with the resolution that I tell you."],
    ),
)
PRIORITY_TITLED = phrase(
    [
        "[Set|Change] the priority of the one [titled|with the title] '{title}' to {priority}.",
        "The one titled '{title}' should have priority {priority}.",
        "[Can|Could] you [set|change] the priority of '{title}' to {priority}[, please|]?",
        "I [need|would like] '{title}' to have [the |]priority {priority}.",
        "One is titled '{title}'. [Give it|It needs|It should get] priority {priority}.",
        "{priority} should be the priority of the [one|ticket] [titled|with the title] '{title}'.",
        "It is time to change the priority of '{title}': [make it|set it to] {priority}.",
        "The priority of '{title}' is [wrong|not right]. [Make it|It should be|Set it to] {priority}.",
    ],
    ["I want priority {priority} for the one with '{title}' as its title."],
    ["'{title}' needs another priority: {priority}."],
    gap(
        "priority",
        "priority",
        [
            "Change the priority of the one [titled|with the title] '{title}'.",
            "[Can|Could] you change the priority of '{title}'[, please|]?",
            "I [need|would like] '{title}' to have [another|a different|a new] priority.",
            "One is titled '{title}'. [Give it|It should get] [another|a new] priority.",
            "It is time to change the priority of [the ticket |]'{title}'.",
            "The priority of '{title}' is [wrong|not right]. Change it.",
            "The [one|ticket] titled '{title}' should have [another|a different|a new] priority.",
        ],
        ["I want another priority for the one with '{title}' as its title."],
        ["'{title}' needs another priority."],
    ),
)
READ = phrase(
    [
        "Show me [that|this] ticket.",
        "What does [the|that] ticket say now?",
        "I [want|need|would like] to [see|read] [that|this|the] ticket[ again| now|].",
        "[Can|Could] you [read|show] me [that|this|the] ticket[ again|][, please|]?",
        "How does [that|this|the] ticket [look|read] now?",
        "I do not know what it says [now|any more]. Show me the ticket.",
        "It is time to [look at|read] [that|this|the] ticket[ again|].",
        "Let me see [that|this|the] ticket[ again|].",
    ],
    ["Can you show me what is in that ticket?"],
    ["Tell me what that ticket says."],
)
RESOLVE = phrase(
    [
        "Resolve [that|this|the] ticket with [the resolution |]'{text}'.",
        "[That|This] ticket is done. Resolve it: '{text}'.",
        "Write '{text}' as the resolution and resolve the ticket.",
        "That one is resolved: write '{text}' as its resolution.",
        "[Can|Could] you resolve [that|this|the] ticket [with|and write] '{text}'[, please|]?",
        "I [need|would like] [that|this|the] ticket to be resolved. [The resolution is|Write] '{text}'.",
        "'{text}' is the resolution. [Resolve|Now resolve] [that|this|the] ticket with it.",
        "It is time to resolve [that|this|the] ticket: [write|the resolution is] '{text}'.",
        "[That|This|The] ticket should get the resolution '{text}', so resolve it.",
        "There is a resolution for [that|this|the] ticket, '{text}'. [Resolve it|So resolve it].",
    ],
    ["That ticket is resolved: '{text}'."],
    ["Resolve that one, and let '{text}' be the resolution."],
    gap(
        "text",
        "resolution",
        [
            "Resolve [that|this|the] ticket.",
            "[That|This] ticket is done. Resolve it.",
            "[Can|Could] you resolve [that|this|the] ticket[, please|]?",
            "I would like to resolve [that|this|the] ticket[ now|].",
            "It is time to resolve [that|this|the] ticket.",
            "[That|This|The] ticket should be resolved[ now|].",
            "There is a resolution for [that|this|the] ticket, so resolve it.",
        ],
        ["I want that ticket resolved."],
        ["Resolve that one with the resolution that I tell you."],
    ),
)
PRIORITY = phrase(
    [
        "[Set|Change] [its|the ticket's] priority to {priority}.",
        "That ticket should have priority {priority}.",
        "The ticket needs the priority {priority}.",
        "Give [that|this] ticket the priority {priority}.",
        "[Can|Could] you [set|change] [its|the ticket's] priority to {priority}[, please|]?",
        "I [need|would like] [its|the ticket's] priority to be {priority}.",
        "{priority} should be [its|the ticket's] [new |]priority.",
        "It is time to change [its|the ticket's] priority: [make it|set it to] {priority}.",
        "[Its|The ticket's] priority is [wrong|not right]. [Make it|It should be|Set it to] {priority}.",
        "Let [this|the] ticket have priority {priority}.",
    ],
    ["I want priority {priority} for that ticket."],
    ["That ticket needs another priority: {priority}."],
    gap(
        "priority",
        "priority",
        [
            "Change [its|the ticket's] priority.",
            "Give that ticket another priority.",
            "[Can|Could] you change [its|the ticket's] priority[, please|]?",
            "I [need|would like] [its|the ticket's] priority to be [changed|different].",
            "It is time to change [its|the ticket's] priority.",
            "[Its|The ticket's] priority is [wrong|not right]. Change it.",
            "[Its|The ticket's] priority should be [changed|another one|different].",
        ],
        ["I want another priority for that ticket."],
        ["That ticket needs another priority."],
    ),
)
RETITLE = phrase(
    [
        "Change [its|the ticket's] title to '{title}'.",
        "That ticket should [be titled|have the title] '{title}'.",
        "[Can|Could] you change [its|the ticket's] title to '{title}'[, please|]?",
        "I [need|would like] [its|the ticket's] title to be '{title}'.",
        "'{title}' should be [its|the ticket's] [new |]title.",
        "It is time to change [its|the ticket's] title: make it '{title}'.",
        "[Its|The ticket's] title is [wrong|not right]. [Make it|It should be|Change it to] '{title}'.",
        "Give [that|this|the] ticket the [new |]title '{title}'.",
    ],
    ["I want '{title}' as the title of that ticket."],
    ["That ticket needs another title: '{title}'."],
    gap(
        "title",
        "title",
        [
            "Change [its|the ticket's] title.",
            "[Can|Could] you change [its|the ticket's] title[, please|]?",
            "I [need|would like] [its|the ticket's] title to be [changed|different].",
            "It is time to change [its|the ticket's] title.",
            "[Its|The ticket's] title is [wrong|not right]. Change it.",
            "[Its|The ticket's] title should be [changed|another one|different].",
            "Give [this|the] ticket [another|a new] title.",
        ],
        ["I want another title for that ticket."],
        ["That ticket needs another title."],
    ),
)
CLOSE = phrase(
    [
        "Close [that|this|the] ticket.",
        "[That|This] ticket can be closed.",
        "Now close it.",
        "[Can|Could] you close [that|this|the] ticket[, please|]?",
        "I [need|would like] [it|this one] to be closed[ now|].",
        "It is time to close [that|this|the] ticket.",
        "[That|This|The] ticket should be closed[ now|].",
        "There is no need for [that|this|the] ticket any more. Close it.",
        "I am done with [this|the] ticket, so it should be closed.",
    ],
    ["I want that ticket closed."],
    ["That one is done, so close the ticket."],
)
LOG_OUT = phrase(
    [
        "Log me out [now|of the ticket system].",
        "I am done. Log out.",
        "I need to be logged out now.",
        "Could you log me out[ of the ticket system|][, please|]?",
        "I would like to [leave|log out of] the ticket system. Log me out.",
        "It is time to log [me |]out.",
        "That is all for [now|today], so log me out.",
        "There is nothing [else|more] to do here. [Log me out|Log out].",
        "I should be logged out of the ticket system[ now|].",
        "My work [here |]is done. [Log me out|Log out][, please|].",
    ],
    ["I want to be logged out."],
    ["You can log me out now."],
)


class TicketDesk:
    """A user's tickets, and one of them that the story is about."""

    def __init__(self, tale: Tale) -> None:
        self.tale = tale
        rng = tale.rng
        self.user, self.password = values.user_name(rng), values.password(rng)
        self.logged_in = tale.sometimes(0.25)
        self.ticket = 0
        ids = sorted(rng.sample(range(100, 900), tale.many(2, 3, crowd=11)))
        self.titles = dict(zip(self._titles(len(ids)), ids, strict=True))
        queue = [self._entry(number, title) for title, number in self.titles.items()]
        user = self.user if self.logged_in else None
        tale.world(TICKETS, ticket_queue=queue, ticket_counter=ids[-1] + rng.randint(1, 9), current_user=user)

    def enter(self) -> None:
        """In the turn that has begun: the user logs in, unless that was done."""
        if not self.logged_in:
            self.tale.log_in("ticket_login", self.user, self.password)
            self.logged_in = True

    def find(self) -> None:
        """Two turns: all tickets, and then one of them by its title."""
        self.tale.say(MINE)
        self.enter()
        self.tale.call("get_user_tickets")
        title = self.tale.rng.choice(tuple(self.titles))
        self.ticket = self.titles[title]
        self.tale.rng.choice((self._close_titled, self._resolve_titled, self._priority_titled))(title)

    def go_on(self) -> None:
        self.tale.go_on([self.read, self.resolve, self.priority, self.retitle], [self.close, self.log_out])

    def read(self) -> None:
        self.tale.say(READ)
        self.tale.call("get_ticket", ticket_id=self.ticket)

    def resolve(self) -> None:
        text = values.sentence(self.tale.rng)
        self.tale.say(RESOLVE, text=text)
        self.tale.call("resolve_ticket", ticket_id=self.ticket, resolution=text)

    def priority(self) -> None:
        priority = self.tale.rng.randint(2, 5)
        self.tale.say(PRIORITY, priority=priority)
        self.tale.call("edit_ticket", ticket_id=self.ticket, updates={"priority": priority})

    def retitle(self) -> None:
        title = values.title(self.tale.rng)
        self.tale.say(RETITLE, title=title)
        self.tale.call("edit_ticket", ticket_id=self.ticket, updates={"title": title})

    def close(self) -> None:
        self.tale.say(CLOSE)
        self.tale.call("close_ticket", ticket_id=self.ticket)

    def log_out(self) -> None:
        self.tale.say(LOG_OUT)
        self.tale.call("logout")

    def _close_titled(self, title: str) -> None:
        self.tale.say(CLOSE_TITLED, title=title)
        self.tale.call("close_ticket", ticket_id=self.ticket)

    def _resolve_titled(self, title: str) -> None:
        text = values.sentence(self.tale.rng)
        self.tale.say(RESOLVE_TITLED, title=title, text=text)
        self.tale.call("resolve_ticket", ticket_id=self.ticket, resolution=text)

    def _priority_titled(self, title: str) -> None:
        priority = self.tale.rng.randint(2, 5)
        self.tale.say(PRIORITY_TITLED, title=title, priority=priority)
        self.tale.call("edit_ticket", ticket_id=self.ticket, updates={"priority": priority})

    def _titles(self, count: int) -> list[str]:
        words = [word.capitalize() for word in values.distinct_words(self.tale.rng, count)]
        return [f"{self.tale.rng.choice(values.ADJECTIVES).capitalize()} {word}" for word in words]

    def _entry(self, number: int, title: str) -> dict[str, Any]:
        return {"id": number, "title": title, "status": "Open", "priority": 1, "created_by": self.user}


@storyline(TICKETS)
def ticket_open(tale: Tale) -> None:
    desk = TicketDesk(tale)
    title, text, priority = values.title(tale.rng), values.sentence(tale.rng), tale.rng.randint(2, 5)
    tale.say(OPEN, title=title, text=text, priority=priority)
    desk.enter()
    desk.ticket = tale.call("create_ticket", title=title, description=text, priority=priority)["id"]
    desk.go_on()


@storyline(TICKETS)
def ticket_known(tale: Tale) -> None:
    desk = TicketDesk(tale)
    desk.ticket = tale.rng.choice(tuple(desk.titles.values()))
    tale.say(LOOK, id=desk.ticket)
    tale.call("get_ticket", ticket_id=desk.ticket)
    tale.go_on([desk.resolve, desk.priority, desk.retitle], [desk.close])


@storyline(TICKETS, can_crowd=True)
def ticket_find(tale: Tale) -> None:
    desk = TicketDesk(tale)
    desk.find()
    tale.go_on([desk.read], [desk.log_out])


STORYLINES: tuple[Storyline, ...] = (ticket_open, ticket_known, ticket_find)
