"""Plays the environment online: every training batch is a fresh rollout of the policy as it is now."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import numpy as np
from lightning import LightningDataModule, LightningModule, Trainer

from envtune.checked import Seed, checked
from envtune.data.bfcl import tool_documents
from envtune.environment.augmentation.annealed import Annealed
from envtune.environment.worlds import TOOLBOXES
from envtune.errors import UserError
from envtune.grpo.batch import TrainBatch
from envtune.grpo.settings import GRPOSettings
from envtune.processes.collectives import gather
from envtune.reward.breakdown import Reward, judge
from envtune.rollout.collector import Collector, EpisodeRequest
from envtune.task import Split, Task
from envtune.training.distributed.devices import require_as_many_devices
from envtune.training.rollout_batch import RewardedGroup, RolloutBatch, ValidationBatch, reward_matrix
from envtune.training.task_stream import Draw, TaskStream
from envtune.trajectory import Trajectory

# Padding is masked everywhere; any id that every vocabulary has will do.
PAD_ID = 0


class TaskSource(Protocol):
    """Where tasks come from: `envtune.data.bfcl.BFCL`, `envtune.playground.source.Playground`, or your own.

    The tasks of a split may be made as they are asked for; only those that are drawn are.
    """

    def tasks(self, split: Split) -> Sequence[Task]: ...

    def describe(self) -> dict[str, Any]:
        """What must be known to draw the same tasks again: versions, split, seeds, ids or sizes."""
        ...


@checked
class EnvironmentDataModule(LightningDataModule):
    """Tasks -> rollout -> reward -> batch.

    A training epoch has as many updates as it takes to draw every task once. Validation plays every validation task
    once, greedily and without hints. All randomness comes from ``seed`` and from how many tasks were drawn, which is
    saved with checkpoints; so is the state of annealed hints. A checkpoint without one begins with every hint.
    """

    def __init__(
        self, tasks: TaskSource, collector: Collector, reward: Reward, grpo: GRPOSettings, seed: Seed = 0
    ) -> None:
        super().__init__()
        self.source = tasks
        self.collector = collector
        self.reward = reward
        self.grpo = grpo
        self._seed = seed
        self._stream: TaskStream | None = None
        self._drawn_before = 0

    def train_dataloader(self) -> RolloutLoader:
        tasks = self.source.tasks(Split.TRAIN)
        rank, world_size = self._rank_and_world_size()
        # A second fit, or a loader that Lightning makes anew each epoch, goes on where the last one stood.
        self._drawn_before = self._drawn
        self._stream = TaskStream(tasks, self._seed, rank, world_size)
        self._stream.drawn = self._drawn_before
        self._tasks_per_rank = _share(self.grpo.tasks_per_update, world_size)
        return RolloutLoader(lambda _: self._rollout(), length=math.ceil(len(tasks) / self.grpo.tasks_per_update))

    def val_dataloader(self) -> RolloutLoader:
        rank, world_size = self._rank_and_world_size()
        tasks, size = self.source.tasks(Split.VAL), self.collector.max_episodes
        own = tasks[rank::world_size]
        # As many on every rank, the last maybe empty: one without any would not come to where numbers are reduced.
        chunks = math.ceil(math.ceil(len(tasks) / world_size) / size)
        return RolloutLoader(lambda i: self._play_greedily(own[i * size : (i + 1) * size]), length=chunks)

    def check_devices(self, devices: int) -> None:
        """Raises UserError if an update's tasks cannot be shared evenly by so many."""
        _share(self.grpo.tasks_per_update, devices)

    @cached_property
    def toolbox_of(self) -> dict[str, str]:
        """The class of each tool that there is, by the tool's name. No task is asked for it."""
        return {tool.name: toolbox for toolbox in TOOLBOXES for tool in tool_documents(toolbox)}

    def state_dict(self) -> dict[str, Any]:
        """``drawn`` counts the tasks of each rank, of which one may need more refills than another.

        All ranks must call this together, as they do when Lightning saves.
        """
        state: dict[str, Any] = {"drawn": gather(self._drawn)}
        return state | {"hints": self._annealed.state_dict()} if self._annealed else state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        rank, world_size = self._rank_and_world_size()
        require_as_many_devices(len(state_dict["drawn"]), world_size)
        self._drawn_before = state_dict["drawn"][rank]
        if self._stream:
            self._stream.drawn = self._drawn_before
        if self._annealed:
            self._annealed.load_state_dict(state_dict.get("hints", {"recent": []}))

    @property
    def _drawn(self) -> int:
        return self._stream.drawn if self._stream else self._drawn_before

    @property
    def _annealed(self) -> Annealed | None:
        augmentation = self.collector.augmentation
        return augmentation if isinstance(augmentation, Annealed) else None

    def _rollout(self) -> RolloutBatch:
        if self.trainer:
            announce_rollout(self.trainer)
        started, environment_before = time.perf_counter(), self.collector.environment_seconds
        fed_before = self.collector.generator.fed_tokens
        hint_probability = self._annealed.probability if self._annealed else None
        groups = self._play_groups(self._tasks_per_rank)
        refills = 0
        while self.grpo.filter_zero_variance and refills < self.grpo.max_refills:
            missing = self._tasks_per_rank - sum(not group.has_zero_variance for group in groups)
            if missing <= 0:
                break
            groups += self._play_groups(missing)
            refills += 1
        self._observe(groups)
        trained = self._choose(groups)
        tensors = TrainBatch.from_trajectories(
            [trajectory for group in trained for trajectory in group.trajectories],
            reward_matrix(trained),
            PAD_ID,
            self.collector.generator.temperature,
        )
        return RolloutBatch(
            groups=tuple(groups),
            tensors=tensors,
            refills=refills,
            rollout_seconds=time.perf_counter() - started,
            environment_seconds=self.collector.environment_seconds - environment_before,
            fed_tokens=self.collector.generator.fed_tokens - fed_before,
            hint_probability=hint_probability,
        )

    def _observe(self, groups: Sequence[RewardedGroup]) -> None:
        """Tells annealed hints how the episodes of all devices went, and all devices the same."""
        if self._annealed:
            levels = [self._annealed.measured(t) for group in groups for t in group.trajectories]
            self._annealed.observe(level for rank in gather(levels) for level in rank)

    def _choose(self, groups: list[RewardedGroup]) -> list[RewardedGroup]:
        """The groups to train on, always as many: with the filter, those with variance first."""
        if self.grpo.filter_zero_variance:
            groups = sorted(groups, key=lambda group: group.has_zero_variance)
        return groups[: self._tasks_per_rank]

    def _play_groups(self, count: int) -> list[RewardedGroup]:
        assert self._stream is not None
        size = self.grpo.group_size
        draws = self._stream.draw(count)
        requests = [self._request(draw, member) for draw in draws for member in range(size)]
        played = self.collector.play(requests)
        return [self._rewarded(played[i : i + size]) for i in range(0, len(played), size)]

    def _request(self, draw: Draw, member: int) -> EpisodeRequest:
        return EpisodeRequest(draw.task, _seed_of(self._seed, draw.position, member))

    def _rewarded(self, trajectories: Sequence[Trajectory]) -> RewardedGroup:
        return RewardedGroup(tuple(trajectories), tuple(judge(self.reward, trajectory) for trajectory in trajectories))

    def _play_greedily(self, tasks: Sequence[Task]) -> ValidationBatch:
        requests = [EpisodeRequest(task, _seed_of(self._seed, index, 0)) for index, task in enumerate(tasks)]
        return ValidationBatch(tuple(self.collector.play(requests, greedy=True, hints=False)))

    def _rank_and_world_size(self) -> tuple[int, int]:
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)


