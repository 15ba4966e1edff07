"""The runs of a sweep, read from their folders and grouped by setting, for tools/compare.py.

A run is a folder with .hydra/overrides.yaml, .hydra/config.yaml, run.json and TensorBoard events in tensorboard/; a
finished one also has finished.json, and one of a curriculum stages.json. A setting is a run's overrides without
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

# The scalar that chooses the best validation; a run without it was not validated.
PROGRESS = "val/progress/overall"
POINTS = ("final", "best")
# Every point of a scalar (0: no limit), and as few as possible of everything else.
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
    """The part of a training run's config that comparisons read."""

    seed: int
    grpo: _GRPO
    reward: _Component
    augmentation: _Component


@dataclass(frozen=True)
class Run:
    """One run of a setting."""

    folder: Path
    overrides: tuple[str, ...]
    """Overrides of the command line without `seed=`."""
    config: Mapping[str, Any]
    """The composed config, interpolations not resolved."""
    scalars: Mapping[str, Mapping[int, float]]
    """Logged values by name and update."""
    validation_tasks: tuple[str, ...]
    unfinished: str | None
    """How an unfinished run ended, and at which update; None for a finished run."""
    stage_ends: Mapping[str, int]
    """Last update of every finished stage of a curriculum, by stage."""

    @property
    def seed(self) -> int:
        """The seed of the run."""
        return int(self.config["seed"])

    @cached_property
    def final(self) -> int:
        """The update of the newest validation."""
        return max(self._validations)

    @cached_property
    def best(self) -> int:
        """The update of the validation with the highest overall progress, the earliest of equals."""
        return max(sorted(self._validations), key=self._validations.__getitem__)

    def update_of(self, point: str) -> int:
        """Return the update of the validation ``point``, one of `POINTS`."""
        return self.final if point == "final" else self.best

    @cached_property
    def _validations(self) -> dict[int, float]:
        return validations_after_training_began(self.scalars)


@dataclass(frozen=True, slots=True)
class Setting:
    """The runs with equal overrides, in the order of their seeds."""

    name: str
    overrides: tuple[str, ...]
    runs: tuple[Run, ...]
    unnamed: tuple[str, ...] = ()
    """Overrides that the name leaves out and that are not common to all settings."""

    @property
    def config(self) -> Mapping[str, Any]:
        """The config of the first run."""
        return self.runs[0].config

    def validated(self, name: str, point: str = "final") -> dict[int, float]:
        """Return a scalar of the validation ``point`` by seed, without runs that do not have it."""
        values = {run.seed: run.scalars.get(name, {}).get(run.update_of(point)) for run in self.runs}
        return {seed: value for seed, value in values.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Sweep:
    """The settings of a sweep."""

    settings: tuple[Setting, ...]
    common: tuple[str, ...]
    """Overrides of all settings, which their names leave out."""
    left_out: tuple[str, ...]
    """Folders that are not compared, each with the reason."""

    @property
    def runs(self) -> tuple[Run, ...]:
        """The runs of all settings."""
        return tuple(run for setting in self.settings for run in setting.runs)

    def beginning_with(self, setting: Setting) -> Sweep:
        """Return the sweep with ``setting`` in front of the others."""
        return replace(self, settings=(setting, *(other for other in self.settings if other is not setting)))


def read_sweep(folder: Path, unfinished: bool = False) -> Sweep:
    """Return the finished runs below ``folder``; with ``unfinished`` also the others, up to their last update.

    Raises:
        UserError: No run was validated, or two runs have one setting and seed.
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


def groups_of(runs: Iterable[Run]) -> list[str]:
    """Return the groups of tasks that were validated, ``overall`` first."""
    names = dict.fromkeys(name for run in runs for name in run.scalars)
    groups = [name.removeprefix("val/success/") for name in names if name.startswith("val/success/")]
    return sorted(groups, key=lambda group: group != "overall")


def settings_of(runs: Sequence[Run]) -> tuple[tuple[Setting, ...], tuple[str, ...]]:
    """Return the settings in the order of ``runs``, and the overrides that all of them have in common.

    A name consists of the overrides whose key has different values, if that makes every name unique; otherwise of all
    overrides that are not common.
    """
    by_overrides: dict[tuple[str, ...], list[Run]] = defaultdict(list)
    for run in runs:
        by_overrides[tuple(sorted(run.overrides))].append(run)
    common = set.intersection(*(set(overrides) for overrides in by_overrides)) if len(by_overrides) > 1 else set()
    given: dict[str, set[str]] = defaultdict(set)
    for override in (override for overrides in by_overrides for override in overrides):
        given[override.partition("=")[0]].add(override)
    unnamed = common | {override for alike in given.values() if len(alike) == 1 for override in alike}
    names = {tuple(override for override in overrides if override not in unnamed) for overrides in by_overrides}
    if len(names) < len(by_overrides) or () in names:
        unnamed = common
    settings = [_setting(same, common, unnamed) for same in by_overrides.values()]
    return tuple(settings), tuple(override for override in runs[0].overrides if override in common)


def validations_after_training_began(scalars: Mapping[str, Mapping[int, float]]) -> dict[int, float]:
    """Return overall progress by update, without the validation before the first update."""
    return {update: value for update, value in scalars.get(PROGRESS, {}).items() if update > 0}


class _NoRun(Exception):
    """The reason why a folder is not a run that can be compared."""


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
    events = EventAccumulator(str(folder / "tensorboard"), size_guidance=_KEPT)
    events.Reload()
    # Of values that a resumed run wrote again, the last counts.
    scalars = {name: {point.step: point.value for point in events.Scalars(name)} for name in events.Tags()["scalars"]}
    if not validations_after_training_began(scalars):
        raise _NoRun(_unfinished(folder, scalars) or "it has no validation after an update")
    # Printed as names of settings: control characters in a file must not reach the terminal.
    shown = (override if override.isprintable() else ascii(override) for override in overrides)
    kept = tuple(override for override in shown if not override.startswith("seed="))
    tasks = tuple(record.get("tasks", {}).get("validation_tasks", ()))
    stage_ends = {stage.stage: stage.last_update for stage in read_stage_records(folder)}
    return Run(folder, kept, config, scalars, tasks, _unfinished(folder, scalars), stage_ends)


def _unfinished(folder: Path, scalars: Mapping[str, Mapping[int, float]]) -> str | None:
    """Return how an unfinished run ended and at which update; None for a finished run."""
    job = JobFolder(folder)
    if job.finished:
        return None
    newest = max(scalars.get("grad_norm", {}), default=0)
    return (
        f"it failed after update {newest} ({job.failure})" if job.failure else f"it is unfinished, at update {newest}"
    )


def _found(name: str, record: Any) -> Any:
    if record is None:
        raise _NoRun(f"{name} cannot be read (it is missing)")
    return record
