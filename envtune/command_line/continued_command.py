"""The command line of a run that is continued: `ckpt_path=runs/NAME` stands for all that the run was started with.

And that of one that is not, though the folder that it names holds a run already.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from envtune.command_line.job_folder import JobFolder
from envtune.command_line.override_grammar import pasted, quote_paths, quoted, value_of
from envtune.command_line.repeated_overrides import may_be_repeated, recorded_overrides
from envtune.errors import UserError

_CONTINUES = "ckpt_path"
_RUN_FOLDER = "hydra.run.dir"
_SWEEP_FOLDER = "hydra.sweep.dir"
_NAMES_FOLDER = (f"{_RUN_FOLDER}=", f"{_SWEEP_FOLDER}=")
RUN_RECORD = "run.json"
# What stands in a run's folder before its record does.
_BEFORE_THE_RUN = {".hydra", "job.lock", "job.json", "finished.json", "failed.json"}


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
    if {"-m", "--multirun"} & {*arguments}:
        raise UserError(
            f"ckpt_path={value} continues one run: leave -m out, or continue a sweep with the same command and "
            "hydra.sweep.dir=FOLDER"
        )
    other = value_of(_RUN_FOLDER, arguments)
    if other and Path(other).resolve() != Path(value).resolve():
        raise UserError(
            f"ckpt_path={value} continues that run in its own folder: leave hydra.run.dir={other} out, or start a new "
            f"run there from a file with ckpt_path={value}/checkpoints/last.ckpt"
        )
    given = {_key(argument) for argument in arguments}
    started = [override for override in recorded_overrides(Path(value)) if _key(override) not in given]
    asked = [override for override in started if not may_be_repeated(override)]
    if asked:
        raise UserError(
            f"{value} repeats by itself only choices of groups and plain settings (docs/resume.md); what else its run "
            f"was started with may run code or reach out of the folder: read it and, if you trust it, give it again: "
            f"add {pasted(asked)}"
        )
    ours = (f"{_CONTINUES}=", f"{_RUN_FOLDER}=")
    others = [argument for argument in arguments if not argument.startswith(ours)]
    return [*started, *others, f"{_RUN_FOLDER}={quoted(value)}", f"{_CONTINUES}=last"]


def require_free_folder(named: str, start: str | None, can_go_on: bool = True) -> None:
    """Checks the run folder of a command, before Hydra writes the new settings to it.

    ``start`` is the value of `ckpt_path`; ``can_go_on`` is False for a command whose runs cannot be resumed.

    Raises:
        UserError: another process is at work in it, it holds files but not those of a run, it holds an earlier run that
            is not resumed, or it contains the folders of other runs.
    """
    folder = Path(named)
    if not folder.is_dir():
        return
    is_run = (folder / RUN_RECORD).is_file()
    if not is_run:
        # Before the lock, which is a file in the folder.
        _require_nothing_else(folder)
    with JobFolder(folder).locked():
        if not is_run:
            return
        checkpoints = folder.resolve() / "checkpoints"
        goes_on = start == "last" or (start is not None and Path(start).resolve().is_relative_to(checkpoints))
        if not goes_on:
            remedy = f"continue it with {pasted([f'{_CONTINUES}={named}'])}, or give" if can_go_on else "give"
            raise UserError(
                f"{named} holds an earlier run, which would be written over: {remedy} another hydra.run.dir"
            )
        if others := runs_inside(folder):
            raise UserError(
                f"{named} is the folder of a run and contains those of others ({_some(others)}): move them out of it"
            )


def runs_inside(folder: Path) -> list[str]:
    """The folders of training runs below ``folder``, relative to it, less the stages of its own curriculum."""
    own = {folder / f"stage_{stage}" for stage in _stages_of(_settings_of(folder / RUN_RECORD))}
    records = (path for path in sorted(folder.glob(f"*/**/{RUN_RECORD}")) if path.parent not in own)
    return [str(path.parent.relative_to(folder)) for path in records if "trainer" in _settings_of(path)]


def _settings_of(record: Path) -> Mapping[str, Any]:
    """Of another program's file of this name, none."""
    try:
        settings = json.loads(record.read_text(encoding="utf-8"))["settings"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return settings if isinstance(settings, Mapping) else {}


def _stages_of(settings: Mapping[str, Any]) -> list[Any]:
    curriculum = settings.get("curriculum")
    return list(curriculum["stages"]) if isinstance(curriculum, Mapping) else []


def _require_nothing_else(folder: Path) -> None:
    """A command that ends before its run begins leaves Hydra's and this package's first files, and may be repeated."""
    files = [path.name for path in folder.iterdir()]
    others = sorted(name for name in files if name not in _BEFORE_THE_RUN and not name.endswith(".log"))
    if not others:
        return
    runs = sorted(path.parent.name for path in folder.glob(f"*/{RUN_RECORD}"))
    remedy = f"to continue one of its runs ({_some(runs)}), give that one's folder" if runs else "give a new one"
    raise UserError(
        f"{folder} is not empty ({_some(others)}) and is not the folder of a run: {remedy} as hydra.run.dir"
    )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")


def _key(argument: str) -> str:
    """`+reward.x=1` -> `reward.x`."""
    return argument.lstrip("+~").partition("=")[0]
