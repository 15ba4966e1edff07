"""The entry of every command: printable output, user errors in one sentence, and a quiet exit on a closed pipe."""

from __future__ import annotations

import io
import os
import select
import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from envtune.errors import UserError


@contextmanager
def on_terminal() -> Iterator[None]:
    """Print unencodable characters as question marks, and exit quietly when standard output is a closed pipe.

    After `| head`, for example, the exit status is that of SIGPIPE. The signal itself stays ignored, because a broken
    network connection raises it as well.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        if not _stdout_is_closed():
            raise
        _exit_as_by_sigpipe()
    except SystemExit as end:
        # rich turns the error into an exit with status 1.
        if isinstance(end.__context__, BrokenPipeError):
            _exit_as_by_sigpipe()
        raise


def invocation() -> str:
    """Return how this process was started, without the arguments: `python train.py`, or `envtune-train`."""
    program = sys.argv[0]
    return f"python {shlex.quote(program)}" if program.endswith(".py") else Path(program).name


def run_program(main: Callable[[], int | None], name: str | None = None) -> NoReturn:
    """Run a command and exit with the status that it returns; None is 0.

    A UserError is printed on standard error as `name: sentence`, with status 1.

    Args:
        main: The command.
        name: Its name in errors; by default the stem of its file.
    """
    # Read before the command runs: it may replace sys.argv by the arguments of another program.
    name = name or Path(sys.argv[0]).stem
    with on_terminal():
        try:
            sys.exit(main())
        except UserError as error:
            print(f"{name}: {error}", file=sys.stderr)
            sys.exit(1)


def _stdout_is_closed() -> bool:
    poll = select.poll()
    poll.register(sys.stdout.fileno(), select.POLLOUT)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def _exit_as_by_sigpipe() -> NoReturn:
    # Python flushes the buffer at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(128 + signal.SIGPIPE)
