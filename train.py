"""Train a policy by Environment Tuning, in a clone: `python train.py stage=3 reward=progress`."""

from __future__ import annotations

import envtune.process_start

from envtune.commands.train import train

if __name__ == "__main__":
    train()
