"""run.json: what is needed to reproduce a run or to compare its numbers, and how a resumed run differs."""

from __future__ import annotations

import logging
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from lightning.pytorch.utilities.rank_zero import rank_zero_only
from typing_extensions import TypedDict

import envtune
from envtune.chat.pieces import Pieces
from envtune.files.record_file import flatten, read_record, write_record
from envtune.training.run_folder.checkpoint_io import update_of

log = logging.getLogger(__name__)

FILE = "run.json"
# Groups of the config that only combine the others.
WIRING = ("module", "datamodule")
PACKAGES = ("envtune", "bfcl-eval", "lightning", "numpy", "torch", "transformers")
# Settings in which a resumed run may differ: folder, length, and presentation.
_FREE = ("settings.ckpt_path", "settings.tags", "settings.logger", "settings.optimized_metric", "settings.run_folder")
_FREE_LENGTHS = ("settings.trainer.max_steps", "settings.trainer.max_epochs")
_REMEDY = "restore it from a copy, or delete it"


# Below: the keys of run.json that other commands read. It holds more, and other versions of the package other keys.
class ModelSettings(TypedDict, total=False):
    """Settings of the trained model."""

    path: str
    dtype: str


class PromptSettings(TypedDict, total=False):
    """Settings of the system prompt."""

    tool_documents: str
    instructions: str
    thinking: Literal["on", "off"] | bool | None


class TemplateSettings(TypedDict, total=False):
    """Settings of the chat template."""

    max_observation_tokens: int | None


class RolloutSettings(TypedDict, total=False):
    """Settings of the rollout."""

    max_completion_tokens: int
    template: TemplateSettings


class Settings(TypedDict, total=False):
    """The composed settings of a run; missing in the record of an evaluation."""

    model: ModelSettings
    prompt: PromptSettings
    protocol: dict[str, str]
    rollout: RolloutSettings
    run_folder: str


class Tasks(TypedDict, total=False):
    """The description of the source of tasks."""

    validation_tasks: list[str]


class RunRecord(TypedDict, total=False):
    """The content of run.json."""

    settings: Settings
    tasks: Tasks
    continued: list[Any]
    files: list[str]


def read_run_record(folder: Path, remedy: str) -> RunRecord | None:
    """Return the record of the run in ``folder``; None if there is no record.

    Raises:
        UserError: the record is damaged; the sentence ends in ``remedy``.
    """
    return read_record(folder / FILE, RunRecord, remedy)


@rank_zero_only
def write_run_record(
    folder: str,
    tasks: Mapping[str, Any],
    tags: Sequence[str],
    settings: Mapping[str, Any] | None = None,
    start: Path | None = None,
    files: Sequence[str] = (),
    template: Pieces | None = None,
) -> None:
    """Write ``folder``/run.json, with command line, versions and the commit of the code.

    The record of a resumed run stays; `continued` gets an entry, files are added, and a warning names the differences.

    Args:
        folder: the run folder.
        tasks: the description of the source of tasks.
        tags: the user's tags.
        settings: the composed settings.
        start: the checkpoint that is resumed.
        files: the run's own files (`run_files.files_written_by`).
        template: the pieces that the chat template writes around messages.
    """
    path = Path(folder) / FILE
    record: dict[str, Any] = {
        "command": sys.argv,
        "tags": list(tags),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "commit": _commit(),
        "settings": {name: value for name, value in (settings or {}).items() if name not in WIRING},
        "tasks": dict(tasks),
        "files": list(files),
        "chat_template": template.record if template else None,
    }
    begun = read_run_record(path.parent, _REMEDY) if start else None
    if start and begun is not None:
        changes = differences(begun, record)
        if changes:
            log.warning(
                "the run continues with changes, so that it will differ from an uninterrupted one: %s",
                "; ".join(changes),
            )
        entry: dict[str, Any] = {name: record[name] for name in ("command", "python", "packages", "commit")}
        entry |= {"after_update": update_of(start), "changes": changes}
        record = {**begun, "continued": [*begun.get("continued", ()), entry]}
        record["files"] = sorted({*begun.get("files", ()), *files})
    write_record(path, record)


@rank_zero_only
def add_files(folder: Path, files: Sequence[str]) -> None:
    """Add to the files in the record of the run in ``folder``."""
    record = read_run_record(folder, _REMEDY)
    assert record is not None
    write_record(folder / FILE, {**record, "files": sorted({*record.get("files", ()), *files})})


def differences(begun: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return the differences of two records that change numbers, such as `settings.grpo.beta was 0.1 and is 0.2`."""
    # Records of earlier versions do not have all of them.
    compared = begun.keys() & {"settings", "python", "packages", "commit", "tasks", "chat_template"}
    old, new = (_flat({name: record.get(name) for name in compared}) for record in (begun, now))
    return [
        f"{_printable(name)} was {_printable(old.get(name))} and is {_printable(new.get(name))}"
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name) and not name.startswith(_FREE) and name not in _FREE_LENGTHS
    ]


def _flat(record: Mapping[str, Any]) -> dict[str, Any]:
    """Flatten a record; the run folder is removed from paths, because it may have been moved."""
    home = (record.get("settings") or {}).get("run_folder")
    flat = flatten(record)
    return {key: value.replace(home, "") if home and isinstance(value, str) else value for key, value in flat.items()}


def _printable(value: Any) -> str:
    """Return a value in one line, escaped: the record may come from elsewhere, and is printed to the terminal."""
    text = str(value)
    return text if text.isprintable() else ascii(text)


def _version(package: str) -> str | None:
    """Return the version of an installed package; None for one that is not installed, as bfcl-eval need not be."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    """Return the commit of this code; None for an installed wheel, which may lie in a checkout of another project."""
    command, here = ["git", "describe", "--always", "--dirty"], Path(envtune.__file__).parents[1]
    if not (here / ".git").exists():
        return None
    try:
        done = subprocess.run(command, cwd=here, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
