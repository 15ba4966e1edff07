"""Stories in a ticket system: open a ticket, find one, and see it through."""

from __future__ import annotations

from typing import Any

from envtune.playground import values
from envtune.playground.phrases.tickets import (
    CLOSE,
    CLOSE_TITLED,
    LOG_OUT,
    LOOK,
    MINE,
    OPEN,
    PRIORITY,
    PRIORITY_TITLED,
    READ,
    RESOLVE,
    RESOLVE_TITLED,
    RETITLE,
)
from envtune.playground.tale import Storyline, Tale, storyline

TICKETS = "TicketAPI"


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
