"""The worker's side of isolation: the worlds of one process, and the operations on them.

A request is a pickled ``(operation, arguments, forgotten keys)``, a reply a pickled ``(Reply, value)``.
"""

from __future__ import annotations

import fcntl
import operator
import os
import pickle
import resource
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from enum import Enum, auto
from multiprocessing.connection import Connection
from typing import Any

import psutil

from envtune.environment.fingerprint import digest_of
from envtune.environment.interface import Environment, World
from envtune.environment.limits import ResultBudget
from envtune.task import Task, ToolCall

READS: Mapping[str, Callable[..., Any]] = {
    "getattr": getattr,
    "call": lambda function, *positional, **named: function(*positional, **named),
    "getitem": operator.getitem,
    "contains": operator.contains,
    "equals": operator.eq,
    "len": len,
    "list": list,
    "bool": bool,
    "str": str,
    "digest": digest_of,
}
"""What a view can do with an object, by the name of the operation."""


class Reply(Enum):
    """The outcome of an operation."""

    RETURNED = auto()
    RAISED = auto()
    """The value is the exception and the text of its traceback."""
    OUT_OF_MEMORY = auto()


def serve(descriptor: int) -> None:
    """Answer requests from a socket until the other end is closed.

    Args:
        descriptor: the socket. Standard input is a pipe to which the parent never writes.
    """
    _end_with_parent()
    connection, server = Connection(descriptor), WorldServer()
    while True:
        try:
            request = connection.recv_bytes()
        except EOFError:
            return
        connection.send_bytes(server.answer(request))


def _end_with_parent() -> None:
    """Let the kernel end this process group when standard input is closed, even while a tool holds the interpreter.

    The signal is SIGIO, whose default action ends a process. From here on, standard input is empty.
    """
    lifeline = os.dup(0)
    with open(os.devnull) as empty:
        os.dup2(empty.fileno(), 0)
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, -os.getpgrp())
    fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)


class WorldServer:
    """The worlds of this process, by the keys that the parent gave them. Its public methods are the operations."""

    def __init__(self) -> None:
        self._environment: Environment
        self._megabytes: int | None = None
        self._process = psutil.Process()
        self._worlds: dict[int, World] = {}
        self._parts: dict[int, dict[int, Any]] = {}

    def answer(self, request: bytes) -> bytes:
        """Return the reply to a request."""
        try:
            operation, arguments, forgotten = pickle.loads(request)
            for key in forgotten:
                self._worlds.pop(key, None)
                self._parts.pop(key, None)
            with self._memory_limit():
                value = getattr(self, operation)(*arguments)
            return pickle.dumps((Reply.RETURNED, value))
        # A tool may raise anything; KeyboardInterrupt too, since signals of the terminal do not reach this process.
        except BaseException as error:
            if isinstance(error, MemoryError) or isinstance(error.__cause__, MemoryError):
                return pickle.dumps((Reply.OUT_OF_MEMORY, None))
            return _raised(error)

    def start(self, make: Callable[[], Environment], megabytes: int) -> None:
        """Make the environment; from the next request on, an operation may add so much to the memory."""
        self._environment, self._megabytes = make(), megabytes

    def open(self, key: int, task: Task) -> None:
        """Open a world."""
        self._worlds[key] = self._environment.open(task)

    def copy(self, key: int, copied: int) -> None:
        """Copy a world."""
        self._worlds[copied] = self._worlds[key].copy()

    def offer(self, key: int, names: Iterable[str]) -> None:
        """Restrict the tools of a world."""
        self._parts.pop(key, None)
        self._worlds[key].offer(names)

    def call(self, key: int, call: ToolCall, left: int) -> tuple[bool, str, int]:
        """Return ``ok`` and text of a call's result, and what is left of the response's budget."""
        self._parts.pop(key, None)
        budget = ResultBudget(left)
        result = self._worlds[key].call(call, budget)
        return result.ok, result.text, budget.left

    def same_as(self, key: int, other: int) -> bool:
        """Return whether two worlds are equal."""
        return bool(self._worlds[key].same_as(self._worlds[other]))

    def read(
        self, key: int, part: int, new: int, operation: str, positional: tuple[Any, ...], named: Mapping[str, Any]
    ) -> bytes | None:
        """Do one of ``READS`` with a part of a world's view; part 0 is the whole.

        Returns:
            The pickled value. A value that cannot be copied so, or can be called, stays here as the part ``new``, and
            the result is None.
        """
        parts = self._parts.setdefault(key, {0: self._worlds[key].view})
        if part not in parts:
            raise LookupError("this part of the view was read before the latest call: read it again")
        value = READS[operation](parts[part], *positional, **named)
        if not callable(value):
            try:
                return pickle.dumps(value)
            except Exception:  # whatever the objects of the user raise
                pass
        parts[new] = value
        return None

    @contextmanager
    def _memory_limit(self) -> Iterator[None]:
        """Let this process reserve at most so many further megabytes of address space in the block."""
        if self._megabytes is None:
            yield
            return
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        limit = self._process.memory_info().vms + self._megabytes * 2**20
        resource.setrlimit(resource.RLIMIT_AS, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _raised(error: BaseException) -> bytes:
    text = "".join(traceback.format_exception(error))
    try:
        reply = pickle.dumps((Reply.RAISED, (error, text)))
        pickle.loads(reply)  # an exception with arguments of its own may not survive it
    except Exception:
        reply = pickle.dumps((Reply.RAISED, (RuntimeError(f"{type(error).__name__}: {error}"), text)))
    return reply
