"""The constructor arguments of a `GRPOModule` as plain values, from which `load_from_checkpoint` makes them again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from envtune.errors import UserError
from envtune.grpo.settings import GRPOSettings
from envtune.training.hindsight import Hindsight
from envtune.training.rate_schedule import RateSchedule

MakeOptimizer = Callable[[Iterable[nn.Parameter]], Optimizer]
# The policy cannot be among them: a checkpoint lacks the model's architecture and the reference's weights.
_RECORDED = ("grpo", "optimizer", "scheduler", "distill")


def recorded_arguments(
    grpo: GRPOSettings, optimizer: MakeOptimizer, scheduler: RateSchedule | None, distill: Hindsight | None
) -> dict[str, dict[str, Any] | None]:
    """Return the arguments as plain values; without ``optimizer`` unless a class of `torch.optim` makes it."""
    record: dict[str, dict[str, Any] | None] = {
        "grpo": asdict(grpo),
        "scheduler": asdict(scheduler) if scheduler else None,
        "distill": asdict(distill) if distill else None,
    }
    made = optimizer if isinstance(optimizer, partial) else partial(optimizer)
    is_plain = not made.args and all(_is_plain(value) for value in made.keywords.values())
    name = getattr(made.func, "__name__", "")
    if is_plain and getattr(torch.optim, name, None) is made.func:
        record["optimizer"] = {"name": name, **made.keywords}
    return record


def restored_arguments(record: dict[str, Any], given: dict[str, Any], source: str) -> dict[str, Any]:
    """Return the arguments that ``given`` lacks, made from the record of a checkpoint.

    Raises:
        UserError: neither has one of them.
    """
    missing = [name for name in _RECORDED if name not in given]
    if absent := [name for name in missing if name not in record]:
        raise UserError(
            f"checkpoint {source} does not record {' and '.join(absent)}, because an earlier version saved it or the "
            f"optimizer is not a class of torch.optim: give load_from_checkpoint {'=…, '.join(absent)}=…"
        )
    return {name: _RESTORE[name](record[name]) for name in missing}


def _optimizer(record: dict[str, Any]) -> MakeOptimizer:
    settings = dict(record)
    name = settings.pop("name")
    kind = getattr(torch.optim, name, None)
    # The name comes from a file: it must not lead to anything but an optimiser.
    if not (isinstance(kind, type) and issubclass(kind, Optimizer)):
        raise UserError(f"torch.optim has no optimizer {name}, which the checkpoint records: give optimizer=…")
    return partial(kind, **settings)


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float | str)


_RESTORE: dict[str, Callable[[Any], Any]] = {
    "grpo": lambda record: GRPOSettings(**record),
    "optimizer": _optimizer,
    "scheduler": lambda record: record and RateSchedule(**record),
    "distill": lambda record: record and Hindsight(**record),
}
