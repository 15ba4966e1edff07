"""Train a policy by Environment Tuning: `envtune-train stage=3 reward=progress`. See `envtune-train --help`.

In a clone `python train.py` is the same command.
"""

from __future__ import annotations

import envtune.process_start

from omegaconf import DictConfig

from envtune.command_line.command import command
from envtune.command_line.run_check import require_valid_run
from envtune.command_line.training_run import train_and_report


@command("train", require_valid_run)
def train(config: DictConfig) -> float | None:
    """Train by the composed config and return ``optimized_metric`` after training."""
    return train_and_report(config)
