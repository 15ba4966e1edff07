"""Silence library messages on which a user cannot act."""

from __future__ import annotations

import logging
import warnings

from transformers.utils import logging as transformers_logging

from envtune.processes.ranks import rank_of_this_process

_IGNORED = (
    r".*isinstance\(treespec, LeafSpec\).*",
    r".*does not have many workers.*",
    r"`gradient_checkpointing_enable` is deprecated.*",
    # A resumed run reports its checkpoint itself, and the data module restores the stream of tasks.
    r"Checkpoint directory .* exists and is not empty.*",
    r".*your dataloader is not resumable.*",
    r"The dirpath has changed from .*",
    # A run of one process does not need srun, and `require_processes` checks a run of several.
    r"The `srun` command is available on your system but is not used.*",
    # Aggregates are reduced over all ranks before they are logged.
    r"It is recommended to use `self.log.*sync_dist=True.*",
)
_TIPS = ("💡", "TPU available", "HPU available", "Restoring states from", "Restored all states from")


def silence_libraries() -> None:
    """Filter warnings and tips of libraries. Call once, before the Trainer is made."""
    transformers_logging.disable_progress_bar()
    for message in _IGNORED:
        warnings.filterwarnings("ignore", message=message)
    # Advertisements, and lists of missing accelerators.
    logging.getLogger("lightning.pytorch.utilities.rank_zero").addFilter(_is_relevant)


def silence_other_ranks() -> None:
    """Print only errors on ranks other than 0, which log to their own files."""
    if rank_of_this_process() > 0:
        for handler in logging.getLogger().handlers:
            if not isinstance(handler, logging.FileHandler):
                handler.setLevel(logging.ERROR)


def _is_relevant(record: logging.LogRecord) -> bool:
    text = record.getMessage()
    return not (text.startswith(_TIPS) or "litlogger" in text)
