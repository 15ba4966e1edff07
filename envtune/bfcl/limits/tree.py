"""Limits on the file tree. A tree that a call can multiply is checked after the call, which is undone if needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from envtune.environment.limits import LimitExceeded

MAX_TREE_ITEMS = 1_000
MAX_TREE_DEPTH = 64
MAX_TREE_CHARACTERS = 500_000

TREE_TOOLS = frozenset({"cp", "mv", "mkdir", "touch", "echo"})

T = TypeVar("T")


def run_in_bounded_tree(file_system: Any, run: Callable[[], T]) -> T:
    """Run a call of a file tool; undo it if the tree is then too large, too deep or cyclic.

    Raises:
        LimitExceeded: the call was undone.
    """
    undo = _undo(file_system._current_dir)
    result = run()
    try:
        check_tree(file_system)
    except LimitExceeded:
        undo()
        raise
    return result


def _undo(here: Any) -> Callable[[], None]:
    """Return a function that restores what a call in directory ``here`` can change: its items and their contents."""
    items = list(here.contents.values())
    before = [(folder.contents, folder.contents.copy()) for folder in (here, *filter(_is_directory, items))]
    written = [(file, file.content) for file in items if not _is_directory(file)]

    def undo() -> None:
        for contents, saved in before:
            contents.clear()
            contents.update(saved)
        for file, content in written:
            file.content = content

    return undo


def check_tree(file_system: Any) -> None:
    """Measure the tree from the root, and from the current directory and its parents, which may be detached from it.

    Raises:
        LimitExceeded: one of the trees is too large, too deep or contains itself.
    """
    sizes: dict[int, _Size | None] = {}
    for directory in _starts(file_system):
        size = _measure(directory, sizes)
        if size.items > MAX_TREE_ITEMS or size.characters > MAX_TREE_CHARACTERS:
            raise LimitExceeded(
                f"the file system would hold too much; {MAX_TREE_ITEMS} items and {MAX_TREE_CHARACTERS} characters "
                "are allowed"
            )


@dataclass(frozen=True, slots=True)
class _Size:
    """The size of a tree, counting a shared directory once per path; characters are those of paths and contents."""

    items: int
    characters: int
    depth: int = 0


def _measure(directory: Any, sizes: dict[int, _Size | None]) -> _Size:
    """Return the size of a directory. ``sizes`` caches by identity, so that each directory is visited once."""
    if id(directory) in sizes:
        known = sizes[id(directory)]
        if known is None:
            raise LimitExceeded("a directory cannot be put inside itself")
        return known
    sizes[id(directory)] = None
    items = characters = depth = 0
    for name, item in directory.contents.items():
        items += 1
        if _is_directory(item):
            below = _measure(item, sizes)
            items += below.items
            characters += (1 + len(str(name))) * (1 + below.items) + below.characters
            depth = max(depth, 1 + below.depth)
        else:
            # Content other than text is short (arguments.py), and formatting it at each call would take long.
            characters += 1 + len(str(name)) + (len(item.content) if isinstance(item.content, str) else 0)
            depth = max(depth, 1)
    if depth > MAX_TREE_DEPTH:
        raise LimitExceeded(f"directories can be nested {MAX_TREE_DEPTH} levels deep at most")
    sizes[id(directory)] = size = _Size(items, characters, depth)
    return size


def _starts(file_system: Any) -> Iterator[Any]:
    yield file_system.root
    directory = file_system._current_dir
    while directory is not None:
        yield directory
        directory = directory.parent


def _is_directory(item: Any) -> bool:
    return hasattr(item, "contents")
