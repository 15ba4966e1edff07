"""Validation of a run's own settings, the machine, and the stages of a curriculum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import DictConfig

from envtune.checked import Seed, checked
from envtune.command_line.composed_config import require_component, require_valid_components
from envtune.command_line.stage_config import compose_stages, is_resumed, resolve
from envtune.command_line.sweep import runs_on_this_machine
from envtune.errors import UserError
from envtune.model_path import require_weights
from envtune.training.distributed.devices import require_accelerator
from envtune.training.model.weights import load_model
from envtune.training.reporting.metrics import ValidationName
from envtune.training.run_folder.checkpoint_names import LAST
from envtune.training.run_folder.run_record import read_run_record
from envtune.training.run_folder.starting_point import find_checkpoint
from envtune.training.run_folder.trained_protocol import require_protocol_of_the_policy
from envtune.training.trainer_check import require_precision

_COMPONENTS = ("module", "datamodule", "trainer", "model", "protocol", "optimizer", "sampler")


@checked
@dataclass(frozen=True, slots=True)
class RunSettings:
    """The settings at the top of conf/train.yaml, which belong to no component.

    Raises:
        UserError: a value is not allowed, or there is no checkpoint at ``init_from`` or ``ckpt_path``.
    """

    seed: Seed
    ckpt_path: str | None
    init_from: str | None
    tags: Sequence[str | int]
    run_folder: str
    optimized_metric: ValidationName
    stage_metric: ValidationName
    callbacks: Mapping[str, Any]
    logger: Mapping[str, Any]

    def __post_init__(self) -> None:
        if self.init_from is not None:
            find_checkpoint(self.init_from)
        if self.ckpt_path not in (None, LAST) and not Path(self.ckpt_path).is_file():
            raise UserError(
                f"ckpt_path={self.ckpt_path} does not exist; give a run's folder or a .ckpt file that it saved"
            )


def require_valid_run(config: DictConfig) -> None:
    """Validate the composed config of `train.py`, and of each stage of a curriculum.

    Raises:
        UserError: a setting is not allowed, or not available on this machine.
    """
    settings = resolve(config)
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
        require_weights(config.model.path)
    require_precision(config.trainer.get("precision"))
    if config.ckpt_path == LAST:
        _require_same_kind(config)
    else:
        require_protocol_of_the_policy(settings, HydraConfig.get().overrides.task)
    if runs_on_this_machine():
        require_accelerator(config.trainer.accelerator)
    if config.curriculum:
        require_component(config.curriculum, "curriculum")
        is_resumed(config)
        for stage in compose_stages(instantiate(config.curriculum, _convert_="all").stages):
            require_valid_components(stage)


def _require_same_kind(config: DictConfig) -> None:
    """Raise UserError where a curriculum would be continued as a single stage, or the other way round."""
    record = read_run_record(Path(config.run_folder), "restore it from a copy, or give another hydra.run.dir")
    if record and bool(record.get("settings", {}).get("curriculum")) != bool(config.curriculum):
        kind, stage = ("one stage", "its own stage") if config.curriculum else ("a curriculum", "stage=curriculum")
        raise UserError(f"{config.run_folder} holds the run of {kind}: continue it with {stage}, or elsewhere")
