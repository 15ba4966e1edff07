from __future__ import annotations

import re
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from toy_world import ANSWER, MKDIR, PERFECT, TWICE, ScriptedGenerator, ToyTasks, always, toy_collector

from envtune.environment.augmentation.actionable import Actionable
from envtune.environment.augmentation.annealed import Annealed
from envtune.environment.augmentation.mixed_groups import Mixed
from envtune.environment.augmentation.none import NoAugmentation
from envtune.errors import UserError
from envtune.grpo.settings import GRPOSettings
from envtune.reward import ProgressReward, RewardBreakdown, RewardPart
from envtune.training.datamodule import EnvironmentDataModule, RolloutLoader, _share
from envtune.training.rollout_batch import RewardedGroup, RolloutBatch
from envtune.training.task_stream import TaskStream
from envtune.training.variance_stream import VarianceStream
from envtune.trajectory import Trajectory


def datamodule_of(
    tokenizer: Any,
    script: Any = None,
    train: int = 4,
    val: int = 2,
    seed: int = 0,
    augmentation: Any = None,
    sampler: Any = TaskStream,
    **grpo: Any,
) -> EnvironmentDataModule:
    generator = ScriptedGenerator(tokenizer, script or always(PERFECT))
    collector = toy_collector(tokenizer, generator, augmentation, max_episodes=3)
    settings = GRPOSettings(**({"group_size": 2, "tasks_per_update": 2} | grpo))
    return EnvironmentDataModule(ToyTasks(train, val), collector, ProgressReward(), settings, seed, sampler=sampler)


class Unbounded:
    """A reward of the user's own with a mistake in it."""

    def __call__(self, trajectory: Trajectory) -> RewardBreakdown:
        return RewardBreakdown((RewardPart("progress", 1.0), RewardPart("luck", float("inf"))))


def generator_of(datamodule: EnvironmentDataModule) -> ScriptedGenerator:
    assert isinstance(datamodule.collector.generator, ScriptedGenerator)
    return datamodule.collector.generator


def varied(tasks: Sequence[int]) -> Any:
    """In these tasks, about half of the episodes make the folder; no other episode ever does."""

    def script(users: Sequence[str], seed: int) -> str:
        number = int(users[0].split(":")[0].removeprefix("Task "))
        return MKDIR if len(users) == 1 and number in tasks and seed % 2 else ANSWER

    return script


def task_ids(groups: Sequence[RewardedGroup]) -> list[str]:
    return [group.trajectories[0].task_id for group in groups]


def test_a_batch_is_played_only_when_it_is_asked_for(tokenizer: Any):
    datamodule = datamodule_of(tokenizer)
    loader = datamodule.train_dataloader()
    generator = generator_of(datamodule)
    assert len(loader) == 2
    batches = iter(loader)
    assert generator.calls == []
    for version in range(2):
        generator.policy_version = version
        batch = next(batches)
        assert batch.tensors.policy_versions.tolist() == [version] * 4
    assert next(batches, None) is None


def test_a_batch_holds_groups_of_one_task_in_the_order_of_its_tensors(tokenizer: Any):
    batch = next(iter(datamodule_of(tokenizer, varied(range(4)), group_size=4).train_dataloader()))
    assert isinstance(batch, RolloutBatch)
    assert [len({t.task_id for t in group.trajectories}) for group in batch.groups] == [1, 1]
    assert len(set(task_ids(batch.groups))) == 2
    advantages = [turns[0] for group in batch.groups for turns in group.advantages]
    first = (batch.tensors.episodes.bincount().cumsum(0) - 1).tolist()
    assert batch.tensors.advantages[first].tolist() == pytest.approx(advantages)
    trajectories = [trajectory for group in batch.groups for trajectory in group.trajectories]
    assert batch.tensors.lengths.tolist() == [len(t.tokens.ids) for t in trajectories if t.tokens]
    assert len({trajectory.seed for trajectory in trajectories}) == 8
    assert (batch.refills, batch.tensors.temperature) == (0, 1.0)
    assert batch.rollout_seconds > batch.environment_seconds > 0


def test_a_reward_that_is_not_a_number_is_reported_with_task_and_part(tokenizer: Any):
    datamodule = datamodule_of(tokenizer)
    datamodule.reward = Unbounded()
    with pytest.raises(UserError) as error:
        next(iter(datamodule.train_dataloader()))
    assert re.fullmatch(
        r"the reward Unbounded, for an episode of toy_\d: part 'luck' has the value inf \(float\): give a finite "
        r"number of at most 1e\+30",
        str(error.value),
    )


