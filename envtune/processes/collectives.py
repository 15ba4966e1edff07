"""Collective operations of the ranks of one run, on plain Python values."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TypeVar

import torch.distributed

T = TypeVar("T")


def current_rank() -> int:
    """Return the rank of this process in the process group; 0 without one."""
    return torch.distributed.get_rank() if _is_grouped() else 0


def gather(value: T) -> list[T]:
    """Return the values of all ranks, by rank. A collective: every rank must call it at the same point."""
    if not _is_grouped():
        return [value]
    values = [value] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(values, value)
    return values


def on_all_ranks(step: Callable[[], T]) -> list[T]:
    """Run ``step`` on every rank and return all results, by rank.

    Raises:
        ConnectionError: ``step`` raised on another rank. The rank on which it raised raises that error.
    """
    if not _is_grouped():
        return [step()]
    outcome: tuple[T | None, Exception | None] = (None, None)
    try:
        outcome = (step(), None)
    except Exception as error:  # raised below, after the other ranks have received it
        outcome = (None, error)
    result, own = outcome
    outcomes = gather((result, None if own is None else str(own)))
    if own is not None:
        raise own
    for rank, (_, failure) in enumerate(outcomes):
        if failure is not None:
            raise ConnectionError(f"training process {rank} has ended: {failure}")
    return [result for result, _ in outcomes]  # type: ignore[misc]


def first_rank_on_this_host() -> int:
    """Return the lowest rank that runs on this machine."""
    return on_all_ranks(socket.gethostname).index(socket.gethostname())


def _is_grouped() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()
