"""Run a check in a child process, so that a tool can neither stop, end nor fill the process that reports it."""

from __future__ import annotations

import multiprocessing
import os
import resource
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection

import psutil

from envtune.environment.contract.trial import Evidence, Trial
from envtune.environment.contract.watched_world import Watch, WatchedEnvironment
from envtune.errors import UserError

Promise = Callable[[Trial], Evidence]
MAX_MEMORY = 4 * 1024**3
"""The bytes that a child may allocate beyond those of its parent."""
_FORK = multiprocessing.get_context("fork")


def in_child(promise: Promise, trial: Trial) -> Evidence:
    """Return what the check of a promise finds in a forked child; its end is evidence too.

    Raises:
        UserError: the environment raised it: the tasks or the class cannot be used.
    """
    watch = Watch(trial.seconds)
    receiver, sender = _FORK.Pipe(duplex=False)
    child = _FORK.Process(target=_check, args=(promise, trial, watch, sender), daemon=True)
    child.start()
    sender.close()
    try:
        evidence = receiver.recv()
    except EOFError:
        tool, sentence = watch.last()
        evidence = Evidence(sentence or "the process that plays the tasks has ended", tool=tool)
    child.join()
    if isinstance(evidence, UserError):
        raise evidence
    return evidence


def _check(promise: Promise, trial: Trial, watch: Watch, sender: Connection) -> None:
    silence()
    limit = psutil.Process().memory_info().vms + MAX_MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.getrlimit(resource.RLIMIT_AS)[1]))
    answer: Evidence | UserError
    try:
        answer = promise(replace(trial, environment=WatchedEnvironment(trial.environment, watch)))
    except UserError as error:
        answer = UserError(str(error))
    # The user's code may raise anything, SystemExit included.
    except BaseException as error:
        answer = Evidence(f"{type(error).__name__}: {' '.join(str(error).split())}{_place(error)}")
    sender.send(answer)


def silence() -> None:
    """Discard what this process prints from now on: tools may print, and the report is printed elsewhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)


def _place(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else f" ({trace.tb_frame.f_code.co_filename}, line {trace.tb_lineno})"
