"""What every command does at its edge: printable text, errors in one sentence, and a quiet end on a closed pipe."""

from __future__ import annotations

import io
import os
import select
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from envtune.errors import UserError


@contextmanager
def on_terminal() -> Iterator[None]:
    """Print unencodable characters as question marks, and end quietly when the reader of standard output is closed.

    After `| head`, for example, the command prints nothing more and exits with the status of a process that SIGPIPE
    ended. The signal itself stays ignored: every broken network connection raises it as well.
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
        if not _reader_has_gone():
            raise
        _end_as_by_sigpipe()
    except SystemExit as end:
        # Rich turns the error into an exit with status 1.
        if isinstance(end.__context__, BrokenPipeError):
            _end_as_by_sigpipe()
        raise


def run_program(main: Callable[[], int | None], name: str | None = None) -> NoReturn:
    """Run a command and exit with the status that it returns; None is 0.

    A UserError is printed on standard error as `name: sentence`, with status 1.

    Args:
        main: The command.
        name: What errors call it; by default its file without `.py`.
    """
    # Before the command runs: it may replace its arguments by those of the program that it becomes.
    name = name or Path(sys.argv[0]).stem
    with on_terminal():
        try:
            sys.exit(main())
        except UserError as error:
            print(f"{name}: {error}", file=sys.stderr)
            sys.exit(1)


def _reader_has_gone() -> bool:
    poll = select.poll()
    poll.register(sys.stdout.fileno(), select.POLLOUT)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def _end_as_by_sigpipe() -> NoReturn:
    # What is left in the buffer goes nowhere, when Python flushes it at the end.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(128 + signal.SIGPIPE)
