"""The config of each stage of a curriculum: what `stage=N` composes with the very same command line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, cast

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from envtune.command_line.command import CONFIG_FOLDER
from envtune.command_line.override_grammar import quoted
from envtune.errors import UserError
from envtune.training.curriculum.stages import StageStart
from envtune.training.reporting.report import changed
from envtune.training.resume.continued_run import LAST

# The choice of stage that stands for several.
CURRICULUM = "curriculum"

# Overrides of the curriculum's own; the choice of callbacks is handed on as it was composed with it.
_OF_THE_CURRICULUM = re.compile(r"[+~]*(stage=|curriculum[.=]|callbacks=)")


def compose_stages(stages: Sequence[str]) -> list[DictConfig]:
    """One config for each of ``stages``, with all overrides of the running command that are not the curriculum's own.

    Raises:
        hydra.errors.MissingConfigException: a stage without a file.
        UserError: one of them is the curriculum.
    """
    if CURRICULUM in stages:
        raise UserError(
            f"curriculum.stages={list(stages)} names {CURRICULUM} itself: give single stages, e.g. [1,2,3,4]"
        )
    chosen = HydraConfig.get()
    given = [override for override in chosen.overrides.task if not _OF_THE_CURRICULUM.match(override)]
    callbacks = f"callbacks={chosen.runtime.choices['callbacks']}"
    return [_compose(str(chosen.job.config_name), [*given, callbacks, f"stage={quoted(stage)}"]) for stage in stages]


def _compose(config_name: str, overrides: list[str]) -> DictConfig:
    config = hydra.compose(config_name, overrides)
    # An experiment may set how the curriculum goes.
    config.curriculum = None
    return config


def place_stage(config: DictConfig, start: StageStart, ckpt_path: str | None) -> DictConfig:
    """``config`` writing to the stage's folder, starting where it is told and ended by its number of updates, if given.

    ``ckpt_path`` is what an interrupted stage goes on from.
    """
    config.run_folder, config.ckpt_path = str(start.folder), ckpt_path
    if start.init_from is not None:
        config.init_from = str(start.init_from)
    if start.max_updates is not None:
        config.trainer.max_steps = start.max_updates
    return config


def alone() -> StageStart:
    """The stage of a command that trains only one."""
    chosen = HydraConfig.get()
    return StageStart(str(chosen.runtime.choices["stage"]), place=1, folder=Path(chosen.runtime.output_dir))


def is_continued(config: DictConfig) -> bool:
    """Whether a curriculum goes on with what is in its run folder.

    Raises:
        UserError: ``ckpt_path`` names a file, which stands for one stage and not for the curriculum.
    """
    if config.ckpt_path not in (None, LAST):
        raise UserError(
            f"ckpt_path={config.ckpt_path} is a checkpoint of one stage: continue a curriculum with ckpt_path=<its run "
            "folder>, or start one stage with stage=N init_from=…"
        )
    return config.ckpt_path == LAST


def stage_before(stage: str) -> str | None:
    """The stage before ``stage`` in `stage=curriculum`."""
    plan = OmegaConf.load(CONFIG_FOLDER / "stage" / f"{CURRICULUM}.yaml")
    stages = [str(name) for name in plan.curriculum.stages]
    return stages[stages.index(stage) - 1] if stage in stages[1:] else None


def own_settings(stage: DictConfig, curriculum: DictConfig) -> dict[str, Any]:
    """What a stage sets that the config of the whole curriculum has not, or has otherwise."""
    sides = (OmegaConf.to_container(config, resolve=False) for config in (stage, curriculum))
    own = changed(*cast(Iterable[dict[str, Any]], sides))
    return {name: value for name, value in own.items() if name not in ("curriculum", "ckpt_path")}


def plain(config: DictConfig) -> dict[str, Any]:
    """``config`` as plain values, with everything that refers to something else filled in."""
    return cast(dict[str, Any], OmegaConf.to_container(config, resolve=True))
