"""Bounds on the file tree. Where a call can multiply it, it is judged after the call and the call undone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from envtune.environment.limits.exceeded import LimitExceeded

MAX_TREE_ITEMS = 1_000
MAX_TREE_DEPTH = 64
MAX_TREE_CHARACTERS = 500_000

TREE_TOOLS = frozenset({"cp", "mv", "mkdir", "touch", "echo"})

T = TypeVar("T")


def run_in_bounded_tree(file_system: Any, run: Callable[[], T]) -> T:
    """Runs a call on the file tools and undoes it if the tree has become too large, too deep, or cyclic.

    Raises:
        LimitExceeded: after the call was undone.
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
    """Puts back what a call in the directory ``here`` can change: its items, those of its directories, its files."""
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
    """Measures the tree at the root, and at the current directory and those above it, which may be cut off from it.

    Raises:
        LimitExceeded: if one of them is too large, too deep, or contains itself.
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
    """Of a tree in which a shared directory counts once for every path to it; characters of paths and of contents."""

    items: int
    characters: int
    depth: int = 0


def _measure(directory: Any, sizes: dict[int, _Size | None]) -> _Size:
    """``sizes`` remembers directories by identity, so that the work is in proportion to those that exist."""
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
            # Content that is no text is short (arguments.py); to write it down at each call would take long.
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
