"""What the processes of one training do together when they push weights, so that none waits for one that failed."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TypeVar

import torch.distributed

Answer = TypeVar("Answer")


def process_number() -> int:
    """From 0; a training of one process has number 0."""
    return torch.distributed.get_rank() if _several() else 0


def together(step: Callable[[], Answer]) -> list[Answer]:
    """Runs ``step`` in every process and returns all answers, by number of the process.

    Raises:
        ConnectionError: in every process, if ``step`` fails in one; there, its own error.
    """
    if not _several():
        return [step()]
    outcome: tuple[Answer | None, Exception | None] = (None, None)
    try:
        outcome = (step(), None)
    except Exception as error:  # the others are told of it before it goes on
        outcome = (None, error)
    answer, own = outcome
    told: list[tuple[Answer, str | None]] = [None] * torch.distributed.get_world_size()  # type: ignore[list-item]
    torch.distributed.all_gather_object(told, (answer, None if own is None else str(own)))
    if own is not None:
        raise own
    for number, (_, failure) in enumerate(told):
        if failure is not None:
            raise ConnectionError(f"training process {number} has ended: {failure}")
    return [answer for answer, _ in told]


def first_on_this_host() -> int:
    """The number of the first process on this machine."""
    return together(socket.gethostname).index(socket.gethostname())


def _several() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()
