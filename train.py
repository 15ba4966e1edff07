"""Trains a policy by Environment Tuning: `python train.py stage=3 reward=progress`. See `python train.py --help`."""

from __future__ import annotations

import lightning
import rich
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from envtune.command_line import command, settings_of_this_run
from envtune.training.callbacks.validation_history import ValidationHistory
from envtune.training.continued_run import start_of_run
from envtune.training.hyperparameters import log_outcome
from envtune.training.library_noise import silence_libraries
from envtune.training.report import config_tree, require_validation_name, validation_table
from envtune.training.run_record import write_run_record


@command("train")
def train(config: DictConfig) -> float | None:
    """Composes, instantiates, fits and reports; returns ``optimized_metric`` after training."""
    silence_libraries()
    settings: dict = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    rich.print(config_tree(settings))
    print(f"run folder: {config.run_folder}")
    lightning.seed_everything(config.seed, workers=True, verbose=False)
    require_validation_name(config.optimized_metric)
    start = start_of_run(config.ckpt_path, config.run_folder)
    # The model last: what else is wrong should not wait for its weights.
    datamodule = instantiate(config.datamodule, _convert_="all")
    history = ValidationHistory()
    callbacks = [history, *(instantiate(callback) for callback in config.callbacks.values() if callback)]
    loggers = [instantiate(logger) for logger in config.logger.values() if logger]
    trainer = instantiate(config.trainer, callbacks=callbacks, logger=loggers)
    module = instantiate(config.module, _convert_="all")
    datamodule.collector.check_window(module.policy.model.config.max_position_embeddings)
    write_run_record(config.run_folder, datamodule.source.describe(), list(config.tags), settings, start)

    if not start:
        trainer.validate(module, datamodule, verbose=False)
    trainer.fit(module, datamodule, ckpt_path=start, weights_only=True)
    if history.newest_update != trainer.global_step:
        trainer.validate(module, datamodule, verbose=False)
    # After the validation, so that a run that is killed in between goes back and does not validate twice.
    trainer.save_checkpoint(f"{config.run_folder}/checkpoints/last.ckpt", weights_only=False)
    log_outcome(loggers, settings_of_this_run(), history.after, trainer.global_step)
    rich.print(validation_table(history.before, history.after))
    print(f"run folder: {config.run_folder}")
    return history.after.get(config.optimized_metric)


if __name__ == "__main__":
    train()
