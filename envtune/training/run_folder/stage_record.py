"""stages.json: the finished stages of a curriculum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from lightning.pytorch.utilities.rank_zero import rank_zero_only

from envtune.errors import UserError
from envtune.files.record_file import read_record, write_record

FILE = "stages.json"


@dataclass(frozen=True, slots=True)
class StageRecord:
    """A finished stage. Updates are numbered from 1 through the whole curriculum."""

    stage: str
    first_update: int
    last_update: int
    reason: str
    checkpoint: str
    """The checkpoint from which the next stage starts, relative to the run's folder."""
    best: float | None
    """Best result of ``metric``; None without a callback that keeps it."""
    collapsed: bool = False
    before: Mapping[str, float] = field(default_factory=dict)
    """Results of the validation at its start, in [0, 1] by name (`val/success/base` …)."""
    after: Mapping[str, float] = field(default_factory=dict)
    """Results of the validation at its end."""
    curve: Sequence[tuple[int, float]] = ()
    """Update and overall success of each validation."""
    metric: str | None = "val/progress/overall"
    """The result of validation by which the best checkpoint was chosen; older records lack it."""


def read_stage_records(folder: Path) -> list[StageRecord]:
    """Return the finished stages of the run in ``folder``, in their order; none without a record.

    Raises:
        UserError: the record is damaged, or names a checkpoint outside the folder.
    """
    path, remedy = folder / FILE, "restore it from a copy, or give a .ckpt file of a stage as init_from"
    records: list[StageRecord] = read_record(path, list[StageRecord], remedy) or []
    for record in records:
        if not (folder / record.checkpoint).resolve().is_relative_to(folder.resolve()):
            raise UserError(f"{path} cannot be used ({record.checkpoint!a} is not in the run's folder): {remedy}")
    return records


@rank_zero_only
def write_stage_records(folder: Path, records: Sequence[StageRecord]) -> None:
    """Replace the record atomically."""
    write_record(folder / FILE, [asdict(record) for record in records])


def chosen_checkpoint_of(folder: Path) -> Path | None:
    """Return the checkpoint of the last finished stage of the run in ``folder``, from which the next would start."""
    records = read_stage_records(folder)
    return folder / records[-1].checkpoint if records else None
