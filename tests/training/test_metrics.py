"""Numbers worked out on paper; the trajectories' facts are made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import mean

import pytest

from envtune.bfcl.category import Category
from envtune.diagnosis import Diagnosis
from envtune.grpo.batch import TrainBatch
from envtune.reward.breakdown import RewardBreakdown, RewardPart
from envtune.task import Split, ToolCall
from envtune.training.reporting.aggregates import Aggregates, Samples
from envtune.training.reporting.metrics import (
    MAXIMA,
    MINIMA,
    group_samples,
    performance_samples,
    split_samples,
    trajectory_samples,
)
from envtune.training.rollout_batch import RewardedGroup, RolloutBatch, ValidationBatch
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


WORTHLESS = RewardBreakdown((RewardPart("progress", 0.0),))


def group(rewards: Sequence[float], *trajectories: Trajectory) -> RewardedGroup:
    advantages = tuple((0.0,) * len(trajectory.turns) for trajectory in trajectories)
    return RewardedGroup(
        trajectories, tuple(RewardBreakdown((RewardPart("progress", r),)) for r in rewards), advantages
    )


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
    samples = group_samples([RewardedGroup((HALF, HALF), (breakdown, breakdown), ((0.0, 0.0), (0.0, 0.0)))])
    assert samples["reward/mean"] == pytest.approx([0.55, 0.55])
    assert (samples["reward/progress"], samples["reward/format"]) == ([0.5, 0.5], [1.0, 1.0])


def test_a_batch_without_spread_is_told_by_its_rewards():
    assert group([0.5, 0.5], HALF, HALF).has_zero_variance
    assert not group([0.5, 0.0], HALF, FAILED).has_zero_variance


def test_a_group_teaches_where_an_advantage_differs_from_zero():
    equal = group([0.5, 0.5], HALF, HALF)
    assert not equal.teaches
    assert replace(equal, advantages=((0.0, 0.0), (0.0, -0.25))).teaches


def test_what_happened_in_episodes():
    samples = trajectory_samples([PERFECT, HALF, FAILED], TOOLBOX_OF.get)
    assert samples["success"] == [1, 0, 0]
    assert samples["progress/turns_correct"] == [2, 1, 0]
    assert samples["progress/share"] == [1, 0.5, 0]
    assert samples["turns/mean"] == [2, 2, 1]
    assert samples["steps/mean"] == [3, 2, 1]
    assert samples["episode/truncated"] == [0, 0, 1]
    assert samples["episode/tried"] == [1, 0, 0]
    assert samples["turns/step_limit"] == [0] * 5
    stopped = replace(PERFECT, turns=(replace(PERFECT.turns[0], end=TurnEnd.STEP_LIMIT), *PERFECT.turns[1:]))
    assert trajectory_samples([stopped], TOOLBOX_OF.get)["turns/step_limit"] == [1, 0]
    assert samples["tools/call_frequency"] == [1, 0, 0]
    # One of the six steps is clipped and breaks the protocol.
    assert mean(samples["completions/clipped_ratio"]) == pytest.approx(1 / 6)
    assert mean(samples["format/valid_rate"]) == pytest.approx(5 / 6)


def test_a_completion_is_one_run_of_sampled_tokens():
    first, second = (episode([ANSWER], passed=[True], mask=mask) for mask in ("...xx.xxxx", ".x"))
    assert first.tokens is not None
    assert [end - start for start, end in first.tokens.completions] == [2, 4]
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
    # Three of four completions in the protocol, one of two calls successful; no call, one of two in the protocol.
    tries = episode(
        [calls(result("ls"), result("add", ok=False)), SLIP],
        [calls(), ANSWER],
        passed=[True, False],
    )
    silent = episode([SLIP], [ANSWER], passed=[True, True], category=Category.MISS_FUNC)
    rewards = tuple(RewardBreakdown((RewardPart("format", r), RewardPart("tool", 1.0, weight=0.5))) for r in (1.0, 0.0))
    samples = split_samples(Split.VAL, ValidationBatch((tries, silent), rewards))
    assert {name: values for name, values in samples.items() if not name.startswith("val/diagnosis/")} == {
        "val/success/overall": [0, 1],
        "val/progress/overall": [0.5, 1],
        "val/reward/overall": [1.5, 0.5],
        "val/format/overall": [0.75, 0.5],
        "val/tool/overall": [0.5, 0],
        "val/tried/overall": [1, 0],
        "val/success/base": [0],
        "val/progress/base": [0.5],
        "val/reward/base": [1.5],
        "val/format/base": [0.75],
        "val/tool/base": [0.5],
        "val/tried/base": [1],
        "val/success/miss_func": [1],
        "val/progress/miss_func": [1],
        "val/reward/miss_func": [0.5],
        "val/format/miss_func": [0.5],
        "val/tool/miss_func": [0],
        "val/tried/miss_func": [0],
    }


@pytest.mark.parametrize(
    ("samples", "prefix"),
    [
        (trajectory_samples([PERFECT, HALF, FAILED], TOOLBOX_OF.get), "diagnosis"),
        (split_samples(Split.VAL, ValidationBatch((PERFECT, HALF, FAILED), (WORTHLESS,) * 3)), "val/diagnosis"),
    ],
    ids=["training", "validation"],
)
def test_each_label_is_reported_as_the_share_of_an_episodes_turns(samples: Samples, prefix: str):
    shares = {name.removeprefix(f"{prefix}/"): values for name, values in samples.items() if name.startswith(prefix)}
    assert list(shares) == list(Diagnosis)
    # HALF never calls `ls` in its second turn. FAILED breaks the protocol in its first, and never reaches the other.
    assert {label: values for label, values in shares.items() if any(values)} == {
        "passed": [1, 0.5, 0],
        "missing_tool_call": [0, 0.5, 0],
        "invalid_tool_call": [0, 0, 0.5],
    }


def test_where_the_time_of_an_update_went():
    # A group of three episodes on a prompt of 4 tokens, trained on; one of two on a prompt of 2 that was filtered out.
    steps_of = {"....xx": [ANSWER], "....x.xx": [SLIP, ANSWER], "....x": [ANSWER]}
    trained = [episode(steps, passed=[True], mask=mask) for mask, steps in steps_of.items()]
    filtered = [episode([ANSWER], passed=[True], mask="..x")] * 2
    batch = RolloutBatch(
        groups=(group([1, 0, 0], *trained), group([0, 0], *filtered)),
        tensors=TrainBatch.from_trajectories(trained, [[1.0], [0.0], [0.0]], temperature=1.0),
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


def test_mixed_hints_are_logged_by_kind_and_a_run_of_one_kind_logs_neither():
    one = episode([ANSWER], passed=[True])
    two = replace(one, hints=False)
    groups = [group([1.0, 0.5, 0.25], one, one, two), group([0.0, 0.75], one, two)]
    samples = group_samples(groups)
    assert (samples["reward/with_hints"], samples["reward/without_hints"]) == ([1.0, 0.5, 0.0], [0.25, 0.75])
    for kind in (one, two):
        assert not {name for name in group_samples([group([1.0, 0.0], kind, kind)]) if "hints" in name}


def test_the_variance_of_a_mixed_group_is_that_within_its_kinds():
    one = episode([ANSWER], passed=[True])
    two = replace(one, hints=False)
    # With hints 1 and 1/2, a variance of 1/16; without 1/4 and 1/4. The difference of the kinds does not count.
    assert group([1.0, 0.5, 0.25, 0.25], one, one, two, two).variance == 1 / 32
    assert group([1.0, 1.0, 0.0, 0.0], one, one, two, two).variance == 0.0
    assert group([1.0, 1.0, 0.0, 0.0], one, one, one, one).variance == 1 / 4
