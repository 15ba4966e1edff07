"""The completion server as a child process of the endpoint."""

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
# Time between SIGTERM and SIGKILL, in seconds.
GRACE_SECONDS = 10.0


class Child:
    """A server process, ended when ``stack`` is closed, even if a signal arrives during its start.

    ``command`` must start the server on ``port`` of this machine; its key is in VLLM_API_KEY, its output on stderr.
    """

    def __init__(self, command: Sequence[str], port: int, api_key: str, stack: ExitStack) -> None:
        self.url, self.api_key = f"http://{HOST}:{port}", api_key
        with _signals_deferred():
            # In a new session, Ctrl-C reaches only the endpoint, which then ends the server.
            env = os.environ | {"VLLM_API_KEY": api_key}
            self._process = subprocess.Popen(command, stdout=sys.stderr, env=env, start_new_session=True)
            stack.callback(self._stop)

    def _stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def alive(self) -> bool:
        """True while the process runs."""
        return self._process.poll() is None

    def wait_until_ready(self, seconds: float) -> None:
        """Wait until /health responds with 200.

        Raises:
            UserError: the server ends, or is not ready within ``seconds``.
        """
        deadline = time.monotonic() + seconds
        while not self._is_ready():
            if not self.alive:
                status = self._process.returncode
                raise UserError(f"the completion server ended at its start (status {status}); its output is above")
            if time.monotonic() > deadline:
                raise UserError(f"the completion server was not ready within {seconds:g} s: raise --start-timeout")
            time.sleep(0.2)

    def _is_ready(self) -> bool:
        try:
            return httpx2.get(f"{self.url}/health", timeout=5.0, trust_env=False).status_code == 200
        except httpx2.HTTPError:
            return False


@contextmanager
def _signals_deferred() -> Iterator[None]:
    """Deliver SIGINT and SIGTERM that arrive in the block at its end.

    A signal handler that raises between the start of the process and the registration of its end would leave it
    running. A blocked signal mask is not an alternative: the process would inherit it.
    """
    arrived: list[int] = []

    def record(number: int, frame: FrameType | None) -> None:
        arrived.append(number)

    original = {int(number): signal.signal(number, record) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, previous in original.items():
            signal.signal(number, previous)
        for number in arrived:
            signal.raise_signal(number)


def free_port() -> int:
    """Return a free TCP port of this machine."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
