"""What no component of a run can check: the run's own settings, the machine, and the stages of a curriculum."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from hydra.utils import instantiate
from omegaconf import DictConfig

from envtune.command_line.composed_config import require_component, require_sound
from envtune.command_line.run_settings import RunSettings
from envtune.command_line.stage_config import compose_stages, is_continued, plain
from envtune.command_line.sweep import runs_here
from envtune.errors import UserError
from envtune.training.distributed.devices import require_accelerator
from envtune.training.model.weights import load_model, require_model
from envtune.training.resume.continued_run import LAST
from envtune.training.run_folder.run_record import read_run_record

_COMPONENTS = ("module", "datamodule", "trainer", "model", "optimizer")


def require_sound_run(config: DictConfig) -> None:
    """Validate the composed config of `train.py`, and of each stage of a curriculum.

    Raises:
        UserError: a setting is not allowed, or not available on this machine.
    """
    settings = plain(config)
    own = [field.name for field in fields(RunSettings)]
    for name in (*own, *_COMPONENTS):
        if name not in settings:
            raise UserError(f"{name} cannot be left out; a part of it can be: callbacks.NAME=null, logger.NAME=null")
    RunSettings(**{name: settings[name] for name in own})
    for name in _COMPONENTS:
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
    """Raise UserError where a curriculum would be continued as a single stage, or the other way round."""
    if config.ckpt_path != LAST:
        return
    record = read_run_record(Path(config.run_folder), "restore it from a copy, or give another hydra.run.dir")
    if record and bool(record.get("settings", {}).get("curriculum")) != bool(config.curriculum):
        kind, stage = ("one stage", "its own stage") if config.curriculum else ("a curriculum", "stage=curriculum")
        raise UserError(f"{config.run_folder} holds the run of {kind}: continue it with {stage}, or elsewhere")
