"""Every logged name, and the samples whose mean, minimum or maximum it is.

`docs/metrics.md` explains each name.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from statistics import stdev
from typing import Annotated

import psutil
import torch
from pydantic import Field

from envtune.diagnosis import Diagnosis, diagnosis_shares
from envtune.reward.format import format_score, tool_score, tried_call
from envtune.task import Split
from envtune.training.reporting.aggregates import Samples
from envtune.training.rollout_batch import RewardedGroup, RolloutBatch, ValidationBatch
from envtune.trajectory import FormatError, Trajectory, TurnEnd

# A result of validation: overall, or of one of the task source's groups.
ValidationName = Annotated[
    str,
    Field(
        pattern=r"^val/(success|progress|reward|format|tool|tried)/\S+$",
        json_schema_extra={"examples": ["val/success/overall", "val/progress/base"]},
    ),
]
GIB = 2.0**30
MINIMA = frozenset({"completions/min_length"})
MAXIMA = frozenset({"completions/max_length", "sampling/logp_diff_max", "sampling/is_ratio_max", "perf/peak_memory"})


def group_samples(groups: Sequence[RewardedGroup]) -> Samples:
    """Return samples of the rewards of all played groups, filtered ones too; ``std`` is unbiased, within a group."""
    breakdowns = [breakdown for group in groups for breakdown in group.breakdowns]
    samples: dict[str, list[float]] = {
        "reward/mean": [breakdown.total for breakdown in breakdowns],
        "reward/std": [stdev(group.rewards) for group in groups],
        "reward/frac_zero_std": [float(group.has_zero_variance) for group in groups],
        "reward/frac_all_fail": [float(not any(t.turns_passed for t in group.trajectories)) for group in groups],
        "reward/frac_all_success": [float(all(t.success for t in group.trajectories)) for group in groups],
    }
    for breakdown in breakdowns:
        for part in breakdown.parts:
            samples.setdefault(f"reward/{part.name}", []).append(part.value)
    by_kind: dict[bool, list[float]] = {True: [], False: []}
    for group in groups:
        for trajectory, reward in zip(group.trajectories, group.rewards, strict=True):
            by_kind[trajectory.hints].append(reward)
    if all(by_kind.values()):
        samples |= {"reward/with_hints": by_kind[True], "reward/without_hints": by_kind[False]}
    return samples


def trajectory_samples(trajectories: Sequence[Trajectory], domain_of: Callable[[str], str | None]) -> Samples:
    """Return samples of episodes; ``domain_of`` returns the domain of a tool, under which its failures are counted."""
    steps = [step for trajectory in trajectories for step in trajectory.steps]
    samples = {
        "success": [float(trajectory.success) for trajectory in trajectories],
        "progress/turns_correct": [float(trajectory.turns_passed) for trajectory in trajectories],
        "progress/share": [trajectory.progress for trajectory in trajectories],
        "turns/mean": [float(len(trajectory.turns)) for trajectory in trajectories],
        "steps/mean": [float(len(trajectory.steps)) for trajectory in trajectories],
        "episode/truncated": [float(trajectory.truncated) for trajectory in trajectories],
        "episode/tried": [float(tried_call(trajectory)) for trajectory in trajectories],
        "turns/step_limit": [float(turn.end is TurnEnd.STEP_LIMIT) for t in trajectories for turn in t.turns],
        "completions/clipped_ratio": [float(step.clipped) for step in steps],
        "format/valid_rate": [float(not isinstance(step.action, FormatError)) for step in steps],
        "tools/call_frequency": [float(len(trajectory.results)) for trajectory in trajectories],
    }
    lengths = [float(end - start) for t in trajectories if t.tokens for start, end in t.tokens.completions]
    samples |= {f"completions/{kind}_length": lengths for kind in ("mean", "min", "max")}
    samples |= _diagnosis_samples(trajectories, "diagnosis")
    return samples | _hint_samples(trajectories) | _tool_samples(trajectories, domain_of)


def split_samples(split: Split, batch: ValidationBatch) -> Samples:
    """Return samples of each measure on a split's tasks, overall and by group, and of the turns' labels overall.

    ``reward`` is the stage's own. The other measures are the same in every stage, so that stages can be compared.
    """
    samples = defaultdict(list, _diagnosis_samples(batch.trajectories, f"{split}/diagnosis"))
    for trajectory, breakdown in zip(batch.trajectories, batch.breakdowns, strict=True):
        measures = {
            "success": float(trajectory.success),
            "progress": trajectory.progress,
            "reward": breakdown.total,
            "format": format_score(trajectory),
            "tool": tool_score(trajectory),
            "tried": float(tried_call(trajectory)),
        }
        for measure, value in measures.items():
            samples[f"{split}/{measure}/overall"].append(value)
            samples[f"{split}/{measure}/{trajectory.group}"].append(value)
    return samples


def performance_samples(batch: RolloutBatch, phases: Mapping[str, float], sync: float, other: float) -> Samples:
    """Return the timings, throughput and memory of an update.

    Args:
        batch: the rollout of the update.
        phases: seconds of the phases "wait" and "update", and within that "policy", "backward" and, with a reference,
            "reference".
        sync: seconds of the weight sync.
        other: seconds since the previous update outside weight sync, rollout, wait and update.
    """
    step_time = sync + batch.rollout_seconds + phases["wait"] + phases["update"]
    tokens, unique_tokens = len(batch.tensors.ids), batch.tensors.unique_tokens
    records = [t.tokens for group in batch.groups for t in group.trajectories if t.tokens]
    reference = phases.get("reference", 0.0)
    sampled = sum(sum(record.completion_mask) for record in records)
    prompts = {record.ids[: record.prompt_length] for record in records}
    played = sum(len(record.ids) - record.prompt_length for record in records) + sum(map(len, prompts))
    values = {
        "time/sync": sync,
        "time/rollout": batch.rollout_seconds,
        "time/env": batch.environment_seconds,
        "time/wait": phases["wait"],
        "time/logprob": phases["policy"] + reference,
        "time/reference": reference,
        "time/backward": phases["backward"],
        "time/update": phases["update"],
        "time/other": other,
        "perf/step_time": step_time,
        "perf/tokens_per_s": tokens / step_time,
        "perf/sampled_tokens_per_s": sampled / batch.rollout_seconds,
        "perf/update_tokens_per_s": unique_tokens / phases["update"],
        "perf/prompt_sharing": tokens / unique_tokens,
        "perf/fed_ratio": batch.fed_tokens / played,
        "perf/resident_memory": resident_memory(),
        "perf/peak_memory": peak_device_memory(),
    }
    return {name: [value] for name, value in values.items()}


def _diagnosis_samples(trajectories: Sequence[Trajectory], prefix: str) -> dict[str, list[float]]:
    """Return the share of each episode's turns with each label."""
    shares = [diagnosis_shares(trajectory) for trajectory in trajectories]
    return {f"{prefix}/{label}": [one[label] for one in shares] for label in Diagnosis}


