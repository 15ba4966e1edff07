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
        "I want '{file}' from '{folder}' in a [new |]folder of its own there, [named|with the name] '{target}'.",
        "[Can|Could] you [create|add] a folder '{target}' in '{folder}' and [move|put] '{file}' there[, please|]?",
        "It is time to tidy '{folder}': '{file}' should [go into|be moved to] '{target}', which is not there yet.",
        "A folder '{target}' is [needed|missing] in '{folder}'. [Make|Create] it and move '{file}' into it.",
        "I need a [new |]folder '{target}' [for|to hold] '{file}'. [Both belong|The two belong] in '{folder}'.",
        "'{file}' in '{folder}' needs its own place: [make|create] a folder '{target}' there and put it in.",
    ],
    ["'{folder}' needs a new folder '{target}', and '{file}' goes [into it|there]."],
    ["Make '{target}' inside [the folder |]'{folder}', then put the file '{file}' from there into it."],
    gap(
        "file",
        "file",
        [
            "In '{folder}', make a folder '{target}' and move [a|one] file [into it|there].",
            "Put one of my files from '{folder}' into a new folder '{target}' there.",
            "I want one of the files of '{folder}' in a [new |]folder of its own there, [named |]'{target}'.",
            "[Can|Could] you [create|add] a folder '{target}' in '{folder}' and [move|put] one of the files into it?",
            "It is time to tidy '{folder}': a file of it should [go into|be moved to] a new folder there, '{target}'.",
            "A folder '{target}' is [needed|missing] in '{folder}'. [Make|Create] it and move one of my files into it.",
            "I need a new folder '{target}' [for|to hold] one file. [Both belong|The two belong] in '{folder}'.",
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
        "I [want|would like] to know [where|in which folder] the file with '{part}' in its name is.",
        "[Can|Could] you [find|look for] a file [for me|of mine] that is named after '{part}'[, please|]?",
        "In which folder is the file [named after|with a name like] '{part}'?",
        "One of my files is named after '{part}', [and|but] I do not know where it is.",
        "'{part}' is in the name of [a|one] file. [Where|In which folder] is [it|the file]?",
        "I need to find [a|one] file by its name: '{part}' is [in|a part of] it.",
    ],
    ["I [need|look for] a file, and '{part}' is in its name."],
    ["A file that has a name with '{part}': [find|look for] it in all folders."],
    gap(
        "part",
        "part of the name",
        [
            "[Find|Look for] a file for me[, please|].",
            "I know a part of a file's name. Find [it|the file].",
            "I [want|would like] to know [where|in which folder] one of my files is.",
            "[Can|Could] you [find|look for] a file [for me|of mine][, please|]?",
            "In which folder is the file that I [need|think of]?",
            "One of my files is [somewhere|in some folder], [and|but] I do not know where.",
            "I need to find [a|one] file, and [a|one] part of its name should be enough.",
        ],
        ["I look for a file. You need a part of its name."],
        ["There is a file that I need you to find by its name."],
    ),
)
LIST = phrase(
    [
        "[What is in|List] the folder '{folder}'[, please|].",
        "Show me [what|all that] '{folder}' has in it.",
        "List [all the files|everything] in '{folder}'.",
        "[I would like|I need] a list of [the files in|what is in] '{folder}'.",
        "[Can|Could] you [list|show me] the [contents|files] of '{folder}'[, please|]?",
        "What [files|things] does [the folder |]'{folder}' have?",
        "I want to know what [there is in|is inside] '{folder}'.",
        "It is time to look into '{folder}'. [What is there?|List it.|Show me what is there.]",
        "'{folder}' is [a folder|one] of mine: tell me [what|all that] is in it.",
    ],
    ["I [want to see|need to see] everything in the folder '{folder}'."],
    ["Which files are in '{folder}'? Show [me |]all of them."],
    gap(
        "folder",
        "folder",
        [
            "[What is in|List] the folder[, please|].",
            "Show me what one of my folders has in it.",
            "[I would like|I need] a list of what is in [one of my folders|a folder].",
            "[Can|Could] you [list|show me] the [contents|files] of a folder[, please|]?",
            "What [files|things] does my folder have?",
            "I want to know what [there is in|is inside] one of my folders.",
            "It is time to look into [a folder|one of my folders]. [List it.|Show me what is there.]",
        ],
        ["I want to see everything in a folder."],
        ["Which files are in my folder? Show all of them."],
    ),
)
DELETE_LISTED = phrase(
    [
        "[Delete|Remove] the one with '{part}' in its name.",
        "I do not need the one with '{part}' in its name. [Delete|Remove] it.",
        "I want the one with '{part}' in its name to [go|be deleted|be removed].",
        "[Can|Could] you [delete|remove] the file [with|that has] '{part}' in its name[, please|]?",
        "It is time to [delete|remove] the one [named after|with a name like] '{part}'.",
        "There is one with '{part}' in its name. [It should go|It should be deleted|Delete it|Remove it].",
        "No one needs the file with '{part}' in its name, so [delete|remove] it.",
        "'{part}' is in the name of one of them: [that one should go|delete that one|remove that file].",
    ],
    ["The one that has '{part}' in its name can be [removed|deleted]."],
    ["[Remove|Delete] the file named after '{part}'."],
)
RENAME_LISTED = phrase(
    [
        "[Rename|Give a new name to] the one with '{part}' in its name: '{new}'.",
        "The one with '{part}' in its name should be named '{new}'.",
        "I [want|need] [a new|another] name for the one with '{part}' in its name: '{new}'.",
        "[Can|Could] you rename the [one|file] with '{part}' in its name to '{new}'[, please|]?",
        "There is one with '{part}' in its name. [It needs the name|Let it be named|Name it] '{new}'.",
        "'{new}' is the new name [for|of] the [one|file] with '{part}' in its name.",
        "I would like the one [named after|with a name like] '{part}' to be [named|renamed to] '{new}'.",
        "It is time to rename the one with '{part}' in its name. [The new name is|Its new name:|It should be] '{new}'.",
    ],
    ["'{new}' should be the name of the one that has '{part}' in it now."],
    ["The file named after '{part}' needs another name, '{new}'."],
    gap(
        "new",
        "new name",
        [
            "[Rename|Give a new name to] the one with '{part}' in its name.",
            "I [want|need] [a new|another] name for the one with '{part}' in its name.",
            "[Can|Could] you rename the [one|file] [with|that has] '{part}' in its name[, please|]?",
            "There is one with '{part}' in its name. [Rename it|It should get a new name|Give it another name].",
            "I would like the one [named after|with a name like] '{part}' to have a [new|better] name.",
            "It is time to [rename|change the name of] one of them, the one with '{part}' in its name.",
        ],
        ["The one that has '{part}' in its name should be renamed."],
        ["The file named after '{part}' needs another name."],
    ),
)
COMPARE = phrase(
    [
        "Compare '{a}' [and|with] '{b}' in the folder '{folder}'.",
        "In '{folder}' there are '{a}' and '{b}'. [What is different?|Show how they differ.]",
        "How do '{a}' and '{b}' differ? They are in '{folder}'.",
        "I [want|would like] to know how '{a}' and '{b}' in '{folder}' differ.",
        "[Can|Could] you compare '{a}' [to|with] '{b}'? [Both|They|The two files] are in '{folder}'.",
        "'{a}' should be compared [to|with] '{b}'. [Both|The two] are in [the folder |]'{folder}'.",
        "I need to know [what is different|the difference] between '{a}' and '{b}' in the folder '{folder}'.",
        "There are two files to compare in '{folder}': '{a}' and '{b}'.",
        "Show me the difference between '{a}' and '{b}'. You find [them|both] in '{folder}'.",
    ],
    ["What is different in '{a}' and '{b}', both in '{folder}'?"],
    ["The folder '{folder}' has two files, '{a}' and '{b}'. Compare [them|the two]."],
    gap(
        "b",
        "other file",
        [
            "Compare '{a}' with another file in the folder '{folder}'.",
            "How does '{a}' in '{folder}' differ from the other one?",
            "I [want|would like] to know how '{a}' in '{folder}' differs from another file[ there|].",
            "[Can|Could] you compare '{a}' [to|with] another file? [Both|They|The two files] are in '{folder}'.",
            "'{a}' in '{folder}' should be compared [to|with] [another|one other] file[ there|].",
            "I need to know the difference between '{a}' and [another|one other] file in the folder '{folder}'.",
            "Show me the difference between '{a}' in '{folder}' and some other file there.",
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
        "[Can|Could] you write '{text}' [into|to] '{file}'? [It|The file] is in '{folder}'.",
        "I need '{text}' [written to|to stand in] '{file}', which is in [the folder |]'{folder}'.",
        "'{folder}' has a file '{file}'. [Let it say|It should say|Write into it]: '{text}'.",
        "I would like to put '{text}' [in|into] the file '{file}' of '{folder}'.",
        "Here is the text for '{file}' in '{folder}': '{text}'. [Write it|Put it] there.",
        "It is time to write to '{file}' [in|of] '{folder}'. [The text is|Write this:] '{text}'.",
    ],
    ["I want '{file}' in '{folder}' to say '{text}'."],
    ["The text '{text}' should be in '{file}', a file in '{folder}'. Write it there."],
    gap(
        "text",
        "text",
        [
            "[Write|Put] something into '{file}' in the folder '{folder}'.",
            "In '{folder}', write a [new |]text to '{file}'.",
            "[Can|Could] you write something [into|to] '{file}'? [It|The file] is in '{folder}'.",
            "There is a text to [write|put] into '{file}' [of|in] '{folder}'.",
            "'{folder}' has a file '{file}'. [Write something|Put a new text] into it.",
            "I would like to put a [new |]text [in|into] the file '{file}' of '{folder}'.",
            "It is time to write [something|a text] to '{file}' [in|of] the folder '{folder}'.",
            "The file '{file}' in '{folder}' [needs|should get] a new text.",
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
        "I [need|would like] the number of {unit} in '{file}'.",
        "[Can|Could] you count the {unit} [of|in] '{file}'[, please|]?",
        "How many {unit} does '{file}' have?",
        "I do not know how many {unit} [are in it|that file has]. Count them.",
        "The {unit} [of|in] '{file}' should be counted.",
        "It is time to count {unit}: how many are in '{file}'?",
        "What is the number of {unit} in [it|that file|'{file}']?",
    ],
    ["I want to know how many {unit} '{file}' has."],
    ["Tell me how many {unit} there are in '{file}'."],
)
SHOW = phrase(
    [
        "Show me [what is in|the text of] '{file}'.",
        "What does '{file}' say?",
        "What does [it|that file] say?",
        "I [need|would like] to know what '{file}' says.",
        "[Can|Could] you [show me|read] [the text of |]'{file}'[, please|]?",
        "[Let me see|I would like to see] the [whole |]text of '{file}'.",
        "What is the text of '{file}'?",
        "The text of [it|that file|'{file}'] is what I need. [Show it.|Read it to me.]",
        "It is time to [read|look into] [it|that file|'{file}'].",
    ],
    ["I want to [read|see] all of '{file}'."],
    ["Tell me what is in '{file}'."],
)
TAIL = phrase(
    [
        "Show [me |]the last {lines} lines of '{file}'.",
        "What do the last {lines} lines of [it|that file] say?",
        "I need {lines} lines of '{file}', the last ones.",
        "[Can|Could] you [show|read] me the last {lines} lines of '{file}'[, please|]?",
        "How does '{file}' end? [Show|Read] me its last {lines} lines.",
        "The last {lines} lines [of|in] '{file}' are [enough|what I need]. Show [them|those].",
        "What are the last {lines} lines [of|in] [that file|'{file}']?",
        "I would like to [see|read] how '{file}' ends, [just |]the last {lines} lines.",
    ],
    ["I want to [read|see] the last {lines} lines of '{file}'."],
    ["Tell me what '{file}' says in its last {lines} lines."],
)
SORT = phrase(
    [
        "Sort the lines of '{file}'.",
        "Show me '{file}' with its lines [sorted|in order].",
        "Sort [it|that file] by lines.",
        "[Can|Could] you sort [the lines of |]'{file}'[, please|]?",
        "I [need|would like] '{file}' sorted by its lines.",
        "The lines of '{file}' should be [sorted|put into order].",
        "'{file}' is not in order. [Sort it|Sort its lines|Sort it and show me the lines].",
        "What [are|do you get for] the lines of '{file}' when you sort them?",
        "It is time to sort [it|that file|'{file}'].",
        "Show me the sorted lines of [it|that file|'{file}'].",
    ],
    ["I want to see the lines of '{file}' in order."],
    ["Put the lines of '{file}' in order and show them."],
)
SEARCH = phrase(
    [
        "[Which|What] lines of '{file}' [have|say] '{pattern}'?",
        "[Find|Show] the lines with '{pattern}' in '{file}'.",
        "[Look|Search] for '{pattern}' in [it|that file].",
        "[Can|Could] you [find|look for|search for] '{pattern}' in '{file}'[, please|]?",
        "Where does '{file}' [say|have] '{pattern}'? [Show me those lines.|Find the lines.]",
        "I [need|would like] all lines with '{pattern}' from '{file}'.",
        "'{pattern}' [is somewhere|should be] in '{file}'. [Find|Show me] the lines [with it|that have it].",
        "Is '{pattern}' in [it|that file|'{file}']? Show me [the lines|which lines].",
        "It is time to look through '{file}' for '{pattern}'.",
    ],
    ["I want to see the lines of '{file}' that have '{pattern}' in them."],
    ["Search '{file}' and show the lines that say '{pattern}'."],
    gap(
        "pattern",
        "word",
        [
            "[Find|Show] the lines with a [certain |]word in '{file}'.",
            "Look for a word in that file.",
            "[Can|Could] you [find|look for|search for] a word in '{file}'[, please|]?",
            "Where does '{file}' [say|have] the word that I need?",
            "I [need|would like] all lines with a [certain |]word from '{file}'.",
            "There is a word somewhere in '{file}'. [Find|Show me] the lines [with it|that have it].",
            "Is [a certain|some] word in [it|that file|'{file}']? Show me the lines.",
            "It is time to look through '{file}' for a word.",
        ],
        ["I want to see the lines of '{file}' that have a certain word in them."],
        ["Search '{file}' for a certain word and show the lines."],
    ),
)
COPY = phrase(
    [
        "[Copy|Make a copy of] '{file}' [as|to] '{new}'.",
        "Make a copy of [it|that file] and name it '{new}'.",
        "I need a copy of '{file}', named '{new}'.",
        "[Can|Could] you [copy|make a copy of] '{file}'? [Name it|The copy's name is] '{new}'.",
        "I [want|would like] to have '{file}' a second time, [as|named|with the name] '{new}'.",
        "'{file}' should be copied [to|as] '{new}'.",
        "There should be a copy of '{file}'[ here|]: name it '{new}'.",
        "It is time for a copy of [it|that file|'{file}'], [named|with the name] '{new}'.",
        "Under the name '{new}', I [need|would like] a copy of '{file}'.",
    ],
    ["'{new}' should be a copy of '{file}'."],
    ["Copy '{file}' and give the copy the name '{new}'."],
    gap(
        "new",
        "name of the copy",
        [
            "[Copy|Make a copy of] '{file}'.",
            "I need a copy of it[, please|].",
            "[Can|Could] you [copy|make a copy of] '{file}'[, please|]?",
            "I [need|would like] to have '{file}' a second time, with [another|a different] name.",
            "'{file}' should be copied.",
            "There should be a copy of [it|that file|'{file}'][ here| too|].",
            "It is time for a copy of [it|that file|'{file}'].",
            "[That file|'{file}'] should be there twice. Copy it.",
        ],
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
        "[Can|Could] you [rename|change the name of] '{file}' to '{new}'[, please|]?",
        "I [want|would like] [it|that file|'{file}'] to be named '{new}'.",
        "The new name of '{file}' [is|should be] '{new}'. Rename it.",
        "From now on, '{file}' is named '{new}'. [Rename|Change] it.",
        "It is time to rename '{file}': [make it|its new name is] '{new}'.",
        "Change the name '{file}' [to|into] '{new}'.",
    ],
    ["'{new}' should be the name of '{file}' now."],
    ["'{file}' needs another name: '{new}'."],
    gap(
        "new",
        "new name",
        [
            "Rename '{file}'.",
            "Give that file a new name.",
            "[Can|Could] you [rename|change the name of] '{file}'[, please|]?",
            "I would like to [rename|change the name of] [it|that file|'{file}'].",
            "The name of [that file|'{file}'] should be [changed|different].",
            "It is time to [rename|change the name of] [that file|'{file}'].",
            "'{file}' is not a good name. [Change it|Rename the file].",
        ],
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
        "[Can|Could] you [delete|remove] '{file}'[, please|]?",
        "I [want|would like] '{file}' to [go|be gone|be deleted].",
        "It is time to [delete|remove] '{file}'.",
        "'{file}' is [old|of no use], so [delete|remove] it.",
        "That file should [go|be deleted|be removed].",
        "No one needs '{file}'[ any more|]. It should [go|be deleted|be removed].",
    ],
    ["'{file}' can be [deleted|removed] now."],
    ["I want you to remove '{file}'."],
)

SHOW_IN = phrase(
    [
        "[Show|Read] me '{file}' in the folder '{folder}'.",
        "What does '{file}' in '{folder}' say?",
        "I [need|would like] to know what is in '{file}', a file [of|in] '{folder}'.",
        "[Can|Could] you [show me|read] '{file}'? It is in [the folder |]'{folder}'.",
        "There is a file '{file}' in '{folder}'. [What does it say?|Show it to me.|Read it.]",
        "[Look|Go] into '{folder}' and [show me|read] '{file}'.",
        "The text of '{file}' in '{folder}' is what I need. [Show it.|Read it to me.]",
        "It is time to [read|look into] '{file}' in '{folder}'.",
    ],
    ["I want to see what '{file}' in '{folder}' says."],
    ["The folder '{folder}' has a file '{file}'. Tell me what is in it."],
    gap(
        "file",
        "file",
        [
            "[Show|Read] me a file in the folder '{folder}'.",
            "What does one of the files in '{folder}' say?",
            "I [need|would like] to know what is in one of the files [of|in] '{folder}'.",
            "[Can|Could] you [show me|read] a file? It is in [the folder |]'{folder}'.",
            "There is a file in '{folder}'. [What does it say?|Show it to me.|Read it.]",
            "[Look|Go] into '{folder}' and [show me|read] [a|one] file.",
            "The text of a file in '{folder}' is what I need. [Show it.|Read it to me.]",
        ],
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
