"""The parent's side of one worker process: starts it, exchanges messages with it and ends it."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe
from typing import Any

from envtune.environment.interface import Environment
from envtune.environment.isolation.world_server import Reply
from envtune.environment.limits import LimitExceeded
from envtune.errors import UserError

START_SECONDS = 120.0
"""Limit on the time in which a worker imports the user's module and makes the environment."""

# sys.path is that of this process: the user's module may be in the folder of the command.
_PROGRAM = "import sys; sys.path[:] = {path}; from {module} import serve; serve({descriptor})"


class WorkerTraceback(Exception):
    """The traceback of an exception in a worker, as text."""


class WorkerProcess:
    """A process with worlds, which is started when it is first needed, and anew after its end.

    Not multiprocessing's: that would import the program's main module, and torch with it, and keep a process of its
    own until the run is over.

    Args:
        make: makes the environment; pickled.
        seconds: limit on the time of one operation.
        megabytes: limit on the memory that one operation adds.

    Raises:
        UserError: ``make`` cannot be pickled.
    """

    def __init__(self, make: Callable[[], Environment], seconds: float, megabytes: int) -> None:
        self._start = pickled(("start", (make, megabytes), ()), "what makes the environment")
        self._seconds, self._megabytes = seconds, megabytes
        self.lock = threading.RLock()
        """To be held from the look at ``lives`` to the operation that depends on it."""
        self.lives = 0
        """How many processes have ended."""
        self._connection: Connection
        self._end: weakref.finalize[[subprocess.Popen[bytes], Connection, int], WorkerProcess] | None = None
        self._forgotten: deque[int] = deque()

    def ask(self, operation: str, *arguments: Any) -> Any:
        """Return the result of an operation of the process.

        Raises:
            LimitExceeded: the operation exceeded a limit or ended its process. The process and its worlds are gone.
            UserError: the process cannot be started, or an argument cannot be pickled.
            Exception: whatever the operation raised.
        """
        with self.lock:
            if self._end is None:
                self._begin()
            forgotten = [self._forgotten.popleft() for _ in range(len(self._forgotten))]
            return self._exchange(pickled((operation, arguments, forgotten), operation), self._seconds)

    def notice_end(self) -> None:
        """Count the end of a process that ended between two operations, such as one that the system killed."""
        # Unasked, a process sends nothing: there is something to read at its end alone.
        if self._end is not None and self._connection.poll():
            self.close()

    def forget(self, key: int) -> None:
        """Drop a world with the next operation. Can be called while another operation runs."""
        self._forgotten.append(key)

    def close(self) -> int:
        """End the process and those that it started; return its status, negative for a signal."""
        end, self._end = self._end, None
        self.lives += 1
        return (end() if end is not None else None) or 0

    def _begin(self) -> None:
        ours, theirs = Pipe()
        program = _PROGRAM.format(
            path=[str(folder) for folder in sys.path], module=Reply.__module__, descriptor=theirs.fileno()
        )
        with theirs:
            # In a session of its own, Ctrl-C does not reach it. Closing its standard input ends it.
            process = subprocess.Popen(
                [sys.executable, "-c", program],
                stdin=subprocess.PIPE,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        self._connection = ours
        self._end = weakref.finalize(self, _end, process, ours, os.getpid())
        try:
            self._exchange(self._start, START_SECONDS)
        except (UserError, LimitExceeded) as error:
            self.close()
            raise UserError(f"a worker process with the environment cannot be started: {error}") from error
        except Exception as error:
            self.close()
            raise UserError(
                f"a worker process cannot make the environment ({type(error).__name__}: {error}): let a module that "
                "can be imported define it, not the program itself"
            ) from error

    def _exchange(self, request: bytes, seconds: float) -> Any:
        try:
            self._connection.send_bytes(request)
            if not self._connection.poll(seconds):
                raise TimeoutError
            reply, value = pickle.loads(self._connection.recv_bytes())
        except TimeoutError:
            self.close()
            raise LimitExceeded(f"it took more than {seconds:g} seconds, and was stopped and undone") from None
        except (EOFError, OSError):
            status = self.close()
            cause = signal.strsignal(-status) if status < 0 else f"exit status {status}"
            raise LimitExceeded(f"it ended the process of the tool ({cause}), and was undone") from None
        except BaseException:  # the reply to an interrupted operation would be read as that to the next one
            self.close()
            raise
        if reply is Reply.OUT_OF_MEMORY:
            self.close()
            raise LimitExceeded(f"it needed more than {self._megabytes} MB of memory, and was stopped and undone")
        if reply is Reply.RAISED:
            error, text = value
            raise error from WorkerTraceback(text)
        return value


def pickled(value: Any, what: str) -> bytes:
    """Return a value as bytes.

    Raises:
        UserError: it cannot be pickled; the sentence names ``what``.
    """
    try:
        return pickle.dumps(value)
    except Exception as error:  # objects of the user raise anything
        raise UserError(
            f"{what} cannot be sent to a worker process ({type(error).__name__}: {' '.join(str(error).split())}): use "
            "plain values, and functions and classes of modules that can be imported"
        ) from error


def _end(process: subprocess.Popen[bytes], connection: Connection, parent: int) -> int:
    # A fork of this process that ends has a copy of the object.
    if os.getpid() != parent:
        return 0
    # Before the process is waited for: afterwards another group could have its number.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    connection.close()
    assert process.stdin is not None
    process.stdin.close()
    return process.wait()