def _tool_samples(trajectories: Sequence[Trajectory], domain_of: Callable[[str], str | None]) -> dict[str, list[float]]:
    samples: dict[str, list[float]] = defaultdict(list)
    for trajectory in trajectories:
        for result in trajectory.results:
            samples["tools/failure_frequency"].append(float(not result.ok))
            domain = domain_of(result.call.name) or "unknown_tool"
            samples[f"tools/{domain}/failure"].append(float(not result.ok))
    return samples


def _hint_samples(trajectories: Sequence[Trajectory]) -> dict[str, list[float]]:
    """Return whether failed calls got a hint, and whether the next call of the tool after a hint succeeded.

    A hint without another attempt counts as not recovered, so that giving up does not look like learning.
    """
    failures = [result for trajectory in trajectories for result in trajectory.results if not result.ok]
    return {
        "env/hint_rate": [float(result.hint is not None) for result in failures],
        "env/recovery_after_hint": [float(bool(r)) for trajectory in trajectories for r in trajectory.recoveries],
    }


def resident_memory() -> float:
    """Return the resident memory of this process in GiB."""
    return float(psutil.Process().memory_info().rss) / GIB


def peak_device_memory() -> float:
    """Return the peak of PyTorch's GPU memory in GiB; the resident memory without a GPU."""
    return torch.cuda.max_memory_allocated() / GIB if torch.cuda.is_available() else resident_memory()