class RolloutLoader:
    """Calls ``play`` with each batch's index, when the batch is asked for.

    Has a length on purpose: from a loader without one, Lightning fetches the next batch before the update, and
    training would run one update off-policy.
    """

    def __init__(self, play: Callable[[int], Any], length: int) -> None:
        self._play = play
        self._length = length

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Any]:
        return (self._play(index) for index in range(self._length))


def _seed_of(*parts: int) -> int:
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> 1)


def _share(tasks_per_update: int, world_size: int) -> int:
    if tasks_per_update % world_size:
        raise UserError(
            f"grpo.tasks_per_update={tasks_per_update} must be a multiple of the number of devices ({world_size}), "
            "so that all do the same work"
        )
    return tasks_per_update // world_size


@runtime_checkable
class RolloutStart(Protocol):
    """A callback with this method is called right before a training rollout begins.

    Lightning has no hook there: ``on_train_batch_end`` comes before the validation and the logged row of its update,
    ``on_train_batch_start`` when the next rollout has been played.
    """

    def on_rollout_start(self, trainer: Trainer, module: LightningModule) -> None: ...


def announce_rollout(trainer: Any) -> None:
    """Calls the callbacks of ``trainer`` that wait for a rollout, in their order."""
    for callback in trainer.callbacks:
        if isinstance(callback, RolloutStart):
            callback.on_rollout_start(trainer, trainer.lightning_module)