def test_validation_has_the_reward_of_the_stage(tokenizer: Any):
    datamodule = datamodule_of(tokenizer)
    datamodule.reward = lambda trajectory: RewardBreakdown((RewardPart("seed", trajectory.seed / 2**64),))
    (batch,) = datamodule.val_dataloader()
    assert [breakdown.total for breakdown in batch.breakdowns] == [t.seed / 2**64 for t in batch.trajectories]


def test_passes_are_counted_in_groups_and_not_in_whole_epochs(tokenizer: Any):
    # Five tasks, two in each update: 2.5, 5 and 7.5 updates.
    datamodule = datamodule_of(tokenizer, train=5)
    assert [datamodule.updates_of(passes) for passes in (1, 2, 3)] == [3, 5, 8]
    assert datamodule.updates_of(None) == datamodule.updates_of(-1) == float("inf")


def test_an_epoch_draws_every_task_at_least_once(tokenizer: Any):
    loader = datamodule_of(tokenizer, train=5).train_dataloader()
    assert len(loader) == 3
    played = [task for batch in loader for task in task_ids(batch.groups)]
    assert len(played) == 6
    assert set(played) == {f"toy_{number}" for number in range(5)}


def test_the_filter_refills_until_enough_groups_have_variance(tokenizer: Any):
    datamodule = datamodule_of(
        tokenizer, varied([0, 1]), group_size=8, tasks_per_update=2, filter_zero_variance=True, max_refills=9
    )
    for batch in datamodule.train_dataloader():
        with_variance = [group for group in batch.groups if not group.has_zero_variance]
        assert set(task_ids(with_variance)) <= {"toy_0", "toy_1"}
        assert len(with_variance) == 2
        assert len(batch.tensors) == 16
        assert (batch.tensors.advantages != 0).all()
        assert (batch.refills > 0) == (len(batch.groups) > 2)


def test_refills_are_bounded_and_the_number_of_trained_groups_is_constant(tokenizer: Any):
    # No group ever has variance: two rounds of two tasks each replace the first two, and two of the six are trained on.
    datamodule = datamodule_of(tokenizer, filter_zero_variance=True, max_refills=2)
    batch = next(iter(datamodule.train_dataloader()))
    assert batch.refills == 2
    assert len(batch.groups) == 6
    assert len(batch.tensors) == 4
    assert set(batch.tensors.advantages.tolist()) == {0.0}
    assert datamodule.state_dict() == {"drawn": [6]}


def test_a_group_with_variance_is_trained_on_before_one_without(tokenizer: Any):
    datamodule = datamodule_of(
        tokenizer, varied([2]), group_size=8, tasks_per_update=1, filter_zero_variance=True, max_refills=3
    )
    batch = next(iter(datamodule.train_dataloader()))
    order = task_ids(batch.groups)
    assert order[-1] == "toy_2"
    assert batch.refills == len(order) - 1
    assert batch.tensors.advantages.abs().min() > 0


def test_without_the_filter_nothing_is_refilled(tokenizer: Any):
    batch = next(iter(datamodule_of(tokenizer).train_dataloader()))
    assert (batch.refills, len(batch.groups)) == (0, 2)


def test_a_restored_datamodule_continues_the_saved_stream(tokenizer: Any):
    saved = datamodule_of(tokenizer, train=6)
    batches = iter(saved.train_dataloader())
    next(batches)
    state = saved.state_dict()
    assert state == {"drawn": [2]}
    expected = next(batches).groups

    before, behind = datamodule_of(tokenizer, train=6), datamodule_of(tokenizer, train=6)
    before.load_state_dict(state)
    assert before.state_dict() == state
    assert next(iter(before.train_dataloader())).groups == expected
    loader = behind.train_dataloader()
    behind.load_state_dict(state)
    assert next(iter(loader)).groups == expected


def test_a_loader_that_is_made_again_does_not_repeat_tasks(tokenizer: Any):
    datamodule = datamodule_of(tokenizer, train=4)
    first = task_ids(next(iter(datamodule.train_dataloader())).groups)
    second = task_ids(next(iter(datamodule.train_dataloader())).groups)
    assert sorted(first + second) == ["toy_0", "toy_1", "toy_2", "toy_3"]


def test_the_seed_decides_tasks_and_episodes(tokenizer: Any):
    one, same, other = (
        next(iter(datamodule_of(tokenizer, train=6, seed=seed).train_dataloader())).groups for seed in (0, 0, 1)
    )
    assert one == same
    assert {t.seed for g in one for t in g.trajectories}.isdisjoint({t.seed for g in other for t in g.trajectories})


