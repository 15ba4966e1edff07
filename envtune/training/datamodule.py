"""Online rollouts: every training batch is played by the current policy."""

from __future__ import annotations

import itertools
import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

from lightning import LightningDataModule, LightningModule, Trainer
from transformers import PreTrainedModel
from typing_extensions import override

from envtune.checked import Seed, checked
from envtune.derived_seed import derived_seed
from envtune.environment.augmentation.annealed import Annealed
from envtune.environment.augmentation.mixed_groups import Mixed
from envtune.environment.augmentation.none import NoAugmentation
from envtune.environment.interface import TaskSource
from envtune.errors import UserError
from envtune.grpo.advantage import Advantage, compared_by_kind
from envtune.grpo.advantage.group_relative import GroupRelative
from envtune.grpo.settings import GRPOSettings
from envtune.processes.collectives import gather
from envtune.reward.breakdown import Reward, judge
from envtune.reward.progress import ProgressReward
from envtune.rollout.collector import Collector, EpisodeRequest
from envtune.task import Split
from envtune.training.distributed.devices import require_same_device_count
from envtune.training.hindsight import Hindsight, TaughtCalls, taught_calls
from envtune.training.rollout_batch import RewardedGroup, RolloutBatch, ValidationBatch, train_batch
from envtune.training.task_stream import Draw, Stream, StreamFactory, TaskStream
from envtune.trajectory import Trajectory

log = logging.getLogger(__name__)


