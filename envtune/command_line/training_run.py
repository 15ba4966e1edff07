"""A training run: compose the config of each stage → build its components → fit → report."""

from __future__ import annotations

import math
import shlex
from pathlib import Path

import lightning
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from lightning.pytorch.loggers import Logger
from omegaconf import DictConfig

from envtune.chat.trained_conversation import differences_from_own
from envtune.command_line.command import settings_of_this_run
from envtune.command_line.memory_check import warn_of_memory
from envtune.command_line.override_grammar import shell_quoted
from envtune.command_line.search_path import folders_of_this_job
from envtune.command_line.stage_config import (
    compose_stages,
    configure_stage,
    is_resumed,
    previous_stage,
    resolve,
    single_stage,
    stage_differences,
)
from envtune.command_line.sweep import in_sweep
from envtune.program import invocation
from envtune.training.curriculum.stage_end import StageEnd, stage_end
from envtune.training.curriculum.stage_transition import StageMark
from envtune.training.curriculum.stages import StageStart, resume_stage
from envtune.training.distributed.devices import require_processes, seed_this_rank
from envtune.training.distributed.rank_watch import RankWatch
from envtune.training.reporting.library_logging import silence_libraries, silence_other_ranks
from envtune.training.reporting.report import config_tree, show, stages_table, validation_curve, validation_table
from envtune.training.reporting.scalar_log import log_outcome
from envtune.training.reporting.update_axis import continue_update_count, limit_updates, logging_disabled
from envtune.training.reporting.validation_history import ValidationHistory
from envtune.training.resume.continued_run import adopt_checkpoint, find_resume_checkpoint
from envtune.training.resume.termination import ended_by_signals
from envtune.training.run_folder.checkpoint_names import last_checkpoint_of
from envtune.training.run_folder.run_files import files_written_by
from envtune.training.run_folder.run_record import add_files, write_run_record
from envtune.training.run_folder.stage_record import StageRecord
from envtune.training.run_folder.starting_point import describe_start


def train_and_report(config: DictConfig) -> float | None:
    """Train one stage or a curriculum, print the validation curve, and return ``optimized_metric`` after training."""
    silence_libraries()
    silence_other_ranks()
    loggers = [instantiate(logger) for logger in config.logger.values() if logger]
    with ended_by_signals(resume_instruction(config)), RankWatch() as rank_watch:
        stages = (
            train_curriculum(config, loggers, rank_watch)
            if config.curriculum
            else [train_stage(config, loggers, rank_watch, single_stage())]
        )
    log_outcome(loggers, settings_of_this_run(), stages[-1].after, stages[-1].last_update)
    show(validation_curve([point for stage in stages for point in stage.curve]))
    show(validation_table(stages[0].before, stages[-1].after), f"run folder: {config.run_folder}")
    return stages[-1].after.get(config.optimized_metric)


def train_curriculum(config: DictConfig, loggers: list[Logger], rank_watch: RankWatch) -> list[StageRecord]:
    """Train the stages that have not finished, each with its own config, and log them on common curves."""
    curriculum = instantiate(config.curriculum, _convert_="all")
    configs = compose_stages(curriculum.stages)
    show(config_tree(resolve(config)), f"run folder: {config.run_folder}")
    resumed = is_resumed(config)
    files = files_written_by(curriculum.folder, loggers)
    if resumed and (curriculum.folder / "run.json").is_file():
        add_files(curriculum.folder, files)
    else:
        source = instantiate(config.data, _convert_="all")
        write_run_record(config.run_folder, source.describe(), list(config.tags), resolve(config), files=files)

    def train_next(start: StageStart) -> StageEnd:
        stage = configs[start.position - 1]
        show(config_tree(stage_differences(stage, config), f"stage {start.stage}, {start.position} of {len(configs)}"))
        configured = configure_stage(stage, start, resume_stage(curriculum.folder, start))
        return train_stage(configured, loggers, rank_watch, start)

    records = curriculum.run(train_next, resumed)
    show(stages_table(records))
    return records


def train_stage(config: DictConfig, loggers: list[Logger], rank_watch: RankWatch, stage: StageStart) -> StageEnd:
    """Build the components of one stage, validate, fit, validate, and save the last checkpoint."""
    settings = resolve(config)
    lightning.seed_everything(config.seed, workers=True, verbose=False)
    start = find_resume_checkpoint(config.ckpt_path, config.run_folder)
    # Build. The model is last: loading its weights takes longest, and every other mistake should show earlier.
    datamodule = instantiate(config.datamodule, _convert_="all")
    history = ValidationHistory()
    callbacks = [rank_watch, history, *(instantiate(callback) for callback in config.callbacks.values() if callback)]
    callbacks += [StageMark(stage.position)] if stage.in_curriculum else []
    trainer = instantiate(config.trainer, callbacks=callbacks, logger=loggers)
    require_processes(trainer, in_sweep())
    datamodule.check_devices(trainer.world_size)
    # Lightning's epochs have whole numbers of updates, so that max_epochs of them may be more than as many passes.
    limit_updates(trainer, datamodule.updates_of(trainer.max_epochs))
    if config.scheduler:
        instantiate(config.scheduler).length(math.inf if trainer.max_steps == -1 else trainer.max_steps)
    tasks = datamodule.source.describe()
    if not stage.in_curriculum:
        show(config_tree(settings), f"run folder: {config.run_folder}")
    continued_from = str(start) if start else None
    show(describe_start(stage.stage, config.model.path, config.init_from, continued_from, previous_stage(stage.stage)))
    warn_of_memory(config)
    module = instantiate(config.module, _convert_="all")
    seed_this_rank(config.seed, trainer)
    datamodule.check_model(module.policy.model)
    show(*differences_from_own(datamodule.collector.template))
    # Lightning's epochs have whole numbers of updates, so that max_epochs of them may be more than as many passes.
    limit_updates(trainer, datamodule.updates_of(trainer.max_epochs))
    module.check_schedule(trainer.max_steps if trainer.max_steps != -1 else math.inf)
    # Record what is about to run.
    files = files_written_by(Path(config.run_folder), [*callbacks, *loggers])
    write_run_record(
        config.run_folder, tasks, list(config.tags), settings, start, files, datamodule.collector.template.pieces
    )
    continue_update_count(trainer, module, stage.updates_before)
    # Fit.
    if start:
        adopt_checkpoint(start, config.run_folder)
    else:
        with logging_disabled(trainer, stage.updates_before > 0):
            trainer.validate(module, datamodule, verbose=False)
    trainer.fit(module, datamodule, ckpt_path=start, weights_only=True)
    if history.newest_update != trainer.global_step:
        trainer.validate(module, datamodule, verbose=False)
    # After the validation: a run killed between the two resumes before it, and does not record it twice.
    last = last_checkpoint_of(config.run_folder)
    trainer.save_checkpoint(last, weights_only=False)
    return stage_end(trainer, module.updates_before, last, history)


def resume_instruction(config: DictConfig) -> str:
    """Return the sentence that is printed when a signal ends the run."""
    if in_sweep():
        folder = HydraConfig.get().sweep.dir
        return f"the same command with hydra.sweep.dir={shlex.quote(folder)} continues the sweep"
    configs = [word for folder in folders_of_this_job() for word in ("--config-dir", str(folder))]
    arguments = shell_quoted([*configs, f"ckpt_path={config.run_folder}"])
    return f"{invocation()} {arguments} continues from the newest checkpoint"
