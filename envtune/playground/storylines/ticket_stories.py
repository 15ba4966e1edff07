"""Stories in a ticket system: open or find a ticket, then edit, resolve or close it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from envtune.playground import values
from envtune.playground.phrase import read_phrases
from envtune.playground.story_builder import Scene, StoryBuilder, storyline

TICKETS = "TicketAPI"


class TicketDesk(Scene):
    """A user's tickets and the one that the story is about."""

    phrases = read_phrases("tickets")
    login = "ticket_login"
    behind_login = ("create_ticket", "get_user_tickets")

    def __init__(self, story: StoryBuilder) -> None:
        super().__init__(story)
        rng = story.rng
        self.user, self.password = values.user_name(rng), values.password(rng)
        self.logged_in = story.sometimes(0.25)
        self.ticket = 0
        ids = sorted(rng.sample(range(100, 900), story.many(2, 3, crowd=11)))
        words = [word.capitalize() for word in values.distinct_words(rng, len(ids))]
        titles = [f"{rng.choice(values.ADJECTIVES).capitalize()} {word}" for word in words]
        self.titles = dict(zip(titles, ids, strict=True))
        entry = {"status": "Open", "priority": 1, "created_by": self.user}
        queue = [{"id": number, "title": title, **entry} for title, number in self.titles.items()]
        user = self.user if self.logged_in else None
        story.world(TICKETS, ticket_queue=queue, ticket_counter=ids[-1] + rng.randint(1, 9), current_user=user)

    def find(self) -> None:
        """Tell two turns: the list of tickets, then an action on one by its title."""
        self.ask("mine", "get_user_tickets")
        title = self.rng.choice(tuple(self.titles))
        self.ticket = self.titles[title]
        self.rng.choice((self.close, self.resolve, self.priority))(title)

    def read(self) -> None:
        """Ask for the ticket."""
        self.ask("read", "get_ticket", ticket_id=self.ticket)

    def resolve(self, title: str | None = None) -> None:
        """Ask to resolve the ticket, or the one with this ``title``, with a text."""
        text = values.sentence(self.rng)
        self._ask_either("resolve", "resolve_titled", title, "resolve_ticket", {"text": text}, resolution=text)

    def priority(self, title: str | None = None) -> None:
        """Ask to change the priority of the ticket, or of the one with this ``title``."""
        change = {"priority": self.rng.randint(2, 5)}
        self._ask_either("priority", "priority_titled", title, "edit_ticket", change, updates=change)

    def retitle(self) -> None:
        """Ask to change the ticket's title."""
        change = {"title": values.title(self.rng)}
        self.ask("retitle", "edit_ticket", change, ticket_id=self.ticket, updates=change)

    def close(self, title: str | None = None) -> None:
        """Ask to close the ticket, or the one with this ``title``."""
        self._ask_either("close", "close_titled", title, "close_ticket", {})

    def log_out(self) -> None:
        """Ask to log out."""
        self.ask("log_out", "logout")

    def _ask_either(
        self, phrase: str, titled: str, title: str | None, tool: str, slots: Mapping[str, Any], **arguments: Any
    ) -> None:
        """Ask by one of two phrases: without a title, or with it as a slot."""
        if title is not None:
            phrase, slots = titled, {"title": title, **slots}
        self.ask(phrase, tool, slots, ticket_id=self.ticket, **arguments)


@storyline(TICKETS)
def ticket_open(story: StoryBuilder) -> None:
    """Open a ticket, then work on it."""
    desk = TicketDesk(story)
    title, text, priority = values.title(story.rng), values.sentence(story.rng), story.rng.randint(2, 5)
    slots = {"title": title, "text": text, "priority": priority}
    ticket = {"title": title, "description": text, "priority": priority}
    desk.ticket = desk.ask("open", "create_ticket", slots, **ticket)["id"]
    story.go_on([desk.read, desk.resolve, desk.priority, desk.retitle], [desk.close, desk.log_out])


@storyline(TICKETS)
def ticket_known(story: StoryBuilder) -> None:
    """Look at a ticket whose id the user gives, then work on it."""
    desk = TicketDesk(story)
    desk.ticket = story.rng.choice(tuple(desk.titles.values()))
    desk.ask("look", "get_ticket", {"id": desk.ticket}, ticket_id=desk.ticket)
    story.go_on([desk.resolve, desk.priority, desk.retitle], [desk.close])


@storyline(TICKETS, can_crowd=True)
def ticket_find(story: StoryBuilder) -> None:
    """List the tickets, then act on one by its title."""
    desk = TicketDesk(story)
    desk.find()
    story.go_on([desk.read], [desk.log_out])
