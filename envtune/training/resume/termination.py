"""End a run within seconds of SIGINT (Ctrl-C) or SIGTERM, and print how to continue it.

Nothing is saved then: the newest checkpoint was written between two updates, and the run is resumed from it bit by bit.
Lightning would wait until the end of the update, rollout included, and prints nothing on Ctrl-C.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import psutil
import rich

from envtune.processes.ranks import rank_of_this_process

log = logging.getLogger(__name__)

# Seconds for the run to close its files and processes after the first signal. Slurm kills after 30 s.
GRACE = 8.0
# Signals that end a run, with Python's default handlers. Others are left alone: submitit handles SIGTERM itself.
_ENDING = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}


class Interrupted(SystemExit):
    """Raised in the main thread when a signal arrives; its exit code is the shell's for that signal."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.name = signal.Signals(number).name


@contextmanager
def ended_by_signals(remedy: str) -> Iterator[None]:
    """Print ``remedy`` and end the process within GRACE seconds of SIGINT or SIGTERM, at once on a second signal.

    Does nothing outside the main thread, where Python does not handle signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    watch = _Watch(remedy)
    try:
        yield
    except BaseException:
        if watch.interrupted is None:
            raise
        log.warning("ended by %s: %s", watch.interrupted.name, remedy)
        # torch, for example, raises its own error if it is interrupted while it writes.
        raise watch.interrupted from None
    finally:
        watch.close()


class _Watch:
    """Handle the signals in the main thread, and end the process from another thread where that is not enough."""

    def __init__(self, remedy: str) -> None:
        self._remedy = remedy
        self.interrupted: Interrupted | None = None
        self._before = {number: signal.getsignal(number) for number in _ENDING}
        self._handled = [number for number, default in _ENDING.items() if self._before[number] == default]
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)
        # Python writes each signal's number here at once, even while the main thread is blocked in torch.
        self._outer = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for number in self._handled:
            signal.signal(number, self._interrupt)
        os.register_at_fork(after_in_child=self._leave_to_parent)
        threading.Thread(target=self._watch, name="termination", daemon=True).start()

    def close(self) -> None:
        """Restore the handlers, except after a signal, because the shutdown may block."""
        if self.interrupted is None:
            self._restore()
            self._writer.close()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._outer)

    def _leave_to_parent(self) -> None:
        """Restore the handlers in a forked child, which shares the socket: its signals would end the parent."""
        if self._writer.fileno() != -1:
            self._restore()
            self._writer.close()

    def _interrupt(self, number: int, _: FrameType | None) -> None:
        # A second signal is left to the thread.
        if self.interrupted is None:
            self.interrupted = Interrupted(number)
            raise self.interrupted

    def _watch(self) -> None:
        first = self._next_signal()
        if first is None:
            return
        self._reader.settimeout(GRACE)
        try:
            last = self._next_signal() or first
        except TimeoutError:
            last = first
        if rank_of_this_process() == 0:
            # Not with logging, whose lock the main thread may hold.
            os.write(2, f"ended by {signal.Signals(last).name}: {self._remedy}\n".encode())
        if rich.get_console().is_terminal:
            os.write(1, b"\033[?25h")  # shows the cursor, which the progress bar hides
        for child in psutil.Process().children(recursive=True):
            child.kill()
        os._exit(128 + last)

    def _next_signal(self) -> int | None:
        """Return the number of the next signal that ends the run; None when the run is over."""
        while number := self._reader.recv(1):
            if number[0] in self._handled:
                return number[0]
        return None
