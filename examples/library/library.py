"""A lending desk: a catalogue, library cards, loans and reservations.

envtune-train environment=module environment.module=library stage=curriculum
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from envtune.environment import PythonEnvironment, Rule, Task, UserTurn, call


class Library:
    """The desk of one library. Public attributes are the state that is compared; private ones are not."""

    def __init__(self, shelf: dict[str, int], cards: dict[str, str], loans: dict[str, list[str]] | None = None) -> None:
        self.shelf, self.cards = shelf, cards
        self.loans = loans or {}
        self.signed_in: str | None = None

    def search(self, word: str) -> list[str]:
        """List the titles that contain a word.

        Args:
            word: A part of a title, in upper or lower case.
        """
        return [title for title in self.shelf if word.lower() in title.lower()]

    def find_card(self, name: str) -> str:
        """Return the number of a reader's library card.

        Args:
            name: The full name of the reader.
        """
        for number, holder in self.cards.items():
            if holder == name:
                return number
        raise LookupError("no such reader")

    def sign_in(self, card: str) -> str:
        """Open the session of a reader.

        Args:
            card: The number of the reader's card.
        """
        if card not in self.cards:
            raise LookupError("unknown card")
        self.signed_in = card
        return f"welcome, {self.cards[card]}"

    def borrow(self, title: str) -> str:
        """Lend one copy of a book to the reader who is signed in.

        Args:
            title: The exact title.
        """
        if self.signed_in is None:
            raise PermissionError("no session")
        if title not in self.shelf:
            raise LookupError("no such title")
        if self.shelf[title] < 1:
            raise LookupError("all copies are lent")
        self.shelf[title] -= 1
        self.loans.setdefault(self.signed_in, []).append(title)
        return f"{title} is lent"

    def give_back(self, title: str) -> str:
        """Take back a book from the reader who is signed in.

        Args:
            title: The exact title.
        """
        if self.signed_in is None:
            raise PermissionError("no session")
        if title not in self.loans.get(self.signed_in, []):
            raise LookupError("not lent to this reader")
        self.loans[self.signed_in].remove(title)
        self.shelf[title] += 1
        return f"{title} is back"

    def on_loan(self) -> list[str]:
        """List the books that the reader who is signed in has borrowed."""
        if self.signed_in is None:
            raise PermissionError("no session")
        return self.loans.get(self.signed_in, [])


SEARCH = ("`search` lists titles that contain a word.", "Check the title.")
environment = PythonEnvironment(
    Library,
    hints=(
        Rule(
            "library.no_session",
            ("borrow", "give_back", "on_loan"),
            "no session",
            "`{tool}` works for a reader who is signed in, and nobody is.",
            ("`sign_in` opens a session for a card.", "A session has to be opened first."),
            kind="dependency",
        ),
        Rule(
            "library.unknown_card",
            "sign_in",
            "unknown card",
            "'{card}' is not the number of a card.",
            ("`find_card` finds the number for a reader's name.", "Ask the reader for the number."),
            kind="dependency",
        ),
        Rule("library.no_title", "borrow", "no such title", "'{title}' is not the exact title of a book here.", SEARCH),
        Rule("library.all_lent", "borrow", "all copies are lent", "Every copy of '{title}' is lent at the moment."),
        Rule(
            "library.not_lent",
            "give_back",
            "not lent to this reader",
            "The reader who is signed in has not borrowed '{title}'.",
            ("`on_loan` lists what this reader has.", "Check the title."),
        ),
        Rule(
            "library.no_reader",
            "find_card",
            "no such reader",
            "'{name}' is not the full name of a reader, as it stands on the card.",
            "Ask for the full name.",
        ),
    ),
    non_answers=(
        Rule("library.nothing_found", "search", r"^\[\]$", "No title contains '{word}'.", "A shorter word finds more."),
    ),
)

TITLES = (
    *("Emma", "Ulysses", "Dune", "The Trial", "Kim", "Middlemarch", "The Waves", "Beloved", "Walden", "Candide"),
    *("The Idiot", "Solaris", "Pale Fire", "The Plague", "Herzog", "Nostromo", "Dracula", "Frankenstein", "Ivanhoe"),
)
READERS = ("Ada Lovell", "Bo Lind", "Cy Young", "Di Marsh", "Ed Frost", "Flo Baker", "Gus Hale", "Ida Stone")
SIZES = {"train": 200, "val": 40, "test": 80}


def tasks(split: str) -> Iterator[Task]:
    """Yield the tasks of a split: a reader borrows a book, asks for another one, and gives one back."""
    for number in range(SIZES[split]):
        draw = random.Random(f"library {split} {number}")
        titles, readers = draw.sample(TITLES, 6), draw.sample(READERS, 3)
        cards = {f"L{draw.randrange(1000, 10000)}": reader for reader in readers}
        card = draw.choice(list(cards))
        world = {"shelf": {title: draw.randint(1, 3) for title in titles}, "cards": cards}
        borrowed, other = draw.sample(titles, 2)
        turns = [
            UserTurn(
                f"I am {cards[card]}. Lend me {borrowed}, please.",
                (call("find_card", name=cards[card]), call("sign_in", card=card), call("borrow", title=borrowed)),
            ),
            UserTurn(f"And {other}.", (call("borrow", title=other),)),
            UserTurn(f"I have changed my mind: take {borrowed} back.", (call("give_back", title=borrowed),)),
        ]
        yield Task(f"{split}_{number}", "base", world, tuple(turns[: draw.randint(1, 3)]))
