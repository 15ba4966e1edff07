"""Model folders that a command of this project prepares."""

from __future__ import annotations

from pathlib import Path

from envtune.errors import UserError

# The path of a choice of `model=`, relative to the working folder, and the command.
PREPARED = {"models/smollm2-135m": "make pretrained"}


def require_prepared(path: str) -> None:
    """Raise UserError if ``path`` is a folder that a command has yet to prepare."""
    if path in PREPARED and not Path(path).exists():
        raise UserError(f"model.path={path} does not exist yet: `{PREPARED[path]}` in a clone of envtune prepares it")
