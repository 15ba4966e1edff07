"""Estimate the memory of a training run by part and phase, without its weights: docs/scale.md.

    python -m tools.memory.estimate model=qwen2.5-7b trainer=gpu --gpu-memory 80
    python -m tools.memory.estimate model=hf model.path=FOLDER trainer=gpu rollout=vllm --gpu-memory 80

Settings are those of train.py; of the model only config.json is read. The phases are the peaks of memory: sampling;
log-probs of the fullest micro-batch and their gradients (projection); forward and backward pass of the layers; the
optimiser's step. envtune/command_line/memory_estimate.py lists what is counted and what is not.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import envtune.process_start

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console
from rich.table import Table

from envtune.command_line.command import quote_numbers, require_known_choices, require_known_keys
from envtune.command_line.memory_estimate import GIB, PHASES, MemoryPart, estimate, micro_batch
from envtune.command_line.mistakes import sentence
from envtune.command_line.search_path import CONFIG_FOLDER, with_search_path
from envtune.errors import UserError
from envtune.program import run_program
from envtune.report_text import table as empty_table
from envtune.training.reporting.library_logging import silence_libraries

CONFIG = "train"
WIDTH = 140
MIB = 2**20


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Estimate the memory of a training run by part and phase.")
    parser.add_argument("settings", nargs="*", metavar="group=choice", help="settings of train.py")
    parser.add_argument("--config-dir", action="append", default=[], metavar="DIR", help="configs of your own")
    parser.add_argument("--gpu-memory", type=float, metavar="GIB", help="memory of the device")
    options = parser.parse_args()
    silence_libraries()
    capacity = None if options.gpu_memory is None else int(options.gpu_memory * GIB)
    try:
        with_search_path([f"--config-dir={folder}" for folder in options.config_dir])
        config = compose(options.settings)
        parts = estimate(config, capacity)
        micro = micro_batch(config)
        title = (
            f"{config.model.path}, micro-batch of {micro.tokens:,} tokens ({micro.prompts} x {micro.prompt:,}, each "
            f"with {micro.rows} x {micro.completion:,} after it)"
        )
    except (UserError, HydraException, OmegaConfBaseException) as error:
        raise UserError(sentence(error, CONFIG)) from error
    console = Console() if sys.stdout.isatty() else Console(width=WIDTH)
    console.print(table(parts, title, capacity))


def compose(arguments: Sequence[str]) -> DictConfig:
    """Return the config of `python train.py ARGUMENTS`.

    Raises:
        UserError, HydraException, OmegaConfBaseException: train.py does not allow an argument, or it is a curriculum.
    """
    arguments = quote_numbers(arguments)
    require_known_choices(arguments)
    GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(str(CONFIG_FOLDER), version_base="1.3"):
        config = hydra.compose(CONFIG, overrides=arguments)
    require_known_keys(config, CONFIG)
    if config.curriculum:
        raise UserError("stage=curriculum is several stages of different lengths: give one, the longest are 3 and 4")
    return config


def table(parts: Sequence[MemoryPart], title: str, capacity: int | None) -> Table:
    """Return a table with a row for each part, a column for each phase, and their sums."""
    totals = {phase: sum(part.size for part in parts if phase in part.phases) for phase in PHASES}
    name, unit = ("GiB", GIB) if max(totals.values()) >= GIB else ("MiB", MIB)
    shown = empty_table(title, [f"{name} of one device"], PHASES)
    for part in parts:
        shown.add_row(part.name, *(f"{part.size / unit:.2f}" if phase in part.phases else "" for phase in PHASES))
    shown.add_section()
    shown.add_row("in all", *(f"{totals[phase] / unit:.2f}" for phase in PHASES))
    if capacity:
        shown.add_row(
            f"of {capacity / GIB:g} GiB",
            *(f"{totals[phase] / capacity:.0%}" + (" !" if totals[phase] > capacity else "") for phase in PHASES),
        )
    return shown


if __name__ == "__main__":
    run_program(main)
