"""Silences what libraries print about themselves and a user can do nothing about."""

from __future__ import annotations

import logging
import warnings

from transformers.utils import logging as transformers_logging

from envtune.processes.ranks import rank_of_this_process

_NOISE = (
    r".*isinstance\(treespec, LeafSpec\).*",
    r".*does not have many workers.*",
    r"`gradient_checkpointing_enable` is deprecated.*",
    # Of a run that is continued, where we say what it goes on from, and the data module knows which tasks come next.
    r"Checkpoint directory .* exists and is not empty.*",
    r".*your dataloader is not resumable.*",
    r"The dirpath has changed from .*",
    # A run of one process is none of srun's, and one of several that srun should start is refused: `require_processes`.
    r"The `srun` command is available on your system but is not used.*",
    # Our aggregates are over all ranks before they are logged.
    r"It is recommended to use `self.log.*sync_dist=True.*",
)
_TIPS = ("💡", "TPU available", "HPU available", "Restoring states from", "Restored all states from")


def silence_libraries() -> None:
    """Call once, before the Trainer is made."""
    transformers_logging.disable_progress_bar()
    for message in _NOISE:
        warnings.filterwarnings("ignore", message=message)
    # Tips for other products, and which accelerators there are not.
    logging.getLogger("lightning.pytorch.utilities.rank_zero").addFilter(_is_no_tip)


def silence_other_ranks() -> None:
    """Leaves the terminal to the first process; the others log to files of their own, and show only errors."""
    if rank_of_this_process() > 0:
        for handler in logging.getLogger().handlers:
            if not isinstance(handler, logging.FileHandler):
                handler.setLevel(logging.ERROR)


def _is_no_tip(record: logging.LogRecord) -> bool:
    text = record.getMessage()
    return not (text.startswith(_TIPS) or "litlogger" in text)
