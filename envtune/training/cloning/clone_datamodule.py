"""Demonstrated episodes as training batches."""

from __future__ import annotations

import logging
import time
from typing import Any

from typing_extensions import override

from envtune.derived_seed import derived_seed
from envtune.errors import UserError
from envtune.reward.breakdown import judge
from envtune.rollout.collector import EpisodeRequest
from envtune.training.cloning.demonstrator import Demonstrator
from envtune.training.datamodule import EnvironmentDataModule, announce_rollout
from envtune.training.rollout_batch import RewardedGroup, RolloutBatch, train_batch
from envtune.training.task_stream import Draw, TaskStream
from envtune.trajectory import Trajectory

log = logging.getLogger(__name__)

# Tasks without a demonstration, one after another, that end the training.
MOST_LEFT_OUT = 300


class NotDemonstrated(Exception):
    """A task without a demonstration, with the reason."""


class CloneDataModule(EnvironmentDataModule):
    """Batches of one demonstration per task for a `CloneModule`; validation and tests are those of the base class.

    Training tasks are drawn as by ``sampler=uniform``. A task whose demonstration does not pass by its own verdict is
    left out, and the next one is drawn instead. The first one is named in a warning; ``clone/left_out`` is the share of
    the draws that were left out.

    Args:
        arguments, settings: those of `EnvironmentDataModule`. Without rewards to compare, ``advantage``, ``distill``
            and ``sampler`` have no effect.
        demonstrator: makes the actions from the ground truth.
    """

    def __init__(self, *arguments: Any, demonstrator: Demonstrator = Demonstrator(), **settings: Any) -> None:
        super().__init__(*arguments, **settings | {"sampler": TaskStream, "distill": None})
        self._demonstrator = demonstrator
        self._warned, self._left_out_in_a_row = False, 0

    @override
    def _training_batch(self) -> RolloutBatch:
        assert self._stream is not None
        if self.trainer:
            announce_rollout(self.trainer)
        started, environment_before = time.perf_counter(), self.collector.environment_seconds
        demonstrations: list[Trajectory] = []
        drawn = 0
        while len(demonstrations) < self._tasks_per_rank:
            (draw,) = self._stream.draw(1)
            drawn += 1
            try:
                demonstrations.append(self._demonstration(draw))
                self._left_out_in_a_row = 0
            except NotDemonstrated as fault:
                self._leave_out(draw, fault)
        groups = [
            RewardedGroup((shown,), (judge(self.reward, shown),), ((0.0,) * len(shown.turns),))
            for shown in demonstrations
        ]
        return RolloutBatch(
            groups=tuple(groups),
            tensors=train_batch(groups, temperature=1.0),
            refills=0,
            rollout_seconds=time.perf_counter() - started,
            environment_seconds=self.collector.environment_seconds - environment_before,
            fed_tokens=0,
            sampler={"clone/left_out": [1 - len(groups) / drawn]},
        )

    def _demonstration(self, draw: Draw) -> Trajectory:
        request = EpisodeRequest(draw.task, derived_seed(self._seed, draw.position, 0))
        actions = self._demonstrator.actions(draw.task, self.collector.step_limit)
        try:
            shown = self.collector.recite(request, actions)
        except UserError:
            raise
        except ValueError as error:
            raise NotDemonstrated(str(error)) from error
        if shown.truncated or any(step.clipped for step in shown.steps):
            raise NotDemonstrated("it exceeds rollout.max_response_tokens or rollout.max_completion_tokens")
        failed = [number for number, turn in enumerate(shown.turns) if not turn.verdict.passed]
        if failed or not shown.success:
            raise NotDemonstrated(f"its ground truth does not pass (failed turns: {failed})")
        return shown

    def _leave_out(self, draw: Draw, fault: NotDemonstrated) -> None:
        if not self._warned:
            log.warning(
                "task %s is left out of cloning, because %s; clone/left_out counts such tasks", draw.task.id, fault
            )
        self._warned = True
        self._left_out_in_a_row += 1
        if self._left_out_in_a_row == MOST_LEFT_OUT:
            raise UserError(
                f"none of the last {MOST_LEFT_OUT} training tasks can be cloned, the newest, {draw.task.id}, because "
                f"{fault}: give tasks with ground truths that pass, which python tools/check_environment.py reports"
            )