@checked
class EnvironmentDataModule(LightningDataModule):
    """Play the episodes of an update or a validation, and make batches of them.

    Updates draw an endless stream of training tasks. A Lightning epoch has as many updates as draw each task at least
    once if the sampler is uniform, so its last update may begin the next pass over the tasks. Validation plays every
    validation task once, greedily and without hints; so do ``trainer.test`` and ``trainer.predict`` with the tasks of
    the test split. All randomness derives from ``seed``, the number of drawn tasks and the sampler's state. Checkpoints
    hold these and the state of annealed hints; without such a state every hint is given at first.

    Args:
        tasks: the source of tasks.
        collector: plays episodes.
        reward: judges them.
        grpo: the numbers of an update; the module must have the same ones.
        seed: the seed of the order of tasks and of sampling.
        advantage: estimates the advantages of a group; the method's by default.
        distill: hindsight distillation; None for none.
        sampler: makes the stream from which training tasks are drawn, once the number of ranks is known.
    """

    def __init__(
        self,
        tasks: TaskSource,
        collector: Collector,
        reward: Reward = ProgressReward(),
        grpo: GRPOSettings = GRPOSettings(),
        seed: Seed = 0,
        advantage: Advantage | None = None,
        distill: Hindsight | None = None,
        sampler: StreamFactory = TaskStream,
    ) -> None:
        super().__init__()
        self.source, self.collector, self.reward, self.grpo, self._seed = tasks, collector, reward, grpo, seed
        self.advantage, self._distill = advantage or GroupRelative(), distill
        self._make_stream = sampler
        self._stream: Stream | None = None
        self._drawn_before = 0
        self._sampler_before: dict[str, Any] = {}
        self._members_with_hints = (True,) * grpo.group_size
        if isinstance(collector.augmentation, Mixed):
            self._members_with_hints = collector.augmentation.members_with_hints(grpo.group_size)

    @override
    def train_dataloader(self) -> RolloutLoader:
        tasks = self.source.tasks(Split.TRAIN)
        rank, world_size = self._rank_and_world_size()
        # A second fit, or the loader that Lightning makes for the next epoch, continues the stream.
        self._drawn_before, self._sampler_before = self._drawn, self._sampler_state
        self._stream = self._make_stream(tasks, self._seed, rank, world_size)
        self._stream.drawn = self._drawn_before
        self._stream.load_state_dict(self._sampler_before)
        if self._distill and isinstance(self.collector.augmentation, NoAugmentation):
            log.warning("distill=hindsight teaches nothing with augmentation=none: there are no hints")
        self._tasks_per_rank = _share(self.grpo.tasks_per_update, world_size)
        return RolloutLoader(
            lambda _: self._training_batch(), length=math.ceil(len(tasks) / self.grpo.tasks_per_update)
        )

    @override
    def val_dataloader(self) -> RolloutLoader:
        return self._every_task(Split.VAL)

    @override
    def test_dataloader(self) -> RolloutLoader:
        return self._every_task(Split.TEST)

    @override
    def predict_dataloader(self) -> RolloutLoader:
        return self._every_task(Split.TEST)

    def _every_task(self, split: Split) -> RolloutLoader:
        rank, world_size = self._rank_and_world_size()
        tasks, size = self.source.tasks(split), self.collector.max_episodes
        own = tasks[rank::world_size]
        # The same number on every rank, maybe of an empty last one, because metrics are reduced in collectives.
        chunks = math.ceil(math.ceil(len(tasks) / world_size) / size)

        def play(chunk: int) -> ValidationBatch:
            chosen = enumerate(own[chunk * size : (chunk + 1) * size])
            requests = [EpisodeRequest(task, derived_seed(self._seed, index, 0)) for index, task in chosen]
            played = tuple(self.collector.play(requests, greedy=True, hints=False))
            return ValidationBatch(played, tuple(judge(self.reward, trajectory) for trajectory in played))

        return RolloutLoader(play, length=chunks)

    def updates_of(self, passes: int | None) -> float:
        """Return the smallest number of updates that train on as many groups as ``passes`` over all training tasks.

        None and -1, which a Trainer has without a limit of epochs, are infinitely many.
        """
        if passes in (None, -1):
            return math.inf
        return math.ceil(passes * len(self.source.tasks(Split.TRAIN)) / self.grpo.tasks_per_update)

    def check_devices(self, devices: int) -> None:
        """Raise UserError if the tasks of an update cannot be divided evenly among so many ``devices``."""
        _share(self.grpo.tasks_per_update, devices)

    def check_model(self, model: PreTrainedModel) -> None:
        """Raise UserError if the longest episode or the tokenizer's ids do not fit ``model``."""
        self.collector.check_model(model)

    def update_weights(self, model: PreTrainedModel, policy_version: int) -> None:
        """Sample from ``model`` from now on. A collective."""
        self.collector.generator.update_weights(model, policy_version)

    def domain_of(self, tool: str) -> str | None:
        """Return the domain that a tool's failures are reported under; None for an unknown tool."""
        return self.collector.environment.domain_of(tool)

    @override
    def state_dict(self) -> dict[str, Any]:
        # A collective. The ranks may differ in how many tasks they have drawn, because they refill separately.
        state: dict[str, Any] = {"drawn": gather(self._drawn)}
        if sampler := self._sampler_state:
            state["sampler"] = sampler
        return state | {"hints": self._annealed.state_dict()} if self._annealed else state

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        rank, world_size = self._rank_and_world_size()
        require_same_device_count(len(state_dict["drawn"]), world_size)
        self._drawn_before, self._sampler_before = state_dict["drawn"][rank], state_dict.get("sampler", {})
        if self._stream:
            self._stream.drawn = self._drawn_before
            self._stream.load_state_dict(self._sampler_before)
        if self._distill and isinstance(self.collector.augmentation, NoAugmentation):
            log.warning("distill=hindsight teaches nothing with augmentation=none: there are no hints")
        if self._annealed:
            self._annealed.load_state_dict(state_dict.get("hints", {"recent": []}))

    @property
    def _drawn(self) -> int:
        return self._stream.drawn if self._stream else self._drawn_before

    @property
    def _sampler_state(self) -> dict[str, Any]:
        return self._stream.state_dict() if self._stream else self._sampler_before

    @property
    def _annealed(self) -> Annealed | None:
        augmentation = self.collector.augmentation
        return augmentation if isinstance(augmentation, Annealed) else None

    def _training_batch(self) -> RolloutBatch:
        assert self._stream is not None
        if self.trainer:
            announce_rollout(self.trainer)
        started, environment_before = time.perf_counter(), self.collector.environment_seconds
        fed_before = self.collector.generator.fed_tokens
        hint_probability = self._annealed.probability if self._annealed else None
        draws = self._stream.draw(self._tasks_per_rank)
        groups = self._play_groups(draws)
        refills = 0
        while self.grpo.filter_zero_variance and refills < self.grpo.max_refills:
            missing = self._tasks_per_rank - sum(group.teaches for group in groups)
            if missing <= 0:
                break
            refilled = self._stream.draw(missing)
            draws += refilled
            groups += self._play_groups(refilled)
            refills += 1
        if self._annealed:
            # Gathered, so that hints are annealed equally on all ranks.
            levels = [self._annealed.measured(t) for group in groups for t in group.trajectories]
            self._annealed.observe(level for rank in gather(levels) for level in rank)
        variances = [(draw.index, group.variance) for draw, group in zip(draws, groups, strict=True)]
        sampler = self._stream.observe(variances)
        trained = groups
        if self.grpo.filter_zero_variance:
            trained = sorted(groups, key=lambda group: not group.teaches)
        trained = trained[: self._tasks_per_rank]
        return RolloutBatch(
            groups=tuple(groups),
            tensors=train_batch(trained, self.collector.generator.temperature),
            refills=refills,
            rollout_seconds=time.perf_counter() - started,
            environment_seconds=self.collector.environment_seconds - environment_before,
            fed_tokens=self.collector.generator.fed_tokens - fed_before,
            hint_probability=hint_probability,
            taught=self._taught(trained),
            sampler=sampler,
        )

    def _taught(self, groups: Sequence[RewardedGroup]) -> TaughtCalls | None:
        if self._distill is None:
            return None
        trajectories = [trajectory for group in groups for trajectory in group.trajectories]
        temperature, max_tokens = self.collector.generator.temperature, self.collector.max_tokens
        return taught_calls(trajectories, self._distill.guard, self.collector.template, temperature, max_tokens)

    def _play_groups(self, draws: Sequence[Draw]) -> list[RewardedGroup]:
        size = self.grpo.group_size
        members = itertools.product(draws, enumerate(self._members_with_hints))
        digests = self.advantage.reads_states
        requests = [
            EpisodeRequest(draw.task, derived_seed(self._seed, draw.position, number), hints, digests)
            for draw, (number, hints) in members
        ]
        played = self.collector.play(requests)
        groups = (tuple(played[i : i + size]) for i in range(0, len(played), size))
        return [self._rewarded(group) for group in groups]

    def _rewarded(self, trajectories: tuple[Trajectory, ...]) -> RewardedGroup:
        breakdowns = tuple(judge(self.reward, trajectory) for trajectory in trajectories)
        rewards = [breakdown.total for breakdown in breakdowns]
        advantages = compared_by_kind(self.advantage, trajectories, rewards)
        return RewardedGroup(trajectories, breakdowns, tuple(map(tuple, advantages)))

    def _rank_and_world_size(self) -> tuple[int, int]:
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)


