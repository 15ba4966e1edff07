"""A lending desk: readers sign in, search the catalogue, borrow books and give them back."""

from __future__ import annotations

import random
from collections.abc import Iterator

from envtune.environment import PythonEnvironment, Rule, Task, UserTurn, call


class Library:
    """The desk of one library. Its public methods are the agent's tools.

    Its public attributes are the state that is compared after each turn: between the agent's library, and a second one
    on which the ground truth has run. Attributes that begin with ``_`` are not compared.
    """

    def __init__(self, books: list[str], readers: list[str], loans: dict[str, str]) -> None:
        self.books, self.readers = books, readers
        self.loans = loans  # title -> reader
        self.signed_in: str | None = None

    def search(self, word: str) -> list[str]:
        """List the titles that contain a word.

        Args:
            word: A part of a title, in upper or lower case.
        """
        return [title for title in self.books if word.lower() in title.lower()]

    def sign_in(self, name: str) -> str:
        """Open the session of a reader, which ends that of the reader before.

        Args:
            name: The full name of the reader.
        """
        if name not in self.readers:
            raise LookupError("no such reader")
        self.signed_in = name
        return f"welcome, {name}"

    def borrow(self, title: str) -> str:
        """Lend a book to the reader who is signed in.

        Args:
            title: The exact title.
        """
        if self.signed_in is None:
            raise PermissionError("no session")
        if title not in self.books:
            raise LookupError("no such title")
        if title in self.loans:
            raise LookupError("the book is out")
        self.loans[title] = self.signed_in
        return f"{title} is lent"

    def give_back(self, title: str) -> str:
        """Take back a book from the reader who is signed in.

        Args:
            title: The exact title.
        """
        if self.signed_in is None:
            raise PermissionError("no session")
        if self.loans.get(title) != self.signed_in:
            raise LookupError("not lent to this reader")
        del self.loans[title]
        return f"{title} is back"

    def on_loan(self) -> list[str]:
        """List the books that the reader who is signed in has borrowed."""
        if self.signed_in is None:
            raise PermissionError("no session")
        return sorted(title for title, reader in self.loans.items() if reader == self.signed_in)


# A hint has a cause and a direction, never the solution. Of several directions, the first is given whose tools (in
# backticks) are offered in the task.
environment = PythonEnvironment(
    Library,
    hints=(
        Rule(
            "library.no_session",
            ("borrow", "give_back", "on_loan"),
            "no session",
            "`{tool}` needs a reader who is signed in.",
            "`sign_in` opens a session.",
            kind="dependency",  # another tool comes first; without `kind`, the call breaks a rule of the tool itself
        ),
        Rule(
            "library.no_reader",
            "sign_in",
            "no such reader",
            "'{name}' is not the full name of a reader.",
            "Give the name as the reader has written it.",
        ),
        Rule(
            "library.no_title",
            "borrow",
            "no such title",
            "'{title}' is not the exact title of a book here.",
            "`search` lists titles that contain a word.",
        ),
        Rule(
            "library.book_out",
            "borrow",
            "the book is out",
            "'{title}' is lent at the moment.",
            "`on_loan` shows whether this reader has it.",
        ),
        Rule(
            "library.not_lent",
            "give_back",
            "not lent to this reader",
            "'{title}' is not among the books of the reader who is signed in.",
            "`on_loan` lists them.",
        ),
    ),
    # Results of calls that did not fail, but found nothing.
    non_answers=(
        Rule("library.nothing_found", "search", r"^\[\]$", "No title contains '{word}'.", "Try a shorter part of it."),
    ),
)

TITLES = (
    *("Emma", "Ulysses", "Dune", "The Trial", "Kim", "Middlemarch", "The Waves", "Beloved", "Walden", "Candide"),
    *("The Idiot", "Solaris", "Pale Fire", "The Plague", "Herzog", "Nostromo", "Dracula", "Frankenstein", "Ivanhoe"),
)
READERS = {  # no reader of a training task is in a held-out one
    "train": ("Ada Lovell", "Bo Lind", "Cy Young", "Di Marsh", "Ed Frost"),
    "val": ("Flo Baker", "Gus Hale", "Ida Stone"),
    "test": ("Jo Park", "Kay Dunn", "Lee Moss", "Mia Wolf"),
}
SIZES = {"train": 200, "val": 40, "test": 80}


def tasks(split: str) -> Iterator[Task]:
    """Yield the tasks of a split, ``train``, ``val`` or ``test``: the same ones in every run."""
    for number in range(SIZES[split]):
        draw = random.Random(f"library {split} {number}")
        first, second, returned, *others = draw.sample(TITLES, 7)
        reader, *other_readers = draw.sample(READERS[split], 3)
        world = {  # the arguments of Library
            "books": sorted([first, second, returned, *others]),
            "readers": sorted([reader, *other_readers]),
            "loans": {returned: reader, others[0]: other_readers[0]},
        }
        word = second.split()[-1][:4].lower()
        turns = [
            UserTurn(f"I am {reader}. Lend me {first}.", (call("sign_in", name=reader), call("borrow", title=first))),
            UserTurn(f"I bring {returned} back.", (call("give_back", title=returned),)),
            UserTurn(
                f"One more book, with '{word}' in its title. I forgot the rest.",
                (call("search", word=word), call("borrow", title=second)),
            ),
        ]
        yield Task(f"{split}_{number}", "base", world, tuple(turns[: draw.randint(1, 3)]))
