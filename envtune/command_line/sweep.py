"""What `-m` adds to a command: every job once, in its own folder, whatever becomes of the others. Knows Hydra.

A job that fails is recorded and the others go on; the sweep ends in a sentence that names it. The same command with
`hydra.sweep.dir=FOLDER` skips what is finished and continues what is not; the folder of another job is refused.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

# private: Hydra's own sweeper, whose jobs must be known before the sweep. An own product of the overrides' choices
# would replace it, and could come to differ from Hydra's.
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from envtune.command_line.job_folder import JobFolder, SweepJob, folder_name
from envtune.command_line.mistakes import MISTAKES
from envtune.command_line.override_grammar import pasted
from envtune.errors import UserError
from envtune.files.atomic_file import WriteError
from envtune.processes.ranks import rank_of_this_process

log = logging.getLogger(__name__)

# `${job_folder:${hydra.overrides.task}}`: the name of a job's folder.
OmegaConf.register_new_resolver("job_folder", lambda overrides: folder_name(map(str, overrides)), replace=True)

# The value of `ckpt_path` that continues the run of the folder, from the start if it has no checkpoint yet.
NEWEST_CHECKPOINT = "last"

Task = Callable[[DictConfig], Any]
# Tells an error in one sentence.
Tell = Callable[[Exception], str]


def run(task: Task, config: DictConfig, program: str, tell: Tell) -> Any:
    """Runs ``task`` and records how it ended, in its run folder; in a sweep, only if it has not finished before.

    The folder is locked meanwhile: two processes that continue one run would write over each other's records.

    Returns:
        What the task returned, now or before; NaN of a job that failed.

    Raises:
        UserError: the folder belongs to another job of a sweep, or another process is at work in it.
    """
    folder = JobFolder(Path(HydraConfig.get().runtime.output_dir))
    if rank_of_this_process() > 0:
        return _follow(task, config, folder)
    with folder.locked():
        if in_sweep():
            return _job(task, config, folder, program, tell)
        return _recorded(task, config, folder, tell)


def in_sweep() -> bool:
    """Whether this process runs a job of a sweep."""
    return HydraConfig.get().mode is RunMode.MULTIRUN


def runs_here() -> bool:
    """False of a sweep's job that only a queue of Slurm will start, on a machine like no other."""
    return in_sweep() or not str(HydraConfig.get().launcher["_target_"]).endswith("SlurmLauncher")


def overrides_of_jobs(sweep: DictConfig) -> list[list[str]]:
    """The command line of every job, as far as it is known before the sweep.

    Hydra's own sweeper takes every combination; of another one, what all jobs have in common.

    Raises:
        UserError: an interval, which only other sweepers can draw from.
    """
    sweeper, overrides = sweep.hydra.sweeper, sweep.hydra.overrides
    parser = OverridesParser.create(GlobalHydra.instance().config_loader())
    parsed = parser.parse_overrides([*overrides.task])
    if not str(sweeper["_target_"]).endswith(".BasicSweeper"):
        parsed = [override for override in parsed if not override.is_sweep_override()]
    for override in parsed:
        if override.is_interval_sweep():
            raise UserError(f"{override.input_line} has no end: sweep over a list, range(…) or glob(…)")
    always = parser.parse_overrides([f"{name}={value}" for name, value in (sweeper.get("params") or {}).items()])
    (jobs,) = BasicSweeper.split_arguments([*always, *parsed], None)
    return [[*overrides.hydra, *job] for job in jobs]


def _follow(task: Task, config: DictConfig, folder: JobFolder) -> Any:
    """One of the job's other processes: it does what the first one does, which keeps the records."""
    if in_sweep():
        if finished := folder.finished:
            return finished.result
        # Without a checkpoint it starts at the beginning, as the first process does in a new folder.
        if "ckpt_path" in config:
            config.ckpt_path = NEWEST_CHECKPOINT
    return task(config)


def _job(task: Task, config: DictConfig, folder: JobFolder, program: str, tell: Tell) -> Any:
    """Goes on with what has begun, and not at all with what has finished. An error ends this job, not the sweep."""
    settings: Any = OmegaConf.to_container(config, resolve=False)
    begun = folder.claim(SweepJob(program, tuple(HydraConfig.get().overrides.task), settings))
    if finished := folder.finished:
        log.info("skipped, it has finished: %s", folder.path)
        return finished.result
    if begun and "ckpt_path" in config:
        config.ckpt_path = NEWEST_CHECKPOINT
    try:
        return _recorded(task, config, folder, tell)
    except Exception as error:
        log.error("failed: %s: %s", folder.path, tell(error), exc_info=not isinstance(error, MISTAKES))
        if folder.failure is None:
            # The end of the sweep would not show it.
            raise
        return float("nan")


def _recorded(task: Task, config: DictConfig, folder: JobFolder, tell: Tell) -> Any:
    folder.begin()
    try:
        result = task(config)
    except Exception as error:
        try:
            folder.fail(tell(error))
        except WriteError as unrecorded:
            log.warning("%s", unrecorded)
        raise
    folder.finish(result)
    return result


class SweepReport(Callback):
    """Says at the start how the sweep is continued, and at the end which of its jobs failed."""

    def __init__(self) -> None:
        self._earlier: dict[Path, int] = {}

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        folder = config.hydra.sweep.dir
        self._earlier = _failures(Path(folder))
        print(f"sweep folder: {folder} (the same command with {pasted([f'hydra.sweep.dir={folder}'])} continues it)")

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        """Exits with a sentence if a job of this command failed: of any other error here Hydra makes a warning."""
        folder = Path(config.hydra.sweep.dir)
        jobs = [JobFolder(path.parent) for path in folder.glob("**/job.json")]
        print(f"{sum(job.finished is not None for job in jobs)} of {len(jobs)} jobs in {folder} have finished")
        failed = [path.parent for path, written in _failures(folder).items() if self._earlier.get(path) != written]
        for path in failed:
            print(f"failed: {path}: {JobFolder(path).failure}")
        if failed:
            sys.exit(
                f"error: {len(failed)} failed as told above: the same command with "
                f"{pasted([f'hydra.sweep.dir={folder}'])} runs the unfinished jobs again, and no other"
            )


def _failures(folder: Path) -> dict[Path, int]:
    """The records of failed jobs below ``folder`` and when each was written, by the clock of its file system."""
    return {path: path.stat().st_mtime_ns for path in sorted(folder.glob("**/failed.json"))}
