"""Stories on a file system: move, find, list, compare and write files, then work on one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from typing_extensions import override

from envtune.playground import values
from envtune.playground.phrase import Phrase, read_phrases
from envtune.playground.story_builder import Scene, StoryBuilder, storyline

FILES = "GorillaFileSystem"
PHRASES = read_phrases("files")


UNITS = {"lines": "l", "words": "w", "characters": "c"}


class Desk(Scene):
    """The file that a story is about. ``away`` is a folder to enter before the first call on it."""

    phrases = PHRASES

    def __init__(self, story: StoryBuilder, file: str, text: str, away: str | None = None) -> None:
        super().__init__(story)
        self.file, self.text, self.away = file, text, away

    def go_on(self) -> None:
        """Continue with turns about the file."""
        acts = [self.count, self.show, self.tail, self.sort, self.search, self.copy, self.rename]
        self.story.go_on(acts, [self.delete])

    def count(self) -> None:
        """Ask for the number of lines, words or characters."""
        unit = self.rng.choice(tuple(UNITS))
        self.ask("count", "wc", {"unit": unit}, file_name=self.file, mode=UNITS[unit])

    def show(self) -> None:
        """Ask for the file's text."""
        self.ask("show", "cat", file_name=self.file)

    def tail(self) -> None:
        """Ask for the last lines."""
        lines = {"lines": self.rng.randint(2, 3)}
        self.ask("tail", "tail", lines, file_name=self.file, **lines)

    def sort(self) -> None:
        """Ask for the sorted lines."""
        self.ask("sort", "sort", file_name=self.file)

    def search(self) -> None:
        """Ask for the lines with a word of the file."""
        words = [word for word in self.text.split() if len(word) > 3] or [self.text]
        pattern = {"pattern": self.rng.choice(words)}
        self.ask("search", "grep", pattern, file_name=self.file, **pattern)

    def copy(self) -> None:
        """Ask for a copy under a new name."""
        new = f"copy_{values.file_name(self.rng)}"
        self.ask("copy", "cp", {"new": new}, source=self.file, destination=new)

    def rename(self) -> None:
        """Ask for a new name."""
        new = f"new_{values.file_name(self.rng)}"
        self.ask("rename", "mv", {"new": new}, source=self.file, destination=new)
        self.file = new

    def delete(self) -> None:
        """Ask to delete the file."""
        self.ask("delete", "rm", file_name=self.file)

    @override
    def ask(self, phrase: str, tool: str, slots: Mapping[str, Any] | None = None, **arguments: Any) -> Any:
        self.story.say(self.phrases[phrase], file=self.file, **(slots or {}))
        if self.away is not None:
            self.story.first("cd", folder=self.away)
            self.away = None
        return self.story.call(tool, **arguments)


def text(story: StoryBuilder) -> str:
    """Return two to four lines of text."""
    return "\n".join(values.sentence(story.rng) for _ in range(story.rng.randint(2, 4)))


def folder(contents: Mapping[str, Any]) -> dict[str, Any]:
    """Return a folder in the form that the class loads; texts are files."""
    files = {name: {"type": "file", "content": text} for name, text in contents.items() if isinstance(text, str)}
    return {"type": "directory", "contents": {**contents, **files}}


def two_folders(
    story: StoryBuilder, files: Sequence[str], inner: Mapping[str, Any] | None = None, one_line: bool = False
) -> tuple[str, dict[str, str]]:
    """Set up two folders, the files and ``inner`` in the first; return its name and the files' texts."""
    rng = story.rng
    first, second = rng.sample(("docs", "work", "home", "notes", "office", "shared", "team"), 2)
    texts = {name: values.sentence(rng) if one_line or place > 4 else text(story) for place, name in enumerate(files)}
    words = {stem(name) for name in files}
    others = {name: values.sentence(rng) for name in values.distinct_files(rng, 2) if stem(name) not in words}
    folders = {first: folder({**texts, **(inner or {})}), second: folder(others)}
    story.world(FILES, root={"user": folder(dict(sorted(folders.items())))})
    return first, texts


def enter(story: StoryBuilder, phrase: Phrase, where: str, **slots: Any) -> None:
    """Begin a turn about files of the folder ``where``, and enter it."""
    story.say(phrase, folder=where, **slots)
    story.first("cd", folder=where)


@storyline(FILES)
def files_tidy(story: StoryBuilder) -> None:
    """Move a file into a new folder, then work on it."""
    files = values.distinct_files(story.rng, story.rng.randint(2, 4))
    where, texts = two_folders(story, files)
    target = f"for_{values.word(story.rng)}"
    enter(story, PHRASES["tidy"], where, file=files[0], target=target)
    story.call("mkdir", dir_name=target)
    story.call("mv", source=files[0], destination=target)
    Desk(story, files[0], texts[files[0]], away=target).go_on()


@storyline(FILES)
def files_find(story: StoryBuilder) -> None:
    """Find a file by a part of its name, then work on it."""
    files = values.distinct_files(story.rng, story.rng.randint(2, 4))
    where, texts = two_folders(story, files)
    story.say(PHRASES["find"], part=stem(files[0]))
    story.call("find", name=stem(files[0]))
    Desk(story, files[0], texts[files[0]], away=where).go_on()


@storyline(FILES, can_crowd=True)
def files_inventory(story: StoryBuilder) -> None:
    """List a folder, then delete or rename a file of it."""
    files = values.distinct_files(story.rng, story.many(3, 5, crowd=24))
    # With an inner folder, because BFCL fills every folder without one with its own long names.
    where, _ = two_folders(story, files, {"old": folder({})})
    chosen, new = story.rng.sample(files, 2), f"new_{values.file_name(story.rng)}"
    enter(story, PHRASES["list"], where)
    story.call("ls")
    if story.sometimes():
        story.say(PHRASES["delete_listed"], part=stem(chosen[0]))
        story.call("rm", file_name=chosen[0])
        return
    story.say(PHRASES["rename_listed"], part=stem(chosen[0]), new=new)
    story.call("mv", source=chosen[0], destination=new)
    desk = Desk(story, new, "")
    story.go_on([desk.copy, desk.count], [desk.delete])


@storyline(FILES)
def files_compare(story: StoryBuilder) -> None:
    """Compare two files, then work on the first."""
    files = values.distinct_files(story.rng, story.rng.randint(2, 4))
    where, texts = two_folders(story, files)
    enter(story, PHRASES["compare"], where, a=files[0], b=files[1])
    story.call("diff", file_name1=files[0], file_name2=files[1])
    Desk(story, files[0], texts[files[0]]).go_on()


@storyline(FILES)
def files_write(story: StoryBuilder) -> None:
    """Write a text to a file, then work on it."""
    files = values.distinct_files(story.rng, story.rng.randint(2, 4))
    where, _ = two_folders(story, files)
    new_text = values.sentence(story.rng)
    enter(story, PHRASES["write"], where, text=new_text, file=files[0])
    story.call("echo", content=new_text, file_name=files[0])
    desk = Desk(story, files[0], new_text)
    story.go_on([desk.count, desk.show, desk.copy, desk.rename], [desk.delete])


def stem(file: str) -> str:
    """Return the word of a file's name that no other file of the story has."""
    return file.split(".")[0].split("_")[0]
