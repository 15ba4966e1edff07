"""Bounds on one call, so that no call hangs the process or fills its memory.

Arguments are judged before the call. Where a call can multiply the file tree, the tree is judged after it and the
call undone. The bounds lie far above what the benchmark's ground truth needs (its longest string has 6690 characters,
its longest result 31.7 thousand), so a call that is not refused keeps its exact result.

Not covered: there is no clock, because no call within these bounds takes long; many calls in a row may fill a world
step by step (the step limit and the token limit bound those); and a call that a bound refuses is refused even where
the benchmark's own executor would let it run for a long time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from envtune.task import ToolCall

MAX_ARGUMENT_CHARACTERS = 50_000
MAX_ARGUMENT_ITEMS = 5_000
MAX_ARGUMENT_DEPTH = 20
MAX_INTEGER_BITS = 4_096
MAX_POWER_BITS = 14_000
MAX_PRECISION_DIGITS = 1_000
MAX_FILE_NAME_CHARACTERS = 255
MAX_RESULT_CHARACTERS = 200_000
MAX_TREE_ITEMS = 10_000
MAX_TREE_DEPTH = 64
MAX_TREE_CHARACTERS = 5_000_000

TREE_TOOLS = frozenset({"cp", "mv", "mkdir", "touch"})
FILE_NAMES = {"cp": ("destination",), "mv": ("destination",), "mkdir": ("dir_name",), "touch": ("file_name",)}
PRECISIONS = {"logarithm": "precision", "square_root": "precision", "round_number": "decimal_places"}

T = TypeVar("T")


class LimitExceeded(Exception):
    """A call is beyond a bound. The message tells the agent which."""


def check_arguments(call: ToolCall) -> None:
    """Refuses arguments whose cost is out of proportion.

    Raises:
        LimitExceeded: too long, too deep, too many, not a number, not encodable, or beyond a tool's own bound.
    """
    _check_size(call)
    for name in FILE_NAMES.get(call.name, ()):
        value = call.arguments.get(name)
        if isinstance(value, str) and len(value) > MAX_FILE_NAME_CHARACTERS:
            raise LimitExceeded(f"'{name}' has {len(value)} characters; a name has {MAX_FILE_NAME_CHARACTERS} at most")
    if call.name == "power":
        _check_power(call.arguments.get("base"), call.arguments.get("exponent"))
    if call.name in PRECISIONS:
        digits = call.arguments.get(PRECISIONS[call.name])
        if _magnitude(digits) > MAX_PRECISION_DIGITS:
            raise LimitExceeded(f"'{PRECISIONS[call.name]}' is beyond {MAX_PRECISION_DIGITS} digits")


def check_result(text: str) -> None:
    """Refuses a result that is too long to show.

    Raises:
        LimitExceeded: if it is.
    """
    if len(text) > MAX_RESULT_CHARACTERS:
        raise LimitExceeded(f"the result has {len(text)} characters; {MAX_RESULT_CHARACTERS} can be shown")


def run_in_bounded_tree(file_system: Any, run: Callable[[], T]) -> T:
    """Runs a call on the file tools and undoes it if the tree has become too large, too deep, or cyclic.

    Raises:
        LimitExceeded: after the call was undone.
    """
    here = file_system._current_dir
    touched = [here.contents, *(item.contents for item in here.contents.values() if _is_directory(item))]
    before = [(contents, contents.copy()) for contents in touched]
    result = run()
    try:
        check_tree(file_system)
    except LimitExceeded:
        for contents, saved in before:
            contents.clear()
            contents.update(saved)
        raise
    return result


def check_tree(file_system: Any) -> None:
    """Measures the tree at the root, and at the current directory and those above it, which may be cut off from it.

    Raises:
        LimitExceeded: if one of them is too large, too deep, or contains itself.
    """
    sizes: dict[int, _Size | None] = {}
    for directory in _starts(file_system):
        size = _measure(directory, sizes)
        if size.items > MAX_TREE_ITEMS or size.characters > MAX_TREE_CHARACTERS:
            raise LimitExceeded(f"the file system would hold too much; {MAX_TREE_ITEMS} items are allowed")


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
        below = _measure(item, sizes) if _is_directory(item) else _Size(0, len(str(item.content)))
        items += 1 + below.items
        characters += (1 + len(str(name))) * (1 + below.items) + below.characters
        depth = max(depth, 1 + below.depth)
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


def _check_size(call: ToolCall) -> None:
    characters = items = 0
    waiting: list[tuple[Any, int]] = [(dict(call.arguments), 0)]
    while waiting:
        value, depth = waiting.pop()
        items += 1
        if isinstance(value, str):
            characters += len(value)
            if not value.isascii():
                _check_encodable(value)
        elif isinstance(value, int):
            _check_integer(value)
        elif value != value:
            raise LimitExceeded("an argument is not a number (NaN)")
        elif isinstance(value, dict):
            waiting.extend((part, depth + 1) for pair in value.items() for part in pair)
        elif isinstance(value, list | tuple | set):
            waiting.extend((part, depth + 1) for part in value)
        if depth > MAX_ARGUMENT_DEPTH:
            raise LimitExceeded(f"the arguments are nested deeper than {MAX_ARGUMENT_DEPTH} levels")
        if characters > MAX_ARGUMENT_CHARACTERS or items > MAX_ARGUMENT_ITEMS:
            raise LimitExceeded(
                f"the arguments are too large; {MAX_ARGUMENT_CHARACTERS} characters and {MAX_ARGUMENT_ITEMS} values "
                "are allowed"
            )


def _check_encodable(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise LimitExceeded("an argument contains half of a surrogate pair") from None


def _check_integer(value: int) -> None:
    if value.bit_length() > MAX_INTEGER_BITS:
        raise LimitExceeded(f"an integer has more than {MAX_INTEGER_BITS} bits")


def _check_power(base: Any, exponent: Any) -> None:
    if not isinstance(base, int) or not isinstance(exponent, int) or abs(base) < 2 or exponent < 0:
        return
    if base.bit_length() * exponent > MAX_POWER_BITS:
        raise LimitExceeded("the result of 'power' would be too large to write down")


def _magnitude(value: Any) -> float:
    """Of a number, or of text that reads as one; 0.0 for anything else, which the tool itself refuses."""
    try:
        return abs(float(value))
    except OverflowError:
        return float("inf")
    except (TypeError, ValueError):
        return 0.0