class RolloutLoader:
    """Call ``play`` with the index of each batch, when that batch is needed.

    It needs a length: from a loader without one, Lightning prefetches the next batch before the update, and training
    would be off-policy by one update.
    """

    def __init__(self, play: Callable[[int], Any], length: int) -> None:
        self._play = play
        self._length = length

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Any]:
        return (self._play(index) for index in range(self._length))


def _share(tasks_per_update: int, world_size: int) -> int:
    if tasks_per_update % world_size:
        raise UserError(
            f"grpo.tasks_per_update={tasks_per_update} must be a multiple of the number of devices ({world_size}), "
            "so that all do the same work"
        )
    return tasks_per_update // world_size


@runtime_checkable
class RolloutStart(Protocol):
    """A callback with a hook right before a training rollout, which Lightning does not have.

    ``on_train_batch_end`` comes before the validation and the log of its update, ``on_train_batch_start`` after the
    next rollout.
    """

    def on_rollout_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Run between two updates, before the rollout of the next one."""


def announce_rollout(trainer: Any) -> None:
    """Call ``on_rollout_start`` of the callbacks that have it, in their order."""
    for callback in trainer.callbacks:
        if isinstance(callback, RolloutStart):
            callback.on_rollout_start(trainer, trainer.lightning_module)
