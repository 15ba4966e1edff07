"""train.py in two processes (trainer=ddp), one of which may be killed (SIGKILL) at a chosen moment."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from interrupted_run import killed
from lightning.pytorch.utilities.rank_zero import rank_zero_only
from sharded_run import train

from envtune.environment.augmentation.annealed import Annealed
from envtune.rollout.collector import Collector
from envtune.training.module import GRPOModule


def _trains(collector: Collector, request: Any, hints: Any) -> bool:
    return collector.generator.policy_version == 3 and type(hints) is Annealed


# Which process is killed, and when; both have written the checkpoint of update 3.
MOMENTS: dict[str, tuple[int, Callable[[], None]]] = {
    "rank 1 in the rollout of update 4": (1, killed(Collector, "_start", _trains, call=2)),
    "rank 0 in update 4": (0, killed(GRPOModule, "training_step", lambda module, *_: module.trainer.global_step == 3)),
}


def play(arguments: list[str], moment: str | None) -> None:
    """The body of each process: `python train.py ARGUMENTS`, up to ``moment``."""
    rank = int(os.environ["RANK"])
    # Lightning reads it when it is imported, and the server has imported it for both.
    rank_zero_only.rank = rank
    # The levels of a model that learns: otherwise hints would have the same probability all the time.
    Annealed.measured = lambda _, trajectory: (trajectory.seed % 5) / 4  # type: ignore[method-assign]
    if moment and MOMENTS[moment][0] == rank:
        MOMENTS[moment][1]()
    train(arguments)
