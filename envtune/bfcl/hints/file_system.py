"""Hints for the file tools (BFCL's GorillaFileSystem): bare names, the current directory, files against folders."""

from __future__ import annotations

import re
from collections.abc import Mapping

from envtune.environment.augmentation.rule import Readable, Rule, quoted
from envtune.task import ToolCall
from envtune.trajectory import HintKind

FORBIDDEN_CHARACTERS = '|/\\?%*:"><'
NAME_ARGUMENTS = ("file_name", "file_name1", "file_name2", "dir_name", "source", "folder")
READERS = ("cat", "wc", "sort", "grep", "tail", "diff")

ABSENT = r"No such file"
GO_THERE = (
    "`cd` can take you to another folder first, one level at a time.",
    "It has to be done from inside the folder concerned.",
)
LOOK_AROUND = (
    "`ls` shows what is here, and `find` looks through the folders below.",
    "`ls` shows what is here.",
    "`find` looks through the folders below.",
    "Check its spelling and the folder you are in.",
)
LIST_HERE = ("`ls` shows what is here.", "Check what the current directory holds.")


def _names(call: ToolCall) -> list[str]:
    return [str(call.arguments[name]) for name in NAME_ARGUMENTS if name in call.arguments]


def _here(world: Readable) -> Mapping[str, object]:
    """Return the items of the current directory by name, as ``ls`` shows them; a folder is an item with contents."""
    return world.view["GorillaFileSystem"]._current_dir.contents


def _folders(call: ToolCall, world: Readable) -> list[str]:
    return [name for name in _names(call) if hasattr(_here(world).get(name), "contents")]


def _slash(call: ToolCall, match: re.Match[str], world: Readable) -> str:
    names = [name for name in _names(call) if "/" in name]
    return f"{quoted(names)}: paths are not allowed, `{call.name}` takes bare names in the current directory."


def _forbidden(call: ToolCall, match: re.Match[str], world: Readable) -> str:
    found = sorted({character for character in "".join(_names(call)) if character in FORBIDDEN_CHARACTERS})
    return f"{quoted(_names(call))} cannot be a name here because of {quoted(found)}."


def _missing(call: ToolCall, match: re.Match[str], world: Readable) -> str:
    names = [name for name in _names(call) if name not in _here(world)]
    return f"The current directory holds nothing named {quoted(names or _names(call))}."