def test_validation_plays_every_task_once_greedily_and_can_be_repeated(tokenizer: Any):
    datamodule = datamodule_of(tokenizer, val=4)
    loader = datamodule.val_dataloader()
    # Three episodes at a time.
    assert len(loader) == 2
    first, second = (list(loader), list(loader))
    ids = [[trajectory.task_id for trajectory in batch.trajectories] for batch in first]
    assert ids == [["toy_4", "toy_5", "toy_6"], ["toy_7"]]
    assert first == second
    assert all(generator_of(datamodule).greedy)
    assert datamodule.state_dict() == {"drawn": [0]}


def on_rank(monkeypatch: pytest.MonkeyPatch, datamodule: EnvironmentDataModule, rank: int, drawn: list[int]) -> None:
    """One of ``len(drawn)``, of which each has drawn as many tasks as ``drawn`` says."""
    datamodule.trainer = SimpleNamespace(global_rank=rank, world_size=len(drawn))  # type: ignore[assignment]
    monkeypatch.setattr("envtune.training.datamodule.gather", lambda _: drawn)


def test_ranks_validate_in_the_same_number_of_batches(tokenizer: Any, monkeypatch: pytest.MonkeyPatch):
    # Three episodes at a time, and seven tasks: four for the first rank, three for the second.
    played = []
    for rank in range(2):
        datamodule = datamodule_of(tokenizer, val=7)
        on_rank(monkeypatch, datamodule, rank, [0, 0])
        played.append([[t.task_id for t in batch.trajectories] for batch in datamodule.val_dataloader()])
    assert played == [[["toy_4", "toy_6", "toy_8"], ["toy_10"]], [["toy_5", "toy_7", "toy_9"], []]]


def test_every_rank_resumes_its_own_stream(tokenizer: Any, monkeypatch: pytest.MonkeyPatch):
    states = []
    for rank in range(2):
        datamodule = datamodule_of(tokenizer)
        on_rank(monkeypatch, datamodule, rank, [4, 6])
        datamodule.load_state_dict({"drawn": [4, 6]})
        states.append(datamodule._drawn)
        assert datamodule.state_dict() == {"drawn": [4, 6]}
        with pytest.raises(UserError, match=r"^the checkpoint was saved on 3 devices, but this run has 2"):
            datamodule.load_state_dict({"drawn": [4, 6, 2]})
    assert states == [4, 6]


def test_a_tool_is_reported_under_the_domain_that_its_environment_names(tokenizer: Any):
    domain_of = datamodule_of(tokenizer).domain_of
    assert [domain_of(tool) for tool in ("mkdir", "book_flight", "fly")] == ["GorillaFileSystem", "TravelAPI", None]


def test_devices_share_the_tasks_of_an_update_evenly():
    assert _share(6, 3) == 2
    with pytest.raises(UserError, match=r"grpo.tasks_per_update=6 must be a multiple of the number of devices \(4\)"):
        _share(6, 4)


def test_a_loader_counts_its_batches():
    loader = RolloutLoader(lambda index: index * index, length=3)
    assert list(loader) == list(loader) == [0, 1, 4]
    assert len(loader) == 3


def test_a_batch_moves_its_tensors(tokenizer: Any):
    batch = next(iter(datamodule_of(tokenizer).train_dataloader()))
    moved = batch.to(torch.device("meta"), non_blocking=True)
    assert moved.tensors.ids.device.type == "meta"
    assert moved.groups is batch.groups


def hints_of(batch: RolloutBatch) -> list[bool]:
    trajectories = [trajectory for group in batch.groups for trajectory in group.trajectories]
    return [result.hint is not None for t in trajectories for result in t.results if not result.ok]


def test_training_plays_with_hints_and_validation_without(tokenizer: Any):
    datamodule = datamodule_of(tokenizer, always(TWICE), augmentation=Actionable())
    assert hints_of(next(iter(datamodule.train_dataloader()))) == [True] * 4
    (validation,) = datamodule.val_dataloader()
    failures = [result for t in validation.trajectories for result in t.results if not result.ok]
    assert [result.hint for result in failures] == [None, None]


