"""Trains a policy by Environment Tuning: `python train.py stage=3 reward=progress`. See `python train.py --help`."""

from __future__ import annotations

import shlex
from dataclasses import fields
from pathlib import Path

import envtune.process_start

import lightning
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from lightning.pytorch.loggers import Logger
from omegaconf import DictConfig

from envtune.command_line.command import command, settings_of_this_run
from envtune.command_line.composed_config import require_component, require_sound
from envtune.command_line.run_settings import RunSettings
from envtune.command_line.stage_config import (
    alone,
    compose_stages,
    is_continued,
    own_settings,
    place_stage,
    plain,
    stage_before,
)
from envtune.command_line.sweep import in_sweep, runs_here
from envtune.errors import UserError
from envtune.training.curriculum.stage_end import StageEnd, stage_end
from envtune.training.curriculum.stage_transition import StageMark
from envtune.training.curriculum.stages import StageStart, continue_stage
from envtune.training.distributed.devices import require_accelerator, require_processes, seed_this_rank
from envtune.training.distributed.rank_watch import RankWatch
from envtune.training.model.weights import load_model, require_model
from envtune.training.reporting.library_logging import silence_libraries, silence_other_ranks
from envtune.training.reporting.report import (
    config_tree,
    show,
    stages_table,
    validation_curve,
    validation_table,
)
from envtune.training.reporting.scalar_log import log_outcome
from envtune.training.reporting.update_axis import count_on, unlogged
from envtune.training.reporting.validation_history import ValidationHistory
from envtune.training.resume.continued_run import LAST, keep_as_own, start_of_run
from envtune.training.resume.termination import ended_by_signals
from envtune.training.run_folder.run_files import files_written_by
from envtune.training.run_folder.run_record import add_files, read_run_record, write_run_record
from envtune.training.run_folder.stage_record import StageRecord
from envtune.training.run_folder.starting_point import describe_start


def how_to_continue(config: DictConfig) -> str:
    """For a run that a signal ended."""
    if in_sweep():
        folder = HydraConfig.get().sweep.dir
        return f"the same command with hydra.sweep.dir={shlex.quote(folder)} continues the sweep"
    return f"python train.py ckpt_path={shlex.quote(config.run_folder)} continues from the newest checkpoint"


def require_sound_run(config: DictConfig) -> None:
    """What no component can see: settings of the run itself, the machine, and the stages of a curriculum.

    Raises:
        UserError: a setting that is not allowed, or that cannot be had here.
    """
    settings = plain(config)
    needed = (*(field.name for field in fields(RunSettings)), "module", "datamodule", "trainer", "model", "optimizer")
    for name in needed:
        if name not in settings:
            raise UserError(f"{name} cannot be left out; a part of it can be: callbacks.NAME=null, logger.NAME=null")
    RunSettings(**{field.name: settings[field.name] for field in fields(RunSettings)})
    for name in ("module", "datamodule", "trainer", "model", "optimizer"):
        require_component(config[name], name)
    for group in ("callbacks", "logger"):
        for name, part in config[group].items():
            if part:
                require_component(part, f"{group}.{name}")
    if config.model._target_ == f"{load_model.__module__}.{load_model.__name__}":
        require_model(config.model.path)
    _require_same_kind(config)
    if runs_here():
        require_accelerator(config.trainer.accelerator)
    if config.curriculum:
        require_component(config.curriculum, "curriculum")
        is_continued(config)
        for stage in compose_stages(instantiate(config.curriculum, _convert_="all").stages):
            require_sound(stage)


def _require_same_kind(config: DictConfig) -> None:
    """Raises UserError where a curriculum would be continued as a single stage, or the other way round."""
    if config.ckpt_path != LAST:
        return
    record = read_run_record(Path(config.run_folder), "restore it from a copy, or give another hydra.run.dir")
    if record and bool(record.get("settings", {}).get("curriculum")) != bool(config.curriculum):
        kind, stage = ("one stage", "its own stage") if config.curriculum else ("a curriculum", "stage=curriculum")
        raise UserError(f"{config.run_folder} holds the run of {kind}: continue it with {stage}, or elsewhere")


