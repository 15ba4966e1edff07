"""The completion server as a process beside the endpoint: started, awaited, and ended with it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from types import FrameType

import httpx2

from envtune.errors import UserError

HOST = "127.0.0.1"
LAST_WORDS = 10.0  # seconds between being asked to end and being ended


class Child:
    """The server that ``command`` starts on ``port`` of this machine, with ``api_key``; what it prints goes to stderr.

    The server is stopped when ``stack`` is closed, also if a signal arrives while it is being started.
    """

    def __init__(self, command: Sequence[str], port: int, api_key: str, stack: ExitStack) -> None:
        self.url, self.api_key = f"http://{HOST}:{port}", api_key
        with _signals_deferred():
            # A session of its own: Ctrl-C reaches the endpoint, which then ends it.
            self._process = subprocess.Popen(
                command, stdout=sys.stderr, env=os.environ | {"VLLM_API_KEY": api_key}, start_new_session=True
            )
            stack.callback(self._stop)

    def _stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(LAST_WORDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def wait_until_ready(self, seconds: float) -> None:
        """Returns when the server says that it is well. Raises UserError if it ends, or takes longer than that."""
        deadline = time.monotonic() + seconds
        while not self._is_well():
            if not self.alive:
                status = self._process.returncode
                raise UserError(f"the completion server ended at its start (status {status}); it says why above")
            if time.monotonic() > deadline:
                raise UserError(f"the completion server was not ready within {seconds:g} s: raise --start-timeout")
            time.sleep(0.2)

    def _is_well(self) -> bool:
        try:
            return httpx2.get(f"{self.url}/health", timeout=5.0, trust_env=False).status_code == 200
        except httpx2.HTTPError:
            return False


@contextmanager
def _signals_deferred() -> Iterator[None]:
    """Deliver SIGINT and SIGTERM that arrive within at the end.

    A handler that raises between the start of a process and the note that it has to be stopped would leave it running.
    A mask of signals would be inherited by the process.
    """
    arrived: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        arrived.append(number)

    before = {int(number): signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for number in arrived:
            signal.raise_signal(number)


def free_port() -> int:
    """A port of this machine that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
