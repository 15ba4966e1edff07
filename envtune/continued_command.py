"""The command line of a run that is continued: `ckpt_path=runs/NAME` stands for all that the run was started with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml

from envtune.errors import UserError

_CONTINUES = "ckpt_path="
_NAMES_FOLDER = ("hydra.run.dir=", "hydra.sweep.dir=")


def continued_command(arguments: Sequence[str]) -> list[str]:
    """The arguments for Hydra: with `ckpt_path=FOLDER`, those that the run in FOLDER was started with come first, less
    what is given anew, and FOLDER is written to again.

    Raises:
        UserError: FOLDER is not that of a run, or `ckpt_path=last` is said of no folder.
    """
    value = next((a.removeprefix(_CONTINUES).strip("'\"") for a in arguments if a.startswith(_CONTINUES)), "")
    if value == "last" and not any(argument.startswith(_NAMES_FOLDER) for argument in arguments):
        raise UserError(
            "ckpt_path=last needs the folder of the run: add hydra.run.dir=runs/NAME, or give ckpt_path=runs/NAME, "
            "which also repeats the run's settings"
        )
    if not value or not Path(value).is_dir():
        return list(arguments)
    given = {_key(argument) for argument in arguments}
    started = [override for override in _overrides_of(Path(value)) if _key(override) not in given]
    others = [argument for argument in arguments if not argument.startswith(_CONTINUES)]
    return [*started, *others, f"hydra.run.dir='{value}'", "ckpt_path=last"]


def _overrides_of(folder: Path) -> list[str]:
    """What Hydra noted of the command that started the run."""
    path = folder / ".hydra" / "overrides.yaml"
    if not path.is_file():
        raise UserError(
            f"ckpt_path={folder} holds no {path.relative_to(folder)}, so it is not the folder of a run: give one, or "
            "a .ckpt file"
        )
    return [str(override) for override in yaml.safe_load(path.read_text(encoding="utf-8")) or []]


def _key(argument: str) -> str:
    """`+reward.x=1` -> `reward.x`."""
    return argument.lstrip("+~").partition("=")[0]
