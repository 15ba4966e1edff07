"""stages.json: the finished stages of a curriculum, for the stages after them, for continuing and for comparing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from lightning.pytorch.utilities.rank_zero import rank_zero_only

from envtune.errors import UserError
from envtune.files.atomic_file import atomic_file
from envtune.files.record_file import read_record

FILE = "stages.json"


@dataclass(frozen=True, slots=True)
class StageRecord:
    """A finished stage. Updates count from 1 through the whole curriculum.

    ``checkpoint`` is what the next stage starts from, relative to the run's folder, and ``best`` the greatest overall
    progress of a validation during the stage, None if it had none. ``before`` and ``after`` map names of validation
    (`val/success/base` …) to shares, at the stage's start and end, and
    ``curve`` has the update and the overall success of every validation between.
    """

    stage: str
    first_update: int
    last_update: int
    reason: str
    checkpoint: str
    best: float | None
    collapsed: bool = False
    before: Mapping[str, float] = field(default_factory=dict)
    after: Mapping[str, float] = field(default_factory=dict)
    curve: Sequence[tuple[int, float]] = ()


def read_stage_records(folder: Path) -> list[StageRecord]:
    """The finished stages of the run in ``folder``, in their order; none where there is no record.

    Raises:
        UserError: the record is broken, or names a checkpoint outside of the folder.
    """
    path, remedy = folder / FILE, "restore it from a copy, or give a .ckpt file of a stage as init_from"
    records: list[StageRecord] = read_record(path, list[StageRecord], remedy) or []
    for record in records:
        if not (folder / record.checkpoint).resolve().is_relative_to(folder.resolve()):
            raise UserError(f"{path} cannot be used ({record.checkpoint!a} is not in the run's folder): {remedy}")
    return records


@rank_zero_only
def write_stage_records(folder: Path, records: Sequence[StageRecord]) -> None:
    """Replaces the record at once, so that a crash leaves the old one or the new one."""
    with atomic_file(folder / FILE) as file:
        file.write(json.dumps([asdict(record) for record in records], indent=2) + "\n")


def chosen_checkpoint_of(folder: Path) -> Path | None:
    """What a stage after the last finished one of the run in ``folder`` would start from."""
    records = read_stage_records(folder)
    return folder / records[-1].checkpoint if records else None
