"""The command line of a run that is continued: `ckpt_path=runs/NAME` stands for all that the run was started with.

And that of one that is not, though the folder that it names holds a run already.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from envtune.errors import UserError
from envtune.job_folder import JobFolder
from envtune.override_grammar import pasted, quote_paths, quoted, value_of
from envtune.repeated_overrides import may_be_repeated, recorded_overrides

_CONTINUES = "ckpt_path"
_RUN_FOLDER = "hydra.run.dir"
_SWEEP_FOLDER = "hydra.sweep.dir"
_NAMES_FOLDER = (f"{_RUN_FOLDER}=", f"{_SWEEP_FOLDER}=")


def continued_command(arguments: Sequence[str]) -> list[str]:
    """The arguments for Hydra: with `ckpt_path=FOLDER`, those that the run in FOLDER was started with come first, less
    what is given anew, and FOLDER is written to again.

    Raises:
        UserError: FOLDER is not that of a run, or `ckpt_path=last` is said of no folder, or the run was started with
            what its folder may not repeat by itself (`may_be_repeated`) and this command does not give, or the folder
            of a sweep holds a link that leads out of it.
    """
    arguments = quote_paths(arguments)
    if sweep := value_of(_SWEEP_FOLDER, arguments):
        # Hydra writes to the folder of a job before that can be locked.
        JobFolder(Path(sweep)).require_own_files()
    value = value_of(_CONTINUES, arguments)
    if value == "last" and not any(argument.startswith(_NAMES_FOLDER) for argument in arguments):
        raise UserError(
            "ckpt_path=last needs the folder of the run: add hydra.run.dir=runs/NAME, or give ckpt_path=runs/NAME, "
            "which also repeats the run's settings"
        )
    if not value or not Path(value).is_dir():
        return arguments
    given = {_key(argument) for argument in arguments}
    started = [override for override in recorded_overrides(Path(value)) if _key(override) not in given]
    asked = [override for override in started if not may_be_repeated(override)]
    if asked:
        raise UserError(
            f"{value} repeats by itself only choices of groups and plain settings (docs/resume.md); what else its run "
            f"was started with may run code or reach out of the folder: read it and, if you trust it, give it again: "
            f"add {pasted(asked)}"
        )
    others = [argument for argument in arguments if not argument.startswith(f"{_CONTINUES}=")]
    return [*started, *others, f"{_RUN_FOLDER}={quoted(value)}", f"{_CONTINUES}=last"]


def require_free_folder(arguments: Sequence[str], can_go_on: bool = True) -> None:
    """Looks at the folder that the arguments for Hydra name, if they do: before Hydra writes the new settings to it.

    ``can_go_on`` is False of a command whose runs cannot be continued.

    Raises:
        UserError: another process is at work in it, or it holds an earlier run that is not continued.
    """
    named = value_of(_RUN_FOLDER, arguments)
    if not named or not Path(named).is_dir():
        return
    with JobFolder(Path(named)).locked():
        start = value_of(_CONTINUES, arguments)
        goes_on = start == "last" or Path(start).resolve().is_relative_to(Path(named).resolve() / "checkpoints")
        if (Path(named) / "run.json").is_file() and not goes_on:
            remedy = f"continue it with {pasted([f'{_CONTINUES}={named}'])}, or give" if can_go_on else "give"
            raise UserError(
                f"{named} holds an earlier run, which would be written over: {remedy} another hydra.run.dir"
            )


def _key(argument: str) -> str:
    """`+reward.x=1` -> `reward.x`."""
    return argument.lstrip("+~").partition("=")[0]