def test_annealed_hints_follow_the_success_of_earlier_rollouts(tokenizer: Any):
    datamodule = datamodule_of(tokenizer, always(TWICE), augmentation=Annealed(Actionable(), 8, "success", 0.0, 1.0))
    first, second = datamodule.train_dataloader()
    # Every episode succeeds, so that the level is 1 after the first rollout.
    assert (first.hint_probability, hints_of(first)) == (1.0, [True] * 4)
    assert (second.hint_probability, hints_of(second)) == (0.0, [False] * 4)
    assert datamodule.state_dict() == {"drawn": [4], "hints": {"recent": [1.0] * 8}}


def test_refilled_rounds_are_played_at_the_probability_of_the_first_and_all_of_them_count(tokenizer: Any):
    annealed = Annealed(Actionable(), 100, "success", 0.0, 1.0)
    settings = {"filter_zero_variance": True, "max_refills": 2}
    datamodule = datamodule_of(tokenizer, always(TWICE), augmentation=annealed, **settings)
    batch = next(iter(datamodule.train_dataloader()))
    # Three rounds of two groups of two, none of them with variance.
    assert hints_of(batch) == [True] * 12
    assert len(datamodule.state_dict()["hints"]["recent"]) == 12


def test_validation_does_not_anneal(tokenizer: Any):
    datamodule = datamodule_of(tokenizer, augmentation=Annealed(Actionable(), 8, "success", 0.0, 1.0))
    assert list(datamodule.val_dataloader())
    assert datamodule.state_dict()["hints"] == {"recent": []}


def annealed_halfway(tokenizer: Any) -> EnvironmentDataModule:
    """By seed, an episode does nothing, or all with one failure: success of about one half."""

    def script(users: Sequence[str], seed: int) -> str:
        begun = any("mkdir" in text for text in users)
        return TWICE[len(users) - 1] if begun or (len(users) == 1 and seed % 2) else ANSWER

    annealed = Annealed(Actionable(), 16, "success", 0.0, 1.0)
    return datamodule_of(tokenizer, script, train=40, augmentation=annealed, group_size=4, tasks_per_update=4)


def test_a_restored_run_draws_the_same_hints(tokenizer: Any):
    saved, restored = annealed_halfway(tokenizer), annealed_halfway(tokenizer)
    batches = iter(saved.train_dataloader())
    next(batches)
    restored.load_state_dict(saved.state_dict())
    for expected, batch in zip(batches, restored.train_dataloader(), strict=False):
        assert (batch.groups, batch.hint_probability) == (expected.groups, expected.hint_probability)
        assert 0.0 < batch.hint_probability < 1.0
    assert restored.state_dict() == saved.state_dict()
    assert {True, False} <= set(hints_of(expected))


def test_a_checkpoint_without_annealed_hints_begins_with_every_hint(tokenizer: Any):
    datamodule = annealed_halfway(tokenizer)
    next(iter(datamodule.train_dataloader()))
    datamodule.load_state_dict({"drawn": [2]})
    assert datamodule.state_dict() == {"drawn": [2], "hints": {"recent": []}}
    assert next(iter(datamodule.train_dataloader())).hint_probability == 1.0


def test_a_checkpoint_with_annealed_hints_is_read_by_a_run_without_them(tokenizer: Any):
    datamodule = datamodule_of(tokenizer, augmentation=Actionable())
    datamodule.load_state_dict({"drawn": [2], "hints": {"recent": [1.0]}})
    assert datamodule.state_dict() == {"drawn": [2]}


def kinds_of(batch: RolloutBatch) -> list[list[bool]]:
    return [[trajectory.hints for trajectory in group.trajectories] for group in batch.groups]


def test_with_mixed_hints_the_last_members_of_every_group_play_without(tokenizer: Any):
    mixed = Mixed(Actionable(), 0.5)
    datamodule = datamodule_of(tokenizer, always(TWICE), augmentation=mixed, group_size=4)
    plain = datamodule_of(tokenizer, always(TWICE), augmentation=Actionable(), group_size=4)
    for batch, other in zip(datamodule.train_dataloader(), plain.train_dataloader(), strict=True):
        # Every episode has one failure, and the seeds are those of a run with hints for all.
        assert hints_of(batch) == [True, True, False, False] * 2
        assert kinds_of(batch) == [[True, True, False, False]] * 2
        assert kinds_of(other) == [[True] * 4] * 2
        seeds = [[[t.seed for t in group.trajectories] for group in played.groups] for played in (batch, other)]
        assert seeds[0] == seeds[1]
    (validation,) = datamodule.val_dataloader()
    assert [trajectory.hints for trajectory in validation.trajectories] == [False, False]


