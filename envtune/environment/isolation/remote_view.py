"""The view of a world in another process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any


class RemoteView:
    """An object in a worker process, for conditions of rules and checks of turns.

    An attribute, item or result that can be pickled arrives as a copy; any other, and a method, is a view too and valid
    until the next call. Methods run in the worker, within its limits. Each such step is one message to the worker, of
    about 0.1 ms. ``isinstance`` and operators other than ``==`` and ``in`` do not reach the object.

    Args:
        read: does an operation with the object: its name, then its arguments.
    """

    __slots__ = ("__read",)

    def __init__(self, read: Callable[..., Any]) -> None:
        self.__read = read

    def __getattr__(self, name: str) -> Any:
        return self.__read("getattr", name)

    def __call__(self, *positional: Any, **named: Any) -> Any:
        """Call the object in the worker."""
        return self.__read("call", *positional, **named)

    def __getitem__(self, key: Any) -> Any:
        return self.__read("getitem", key)

    def __contains__(self, item: Any) -> bool:
        return bool(self.__read("contains", item))

    def __eq__(self, other: object) -> bool:
        return bool(self.__read("equals", other))

    __hash__ = None  # type: ignore[assignment]

    def __len__(self) -> int:
        return int(self.__read("len"))

    def __iter__(self) -> Iterator[Any]:
        items = self.__read("list")
        return iter(items) if isinstance(items, list) else (items[index] for index in range(len(items)))

    def __bool__(self) -> bool:
        return bool(self.__read("bool"))

    def __str__(self) -> str:
        return str(self.__read("str"))

    def __digest__(self) -> str:
        """Return the digest of the state in the worker, whose attributes are not read here."""
        return str(self.__read("digest"))

    def __reduce__(self) -> Any:
        raise TypeError("a view of an isolated world cannot be copied or pickled: read plain values from it")
