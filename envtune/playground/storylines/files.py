"""Stories on a file system: put things in order, find, compare and write files, and ask about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from envtune.playground import values
from envtune.playground.phrases.files import (
    COMPARE,
    COPY,
    COUNT,
    DELETE,
    DELETE_LISTED,
    FIND,
    LIST,
    RENAME,
    RENAME_LISTED,
    SEARCH,
    SHOW,
    SORT,
    TAIL,
    TIDY,
    WRITE,
)
from envtune.playground.tale import Storyline, Tale, storyline

FILES = "GorillaFileSystem"


UNITS = {"lines": "l", "words": "w", "characters": "c"}


class Desk:
    """One file that the story is about, and what can be asked about it. ``away`` is a folder to enter before."""

    def __init__(self, tale: Tale, file: str, text: str, away: str | None = None) -> None:
        self.tale, self.file, self.text, self.away = tale, file, text, away

    def go_on(self) -> None:
        self.tale.go_on(
            [self.count, self.show, self.tail, self.sort, self.search, self.copy, self.rename], [self.delete]
        )

    def count(self) -> None:
        unit = self.tale.rng.choice(tuple(UNITS))
        self._say(COUNT, unit=unit)
        self.tale.call("wc", file_name=self.file, mode=UNITS[unit])

    def show(self) -> None:
        self._say(SHOW)
        self.tale.call("cat", file_name=self.file)

    def tail(self) -> None:
        lines = self.tale.rng.randint(2, 3)
        self._say(TAIL, lines=lines)
        self.tale.call("tail", file_name=self.file, lines=lines)

    def sort(self) -> None:
        self._say(SORT)
        self.tale.call("sort", file_name=self.file)

    def search(self) -> None:
        pattern = self.tale.rng.choice([word for word in self.text.split() if len(word) > 3] or [self.text])
        self._say(SEARCH, pattern=pattern)
        self.tale.call("grep", file_name=self.file, pattern=pattern)

    def copy(self) -> None:
        new = f"copy_{values.file_name(self.tale.rng)}"
        self._say(COPY, new=new)
        self.tale.call("cp", source=self.file, destination=new)

    def rename(self) -> None:
        new = f"new_{values.file_name(self.tale.rng)}"
        self._say(RENAME, new=new)
        self.tale.call("mv", source=self.file, destination=new)
        self.file = new

    def delete(self) -> None:
        self._say(DELETE)
        self.tale.call("rm", file_name=self.file)

    def _say(self, what: Any, **slots: Any) -> None:
        self.tale.say(what, file=self.file, **slots)
        if self.away is not None:
            self.tale.first("cd", folder=self.away)
            self.away = None


def text(tale: Tale) -> str:
    return "\n".join(values.sentence(tale.rng) for _ in range(tale.rng.randint(2, 4)))


def folder(contents: Mapping[str, Any]) -> dict[str, Any]:
    """As the class loads it; texts are files."""
    entries = {
        name: {"type": "file", "content": entry} if isinstance(entry, str) else entry
        for name, entry in contents.items()
    }
    return {"type": "directory", "contents": entries}


def two_folders(
    tale: Tale, files: Sequence[str], inner: Mapping[str, Any] | None = None, one_line: bool = False
) -> tuple[str, dict[str, str]]:
    """A world with two folders, the files and ``inner`` in the first; returns its name and the files' texts."""
    rng = tale.rng
    first, second = rng.sample(("docs", "work", "home", "notes", "office", "shared", "team"), 2)
    texts = {name: values.sentence(rng) if one_line or place > 4 else text(tale) for place, name in enumerate(files)}
    words = {stem(name) for name in files}
    others = {name: values.sentence(rng) for name in values.distinct_files(rng, 2) if stem(name) not in words}
    folders = {first: folder({**texts, **(inner or {})}), second: folder(others)}
    tale.world(FILES, root={"user": folder(dict(sorted(folders.items())))})
    return first, texts


@storyline(FILES)
def files_tidy(tale: Tale) -> None:
    files = values.distinct_files(tale.rng, tale.rng.randint(2, 4))
    where, texts = two_folders(tale, files)
    target = f"for_{values.word(tale.rng)}"
    tale.say(TIDY, file=files[0], folder=where, target=target)
    tale.first("cd", folder=where)
    tale.call("mkdir", dir_name=target)
    tale.call("mv", source=files[0], destination=target)
    Desk(tale, files[0], texts[files[0]], away=target).go_on()


@storyline(FILES)
def files_find(tale: Tale) -> None:
    files = values.distinct_files(tale.rng, tale.rng.randint(2, 4))
    where, texts = two_folders(tale, files)
    tale.say(FIND, part=stem(files[0]))
    tale.call("find", name=stem(files[0]))
    Desk(tale, files[0], texts[files[0]], away=where).go_on()


@storyline(FILES, can_crowd=True)
def files_inventory(tale: Tale) -> None:
    files = values.distinct_files(tale.rng, tale.many(3, 5, crowd=24))
    # A folder inside, for BFCL fills every folder without one with its own long names.
    where, _ = two_folders(tale, files, {"old": folder({})})
    chosen, new = tale.rng.sample(files, 2), f"new_{values.file_name(tale.rng)}"
    tale.say(LIST, folder=where)
    tale.first("cd", folder=where)
    tale.call("ls")
    if tale.sometimes():
        tale.say(DELETE_LISTED, part=stem(chosen[0]))
        tale.call("rm", file_name=chosen[0])
        return
    tale.say(RENAME_LISTED, part=stem(chosen[0]), new=new)
    tale.call("mv", source=chosen[0], destination=new)
    desk = Desk(tale, new, "")
    tale.go_on([desk.copy, desk.count], [desk.delete])


@storyline(FILES)
def files_compare(tale: Tale) -> None:
    files = values.distinct_files(tale.rng, tale.rng.randint(2, 4))
    where, texts = two_folders(tale, files)
    tale.say(COMPARE, a=files[0], b=files[1], folder=where)
    tale.first("cd", folder=where)
    tale.call("diff", file_name1=files[0], file_name2=files[1])
    Desk(tale, files[0], texts[files[0]]).go_on()


@storyline(FILES)
def files_write(tale: Tale) -> None:
    files = values.distinct_files(tale.rng, tale.rng.randint(2, 4))
    where, _ = two_folders(tale, files)
    new_text = values.sentence(tale.rng)
    tale.say(WRITE, text=new_text, file=files[0], folder=where)
    tale.first("cd", folder=where)
    tale.call("echo", content=new_text, file_name=files[0])
    desk = Desk(tale, files[0], new_text)
    tale.go_on([desk.count, desk.show, desk.copy, desk.rename], [desk.delete])


def stem(file: str) -> str:
    """The word that only this one of the story's files has in its name."""
    return file.split(".")[0].split("_")[0]


STORYLINES: tuple[Storyline, ...] = (files_tidy, files_find, files_inventory, files_compare, files_write)
