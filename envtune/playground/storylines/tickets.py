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
    ],
    ["Please open a ticket titled '{title}' that says '{text}', with priority {priority}."],
    ["A new ticket of priority {priority} is needed. '{title}' is the title and '{text}' the description."],
    gap(
        "title",
        "title",
        [
            "[Open|Create] a ticket [with|of] priority {priority}. [The description is|Describe it as] '{text}'.",
            "I need a ticket of priority {priority} with the description '{text}'.",
        ],
        ["Please open a ticket that says '{text}', with priority {priority}."],
        ["A new ticket of priority {priority} is needed, with '{text}' as the description."],
    ),
)
LOOK = phrase(
    ["Show me ticket {id}.", "What does [the |]ticket {id} say?", "I want to see [the |]ticket {id}."],
    ["Can you show me what is in ticket {id}?"],
    ["Tell me what ticket {id} is about."],
    gap(
        "id",
        "number of the ticket",
        ["Show me [one of my tickets|a ticket].", "I want to see a ticket."],
        ["Can you show me what is in a ticket?"],
        ["Tell me what a ticket is about."],
    ),
)
MINE = phrase(
    ["[Show|List] all my tickets.", "Which tickets do I have?", "[Show|List] the tickets that are mine."],
    ["Can you show me all the tickets I have?"],
    ["Tell me which tickets are mine."],
)
CLOSE_TITLED = phrase(
    ["Close the one [titled|with the title] '{title}'.", "The one titled '{title}' is done. Close it."],
    ["I want the one with '{title}' as its title closed."],
    ["'{title}' is done, so close that one."],
)
RESOLVE_TITLED = phrase(
    [
        "Resolve the one [titled|with the title] '{title}'. The resolution is '{text}'.",
        "Write '{text}' as the resolution of the one titled '{title}' and resolve it.",
    ],
    ["The one with '{title}' as its title is resolved: '{text}'."],
    ["Resolve '{title}', and let '{text}' be the resolution."],
    gap(
        "text",
        "resolution",
        ["Resolve the one [titled|with the title] '{title}'."],
        ["The one with '{title}' as its title is resolved."],
        ["Resolve '{title}' with the resolution that I tell you."],
    ),
)
PRIORITY_TITLED = phrase(
    [
        "[Set|Change] the priority of the one [titled|with the title] '{title}' to {priority}.",
        "The one titled '{title}' should have priority {priority}.",
    ],
    ["I want priority {priority} for the one with '{title}' as its title."],
    ["'{title}' needs another priority: {priority}."],
    gap(
        "priority",
        "priority",
        ["Change the priority of the one [titled|with the title] '{title}'."],
        ["I want another priority for the one with '{title}' as its title."],
        ["'{title}' needs another priority."],
    ),
)
READ = phrase(
    ["Show me [that|this] ticket.", "What does [the|that] ticket say now?"],
    ["Can you show me what is in that ticket?"],
    ["Tell me what that ticket says."],
)
RESOLVE = phrase(
    [
        "Resolve [that|this|the] ticket with [the resolution |]'{text}'.",
        "[That|This] ticket is done. Resolve it: '{text}'.",
        "Write '{text}' as the resolution and resolve the ticket.",
        "That one is resolved: write '{text}' as its resolution.",
    ],
    ["That ticket is resolved: '{text}'."],
    ["Resolve that one, and let '{text}' be the resolution."],
    gap(
        "text",
        "resolution",
        ["Resolve [that|this|the] ticket.", "[That|This] ticket is done. Resolve it."],
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
    ],
    ["I want priority {priority} for that ticket."],
    ["That ticket needs another priority: {priority}."],
    gap(
        "priority",
        "priority",
        ["Change [its|the ticket's] priority.", "Give that ticket another priority."],
        ["I want another priority for that ticket."],
        ["That ticket needs another priority."],
    ),
)
RETITLE = phrase(
    ["Change [its|the ticket's] title to '{title}'.", "That ticket should [be titled|have the title] '{title}'."],
    ["I want '{title}' as the title of that ticket."],
    ["That ticket needs another title: '{title}'."],
    gap(
        "title",
        "title",
        ["Change [its|the ticket's] title."],
        ["I want another title for that ticket."],
        ["That ticket needs another title."],
    ),
)
CLOSE = phrase(
    ["Close [that|this|the] ticket.", "[That|This] ticket can be closed.", "Now close it."],
    ["I want that ticket closed."],
    ["That one is done, so close the ticket."],
)
LOG_OUT = phrase(
    ["Log me out [now|of the ticket system].", "I am done. Log out.", "I need to be logged out now."],
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
