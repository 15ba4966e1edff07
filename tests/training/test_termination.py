"""Processes that get signals wherever they are."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

# A shell starts what runs in the background with SIGINT ignored, and its child processes inherit that.
DEFAULTS = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
PROGRAM = """
import ctypes, os, signal, subprocess, sys, time
from envtune.training.resume import termination
termination.GRACE = float(sys.argv[2])

def waits():
    print("begun", flush=True)
    time.sleep(60)

def fails_when_interrupted():
    try:
        waits()
    finally:
        raise RuntimeError("unexpected pos")

def closes_slowly():
    try:
        waits()
    finally:
        print("closing", flush=True)
        while True:
            time.sleep(60)

def stuck():
    # In a lock that no signal interrupts, as in an operation that waits for another process.
    library, lock = ctypes.CDLL(None), ctypes.create_string_buffer(64)
    library.pthread_mutex_lock(lock)
    print("begun", flush=True)
    library.pthread_mutex_lock(lock)

def has_child():
    subprocess.Popen(["sleep", "60"])
    closes_slowly()

def forked():
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, b"1")
        time.sleep(60)
        os._exit(0)
    os.read(reader, 1)
    os.kill(child, signal.SIGTERM)
    status = os.waitpid(child, 0)[1]
    time.sleep(0.5)
    print("begun", "child ended by", os.WTERMSIG(status), flush=True)

with termination.ended_by_signals("how to continue"):
    globals()[sys.argv[1]]()
print("after", signal.getsignal(signal.SIGTERM) == signal.SIG_DFL)
"""


def started(what: str, grace: float = 10) -> subprocess.Popen[str]:
    process = launched(PROGRAM, what, str(grace))
    assert process.stdout
    while not process.stdout.readline().startswith("begun"):
        assert process.poll() is None
    return process


def launched(program: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", DEFAULTS + program, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    # communicate() would miss the lines that readline() has read ahead.
    assert process.stdout
    assert process.stderr
    out, error = process.stdout.read(), process.stderr.read()
    return process.wait(60), out, error


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_program_where_it_is_with_a_line_and_the_usual_code(number: signal.Signals, code: int):
    process = started("waits")
    process.send_signal(number)
    assert ended(process) == (code, "", f"ended by {number.name}: how to continue\n")


def test_an_error_that_the_interruption_causes_is_not_in_its_place():
    process = started("fails_when_interrupted")
    process.send_signal(signal.SIGINT)
    assert ended(process) == (130, "", "ended by SIGINT: how to continue\n")


def test_a_second_signal_ends_at_once_what_is_still_closing():
    process = started("closes_slowly")
    process.send_signal(signal.SIGTERM)
    assert process.stdout
    assert process.stdout.readline() == "closing\n"
    process.send_signal(signal.SIGINT)
    assert ended(process) == (130, "", "ended by SIGINT: how to continue\n")


def test_what_does_not_close_is_ended_with_its_child_processes():
    process = started("has_child", grace=0.2)
    (child,) = (int(name) for name in os.listdir("/proc") if name.isdigit() and _parent_of(name) == process.pid)
    process.send_signal(signal.SIGTERM)
    assert ended(process)[0] == 143
    deadline = time.monotonic() + 30
    while _parent_of(str(child)) is not None:
        assert time.monotonic() < deadline


def test_an_operation_that_does_not_return_is_ended():
    process = started("stuck", grace=0.2)
    process.send_signal(signal.SIGINT)
    assert ended(process) == (130, "", "ended by SIGINT: how to continue\n")


def _parent_of(process: str) -> int | None:
    """None of one that has ended, waited for or not."""
    try:
        state, parent = Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2].split()[:2]
    except OSError:
        return None
    return None if state == "Z" else int(parent)


def test_a_signal_to_a_forked_process_does_not_end_its_parent():
    process = started("forked")
    assert ended(process) == (0, "after True\n", "")


def test_a_signal_that_the_program_handles_is_left_to_it():
    own = "signal.signal(signal.SIGTERM, lambda *_: print('begun mine', flush=True))\n"
    process = launched(own + PROGRAM, "waits", "10")
    assert process.stdout
    assert process.stdout.readline() == "begun\n"
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == "begun mine\n"
    process.send_signal(signal.SIGINT)
    assert ended(process)[0] == 130
