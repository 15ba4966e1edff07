"""An environment whose tools hang, crash and eat memory; imported by workers too."""

from __future__ import annotations

import ctypes
import os
import re
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from envtune.environment import PythonEnvironment, Rule
from envtune.trajectory import HintKind


class ShakyTools:
    """A counter, and ways to fail."""

    def __init__(self, count: int = 0, opening_seconds: float = 0, anything: Any = None) -> None:
        time.sleep(opening_seconds)
        self.count = count
        self.names: list[str] = []
        self._anything = anything

    def add(self, number: int) -> int:
        """Add a number."""
        self.count += number
        return self.count

    def note(self, name: str) -> list[str]:
        """Note a name; "" raises after a change."""
        self.names.append(name)
        if not name:
            raise ValueError("no name")
        return self.names

    def sleep(self) -> str:
        """Do not return."""
        self.count += 100
        time.sleep(1000)
        return "awake"

    def spin(self) -> str:
        """Do not return, nor let another thread run."""
        self.count += 100
        re.match(r"(a+)+$", "a" * 60 + "b")
        return "done"

    def end(self) -> str:
        """End the process."""
        self.count += 100
        os._exit(3)

    def crash(self) -> str:
        """Crash the interpreter."""
        self.count += 100
        ctypes.string_at(0)
        return "alive"

    def reserve(self, megabytes: int) -> int:
        """Use memory."""
        self.count += 100
        return len(bytes(megabytes * 2**20))

    def start_child(self, file: str) -> str:
        """Start a process that ignores the signal of the worker's end, write its number and do not return."""
        ignoring = "import signal, time; signal.signal(signal.SIGIO, signal.SIG_IGN); time.sleep(1000)"
        child = subprocess.Popen([sys.executable, "-S", "-c", ignoring])
        Path(file).write_text(str(child.pid))
        time.sleep(1000)
        return "awake"

    def sleep_if_there(self, file: str) -> str:
        """Do not return if a file exists."""
        self.count += 1
        if Path(file).exists():
            time.sleep(1000)
        return "awake"

    def read_input(self) -> str:
        """Read a line from the terminal."""
        return input()

    @property
    def database(self) -> sqlite3.Connection:
        """A database with the count, which cannot be pickled."""
        database = sqlite3.connect(":memory:")
        database.execute("create table counts (count)")
        database.execute("insert into counts values (?)", (self.count,))
        return database

    @property
    def stuck(self) -> int:
        """A value that takes too long."""
        time.sleep(1000)
        return 1


class SlottedCounter:
    """A counter whose attributes are in slots, where a view of another process does not see them."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0

    def add(self, number: int) -> int:
        """Add a number."""
        self.count += number
        return self.count


def is_small(call: Any, match: re.Match[str], world: Any) -> bool:
    """A condition that reads the world."""
    return bool(world.view.count < 10)


environment = PythonEnvironment(
    ShakyTools,
    hints=(
        Rule("shaky.small", "note", "no name", "The count is small.", kind=HintKind.CONSTRAINT, when=is_small),
        Rule("shaky.stuck", "end", "", "Never given.", when=lambda call, match, world: bool(world.view.stuck)),
    ),
)
