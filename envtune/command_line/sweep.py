"""Sweeps (`-m`): every job runs once, in its own folder, independently of the others.

A failed job is recorded, the others run on, and the sweep ends in a sentence that names it. The same command with
`hydra.sweep.dir=FOLDER` skips finished jobs and resumes the others; the folder of another job is rejected.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

# private: Hydra's own sweeper, whose jobs must be known before the sweep. Our own product of the choices would replace
# it, but could diverge from Hydra's.
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from typing_extensions import override

from envtune.command_line.job_folder import JobFolder, SweepJob, folder_name
from envtune.command_line.mistakes import MISTAKES
from envtune.command_line.override_grammar import shell_quoted
from envtune.errors import UserError
from envtune.files.atomic_file import WriteError
from envtune.processes.ranks import rank_of_this_process
from envtune.training.run_folder.checkpoint_names import LAST

log = logging.getLogger(__name__)

# `${job_folder:${hydra.overrides.task}}`: the name of a job's folder.
OmegaConf.register_new_resolver("job_folder", lambda overrides: folder_name(map(str, overrides)), replace=True)

Task = Callable[[DictConfig], Any]
# Returns the sentence for an error.
Describe = Callable[[Exception], str]


def run(task: Task, config: DictConfig, program: str, describe: Describe) -> Any:
    """Run ``task`` and record its outcome in its run folder; skip a job of a sweep that has finished before.

    The folder is locked meanwhile: two processes that resume one run would overwrite each other's records.

    Returns:
        The result of the task, now or before; NaN for a failed job.

    Raises:
        UserError: the folder belongs to another job of a sweep, or another process works in it.
    """
    folder = JobFolder(Path(HydraConfig.get().runtime.output_dir))
    if rank_of_this_process() > 0:
        return _follow(task, config, folder)
    with folder.locked():
        if in_sweep():
            return _run_job(task, config, folder, program, describe)
        return _run_recorded(task, config, folder, describe)


def in_sweep() -> bool:
    """Return True if this process runs a job of a sweep."""
    return HydraConfig.get().mode is RunMode.MULTIRUN


def runs_on_this_machine() -> bool:
    """Return False before a sweep whose jobs Slurm will start on other machines."""
    return in_sweep() or not str(HydraConfig.get().launcher["_target_"]).endswith("SlurmLauncher")


def overrides_of_jobs(sweep: DictConfig) -> list[list[str]]:
    """Return the overrides of every job, as far as they are known before the sweep.

    Hydra's own sweeper runs every combination; for any other, one list of the overrides that all jobs share.

    Raises:
        UserError: an override is an interval, which Hydra's own sweeper cannot sample.
    """
    sweeper, overrides = sweep.hydra.sweeper, sweep.hydra.overrides
    parser = OverridesParser.create(GlobalHydra.instance().config_loader())
    parsed = parser.parse_overrides([*overrides.task])
    if not str(sweeper["_target_"]).endswith(".BasicSweeper"):
        parsed = [given for given in parsed if not given.is_sweep_override()]
    for given in parsed:
        if given.is_interval_sweep():
            raise UserError(f"{given.input_line} has no end: sweep over a list, range(…) or glob(…)")
    always = parser.parse_overrides([f"{name}={value}" for name, value in (sweeper.get("params") or {}).items()])
    (jobs,) = BasicSweeper.split_arguments([*always, *parsed], None)
    return [[*overrides.hydra, *job] for job in jobs]


def _follow(task: Task, config: DictConfig, folder: JobFolder) -> Any:
    """Run a rank other than 0, without keeping records."""
    if in_sweep():
        if finished := folder.finished:
            return finished.result
        # Without a checkpoint it starts from the beginning, as rank 0 does in a new folder.
        if "ckpt_path" in config:
            config.ckpt_path = LAST
    return task(config)


def _run_job(task: Task, config: DictConfig, folder: JobFolder, program: str, describe: Describe) -> Any:
    """Start or resume a job, or skip it if it has finished. An error ends this job, not the sweep."""
    settings: Any = OmegaConf.to_container(config, resolve=False)
    begun = folder.claim(SweepJob(program, tuple(HydraConfig.get().overrides.task), settings))
    if finished := folder.finished:
        log.info("skipped, it has finished: %s", folder.path)
        return finished.result
    if begun and "ckpt_path" in config:
        config.ckpt_path = LAST
    try:
        return _run_recorded(task, config, folder, describe)
    except Exception as error:
        log.error("failed: %s: %s", folder.path, describe(error), exc_info=not isinstance(error, MISTAKES))
        if folder.failure is None:
            # The failure could not be recorded, so the report of the sweep would not show it.
            raise
        return float("nan")


def _run_recorded(task: Task, config: DictConfig, folder: JobFolder, describe: Describe) -> Any:
    folder.begin()
    try:
        result = task(config)
    except Exception as error:
        try:
            folder.fail(describe(error))
        except WriteError as unrecorded:
            log.warning("%s", unrecorded)
        raise
    folder.finish(result)
    return result


class SweepReport(Callback):
    """Print how to continue the sweep at its start, and which of its jobs failed at its end."""

    def __init__(self) -> None:
        self._earlier: dict[Path, int] = {}

    @override
    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        folder = config.hydra.sweep.dir
        self._earlier = _failures(Path(folder))
        print(
            f"sweep folder: {folder} (the same command with {shell_quoted([f'hydra.sweep.dir={folder}'])} continues it)"
        )

    @override
    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        folder = Path(config.hydra.sweep.dir)
        jobs = [JobFolder(path.parent) for path in folder.glob("**/job.json")]
        print(f"{sum(job.finished is not None for job in jobs)} of {len(jobs)} jobs in {folder} have finished")
        failed = [path.parent for path, written in _failures(folder).items() if self._earlier.get(path) != written]
        for path in failed:
            print(f"failed: {path}: {JobFolder(path).failure}")
        if failed:
            # Not raised: Hydra turns any error in a callback into a warning.
            sys.exit(
                f"error: {len(failed)} failed as listed above: the same command with "
                f"{shell_quoted([f'hydra.sweep.dir={folder}'])} runs the unfinished jobs again, and no other"
            )


def _failures(folder: Path) -> dict[Path, int]:
    """Return the records of failed jobs below ``folder``, and the modification time of each in ns."""
    return {path: path.stat().st_mtime_ns for path in sorted(folder.glob("**/failed.json"))}
