"""Stories on a file system: put things in order, find, compare and write files, and ask about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from envtune.playground import values
from envtune.playground.tale import Storyline, Tale, storyline
from envtune.playground.wording import gap, phrase

FILES = "GorillaFileSystem"

TIDY = phrase(
    [
        "In [the folder |]'{folder}', make a [new |]folder '{target}' and move '{file}' [into it|there].",
        "Move '{file}' [into|to] a new folder '{target}'. [It is all|Both are|Everything is] in '{folder}'.",
        "Put '{file}' from '{folder}' into '{target}', a folder [that|which] you make [there|inside '{folder}'].",
        "'{folder}' gets a new folder '{target}'. The file '{file}' goes there.",
    ],
    ["'{folder}' needs a new folder '{target}', and '{file}' goes [into it|there]."],
    ["Make '{target}' inside [the folder |]'{folder}', then put the file '{file}' from there into it."],
    gap(
        "file",
        "file",
        [
            "In '{folder}', make a folder '{target}' and move [a|one] file [into it|there].",
            "Put one of my files from '{folder}' into a new folder '{target}' there.",
        ],
        ["'{folder}' needs a new folder '{target}' with a file in it that is there now."],
        ["Make '{target}' inside '{folder}', then put a file from there into it."],
    ),
)
FIND = phrase(
    [
        "[Find|Look for] [the|a] file with '{part}' in its name.",
        "[Where is|Who knows] the file that has '{part}' in its name?",
        "Look in each folder for the file that is named after '{part}'.",
        "[Somewhere|In some folder] there is a file with a name like '{part}'. [Find it|Where is it?]",
    ],
    ["I [need|look for] a file, and '{part}' is in its name."],
    ["A file that has a name with '{part}': [find|look for] it in all folders."],
    gap(
        "part",
        "part of the name",
        ["[Find|Look for] a file for me[, please|].", "I know a part of a file's name. Find [it|the file]."],
        ["I look for a file. You need a part of its name."],
        ["There is a file that I need you to find by its name."],
    ),
)
LIST = phrase(
    [
        "[What is in|List] the folder '{folder}'[, please|].",
        "Show me [what|all that] '{folder}' has in it.",
        "List [all the files|everything] in '{folder}'.",
    ],
    ["I [want to see|need to see] everything in the folder '{folder}'."],
    ["Which files are in '{folder}'? Show [me |]all of them."],
    gap(
        "folder",
        "folder",
        ["[What is in|List] the folder[, please|].", "Show me what one of my folders has in it."],
        ["I want to see everything in a folder."],
        ["Which files are in my folder? Show all of them."],
    ),
)
DELETE_LISTED = phrase(
    [
        "[Delete|Remove] the one with '{part}' in its name.",
        "I do not need the one with '{part}' in its name. [Delete|Remove] it.",
    ],
    ["The one that has '{part}' in its name can be [removed|deleted]."],
    ["[Remove|Delete] the file named after '{part}'."],
)
RENAME_LISTED = phrase(
    [
        "[Rename|Give a new name to] the one with '{part}' in its name: '{new}'.",
        "The one with '{part}' in its name should be named '{new}'.",
    ],
    ["'{new}' should be the name of the one that has '{part}' in it now."],
    ["The file named after '{part}' needs another name, '{new}'."],
    gap(
        "new",
        "new name",
        ["[Rename|Give a new name to] the one with '{part}' in its name."],
        ["The one that has '{part}' in its name should be renamed."],
        ["The file named after '{part}' needs another name."],
    ),
)
COMPARE = phrase(
    [
        "Compare '{a}' [and|with] '{b}' in the folder '{folder}'.",
        "In '{folder}' there are '{a}' and '{b}'. [What is different?|Show how they differ.]",
        "How do '{a}' and '{b}' differ? They are in '{folder}'.",
    ],
    ["What is different in '{a}' and '{b}', both in '{folder}'?"],
    ["The folder '{folder}' has two files, '{a}' and '{b}'. Compare [them|the two]."],
    gap(
        "b",
        "other file",
        [
            "Compare '{a}' with another file in the folder '{folder}'.",
            "How does '{a}' in '{folder}' differ from the other one?",
        ],
        ["What is different in '{a}' and another file, both in '{folder}'?"],
        ["The folder '{folder}' has '{a}'. Compare it with another file there."],
    ),
)
WRITE = phrase(
    [
        "[Write|Put] '{text}' into '{file}' in the folder '{folder}'.",
        "The file '{file}' in '{folder}' should [say|read] '{text}'. Write [it|that].",
        "In '{folder}', write '{text}' to '{file}'.",
    ],
    ["I want '{file}' in '{folder}' to say '{text}'."],
    ["The text '{text}' should be in '{file}', a file in '{folder}'. Write it there."],
    gap(
        "text",
        "text",
        [
            "[Write|Put] something into '{file}' in the folder '{folder}'.",
            "In '{folder}', write a [new |]text to '{file}'.",
        ],
        ["I want '{file}' in '{folder}' to say something new."],
        ["A new text should be in '{file}', a file in '{folder}'. Write it there."],
    ),
)
COUNT = phrase(
    [
        "How many {unit} [are in|has] '{file}'?",
        "Count the {unit} [of|in] '{file}'.",
        "Count the {unit} in [it|that file].",
    ],
    ["I want to know how many {unit} '{file}' has."],
    ["Tell me how many {unit} there are in '{file}'."],
)
SHOW = phrase(
    ["Show me [what is in|the text of] '{file}'.", "What does '{file}' say?", "What does [it|that file] say?"],
    ["I want to [read|see] all of '{file}'."],
    ["Tell me what is in '{file}'."],
)
TAIL = phrase(
    ["Show [me |]the last {lines} lines of '{file}'.", "What do the last {lines} lines of [it|that file] say?"],
    ["I want to [read|see] the last {lines} lines of '{file}'."],
    ["Tell me what '{file}' says in its last {lines} lines."],
)
SORT = phrase(
    [
        "Sort the lines of '{file}'.",
        "Show me '{file}' with its lines [sorted|in order].",
        "Sort [it|that file] by lines.",
    ],
    ["I want to see the lines of '{file}' in order."],
    ["Put the lines of '{file}' in order and show them."],
)
SEARCH = phrase(
    [
        "[Which|What] lines of '{file}' [have|say] '{pattern}'?",
        "[Find|Show] the lines with '{pattern}' in '{file}'.",
        "[Look|Search] for '{pattern}' in [it|that file].",
    ],
    ["I want to see the lines of '{file}' that have '{pattern}' in them."],
    ["Search '{file}' and show the lines that say '{pattern}'."],
    gap(
        "pattern",
        "word",
        ["[Find|Show] the lines with a [certain |]word in '{file}'.", "Look for a word in that file."],
        ["I want to see the lines of '{file}' that have a certain word in them."],
        ["Search '{file}' for a certain word and show the lines."],
    ),
)
COPY = phrase(
    [
        "[Copy|Make a copy of] '{file}' [as|to] '{new}'.",
        "Make a copy of [it|that file] and name it '{new}'.",
        "I need a copy of '{file}', named '{new}'.",
    ],
    ["'{new}' should be a copy of '{file}'."],
    ["Copy '{file}' and give the copy the name '{new}'."],
    gap(
        "new",
        "name of the copy",
        ["[Copy|Make a copy of] '{file}'.", "I need a copy of it[, please|]."],
        ["I want a copy of '{file}'."],
        ["Copy '{file}' and give the copy a name."],
    ),
)
RENAME = phrase(
    [
        "Rename '{file}' to '{new}'.",
        "[It|That file] should be named '{new}'. Rename it.",
        "Give '{file}' the new name '{new}'.",
        "'{file}' should be renamed to '{new}'.",
    ],
    ["'{new}' should be the name of '{file}' now."],
    ["'{file}' needs another name: '{new}'."],
    gap(
        "new",
        "new name",
        ["Rename '{file}'.", "Give that file a new name."],
        ["I want another name for '{file}'."],
        ["'{file}' needs another name."],
    ),
)
DELETE = phrase(
    [
        "[Delete|Remove] '{file}'.",
        "I do not need '{file}' [now|any more]. [Delete|Remove] it.",
        "[Delete|Remove] that file[, please|].",
        "I no longer need '{file}', so it should be [deleted|removed].",
    ],
    ["'{file}' can be [deleted|removed] now."],
    ["I want you to remove '{file}'."],
)

SHOW_IN = phrase(
    ["[Show|Read] me '{file}' in the folder '{folder}'.", "What does '{file}' in '{folder}' say?"],
    ["I want to see what '{file}' in '{folder}' says."],
    ["The folder '{folder}' has a file '{file}'. Tell me what is in it."],
    gap(
        "file",
        "file",
        ["[Show|Read] me a file in the folder '{folder}'.", "What does one of the files in '{folder}' say?"],
        ["I want to see what a file in '{folder}' says."],
        ["The folder '{folder}' has a file. Tell me what is in it."],
    ),
)

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
