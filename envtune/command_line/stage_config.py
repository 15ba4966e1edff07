"""The config of each stage of a curriculum: what `stage=N` composes with the overrides of the running command."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, cast

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from envtune.command_line.override_grammar import quote_value
from envtune.command_line.search_path import CONFIG_FOLDER
from envtune.errors import UserError
from envtune.training.curriculum.stages import StageStart
from envtune.training.reporting.report import changed
from envtune.training.run_folder.checkpoint_names import LAST

# The choice of the group `stage` that trains several.
CURRICULUM = "curriculum"

# Overrides that are not repeated for the stages; the composed choice of callbacks is passed on instead.
_OF_THE_CURRICULUM = re.compile(r"[+~]*(stage=|curriculum[.=]|callbacks=)")


def compose_stages(stages: Sequence[str]) -> list[DictConfig]:
    """Compose a config for each of ``stages``, with the overrides of the running command.

    Raises:
        hydra.errors.MissingConfigException: a stage has no file.
        UserError: one of them is the curriculum.
    """
    if CURRICULUM in stages:
        raise UserError(
            f"curriculum.stages={list(stages)} names {CURRICULUM} itself: give single stages, e.g. [1,2,3,4]"
        )
    chosen = HydraConfig.get()
    given = [override for override in chosen.overrides.task if not _OF_THE_CURRICULUM.match(override)]
    callbacks = f"callbacks={chosen.runtime.choices['callbacks']}"
    config_name = str(chosen.job.config_name)
    configs = [hydra.compose(config_name, [*given, callbacks, f"stage={quote_value(stage)}"]) for stage in stages]
    for config in configs:
        # An experiment may have set it.
        config.curriculum = None
    return configs


def configure_stage(config: DictConfig, start: StageStart, ckpt_path: str | None) -> DictConfig:
    """Set the folder, the starting point and the number of updates of a stage, and the checkpoint that it resumes."""
    config.run_folder, config.ckpt_path = str(start.folder), ckpt_path
    if start.init_from is not None:
        config.init_from = str(start.init_from)
    if start.max_updates is not None:
        config.trainer.max_steps = start.max_updates
    return config


def single_stage() -> StageStart:
    """Return the stage of a command that trains only one."""
    chosen = HydraConfig.get()
    return StageStart(str(chosen.runtime.choices["stage"]), position=1, folder=Path(chosen.runtime.output_dir))


def is_resumed(config: DictConfig) -> bool:
    """Return True if the curriculum in the run folder is resumed.

    Raises:
        UserError: ``ckpt_path`` names a file, which belongs to a single stage.
    """
    if config.ckpt_path not in (None, LAST):
        raise UserError(
            f"ckpt_path={config.ckpt_path} is a checkpoint of one stage: continue a curriculum with ckpt_path=<its run "
            "folder>, or start one stage with stage=N init_from=…"
        )
    return config.ckpt_path == LAST


def previous_stage(stage: str) -> str | None:
    """Return the stage before ``stage`` in `stage=curriculum`; None for the first stage or an unknown one."""
    plan = OmegaConf.load(CONFIG_FOLDER / "stage" / f"{CURRICULUM}.yaml")
    stages = [str(name) for name in plan.curriculum.stages]
    return stages[stages.index(stage) - 1] if stage in stages[1:] else None


def stage_differences(stage: DictConfig, curriculum: DictConfig) -> dict[str, Any]:
    """Return the settings in which the config of a stage differs from that of the whole curriculum."""
    sides = (OmegaConf.to_container(config, resolve=False) for config in (stage, curriculum))
    differing = changed(*cast(Iterable[dict[str, Any]], sides))
    return {name: value for name, value in differing.items() if name not in ("curriculum", "ckpt_path")}


def resolve(config: DictConfig) -> dict[str, Any]:
    """Return ``config`` as plain values, with its interpolations resolved."""
    return cast(dict[str, Any], OmegaConf.to_container(config, resolve=True))
