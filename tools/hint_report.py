"""Show the hints of a run, and how often the agent recovered after them.

    python tools/hint_report.py runs/…
    python tools/hint_report.py runs/…/stage_2 runs/…/stage_3 --json
    python tools/hint_report.py --dependence runs/evaluate_1 runs/evaluate_2

Reads all trajectory files in the folders of training runs, of a curriculum's stages or of evaluations. For each rule:
the number of its hints, the number after which the agent tried the tool again, and the share of these attempts that
succeeded, with its 95% interval (Wilson; hints count as independent, although those of one episode are not). The last
row counts failures without a hint. A training run is divided into two halves by policy version, to show learning. A
second table lists the tools whose failures got no hint; with augmentation=mixed, in the episodes with hints. Failures
in the validations of a training run, which are played without hints, are left out of both.

With --dependence: two evaluations of one checkpoint on the same tasks with the same seeds, one with hints and one
without (envtune/evaluation/paired_hints.py). For all tasks, and for those in which a rule gave a hint: success and
progress of both with the paired difference, and how often the agent recovered after the hint and, without hints, after
the same result.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import envtune.process_start

from rich.markup import escape
from rich.table import Table

from envtune.errors import UserError
from envtune.evaluation.paired_hints import dependence, read_pairs, recovery
from envtune.evaluation.recorded_episodes import read_episodes, trajectory_files
from envtune.program import run_program
from envtune.report_text import console, percent, table, without_control
from envtune.trajectory import Hint, ToolResult, Trajectory

TRAIN, VALIDATION, EVALUATION = PARTS = ("train", "val", "evaluation")
MEASURES = {"progress": "% of turns passed", "success": "% of tasks passed"}
SHOWN_TOOLS = 10
SHOWN_CHARACTERS = 70


Played = Mapping[str, Sequence[Trajectory]]
"""The episodes by the part of the run that they belong to."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed call, or a call with another result that got a hint."""

    hint: Hint | None
    recovered: bool | None
    """Whether the next attempt at its tool succeeded; None without a further attempt."""
    half: int | None
    """The half of the training, 1 or 2; None outside training."""


def main() -> None:
    """Print the hints of the runs and the recoveries after them."""
    parser = argparse.ArgumentParser(description="Show the hints of a run and the recoveries after them.")
    parser.add_argument(
        "runs", type=Path, nargs="*", metavar="RUN_DIR", help="the folder of a run, of a stage or of an evaluation"
    )
    compared = "compare an evaluation with hints and one without"
    parser.add_argument("--dependence", type=Path, nargs=2, metavar="EVALUATION", help=compared)
    parser.add_argument("--json", action="store_true", help="print the numbers as one JSON object")
    options = parser.parse_args()
    if bool(options.runs) == bool(options.dependence):
        parser.error("give the folders of runs, or two evaluations after --dependence")
    if options.dependence:
        numbers = dependence(read_pairs(*options.dependence))
        tables = [dependence_table(numbers, measure) for measure in MEASURES]
    else:
        numbers = report(read_runs(options.runs))
        tables = [rules_table(numbers), silent_table(numbers)]
    if options.json:
        print(json.dumps(numbers, indent=2))
    else:
        console().print(*tables, sep="\n")


def read_runs(folders: Iterable[Path]) -> Played:
    """Return all episodes of the runs.

    Raises:
        UserError: A folder has no episodes, or a file is broken.
    """
    played: dict[str, list[Trajectory]] = {part: [] for part in PARTS}
    for folder in folders:
        # A validation that was cut off leaves an empty file.
        files = [file for file in (*sorted(folder.glob("*.jsonl")), *trajectory_files(folder)) if file.stat().st_size]
        if not files:
            raise UserError(f"{folder} holds no trajectories: give the folder of a run, such as runs/<time>")
        for file in files:
            part = file.parent.name if file.parent.name in (TRAIN, VALIDATION) else EVALUATION
            played[part] += [record.trajectory for record in read_episodes(file)]
    return played


def report(played: Played) -> dict[str, Any]:
    """Return all numbers as plain JSON values."""
    versions = {trajectory.policy_version for trajectory in played[TRAIN]}
    middle = (min(versions) + max(versions) + 1) / 2 if len(versions) > 1 else None
    failures = [f for part in PARTS for trajectory in played[part] for f in _failures(part, trajectory, middle)]
    by_rule: dict[tuple[str, str], list[Failure]] = defaultdict(list)
    for failure in failures:
        if failure.hint:
            by_rule[failure.hint.rule, str(failure.hint.kind)].append(failure)
    ranked = sorted(by_rule.items(), key=lambda item: (-len(item[1]), item[0]))
    return {
        "sources": [{"source": part, **_counts(played[part])} for part in PARTS],
        "second_half_from_version": None if middle is None else min(v for v in versions if v >= middle),
        "rules": [{"rule": rule, "kind": kind, **_numbers(given)} for (rule, kind), given in ranked],
        "all": _numbers([failure for failure in failures if failure.hint]),
        "no_hint": _numbers([failure for failure in failures if not failure.hint]),
        "failures_without_hint": _silent(played),
    }


