"""The settings of a run that belong to no component."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from envtune.checked import Seed, checked
from envtune.errors import UserError
from envtune.training.reporting.metrics import ValidationName
from envtune.training.run_folder.starting_point import find_checkpoint


@checked
@dataclass(frozen=True, slots=True)
class RunSettings:
    """What conf/train.yaml has at its top.

    Raises:
        UserError: a value of the wrong kind or out of its range, or ``init_from`` or ``ckpt_path`` has no checkpoint.
    """

    seed: Seed
    ckpt_path: str | None
    init_from: str | None
    tags: Sequence[str | int]
    run_folder: str
    optimized_metric: ValidationName
    callbacks: Mapping[str, Any]
    logger: Mapping[str, Any]

    def __post_init__(self) -> None:
        if self.init_from is not None:
            find_checkpoint(self.init_from)
        if self.ckpt_path not in (None, "last") and not Path(self.ckpt_path).is_file():
            raise UserError(
                f"ckpt_path={self.ckpt_path} does not exist; give a run's folder or a .ckpt file that it saved"
            )