RULES: tuple[Rule, ...] = (
    Rule(
        name="file_system.name_not_path",
        tools=(*READERS, "mkdir", "touch", "echo", "mv", "cp", "rm", "rmdir"),
        pattern=rf"Invalid character|{ABSENT}",
        text=_slash,
        directions=GO_THERE,
        when=lambda call, match, world: any("/" in name for name in _names(call)),
    ),
    Rule(
        name="file_system.forbidden_new_name",
        tools=("mkdir", "touch"),
        pattern=r"Invalid character",
        text=_forbidden,
        directions=("Another name has to do, or check with the user what it should be.",),
    ),
    Rule(
        name="file_system.forbidden_character",
        tools=("echo", "cat"),
        pattern=r"Invalid character",
        text=_forbidden,
        directions=LIST_HERE,
    ),
    Rule(
        name="file_system.destination_not_path",
        tools=("mv", "cp"),
        pattern=r"path not allowed in destination",
        text="The destination '{destination}' is a path; `{tool}` takes a folder that lies in the current directory, "
        "or a new name.",
        directions=(
            "Something farther away can be reached in several moves, with `cd` in between.",
            "Something farther away can be reached in several moves.",
        ),
    ),
    Rule(
        name="file_system.folder_not_file",
        tools=READERS,
        pattern=rf"{ABSENT}|Is a directory",
        text=lambda call, match, world: (
            f"`{call.name}` works on files only, and here {quoted(_folders(call, world))} is a folder."
        ),
        directions=(
            "`cd` enters a folder, and `ls` then shows its files.",
            "Name a file, or look inside the folder first.",
        ),
        when=lambda call, match, world: bool(_folders(call, world)),
    ),
    Rule(
        name="file_system.file_not_folder",
        tools=("cd", "rmdir"),
        pattern=rf"{ABSENT}|Not a directory",
        text=lambda call, match, world: (
            f"{quoted(_names(call))} is a file here, and `{call.name}` is for folders only."
        ),
        directions=LIST_HERE,
        when=lambda call, match, world: (
            any(name in _here(world) for name in _names(call)) and not _folders(call, world)
        ),
    ),
    Rule(
        name="file_system.write_to_missing_file",
        tools=("echo",),
        pattern=ABSENT,
        kind=HintKind.DEPENDENCY,
        text="`echo` writes only to a file that exists, and the current directory holds none of that name.",
        directions=(
            "`touch` makes new files; if it should exist already, `ls` shows what is here.",
            "`touch` makes new files.",
            "Check whether it lies elsewhere or has yet to be made.",
        ),
    ),
    Rule(
        name="file_system.write_to_folder",
        tools=("echo",),
        pattern=r"has no attribute '_write'",
        text="'{file_name}' is a folder, and `echo` writes only to files.",
        directions=LIST_HERE,
    ),
    Rule(
        name="file_system.missing",
        tools=(*READERS, "mv", "cp", "rm", "rmdir"),
        pattern=ABSENT,
        kind=HintKind.DEPENDENCY,
        text=_missing,
        directions=LOOK_AROUND,
    ),
    Rule(
        name="file_system.at_the_top",
        tools=("cd",),
        pattern=r"already the root|cd: \.\.: No such directory",
        text="You are in the topmost folder, so there is none above it.",
        directions=(
            "`ls` shows which folders can be entered from here.",
            "Only the folders inside it can be entered from here.",
        ),
    ),
    Rule(
        name="file_system.no_such_folder",
        tools=("cd",),
        pattern=ABSENT,
        kind=HintKind.DEPENDENCY,
        text="There is no folder '{folder}' directly inside the current directory.",
        directions=LOOK_AROUND,
    ),
    Rule(
        name="file_system.no_such_start",
        tools=("find",),
        pattern=ABSENT,
        text="The search has to start at a folder, and seen from the current directory '{path}' is none.",
        directions=LIST_HERE,
    ),
    Rule(
        name="file_system.taken",
        tools=("mkdir", "touch"),
        pattern=r"File exists",
        text=lambda call, match, world: f"{quoted(_names(call))} exists here, and `{call.name}` only makes new things.",
        directions=(
            "It may serve as it is: `ls` shows what is here.",
            "It may serve as it is, or another name may do.",
        ),
    ),
    Rule(
        name="file_system.taken_at_destination",
        tools=("mv", "cp"),
        pattern=r"File exists|already exists in directory",
        text="The folder '{destination}' already holds something named '{source}', and `{tool}` overwrites nothing.",
        directions=(
            "Look with `cd` and `ls` whether it is what you need, or use another name.",
            "Check whether it is what you need, or use another name.",
        ),
    ),
    Rule(
        name="file_system.destination_is_file",
        tools=("mv", "cp"),
        pattern=r"Not a directory",
        text="'{destination}' is a file that already exists; `{tool}` goes into a folder or to a name not yet taken.",
        directions=LIST_HERE,
    ),
    Rule(
        name="file_system.folder_not_empty",
        tools=("rmdir",),
        pattern=r"Directory not empty",
        text="`rmdir` removes only empty folders, and this one still holds something.",
        directions=(
            "`ls` inside it shows whether that is still wanted; `rm` makes no such condition.",
            "Check whether its content is still wanted.",
        ),
    ),
    Rule(
        name="file_system.count_mode",
        tools=("wc",),
        pattern=r"invalid mode",
        text="'{mode}' is no mode of `wc`; its document lists one letter each for lines, words and characters.",
    ),
)

ALREADY_ACTIONABLE: Mapping[str, str] = {
    r"Only one folder level at a time": "names the bad path and the rule that it breaks",
    r"cannot (move|copy|remove) '.*': Not a file or directory": "cannot occur: every item is a file or a folder",
}
