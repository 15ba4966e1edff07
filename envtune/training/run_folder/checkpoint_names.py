"""Names of checkpoints: files in the folder of a run, and the value of `ckpt_path` that resumes the run."""

from __future__ import annotations

from pathlib import Path

CHECKPOINTS = "checkpoints"
LAST_CHECKPOINT = "last.ckpt"
BEST_CHECKPOINT = "best.ckpt"
# The value of `ckpt_path` for the newest checkpoint of the run folder.
LAST = "last"


def last_checkpoint_of(run_folder: str | Path) -> Path:
    """Return the path of the last checkpoint in a run's folder, whether it exists or not."""
    return Path(run_folder) / CHECKPOINTS / LAST_CHECKPOINT


def best_checkpoint_of(run_folder: str | Path) -> Path:
    """Return the path of the best checkpoint in a run's folder, whether it exists or not."""
    return Path(run_folder) / CHECKPOINTS / BEST_CHECKPOINT
