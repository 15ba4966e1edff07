"""Every logged name, in one place, and the samples it is the mean, minimum or maximum of.

What each name means to a reader stands in `docs/metrics.md`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from statistics import stdev
from typing import Annotated

import psutil
import torch

from envtune.checked import Among
from envtune.task import Category
from envtune.training.reporting.aggregates import Samples
from envtune.training.rollout_batch import RewardedGroup, RolloutBatch
from envtune.trajectory import FormatError, TokenRecord, Trajectory

# What validation is reported over.
GROUPS = ("overall", *(str(category) for category in Category))
VALIDATED = [f"val/{measure}/{group}" for measure in ("success", "progress") for group in GROUPS]
ValidationName = Annotated[str, Among(VALIDATED)]
GIB = 2.0**30
MINIMA = frozenset({"completions/min_length"})
MAXIMA = frozenset({"completions/max_length", "sampling/logp_diff_max", "sampling/is_ratio_max", "perf/peak_memory"})


def group_samples(groups: Sequence[RewardedGroup]) -> Samples:
    """What rewards say of the groups that were played, filtered ones included. ``std`` is within a group, unbiased."""
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
    return samples


def trajectory_samples(trajectories: Sequence[Trajectory], toolbox_of: Mapping[str, str]) -> Samples:
    """What happened in episodes. ``toolbox_of`` maps a tool's name to its class, for failures by class."""
    steps = [step for trajectory in trajectories for step in trajectory.steps]
    samples = {
        "success": [float(trajectory.success) for trajectory in trajectories],
        "progress/turns_correct": [float(trajectory.turns_passed) for trajectory in trajectories],
        "progress/share": [trajectory.progress for trajectory in trajectories],
        "turns/mean": [float(len(trajectory.turns)) for trajectory in trajectories],
        "steps/mean": [float(len(trajectory.steps)) for trajectory in trajectories],
        "episode/truncated": [float(trajectory.truncated) for trajectory in trajectories],
        "completions/clipped_ratio": [float(step.clipped) for step in steps],
        "format/valid_rate": [float(not isinstance(step.action, FormatError)) for step in steps],
        "tools/call_frequency": [float(len(trajectory.results)) for trajectory in trajectories],
    }
    samples |= _length_samples(trajectories) | _hint_samples(trajectories)
    return samples | _tool_samples(trajectories, toolbox_of)


def validation_samples(trajectories: Iterable[Trajectory]) -> Samples:
    """Success and progress, overall and by category."""
    samples: dict[str, list[float]] = defaultdict(list)
    for trajectory in trajectories:
        for group in ("overall", str(trajectory.category)):
            samples[f"val/success/{group}"].append(float(trajectory.success))
            samples[f"val/progress/{group}"].append(trajectory.progress)
    return samples


def performance_samples(
    batch: RolloutBatch, phases: Mapping[str, float], sync_seconds: float, other_seconds: float
) -> Samples:
    """Where the time of an update went.

    ``phases`` holds the seconds of the module's phases: "wait", "update" and, within it, "policy", "reference" and
    "backward". ``other_seconds`` passed since the update before in none of weight sync, rollout, wait and update.
    """
    step_time = sync_seconds + batch.rollout_seconds + phases["wait"] + phases["update"]
    tokens, unique_tokens = int(batch.tensors.attention_mask.sum()), batch.tensors.unique_tokens
    records = [t.tokens for group in batch.groups for t in group.trajectories if t.tokens]
    sampled = sum(sum(record.completion_mask) for record in records)
    values = {
        "time/sync": sync_seconds,
        "time/rollout": batch.rollout_seconds,
        "time/env": batch.environment_seconds,
        "time/wait": phases["wait"],
        "time/logprob": phases["policy"] + phases["reference"],
        "time/reference": phases["reference"],
        "time/backward": phases["backward"],
        "time/update": phases["update"],
        "time/other": other_seconds,
        "perf/step_time": step_time,
        "perf/tokens_per_s": tokens / step_time,
        "perf/sampled_tokens_per_s": sampled / batch.rollout_seconds,
        "perf/update_tokens_per_s": unique_tokens / phases["update"],
        "perf/prompt_sharing": tokens / unique_tokens,
        "perf/fed_ratio": batch.fed_tokens / _unique_tokens_of(records),
        "perf/resident_memory": resident_memory(),
        "perf/peak_memory": peak_device_memory(),
    }
    return {name: [value] for name, value in values.items()}


def _unique_tokens_of(records: Sequence[TokenRecord]) -> int:
    """The same before there are tensors, for all episodes that were played."""
    prompts = {record.ids[: record.prompt_length] for record in records}
    return sum(len(record.ids) - record.prompt_length for record in records) + sum(map(len, prompts))


def _length_samples(trajectories: Sequence[Trajectory]) -> dict[str, list[float]]:
    lengths = [length for t in trajectories if t.tokens for length in completion_lengths(t.tokens)]
    return {f"completions/{kind}_length": lengths for kind in ("mean", "min", "max")}


def completion_lengths(tokens: TokenRecord) -> list[float]:
    """Tokens of each completion. The environment always writes between two of them, so each is one run of the mask."""
    return [float(sum(1 for _ in run)) for sampled, run in groupby(tokens.completion_mask) if sampled]


def _tool_samples(trajectories: Sequence[Trajectory], toolbox_of: Mapping[str, str]) -> dict[str, list[float]]:
    samples: dict[str, list[float]] = defaultdict(list)
    for trajectory in trajectories:
        for result in trajectory.results:
            samples["tools/failure_frequency"].append(float(not result.ok))
            toolbox = toolbox_of.get(result.call.name, "unknown_tool")
            samples[f"tools/{toolbox}/failure"].append(float(not result.ok))
    return samples


def _hint_samples(trajectories: Sequence[Trajectory]) -> dict[str, list[float]]:
    """Share of failed calls that got a hint, and share of hints that the tool's next attempt recovered from.

    A hint without a further attempt counts as one without recovery, so that giving up does not look like learning.
    """
    failures = [result for trajectory in trajectories for result in trajectory.results if not result.ok]
    return {
        "env/hint_rate": [float(result.hint is not None) for result in failures],
        "env/recovery_after_hint": [float(bool(r)) for trajectory in trajectories for r in trajectory.recoveries],
    }


def resident_memory() -> float:
    """What this process holds in main memory now."""
    return float(psutil.Process().memory_info().rss) / GIB


def peak_device_memory() -> float:
    """The most that PyTorch ever held on the GPU; without one, resident memory."""
    return torch.cuda.max_memory_allocated() / GIB if torch.cuda.is_available() else resident_memory()