def _failures(part: str, trajectory: Trajectory, middle: float | None) -> list[Failure]:
    half = None
    if part == TRAIN and middle is not None:
        half = 1 if trajectory.policy_version < middle else 2
    hints = [result.hint for result in trajectory.results if result.hint]
    failures = [Failure(hint, helped, half) for hint, helped in zip(hints, trajectory.recoveries, strict=True)]
    if part != VALIDATION:
        failures += [Failure(None, helped, half) for helped in trajectory.unaided_recoveries]
    return failures


def _numbers(failures: Sequence[Failure]) -> dict[str, Any]:
    halves = [[failure for failure in failures if failure.half == half] for half in (1, 2)]
    return {**_outcome(failures), "first_half": _outcome(halves[0]), "second_half": _outcome(halves[1])}


def _outcome(failures: Sequence[Failure]) -> dict[str, Any]:
    return recovery([failure.recovered for failure in failures])


def _counts(episodes: Sequence[Trajectory]) -> dict[str, Any]:
    results = [result for trajectory in episodes for result in trajectory.results]
    return {
        "episodes": len(episodes),
        "calls": len(results),
        "failed": sum(not result.ok for result in results),
        "hints": sum(result.hint is not None for result in results),
    }


def _silent(played: Played) -> list[dict[str, Any]]:
    """Return by tool: its failures, those without a hint, and the most frequent result of these."""
    failures: dict[str, list[ToolResult]] = defaultdict(list)
    trajectories = [*played[TRAIN], *played[EVALUATION]]
    # Of mixed hints the episodes that could get one.
    trajectories = [trajectory for trajectory in trajectories if trajectory.hints] or trajectories
    for result in (result for trajectory in trajectories for result in trajectory.results):
        if not result.ok:
            failures[result.call.name].append(result)
    rows = []
    for tool, results in failures.items():
        texts = Counter(result.text for result in results if result.hint is None)
        if texts:
            counts = {"failed": len(results), "without_hint": texts.total()}
            rows.append({"tool": tool, **counts, "most_frequent": texts.most_common(1)[0][0]})
    return sorted(rows, key=lambda row: (-row["without_hint"], row["tool"]))


def rules_table(numbers: dict[str, Any]) -> Table:
    """Return a table with one row per rule, the most frequent first, one for all, and one for failures without hint."""
    parts = [
        f"{part['source']}: {part['episodes']} episodes, {part['failed']} of {part['calls']} calls failed, "
        f"{part['hints']} hints"
        for part in numbers["sources"]
        if part["episodes"]
    ]
    start = numbers["second_half_from_version"]
    halves = "" if start is None else f"\nsecond half of training: from policy version {start}"
    columns = ("given", "tried again", "recovered, % of tries", "first half", "second half")
    shown = table("Hints", ("rule", "kind"), columns)
    shown.caption = "\n".join(parts) + halves
    sums = [{"rule": rule, "kind": "", **numbers[key]} for rule, key in (("all", "all"), ("no hint", "no_hint"))]
    for row in (*numbers["rules"], *sums):
        shares = [_recovered(outcome) for outcome in (row, row["first_half"], row["second_half"])]
        shown.add_row(_safe(row["rule"]), row["kind"], str(row["given"]), str(row["attempted"]), *shares)
    return shown


def silent_table(numbers: dict[str, Any]) -> Table:
    """Return a table of the tools with the most failures without a hint."""
    shown = table(f"Failures without a hint, the first {SHOWN_TOOLS} tools", ["tool"], ("failed", "without hint"))
    shown.add_column("most frequent result")
    for row in numbers["failures_without_hint"][:SHOWN_TOOLS]:
        result = row["most_frequent"].replace("\n", " ")[:SHOWN_CHARACTERS]
        shown.add_row(_safe(row["tool"]), str(row["failed"]), str(row["without_hint"]), _safe(result))
    return shown


def dependence_table(numbers: dict[str, Any], measure: str) -> Table:
    """Return a table with one row for all tasks, and one per rule for the tasks in which it gave a hint."""
    columns = ("tasks", "with hints", "without", "difference", "recovered after the hint", "after the same without")
    shown = table(f"Hint dependence: {measure}, {MEASURES[measure]}", ("rule", "kind"), columns)
    shown.caption = "difference: with hints minus without, paired by task; recovered: % of tries; with 95% intervals"
    for row in ({"rule": "all", "kind": "", **numbers}, *numbers["rules"]):
        value = row[measure]
        # Rounded, so that a difference of zero has no sign of its rounding error.
        ends = [percent(round(value[name], 9) + 0.0, signed=True) for name in ("difference", "low", "high")]
        shares = [percent(value[name]) for name in ("with_hints", "without")]
        recovered = [_recovered(row[name]) for name in ("recovery_with_hints", "recovery_without")]
        difference = f"{ends[0]} ({ends[1]} to {ends[2]})"
        shown.add_row(_safe(row["rule"]), row["kind"], str(row["tasks"]), *shares, difference, *recovered)
    return shown


def _recovered(outcome: dict[str, Any]) -> str:
    if outcome["share"] is None:
        return "-"
    share, low, high = (percent(outcome[name], digits=0) for name in ("share", "low", "high"))
    return f"{share} ({low} to {high}) of {outcome['attempted']}"


def _safe(text: str) -> str:
    return escape(without_control(text[:SHOWN_CHARACTERS]))


if __name__ == "__main__":
    run_program(main)
