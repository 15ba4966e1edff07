"""The stages of a curriculum in their order, each from a checkpoint of the stage before it.

Keeps the record of finished stages and decides where each stage starts; the caller trains it.
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
from envtune.training.resume.continued_run import resume_run
from envtune.training.resume.rollback import roll_back
from envtune.training.run_folder.checkpoint_names import LAST, last_checkpoint_of
from envtune.training.run_folder.stage_record import FILE, StageRecord, read_stage_records, write_stage_records

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StageStart:
    """The next stage to train, of a curriculum or a single one."""

    stage: str
    position: int
    """Its number in the curriculum, from 1."""
    folder: Path
    init_from: Path | None = None
    """The checkpoint that policy and reference start from; None for the command's own `init_from`."""
    updates_before: int = 0
    """Updates of earlier stages."""
    max_updates: int | None = None
    """None for the stage's own `trainer.max_steps`."""
    in_curriculum: bool = False
    interrupted: bool = False
    """Whether the stage may have begun in an earlier process."""


@checked
class Curriculum:
    """Train ``stages`` in their order and record finished ones in ``folder``/stages.json.

    Args:
        folder: the run folder; the stage named N writes to ``folder``/stage_N.
        stages: names of files in conf/stage.
        start_from: the checkpoint of a stage that the next one starts from, "best" (of all its validations) or "last".
        max_updates: the limit of every stage, or one for each; None leaves it to the stage.

    Raises:
        UserError: a setting is not allowed.
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
        every = max_updates if isinstance(max_updates, Sequence) else [max_updates] * len(self.stages)
        self._max_updates: Sequence[int | None] = every
        if len(self._max_updates) != len(self.stages):
            raise UserError(
                f"curriculum.max_updates={max_updates} must be one number of updates, or a list of "
                f"{len(self.stages)}, one for each stage"
            )

    def run(self, train: Callable[[StageStart], StageEnd], resumed: bool = False) -> list[StageRecord]:
        """Train every stage that has not finished, up to a collapse, and return the records of all finished stages.

        Args:
            train: trains one stage.
            resumed: whether the run in the folder is resumed.

        Raises:
            UserError: the folder holds the record of another curriculum.
        """
        records = self._finished(resumed)
        for start in self._starts(records, resumed):
            records.append(self._record(start, train(start)))
            write_stage_records(self.folder, records)
            newest = records[-1]
            log.info("stage %s ended after update %d: %s", newest.stage, newest.last_update, newest.reason)
            log.info("its checkpoint is %s", self.folder / newest.checkpoint)
            if newest.collapsed:
                log.warning("the curriculum stops here, because stage %s has collapsed", newest.stage)
                break
            # A trainer and its parts form reference cycles, and the next stage needs the memory of their weights.
            gc.collect()
        return records

    def _starts(self, records: list[StageRecord], resumed: bool) -> Iterator[StageStart]:
        """Yield the remaining stages lazily: each needs the record of the one before it."""
        first = len(records) + 1
        for position in range(first, len(self.stages) + 1):
            stage = self.stages[position - 1]
            yield StageStart(
                stage,
                position,
                folder=self.folder / f"stage_{stage}",
                init_from=self.folder / records[-1].checkpoint if records else None,
                updates_before=records[-1].last_update if records else 0,
                max_updates=self._max_updates[position - 1],
                in_curriculum=True,
                interrupted=resumed and position == first,
            )

    def _finished(self, resumed: bool) -> list[StageRecord]:
        records = read_stage_records(self.folder)
        if records and not resumed:
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
        use_best = self._start_from == "best" or end.collapsed
        checkpoint = end.best if use_best and end.best else end.last
        return StageRecord(
            stage=start.stage,
            first_update=start.updates_before + 1,
            last_update=end.last_update,
            reason=end.reason,
            # Both resolved: Lightning follows links in the folders that it saves to.
            checkpoint=os.path.relpath(checkpoint.resolve(), self.folder.resolve()),
            best=end.best_value,
            metric=end.best_metric,
            collapsed=end.collapsed,
            before=end.before,
            after=end.after,
            curve=end.curve,
        )


def resume_stage(folder: Path, start: StageStart) -> str | None:
    """Roll the run in ``folder`` back to the newest checkpoint of an interrupted stage, and return its `ckpt_path`.

    None for a stage that starts from the beginning, also because it was interrupted before its first checkpoint.
    """
    if not start.interrupted:
        return None
    if any((start.folder / "checkpoints").glob("last*.ckpt")):
        resume_run(folder, last_checkpoint_of(start.folder))
        return LAST
    roll_back(start.folder, -1)
    roll_back(folder, start.updates_before if start.position > 1 else -1)
    return None
