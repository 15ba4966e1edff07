"""What every command does at its edge: text that its terminal can show, and a quiet end where nothing reads on."""

from __future__ import annotations

import io
import os
import select
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn


@contextmanager
def on_terminal() -> Iterator[None]:
    """Within, characters that standard output or error cannot encode are printed as question marks.

    Where the reader of standard output has gone (`| head`), the command ends without a word and with the status of a
    process that SIGPIPE ends. The signal itself stays ignored: it would also come of every broken network connection.
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


def run_program(main: Callable[[], int | None]) -> NoReturn:
    """Runs a command and exits with the status that it returns."""
    with on_terminal():
        sys.exit(main())


def _reader_has_gone() -> bool:
    poll = select.poll()
    poll.register(sys.stdout.fileno(), select.POLLOUT)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def _end_as_by_sigpipe() -> NoReturn:
    # What is left in the buffer goes nowhere, when Python flushes it at the end.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(128 + signal.SIGPIPE)