def test_refilled_groups_have_both_kinds_as_well(tokenizer: Any):
    settings = {"filter_zero_variance": True, "max_refills": 2, "group_size": 5}
    datamodule = datamodule_of(tokenizer, always(TWICE), augmentation=Mixed(Actionable(), 0.4), **settings)
    batch = next(iter(datamodule.train_dataloader()))
    assert batch.refills == 2
    assert kinds_of(batch) == [[True, True, True, False, False]] * 6


def test_without_augmentation_no_hint_could_be_given(tokenizer: Any):
    batch = next(iter(datamodule_of(tokenizer, augmentation=NoAugmentation()).train_dataloader()))
    assert kinds_of(batch) == [[False] * 2] * 2


def test_a_group_too_small_for_both_kinds_is_refused_before_anything_is_played(tokenizer: Any):
    with pytest.raises(UserError, match=r"grpo\.group_size=3 makes 2 members without hints and 1 with them"):
        datamodule_of(tokenizer, augmentation=Mixed(Actionable(), 0.5), group_size=3)


def halved(users: Sequence[str], seed: int) -> str:
    """In every task, about half of the episodes make the folder."""
    return varied(range(40))(users, seed)


def test_the_sampler_records_the_variance_of_every_group_that_was_played(tokenizer: Any):
    # Of two rewards, 0 and 0.5, the population variance is 1/16; of two equal ones it is 0.
    datamodule = datamodule_of(tokenizer, halved, train=40, sampler=VarianceStream, tasks_per_update=8)
    batch = next(iter(datamodule.train_dataloader()))
    variances = {}
    for task, group in zip(task_ids(batch.groups), batch.groups, strict=True):
        variances[task] = 1 / 16 if sorted(group.rewards) == [0.0, 0.5] else 0.0
    state = datamodule.state_dict()["sampler"]
    assert {f"toy_{index}": v for index, v in zip(state["seen"], state["variance"], strict=True)} == variances
    assert set(variances.values()) == {0.0, 1 / 16}
    assert batch.sampler == {"sampler/aged": [0.0] * 8, "sampler/new": [1.0] * 8, "sampler/variance": []}


@pytest.mark.parametrize("filtered", [False, True])
def test_a_restored_run_draws_the_same_tasks_by_their_variance(tokenizer: Any, filtered: bool):
    def datamodule() -> EnvironmentDataModule:
        settings = {"train": 40, "sampler": VarianceStream, "tasks_per_update": 4, "filter_zero_variance": filtered}
        return datamodule_of(tokenizer, halved, **settings)

    saved, before, behind = datamodule(), datamodule(), datamodule()
    batches = iter(saved.train_dataloader())
    next(batches), next(batches)
    state = saved.state_dict()
    before.load_state_dict(state)
    assert before.state_dict() == state
    loader = behind.train_dataloader()
    behind.load_state_dict(state)
    expected = [next(batches) for _ in range(4)]
    assert any(0.0 < sum(batch.sampler["sampler/new"]) < len(batch.groups) for batch in expected)
    for one, other, again in zip(expected, before.train_dataloader(), loader, strict=False):
        assert one.groups == other.groups == again.groups
        assert one.sampler == other.sampler == again.sampler
    # A second fit continues as well.
    assert next(iter(saved.train_dataloader())).groups == next(iter(before.train_dataloader())).groups


def test_the_sampler_records_the_groups_of_refills_under_their_own_tasks(tokenizer: Any):
    settings = {"tasks_per_update": 8, "filter_zero_variance": True, "max_refills": 1}
    datamodule = datamodule_of(tokenizer, halved, train=40, sampler=VarianceStream, **settings)
    batch = next(iter(datamodule.train_dataloader()))
    assert len(batch.groups) > 8
    state = datamodule.state_dict()["sampler"]
    varied_tasks = {f"toy_{index}" for index, v in zip(state["seen"], state["variance"], strict=True) if v}
    assert varied_tasks == {group.trajectories[0].task_id for group in batch.groups if not group.has_zero_variance}


def test_a_checkpoint_of_another_sampler_is_read(tokenizer: Any):
    uniform, varying = datamodule_of(tokenizer), datamodule_of(tokenizer, sampler=VarianceStream)
    next(iter(varying.train_dataloader()))
    uniform.load_state_dict(varying.state_dict())
    next(iter(uniform.train_dataloader()))
    assert uniform.state_dict() == {"drawn": [4]}
    varying.load_state_dict(uniform.state_dict())
    assert varying.state_dict()["sampler"]["seen"] == []
    assert next(iter(varying.train_dataloader())).sampler["sampler/new"] == [1.0, 1.0]
