from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from typing import Any

import pytest

from envtune.serving.child import Child, free_port

SLEEPING = [sys.executable, "-c", "import time; time.sleep(300)"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_the_start_is_delivered_and_ends_the_process(
    monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    started: list[subprocess.Popen[bytes]] = []
    start = subprocess.Popen

    def interrupted_start(*arguments: Any, **options: Any) -> subprocess.Popen[bytes]:
        started.append(start(*arguments, **options))
        os.kill(os.getpid(), number)
        return started[0]

    monkeypatch.setattr(subprocess, "Popen", interrupted_start)
    before = signal.signal(number, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), ExitStack() as stack:
            Child(SLEEPING, free_port(), "key", stack)
    finally:
        signal.signal(number, before)
    assert started[0].returncode == -signal.SIGTERM


def test_signal_handlers_are_restored_after_the_start() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with ExitStack() as stack:
        Child(SLEEPING, free_port(), "key", stack)
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
