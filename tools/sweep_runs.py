"""The runs of a sweep, as files tell of them, put together by setting. For tools/compare.py; draws and judges nothing.

A run is a folder with .hydra/overrides.yaml, .hydra/config.yaml, run.json and TensorBoard events in tensorboard/. One
that has finished has finished.json too, and one of a curriculum stages.json. A setting is its overrides without
`seed=`; runs of one setting differ in their seed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, with_config
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from typing_extensions import TypedDict

from envtune.command_line.job_folder import JobFolder
from envtune.errors import UserError
from envtune.files.record_file import read_record
from envtune.training.run_folder.run_record import read_run_record
from envtune.training.run_folder.stage_record import read_stage_records

# What chooses the best validation, and tells that there was one.
PROGRESS = "val/progress/overall"
# Every point of a scalar (0: no limit), and of what is no scalar hardly any.
_KEPT = {"scalars": 0, "tensors": 1, "images": 1, "audio": 1, "histograms": 1, "compressedHistograms": 1}
_REMEDY = "restore it from a copy"


_OPEN = with_config(ConfigDict(extra="allow", strict=True))


@_OPEN
class _GRPO(TypedDict):
    beta: float


class _Component(TypedDict):
    _target_: str


@_OPEN
class _Config(TypedDict):
    """Of the composed config of a training run what is read here and in compare_plots.py."""

    seed: int
    grpo: _GRPO
    reward: _Component
    augmentation: _Component


@dataclass(frozen=True)
class Run:
    """One run. ``scalars`` maps a logged name to its values by update; ``config`` is composed, not resolved.

    ``unfinished`` says how a run ended that did not finish. ``stage_ends`` are the last updates of finished stages.
    """

    folder: Path
    overrides: tuple[str, ...]
    config: Mapping[str, Any]
    scalars: Mapping[str, Mapping[int, float]]
    validation_tasks: tuple[str, ...]
    unfinished: str | None
    stage_ends: Mapping[str, int]

    @property
    def seed(self) -> int:
        return int(self.config["seed"])

    @cached_property
    def final(self) -> int:
        """The update of the newest validation."""
        return max(self._validations)

    @cached_property
    def best(self) -> int:
        """The update of the validation with the highest overall progress, the earliest of equals."""
        return max(sorted(self._validations), key=self._validations.__getitem__)

    @cached_property
    def _validations(self) -> dict[int, float]:
        return validations_after_training_began(self.scalars)


@dataclass(frozen=True, slots=True)
class Setting:
    """The runs of the same overrides, in the order of their seeds. ``unnamed``: overrides that the name leaves out."""

    name: str
    overrides: tuple[str, ...]
    runs: tuple[Run, ...]
    unnamed: tuple[str, ...] = ()

    @property
    def config(self) -> Mapping[str, Any]:
        return self.runs[0].config


@dataclass(frozen=True, slots=True)
class Sweep:
    """``common``: overrides of all settings, not in their names. ``left_out``: folders not compared, and why."""

    settings: tuple[Setting, ...]
    common: tuple[str, ...]
    left_out: tuple[str, ...]

    @property
    def runs(self) -> tuple[Run, ...]:
        return tuple(run for setting in self.settings for run in setting.runs)

    def beginning_with(self, setting: Setting) -> Sweep:
        return replace(self, settings=(setting, *(other for other in self.settings if other is not setting)))


def read_sweep(folder: Path, unfinished: bool = False) -> Sweep:
    """The finished runs below ``folder``; with ``unfinished`` also the others, as far as they came.

    Raises:
        UserError: there is none that was validated, or two have the same setting and seed.
    """
    runs, left_out = [], []
    for overrides in sorted(folder.glob("**/.hydra/overrides.yaml")):
        place = overrides.parent.parent
        try:
            run = _read_run(place)
            if run.unfinished and not unfinished:
                raise _NoRun(run.unfinished)
            runs.append(run)
        except (_NoRun, UserError) as reason:
            left_out.append(f"{place.relative_to(folder)}: {reason}")
    if not runs:
        found = f" ({'; '.join(left_out)})" if left_out else ""
        raise UserError(
            f"{folder} holds no run that was validated{found}: give the folder of a sweep, runs/sweep_<time>"
        )
    return Sweep(*settings_of(runs), tuple(left_out))


def settings_of(runs: Sequence[Run]) -> tuple[tuple[Setting, ...], tuple[str, ...]]:
    """The settings in the order in which they were found, and what all of them have in common.

    A name holds what is given with different values, if every setting gets a name of its own by that; otherwise all
    that is not common.
    """
    by_overrides: dict[tuple[str, ...], list[Run]] = defaultdict(list)
    for run in runs:
        by_overrides[tuple(sorted(run.overrides))].append(run)
    common = set.intersection(*(set(overrides) for overrides in by_overrides)) if len(by_overrides) > 1 else set()
    unnamed = common | _never_different(by_overrides)
    names = {tuple(override for override in overrides if override not in unnamed) for overrides in by_overrides}
    if len(names) < len(by_overrides) or () in names:
        unnamed = common
    settings = [_setting(same, common, unnamed) for same in by_overrides.values()]
    return tuple(settings), tuple(override for override in runs[0].overrides if override in common)


def _never_different(settings: Iterable[Iterable[str]]) -> set[str]:
    """The overrides whose key has the same value wherever it is given."""
    given: dict[str, set[str]] = defaultdict(set)
    for override in (override for overrides in settings for override in overrides):
        given[override.partition("=")[0]].add(override)
    return {override for alike in given.values() if len(alike) == 1 for override in alike}


def validations_after_training_began(scalars: Mapping[str, Mapping[int, float]]) -> dict[int, float]:
    """Overall progress by update, without the validation before the first update."""
    return {update: value for update, value in scalars.get(PROGRESS, {}).items() if update > 0}


class _NoRun(Exception):
    """Why a folder is no run that can be compared."""


def _setting(runs: Iterable[Run], common: set[str], unnamed: set[str]) -> Setting:
    ordered = tuple(sorted(runs, key=lambda run: run.seed))
    for one, other in pairwise(ordered):
        if one.seed == other.seed:
            raise UserError(
                f"{one.folder} and {other.folder} have the same setting and seed {one.seed}: move one of them away"
            )
    overrides = ordered[0].overrides
    name = " ".join(override for override in overrides if override not in unnamed)
    left_out = tuple(override for override in overrides if override in unnamed - common)
    return Setting(name or "defaults", overrides, ordered, left_out)


def _read_run(folder: Path) -> Run:
    if not (folder / "run.json").is_file() and (reason := _unfinished(folder, {})):
        raise _NoRun(reason)
    if not (folder / "tensorboard").is_dir():
        raise _NoRun("it has no TensorBoard events")
    record = _found("run.json", read_run_record(folder, _REMEDY))
    config = _found("config.yaml", read_record(folder / ".hydra/config.yaml", _Config, _REMEDY))
    overrides = _found("overrides.yaml", read_record(folder / ".hydra/overrides.yaml", list[str], _REMEDY))
    scalars = _scalars(folder / "tensorboard")
    if not validations_after_training_began(scalars):
        raise _NoRun(_unfinished(folder, scalars) or "it has no validation after an update")
    # They name settings in tables: what a folder holds must not steer the terminal.
    shown = (override if override.isprintable() else ascii(override) for override in overrides)
    kept = tuple(override for override in shown if not override.startswith("seed="))
    tasks = tuple(record.get("tasks", {}).get("validation_tasks", ()))
    stage_ends = {stage.stage: stage.last_update for stage in read_stage_records(folder)}
    return Run(folder, kept, config, scalars, tasks, _unfinished(folder, scalars), stage_ends)


def _unfinished(folder: Path, scalars: Mapping[str, Mapping[int, float]]) -> str | None:
    """How a run ended that did not finish, and how far it had come."""
    job = JobFolder(folder)
    if job.finished:
        return None
    newest = max(scalars.get("grad_norm", {}), default=0)
    return (
        f"it failed after update {newest} ({job.failure})" if job.failure else f"it is unfinished, at update {newest}"
    )


def _found(name: str, record: Any) -> Any:
    if record is None:
        raise _NoRun(f"{name} cannot be read (there is none)")
    return record


def _scalars(folder: Path) -> dict[str, dict[int, float]]:
    """Every scalar by update; what a continued run wrote again counts."""
    events = EventAccumulator(str(folder), size_guidance=_KEPT)
    events.Reload()
    return {name: {point.step: point.value for point in events.Scalars(name)} for name in events.Tags()["scalars"]}
