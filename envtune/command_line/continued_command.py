"""The command line of a resumed run: `ckpt_path=runs/NAME` repeats the overrides that the run was started with.

A new run in the folder of an earlier one is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from envtune.command_line.job_folder import JobFolder
from envtune.command_line.override_grammar import quote_paths, quote_value, shell_quoted, value_of
from envtune.command_line.repeated_overrides import may_be_repeated, recorded_overrides, recorded_search_path
from envtune.command_line.search_path import SEARCH_PATH, with_search_path
from envtune.errors import UserError
from envtune.training.run_folder.checkpoint_names import CHECKPOINTS, LAST, last_checkpoint_of

_CONTINUES = "ckpt_path"
_RUN_FOLDER = "hydra.run.dir"
_SWEEP_FOLDER = "hydra.sweep.dir"
_NAMES_FOLDER = (f"{_RUN_FOLDER}=", f"{_SWEEP_FOLDER}=")
RUN_RECORD = "run.json"
# Files that are written to a run's folder before its record.
_BEFORE_THE_RECORD = {".hydra", "job.lock", "job.json", "finished.json", "failed.json"}


def continued_command(arguments: Sequence[str]) -> list[str]:
    """Return the arguments for Hydra.

    `ckpt_path=FOLDER` is replaced by the overrides of the run in FOLDER, without those that are given anew; the resumed
    run writes to FOLDER again.

    Raises:
        UserError: FOLDER is not the folder of a run; `ckpt_path=last` is given without a folder; the run had overrides
            or configs that its folder may not repeat and this command does not give; or a sweep's folder
            holds a link that leads out of it.
    """
    arguments = quote_paths(arguments)
    if sweep := value_of(_SWEEP_FOLDER, arguments):
        # Hydra writes to the folder of a job before that can be locked.
        JobFolder(Path(sweep)).require_no_outward_links()
    value = value_of(_CONTINUES, arguments)
    if value == LAST and not any(argument.startswith(_NAMES_FOLDER) for argument in arguments):
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
            f"run there from a file with ckpt_path={last_checkpoint_of(value)}"
        )
    given = {_key_of(argument) for argument in arguments}
    if SEARCH_PATH not in given:
        recorded = [f"--config-dir={place}" for place in recorded_search_path(Path(value))]
        arguments = with_search_path([*recorded, *arguments])
    started = [override for override in recorded_overrides(Path(value)) if _key_of(override) not in given]
    untrusted = [override for override in started if not may_be_repeated(override)]
    if untrusted:
        raise UserError(
            f"{value} repeats by itself only choices of groups and plain settings (docs/resume.md); what else its run "
            f"was started with may run code or reach out of the folder: read it and, if you trust it, give it again: "
            f"add {shell_quoted(untrusted)}"
        )
    replaced = (f"{_CONTINUES}=", f"{_RUN_FOLDER}=")
    others = [argument for argument in arguments if not argument.startswith(replaced)]
    return [*started, *others, f"{_RUN_FOLDER}={quote_value(value)}", f"{_CONTINUES}=last"]


def require_free_folder(named: str, start: str | None, resumable: bool = True) -> None:
    """Validate the run folder of a command before Hydra writes the new settings to it.

    Args:
        named: the folder.
        start: the value of `ckpt_path`.
        resumable: whether runs of the command can be resumed.

    Raises:
        UserError: another process works in the folder, or it holds other files than those of a run, an earlier run that
            is not resumed, or the folders of other runs.
    """
    folder = Path(named)
    if not folder.is_dir():
        return
    is_run = (folder / RUN_RECORD).is_file()
    if not is_run:
        # Before the lock, which is a file in the folder.
        _require_no_other_files(folder)
    with JobFolder(folder).locked():
        if not is_run:
            return
        checkpoints = folder.resolve() / CHECKPOINTS
        resumed = start == LAST or (start is not None and Path(start).resolve().is_relative_to(checkpoints))
        if not resumed:
            remedy = f"continue it with {shell_quoted([f'{_CONTINUES}={named}'])}, or give" if resumable else "give"
            raise UserError(f"{named} holds an earlier run, which would be overwritten: {remedy} another hydra.run.dir")
        if others := runs_inside(folder):
            raise UserError(
                f"{named} is the folder of a run and contains those of others ({_first_names(others)}): move them out"
            )


def runs_inside(folder: Path) -> list[str]:
    """Return the folders of training runs below ``folder``, relative to it, without its own curriculum's stages."""
    curriculum = _settings_of(folder / RUN_RECORD).get("curriculum")
    own = {folder / f"stage_{stage}" for stage in curriculum["stages"]} if isinstance(curriculum, Mapping) else set()
    records = (path for path in sorted(folder.glob(f"*/**/{RUN_RECORD}")) if path.parent not in own)
    return [str(path.parent.relative_to(folder)) for path in records if "trainer" in _settings_of(path)]


def _settings_of(record: Path) -> Mapping[str, Any]:
    """Return the settings in a run's record; empty for another program's file of this name."""
    try:
        settings = json.loads(record.read_text(encoding="utf-8"))["settings"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return settings if isinstance(settings, Mapping) else {}


def _require_no_other_files(folder: Path) -> None:
    """Raise UserError for files that are not left by a command that ended before its run began."""
    files = [path.name for path in folder.iterdir()]
    others = sorted(name for name in files if name not in _BEFORE_THE_RECORD and not name.endswith(".log"))
    if not others:
        return
    runs = sorted(path.parent.name for path in folder.glob(f"*/{RUN_RECORD}"))
    remedy = f"to continue one of its runs ({_first_names(runs)}), give that one's folder" if runs else "give a new one"
    raise UserError(
        f"{folder} is not empty ({_first_names(others)}) and is not the folder of a run: {remedy} as hydra.run.dir"
    )


def _first_names(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")


def _key_of(argument: str) -> str:
    """`+reward.x=1` -> `reward.x`."""
    return argument.lstrip("+~").partition("=")[0]
