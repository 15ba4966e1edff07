"""Hint dependence: two evaluations of one checkpoint, with and without hints, paired by task and seed.

The rows of a rule are over the pairs in whose episode with hints it fired. They are chosen by what happened with hints,
so that they describe where the rule matters and not the effect of the rule alone: other rules may have fired as well.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from typing_extensions import TypedDict

from envtune.errors import UserError
from envtune.evaluation.recorded_episodes import read_episodes
from envtune.files.record_file import flatten, read_record
from envtune.statistics.intervals import wilson
from envtune.statistics.paired import paired_difference
from envtune.trajectory import ToolResult, Trajectory

REMEDY = "give the folders of two evaluations, one with augmentation=actionable and one with augmentation=none"
# Settings in which the two evaluations may differ; `init_from` can name a checkpoint in several ways.
_FREE = ("augmentation", "run_folder", "tags", "device", "init_from")


class EvaluatedModel(TypedDict):
    """The model of an evaluation."""

    path: str
    checkpoint: str | None


class Evaluation(TypedDict):
    """The entries of scores.json that name what was evaluated."""

    model: EvaluatedModel


@dataclass(frozen=True, slots=True)
class Pair:
    """The episodes of one task and seed."""

    hinted: Trajectory
    plain: Trajectory


def read_pairs(one: Path, other: Path) -> list[Pair]:
    """Return the pairs of two evaluations, in whatever order the folders are given.

    Raises:
        UserError: a folder is not an evaluation's, the two differ in more than their hints, or not one of them was
            played with hints and the other one without.
    """
    _require_same_settings(one, other)
    episodes = {folder: [record.trajectory for record in read_episodes(_file(folder))] for folder in (one, other)}
    kinds = {folder: {trajectory.hints for trajectory in played} for folder, played in episodes.items()}
    if sorted(kinds.values(), key=str) != [{False}, {True}]:
        raise UserError(f"{one} and {other} are not one evaluation with hints and one without: {REMEDY}")
    hinted, plain = (one, other) if kinds[one] == {True} else (other, one)
    by_seed = {(trajectory.task_id, trajectory.seed): trajectory for trajectory in episodes[plain]}
    if [*by_seed] != [(trajectory.task_id, trajectory.seed) for trajectory in episodes[hinted]]:
        raise UserError(f"{one} and {other} do not hold the same tasks with the same seeds: evaluate both again")
    return [Pair(trajectory, by_seed[trajectory.task_id, trajectory.seed]) for trajectory in episodes[hinted]]


def dependence(pairs: Sequence[Pair]) -> dict[str, Any]:
    """Return the numbers of all pairs and, in `rules`, those of each rule's, the most frequent first."""
    fired: dict[tuple[str, str], list[Pair]] = defaultdict(list)
    for pair in pairs:
        hints = dict.fromkeys((hint.rule, str(hint.kind)) for result in pair.hinted.results if (hint := result.hint))
        for rule in hints:
            fired[rule].append(pair)
    ranked = sorted(fired.items(), key=lambda item: (-len(item[1]), item[0]))
    rules = [{"rule": rule, "kind": kind, **_numbers(chosen, rule)} for (rule, kind), chosen in ranked]
    return {**_numbers(pairs, None), "rules": rules}


def recovery(attempts: Sequence[bool | None]) -> dict[str, Any]:
    """Return how many failures were `given`, `attempted` again and `recovered`, and the `share` of attempts that did.

    Args:
        attempts: for each failure whether the next attempt at its tool helped; None without a further attempt.
    """
    tries = [recovered for recovered in attempts if recovered is not None]
    share = sum(tries) / len(tries) if tries else None
    low, high = (None, None) if share is None else wilson(share, len(tries))
    counts = {"given": len(attempts), "attempted": len(tries), "recovered": sum(tries)}
    return {**counts, "share": share, "low": low, "high": high}


def _numbers(pairs: Sequence[Pair], rule: str | None) -> dict[str, Any]:
    """Return the numbers of some pairs, and the recoveries after hints of one rule, or of any."""

    def gave_hint(result: ToolResult) -> bool:
        return result.hint is not None and rule in (None, result.hint.rule)

    with_hints: list[bool | None] = []
    without: list[bool | None] = []
    for pair in pairs:
        with_hints += pair.hinted.recoveries_of(gave_hint)
        # The same failure: the same tool said the same.
        without += pair.plain.recoveries_of(
            _among({_said(result) for result in pair.hinted.results if gave_hint(result)})
        )
    return {
        "tasks": len({pair.hinted.task_id for pair in pairs}),
        "episodes": len(pairs),
        "success": _difference(pairs, lambda trajectory: float(trajectory.success)),
        "progress": _difference(pairs, lambda trajectory: trajectory.progress),
        "recovery_with_hints": recovery(with_hints),
        "recovery_without": recovery(without),
    }


def _among(said: Collection[tuple[str, bool, str]]) -> Callable[[ToolResult], bool]:
    return lambda result: _said(result) in said


def _said(result: ToolResult) -> tuple[str, bool, str]:
    return result.call.name, result.ok, result.text


def _difference(pairs: Sequence[Pair], measure: Callable[[Trajectory], float]) -> dict[str, Any]:
    """Return both means over tasks and their paired difference with its 95% interval."""
    tasks: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        tasks[pair.hinted.task_id].append(pair)
    hinted = [fmean(measure(pair.hinted) for pair in task) for task in tasks.values()]
    plain = [fmean(measure(pair.plain) for pair in task) for task in tasks.values()]
    found = paired_difference(hinted, plain)
    ends = {"difference": found.mean, "low": found.low, "high": found.high, "method": found.method}
    return {"with_hints": fmean(hinted), "without": fmean(plain), **ends}


def _require_same_settings(one: Path, other: Path) -> None:
    settings, others = _settings(one), _settings(other)
    for name in sorted({*settings, *others}):
        if settings.get(name) != others.get(name):
            values = f"{settings.get(name)} in {one} and {others.get(name)} in {other}"
            raise UserError(f"the two evaluations differ in more than hints, {name} is {values}: evaluate one again")


def _settings(folder: Path) -> Mapping[str, Any]:
    evaluation = read_record(folder / "scores.json", Evaluation, REMEDY)
    config = read_record(folder / ".hydra/config.yaml", dict[str, Any], REMEDY)
    if evaluation is None or config is None or not _file(folder).is_file():
        raise UserError(f"{folder} is not the folder of an evaluation: {REMEDY}")
    compared = {name: value for name, value in config.items() if name not in _FREE}
    return flatten({**compared, "model": {**compared.get("model", {}), **evaluation["model"]}})


def _file(folder: Path) -> Path:
    return folder / "trajectories.jsonl"
