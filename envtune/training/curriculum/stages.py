"""The stages of a curriculum, one after the other, each from the checkpoint that was chosen of the one before.

Knows what has finished and where each stage starts; training one is the caller's.
"""

from __future__ import annotations

import gc
import logging
import os
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from envtune.checked import Count, EachOnce, checked
from envtune.errors import UserError
from envtune.training.curriculum.stage_end import StageEnd
from envtune.training.resume.continued_run import LAST, continue_run
from envtune.training.resume.last_checkpoint import LAST_CHECKPOINT
from envtune.training.resume.rollback import roll_back
from envtune.training.run_folder.stage_record import FILE, StageRecord, read_stage_records, write_stage_records

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StageStart:
    """What to train next: a stage of a curriculum, or one alone. ``place`` counts stages from 1.

    ``init_from`` is the checkpoint that policy and reference start from, None for what the command says;
    ``updates_before`` the updates of earlier stages. ``max_updates`` is None where the stage's own `trainer.max_steps`
    holds. ``interrupted`` says that the stage may have begun in an earlier process.
    """

    stage: str
    place: int
    folder: Path
    init_from: Path | None = None
    updates_before: int = 0
    max_updates: int | None = None
    in_curriculum: bool = False
    interrupted: bool = False


@checked
class Curriculum:
    """Trains ``stages`` in their order and keeps a record of those that have finished in ``folder``/stages.json.

    Args:
        folder: of the run; the stage named N writes to ``folder``/stage_N.
        stages: names of files in conf/stage.
        start_from: the checkpoint of a stage that the next one starts from, "best" (of all its validations) or "last".
        max_updates: of every stage, or one number for each; None leaves it to the stage.

    Raises:
        UserError: a setting that makes no curriculum.
    """

    def __init__(
        self,
        folder: str,
        stages: Annotated[EachOnce[int | str], Field(description="files of conf/stage, such as [1,2,3,4]")],
        start_from: Literal["best", "last"] = "best",
        max_updates: Count | Sequence[Count] | None = None,
    ) -> None:
        self.folder = Path(folder)
        self.stages = [str(stage) for stage in stages]
        self._start_from = start_from
        self._max_updates = _one_for_each(max_updates, len(self.stages))

    def run(self, train: Callable[[StageStart], StageEnd], goes_on: bool = False) -> list[StageRecord]:
        """Trains every stage that has not finished; returns the records of all that have, one way or the other.

        A stage that collapsed ends the curriculum. ``goes_on`` says that the run in the folder is to be continued.

        Raises:
            UserError: the folder holds a record that does not fit.
        """
        records = self._finished(goes_on)
        for start in self._starts(records, goes_on):
            records.append(self._record(start, train(start)))
            write_stage_records(self.folder, records)
            newest = records[-1]
            log.info("stage %s ended after update %d: %s", newest.stage, newest.last_update, newest.reason)
            log.info("its checkpoint is %s", self.folder / newest.checkpoint)
            if newest.collapsed:
                log.warning("the curriculum stops here, for stage %s has collapsed", newest.stage)
                break
            # A trainer and its parts refer to one another; the next stage needs the room that its weights take.
            gc.collect()
        return records

    def _starts(self, records: list[StageRecord], goes_on: bool) -> Iterator[StageStart]:
        """The stages that are left, each made when those before it are in ``records``."""
        first = len(records) + 1
        for place in range(first, len(self.stages) + 1):
            stage = self.stages[place - 1]
            yield StageStart(
                stage,
                place,
                folder=self.folder / f"stage_{stage}",
                init_from=self.folder / records[-1].checkpoint if records else None,
                updates_before=records[-1].last_update if records else 0,
                max_updates=self._max_updates[place - 1],
                in_curriculum=True,
                interrupted=goes_on and place == first,
            )

    def _finished(self, goes_on: bool) -> list[StageRecord]:
        records = read_stage_records(self.folder)
        if records and not goes_on:
            again = shlex.quote(f"ckpt_path={self.folder}")
            raise UserError(
                f"{self.folder} holds the {FILE} of an earlier run: continue it with {again}, or give another "
                "hydra.run.dir"
            )
        names = [record.stage for record in records]
        if names != self.stages[: len(names)]:
            raise UserError(
                f"curriculum.stages={self.stages} does not begin with the stages that have finished in {self.folder}, "
                f"{names}: give those first"
            )
        if records and records[-1].collapsed:
            raise UserError(
                f"stage {names[-1]} collapsed ({records[-1].reason}), so that nothing can be continued in "
                f"{self.folder}: start a new run, e.g. with init_from={self.folder / records[-1].checkpoint}"
            )
        for record in records:
            log.info("stage %s has finished (updates %d to %d)", record.stage, record.first_update, record.last_update)
        return records

    def _record(self, start: StageStart, end: StageEnd) -> StageRecord:
        return StageRecord(
            stage=start.stage,
            first_update=start.updates_before + 1,
            last_update=end.last_update,
            reason=end.reason,
            # Both resolved: Lightning follows links in the folders that it saves to.
            checkpoint=os.path.relpath(self._choose(end).resolve(), self.folder.resolve()),
            best=end.best_value,
            collapsed=end.collapsed,
            before=end.before,
            after=end.after,
            curve=end.curve,
        )

    def _choose(self, end: StageEnd) -> Path:
        wants_best = self._start_from == "best" or end.collapsed
        return end.best if wants_best and end.best else end.last


def continue_stage(folder: Path, start: StageStart) -> str | None:
    """Brings the run in ``folder`` back to where an interrupted stage can go on; returns the stage's `ckpt_path`.

    None means that the stage begins, as it does where it was interrupted before its first checkpoint.
    """
    if not start.interrupted:
        return None
    if any((start.folder / "checkpoints").glob("last*.ckpt")):
        continue_run(folder, start.folder / "checkpoints" / LAST_CHECKPOINT)
        return LAST
    roll_back(start.folder, -1)
    roll_back(folder, start.updates_before if start.place > 1 else -1)
    return None


def _one_for_each(max_updates: int | Sequence[int] | None, stages: int) -> list[int | None]:
    each: list[int | None] = list(max_updates) if isinstance(max_updates, Sequence) else [max_updates] * stages
    if len(each) != stages:
        raise UserError(
            f"curriculum.max_updates={max_updates} must be one number of updates, or a list of {stages}, one for each "
            "stage"
        )
    return each