@command("train", require_sound_run)
def train(config: DictConfig) -> float | None:
    """Composes, trains one stage or a curriculum, and reports; returns ``optimized_metric`` after training."""
    silence_libraries()
    silence_other_ranks()
    loggers = [instantiate(logger) for logger in config.logger.values() if logger]
    with ended_by_signals(how_to_continue(config)), RankWatch() as rank_watch:
        stages = (
            train_curriculum(config, loggers, rank_watch)
            if config.curriculum
            else [train_stage(config, loggers, rank_watch, alone())]
        )
    log_outcome(loggers, settings_of_this_run(), stages[-1].after, stages[-1].last_update)
    show(validation_curve([point for stage in stages for point in stage.curve]))
    show(validation_table(stages[0].before, stages[-1].after), f"run folder: {config.run_folder}")
    return stages[-1].after.get(config.optimized_metric)


def train_curriculum(config: DictConfig, loggers: list[Logger], rank_watch: RankWatch) -> list[StageRecord]:
    """Trains the stages that have not finished, each as its own config says, on the same curves."""
    curriculum = instantiate(config.curriculum, _convert_="all")
    configs = compose_stages(curriculum.stages)
    show(config_tree(plain(config)), f"run folder: {config.run_folder}")
    goes_on = is_continued(config)
    files = files_written_by(curriculum.folder, loggers)
    if goes_on and (curriculum.folder / "run.json").is_file():
        add_files(curriculum.folder, files)
    else:
        source = instantiate(config.data, _convert_="all")
        write_run_record(config.run_folder, source.describe(), list(config.tags), plain(config), files=files)

    def train_next(start: StageStart) -> StageEnd:
        stage = configs[start.place - 1]
        # Under its name, what the stage sets otherwise than the config printed first.
        show(config_tree(own_settings(stage, config), f"stage {start.stage}, {start.place} of {len(configs)}"))
        placed = place_stage(stage, start, continue_stage(curriculum.folder, start))
        return train_stage(placed, loggers, rank_watch, start)

    records = curriculum.run(train_next, goes_on)
    show(stages_table(records))
    return records


def train_stage(config: DictConfig, loggers: list[Logger], rank_watch: RankWatch, stage: StageStart) -> StageEnd:
    """Instantiates and fits."""
    settings = plain(config)
    lightning.seed_everything(config.seed, workers=True, verbose=False)
    start = start_of_run(config.ckpt_path, config.run_folder)
    # The model last: what else is wrong should not wait for its weights, nor follow the whole config.
    datamodule = instantiate(config.datamodule, _convert_="all")
    history = ValidationHistory()
    callbacks = [rank_watch, history, *(instantiate(callback) for callback in config.callbacks.values() if callback)]
    callbacks += [StageMark(stage.place)] if stage.in_curriculum else []
    trainer = instantiate(config.trainer, callbacks=callbacks, logger=loggers)
    require_processes(trainer, in_sweep())
    datamodule.check_devices(trainer.world_size)
    tasks = datamodule.source.describe()
    if not stage.in_curriculum:
        show(config_tree(settings), f"run folder: {config.run_folder}")
    goes_on = str(start) if start else None
    show(describe_start(stage.stage, config.model.path, config.init_from, goes_on, stage_before(stage.stage)))
    module = instantiate(config.module, _convert_="all")
    seed_this_rank(config.seed, trainer)
    collector, model = datamodule.collector, module.policy.model.config
    collector.check_window(model.max_position_embeddings)
    collector.template.check_vocabulary(model.vocab_size)
    files = files_written_by(Path(config.run_folder), [*callbacks, *loggers])
    write_run_record(config.run_folder, tasks, list(config.tags), settings, start, files, collector.template.pieces)
    count_on(trainer, module, stage.updates_before)

    if start:
        keep_as_own(start, config.run_folder)
    else:
        with unlogged(trainer, stage.updates_before > 0):
            trainer.validate(module, datamodule, verbose=False)
    trainer.fit(module, datamodule, ckpt_path=start, weights_only=True)
    if history.newest_update != trainer.global_step:
        trainer.validate(module, datamodule, verbose=False)
    # After the validation, so that a run that is killed in between goes back and does not validate twice.
    last = Path(config.run_folder) / "checkpoints" / "last.ckpt"
    trainer.save_checkpoint(last, weights_only=False)
    return stage_end(trainer, module.updates_before, last, history)


if __name__ == "__main__":
    train()
