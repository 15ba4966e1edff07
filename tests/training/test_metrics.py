"""Numbers worked out on paper; the trajectories' facts are made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean

import pytest
import torch

from envtune.bfcl.category import Category
from envtune.grpo.batch import TrainBatch
from envtune.reward.breakdown import RewardBreakdown, RewardPart
from envtune.task import Split, ToolCall
from envtune.training.reporting.aggregates import Aggregates
from envtune.training.reporting.metrics import (
    MAXIMA,
    MINIMA,
    completion_lengths,
    group_samples,
    performance_samples,
    split_samples,
    trajectory_samples,
)
from envtune.training.rollout_batch import RewardedGroup, RolloutBatch, reward_matrix
from envtune.trajectory import (
    Action,
    EpisodeEnd,
    FinalAnswer,
    FormatError,
    FormatFault,
    Hint,
    HintKind,
    Step,
    TokenRecord,
    ToolCalls,
    ToolResult,
    Trajectory,
    Turn,
    TurnEnd,
    TurnVerdict,
)

HINT = Hint("rule", HintKind.CONSTRAINT, "Read the rules.")
TOOLBOX_OF = {"ls": "GorillaFileSystem", "add": "MathAPI"}


def result(name: str, ok: bool = True, hint: Hint | None = None) -> ToolResult:
    return ToolResult(ToolCall(name, {}), ok, "", hint)


def calls(*results: ToolResult) -> Step:
    return Step("", ToolCalls("", tuple(one.call for one in results)), results, "")


def says(action: Action, clipped: bool = False) -> Step:
    return Step("", action, (), "", clipped)


ANSWER = says(FinalAnswer("", "Done."))
SLIP = says(FormatError(FormatFault.TOO_LONG, "Too long."), clipped=True)


def episode(
    *turns: Sequence[Step], passed: Sequence[bool], turn_count: int | None = None, mask: str = "", **facts: object
) -> Trajectory:
    """``mask`` marks prompt and observations by dots and sampled tokens by x; only a prompt without it."""
    played = tuple(
        Turn("", (ToolCall("ls", {}),), tuple(steps), TurnEnd.ANSWERED, TurnVerdict(right, right, True, False, True))
        for steps, right in zip(turns, passed, strict=True)
    )
    count = turn_count or len(turns)
    end = EpisodeEnd.TERMINATED if count == len(turns) else EpisodeEnd.STEP_LIMIT
    sampled = tuple(mark == "x" for mark in mask)
    tokens = TokenRecord((0,) * len(mask), sampled, (0.0,) * len(mask), mask.index("x")) if mask else None
    return Trajectory("t", facts.get("category", Category.BASE), count, played, end, tokens=tokens)


def group(rewards: Sequence[float], *trajectories: Trajectory) -> RewardedGroup:
    return RewardedGroup(trajectories, tuple(RewardBreakdown((RewardPart("progress", r),)) for r in rewards))


PERFECT = episode([calls(result("ls")), ANSWER], [ANSWER], passed=[True, True])
HALF = episode([ANSWER], [ANSWER], passed=[True, False])
FAILED = episode([SLIP], passed=[False], turn_count=2)


def test_rewards_spread_and_outcomes_of_groups():
    groups = [
        group([1, 0.5, 0], PERFECT, HALF, FAILED),
        group([1, 1, 1], *[PERFECT] * 3),
        group([0] * 3, *[FAILED] * 3),
    ]
    samples = group_samples(groups)
    assert mean(samples["reward/mean"]) == 0.5
    # Deviations 0.5, 0 and -0.5 with divisor 2: 0.5.
    assert samples["reward/std"] == [0.5, 0, 0]
    assert samples["reward/frac_zero_std"] == [0, 1, 1]
    assert samples["reward/frac_all_fail"] == [0, 0, 1]
    assert samples["reward/frac_all_success"] == [0, 1, 0]
    assert samples["reward/progress"] == [1, 0.5, 0, 1, 1, 1, 0, 0, 0]


def test_parts_of_a_reward_are_shown_before_their_weights():
    breakdown = RewardBreakdown((RewardPart("progress", 0.5, 0.9), RewardPart("format", 1.0, 0.1)))
    samples = group_samples([RewardedGroup((HALF, HALF), (breakdown, breakdown))])
    assert samples["reward/mean"] == pytest.approx([0.55, 0.55])
    assert (samples["reward/progress"], samples["reward/format"]) == ([0.5, 0.5], [1.0, 1.0])


def test_a_batch_without_spread_is_told_by_its_rewards():
    assert group([0.5, 0.5], HALF, HALF).has_zero_variance
    assert not group([0.5, 0.0], HALF, FAILED).has_zero_variance
    assert reward_matrix([group([1, 0.5], PERFECT, HALF), group([0, 0], FAILED, FAILED)]).tolist() == [[1, 0.5], [0, 0]]


def test_what_happened_in_episodes():
    samples = trajectory_samples([PERFECT, HALF, FAILED], TOOLBOX_OF.get)
    assert samples["success"] == [1, 0, 0]
    assert samples["progress/turns_correct"] == [2, 1, 0]
    assert samples["progress/share"] == [1, 0.5, 0]
    assert samples["turns/mean"] == [2, 2, 1]
    assert samples["steps/mean"] == [3, 2, 1]
    assert samples["episode/truncated"] == [0, 0, 1]
    assert samples["tools/call_frequency"] == [1, 0, 0]
    # One of the six steps is clipped and breaks the protocol.
    assert mean(samples["completions/clipped_ratio"]) == pytest.approx(1 / 6)
    assert mean(samples["format/valid_rate"]) == pytest.approx(5 / 6)


def test_a_completion_is_one_run_of_sampled_tokens():
    first, second = (episode([ANSWER], passed=[True], mask=mask) for mask in ("...xx.xxxx", ".x"))
    assert first.tokens is not None
    assert completion_lengths(first.tokens) == [2, 4]
    aggregates = Aggregates(MINIMA, MAXIMA)
    aggregates.add(trajectory_samples([first, second], TOOLBOX_OF.get))
    values = aggregates.pop()
    assert [values[f"completions/{kind}_length"] for kind in ("mean", "min", "max")] == [pytest.approx(7 / 3), 1, 4]


def test_failures_are_counted_over_calls_and_by_toolbox():
    played = episode(
        [calls(result("ls"), result("ls", ok=False), result("add")), calls(result("fly", ok=False)), ANSWER],
        passed=[True],
    )
    samples = trajectory_samples([played], TOOLBOX_OF.get)
    assert samples["tools/call_frequency"] == [4]
    assert samples["tools/failure_frequency"] == [0, 1, 0, 1]
    assert samples["tools/GorillaFileSystem/failure"] == [0, 1]
    assert samples["tools/MathAPI/failure"] == [0]
    assert samples["tools/unknown_tool/failure"] == [1]


def test_a_hint_helped_if_the_tools_next_attempt_succeeds_and_not_if_there_is_none():
    hinted = result("ls", ok=False, hint=HINT)
    played = episode(
        [calls(hinted, result("add")), calls(hinted), ANSWER],
        [calls(result("add", ok=False), result("ls")), calls(hinted), ANSWER],
        passed=[False, True],
    )
    samples = trajectory_samples([played], TOOLBOX_OF.get)
    # Four failures, three of them hinted: the first is followed by a failure, the second by a success, the third by
    # nothing.
    assert samples["env/hint_rate"] == [1, 1, 0, 1]
    assert samples["env/recovery_after_hint"] == [0, 1, 0]


def test_validation_is_reported_overall_and_by_category():
    other = episode([ANSWER], [ANSWER], passed=[True, True], category=Category.MISS_FUNC)
    samples = split_samples(Split.VAL, [PERFECT, HALF, other])
    assert samples == {
        "val/success/overall": [1, 0, 1],
        "val/progress/overall": [1, 0.5, 1],
        "val/success/base": [1, 0],
        "val/progress/base": [1, 0.5],
        "val/success/miss_func": [1],
        "val/progress/miss_func": [1],
    }


def test_where_the_time_of_an_update_went():
    # A group of three episodes on a prompt of 4 tokens, trained on; one of two on a prompt of 2 that was filtered out.
    steps_of = {"....xx": [ANSWER], "....x.xx": [SLIP, ANSWER], "....x": [ANSWER]}
    trained = [episode(steps, passed=[True], mask=mask) for mask, steps in steps_of.items()]
    filtered = [episode([ANSWER], passed=[True], mask="..x")] * 2
    batch = RolloutBatch(
        groups=(group([1, 0, 0], *trained), group([0, 0], *filtered)),
        tensors=TrainBatch.from_trajectories(trained, torch.tensor([[1.0, 0.0, 0.0]]), pad_id=0, temperature=1.0),
        refills=1,
        rollout_seconds=4.0,
        environment_seconds=1.0,
        fed_tokens=30,
    )
    phases = {"policy": 0.5, "reference": 0.25, "backward": 1.0, "wait": 1.5, "update": 2.0}
    values = {n: v for n, (v,) in performance_samples(batch, phases, sync=0.5, other=3.0).items()}
    seconds = {name.removeprefix("time/"): value for name, value in values.items() if name.startswith("time/")}
    assert seconds == {
        "sync": 0.5,
        "rollout": 4.0,
        "env": 1.0,
        "wait": 1.5,
        "logprob": 0.75,
        "reference": 0.25,
        "backward": 1.0,
        "update": 2.0,
        "other": 3.0,
    }
    # Sync, rollout, wait and update; the rows are 6, 8 and 5 tokens long, of which 3 times 4 are the prompt.
    assert values["perf/step_time"] == 8.0
    assert values["perf/tokens_per_s"] == pytest.approx(19 / 8.0)
    assert values["perf/update_tokens_per_s"] == 11 / 2
    assert values["perf/prompt_sharing"] == pytest.approx(19 / 11)
    # EngineCompletion are 2 + 3 + 1 and 1 + 1 tokens; beside the 11 of the first group the other has 2 + 1 + 1.
    assert values["perf/sampled_tokens_per_s"] == 8 / 4
    assert values["perf/fed_ratio"] == 30 / 15
