"""Stories in a ticket system: open or find a ticket, then edit, resolve or close it."""

from __future__ import annotations

from typing import Any

from envtune.playground import values
from envtune.playground.phrase import read_phrases
from envtune.playground.story_builder import StoryBuilder, Storyline, storyline

TICKETS = "TicketAPI"
PHRASES = read_phrases("tickets")


class TicketDesk:
    """A user's tickets and the one that the story is about."""

    def __init__(self, story: StoryBuilder) -> None:
        self.story = story
        rng = story.rng
        self.user, self.password = values.user_name(rng), values.password(rng)
        self.logged_in = story.sometimes(0.25)
        self.ticket = 0
        ids = sorted(rng.sample(range(100, 900), story.many(2, 3, crowd=11)))
        self.titles = dict(zip(self._titles(len(ids)), ids, strict=True))
        queue = [self._entry(number, title) for title, number in self.titles.items()]
        user = self.user if self.logged_in else None
        story.world(TICKETS, ticket_queue=queue, ticket_counter=ids[-1] + rng.randint(1, 9), current_user=user)

    def enter(self) -> None:
        """Add a login to the current turn unless the user is logged in."""
        if not self.logged_in:
            self.story.log_in("ticket_login", self.user, self.password)
            self.logged_in = True

    def find(self) -> None:
        """Tell two turns: the list of tickets, then an action on one by its title."""
        self.story.say(PHRASES["mine"])
        self.enter()
        self.story.call("get_user_tickets")
        title = self.story.rng.choice(tuple(self.titles))
        self.ticket = self.titles[title]
        self.story.rng.choice((self._close_titled, self._resolve_titled, self._priority_titled))(title)

    def go_on(self) -> None:
        """Continue with turns about the ticket."""
        self.story.go_on([self.read, self.resolve, self.priority, self.retitle], [self.close, self.log_out])

    def read(self) -> None:
        """Ask for the ticket."""
        self.story.say(PHRASES["read"])
        self.story.call("get_ticket", ticket_id=self.ticket)

    def resolve(self) -> None:
        """Ask to resolve the ticket with a text."""
        text = values.sentence(self.story.rng)
        self.story.say(PHRASES["resolve"], text=text)
        self.story.call("resolve_ticket", ticket_id=self.ticket, resolution=text)

    def priority(self) -> None:
        """Ask to change the ticket's priority."""
        priority = self.story.rng.randint(2, 5)
        self.story.say(PHRASES["priority"], priority=priority)
        self.story.call("edit_ticket", ticket_id=self.ticket, updates={"priority": priority})

    def retitle(self) -> None:
        """Ask to change the ticket's title."""
        title = values.title(self.story.rng)
        self.story.say(PHRASES["retitle"], title=title)
        self.story.call("edit_ticket", ticket_id=self.ticket, updates={"title": title})

    def close(self) -> None:
        """Ask to close the ticket."""
        self.story.say(PHRASES["close"])
        self.story.call("close_ticket", ticket_id=self.ticket)

    def log_out(self) -> None:
        """Ask to log out."""
        self.story.say(PHRASES["log_out"])
        self.story.call("logout")

    def _close_titled(self, title: str) -> None:
        self.story.say(PHRASES["close_titled"], title=title)
        self.story.call("close_ticket", ticket_id=self.ticket)

    def _resolve_titled(self, title: str) -> None:
        text = values.sentence(self.story.rng)
        self.story.say(PHRASES["resolve_titled"], title=title, text=text)
        self.story.call("resolve_ticket", ticket_id=self.ticket, resolution=text)

    def _priority_titled(self, title: str) -> None:
        priority = self.story.rng.randint(2, 5)
        self.story.say(PHRASES["priority_titled"], title=title, priority=priority)
        self.story.call("edit_ticket", ticket_id=self.ticket, updates={"priority": priority})

    def _titles(self, count: int) -> list[str]:
        words = [word.capitalize() for word in values.distinct_words(self.story.rng, count)]
        return [f"{self.story.rng.choice(values.ADJECTIVES).capitalize()} {word}" for word in words]

    def _entry(self, number: int, title: str) -> dict[str, Any]:
        return {"id": number, "title": title, "status": "Open", "priority": 1, "created_by": self.user}


@storyline(TICKETS)
def ticket_open(story: StoryBuilder) -> None:
    """Open a ticket, then work on it."""
    desk = TicketDesk(story)
    title, text, priority = values.title(story.rng), values.sentence(story.rng), story.rng.randint(2, 5)
    story.say(PHRASES["open"], title=title, text=text, priority=priority)
    desk.enter()
    desk.ticket = story.call("create_ticket", title=title, description=text, priority=priority)["id"]
    desk.go_on()


@storyline(TICKETS)
def ticket_known(story: StoryBuilder) -> None:
    """Look at a ticket whose id the user gives, then work on it."""
    desk = TicketDesk(story)
    desk.ticket = story.rng.choice(tuple(desk.titles.values()))
    story.say(PHRASES["look"], id=desk.ticket)
    story.call("get_ticket", ticket_id=desk.ticket)
    story.go_on([desk.resolve, desk.priority, desk.retitle], [desk.close])


@storyline(TICKETS, can_crowd=True)
def ticket_find(story: StoryBuilder) -> None:
    """List the tickets, then act on one by its title."""
    desk = TicketDesk(story)
    desk.find()
    story.go_on([desk.read], [desk.log_out])


STORYLINES: tuple[Storyline, ...] = (ticket_open, ticket_known, ticket_find)
