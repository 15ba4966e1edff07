"""What must be known to repeat a run or to compare its numbers, and whether a continued one is still the same."""

from __future__ import annotations

import json
import logging
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lightning.pytorch.utilities.rank_zero import rank_zero_only
from pydantic import ConfigDict, with_config
from typing_extensions import TypedDict

from envtune.chat.pieces import Pieces
from envtune.files.atomic_file import atomic_file
from envtune.files.record_file import read_record
from envtune.training.run_folder.checkpoint_io import update_of

log = logging.getLogger(__name__)

FILE = "run.json"
# Groups of the config that only put the others together.
WIRING = ("module", "datamodule")
PACKAGES = ("envtune", "bfcl-eval", "lightning", "numpy", "torch", "transformers")
# What may change when a run is continued without making it another one: where and how long, and how it is shown.
_FREE = ("settings.ckpt_path", "settings.tags", "settings.logger", "settings.optimized_metric", "settings.run_folder")
_FREE_LENGTHS = ("settings.trainer.max_steps", "settings.trainer.max_epochs")
_REMEDY = "restore it from a copy, or delete it"
# Another version of the package may have written more.
_OPEN = with_config(ConfigDict(extra="allow", strict=True))


@_OPEN
class ModelSettings(TypedDict, total=False):
    """Of the model that a run trained."""

    path: str
    dtype: str


@_OPEN
class PromptSettings(TypedDict, total=False):
    tool_documents: str
    instructions: str


@_OPEN
class TemplateSettings(TypedDict, total=False):
    max_observation_tokens: int | None


@_OPEN
class RolloutSettings(TypedDict, total=False):
    max_completion_tokens: int
    template: TemplateSettings


@_OPEN
class Settings(TypedDict, total=False):
    """Of the composed settings those that other commands read; none in the record of an evaluation."""

    model: ModelSettings
    prompt: PromptSettings
    rollout: RolloutSettings
    run_folder: str


@_OPEN
class Tasks(TypedDict, total=False):
    validation_tasks: list[str]


@_OPEN
class RunRecord(TypedDict, total=False):
    """What other commands read of run.json; it holds more."""

    settings: Settings
    tasks: Tasks
    continued: list[Any]
    files: list[str]


def read_run_record(folder: Path, remedy: str) -> RunRecord | None:
    """The record of the run in ``folder``; None if it has none.

    Raises:
        UserError: the record is broken; ends in ``remedy``.
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
    """Writes ``folder``/run.json: command line, versions, the code's commit, the composed ``settings``, which tasks
    were drawn, the ``files`` of the folder that are the run's own (`run_files.files_written_by`), and what the chat
    template writes around messages.

    If the run is resumed from ``start``, the record of its beginning stays and `continued` gets an entry; files are
    added to those listed. A warning names what differs between the two.
    """
    path = Path(folder) / FILE
    record: dict[str, Any] = {
        "command": sys.argv,
        "tags": list(tags),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "commit": _commit(),
        "settings": {name: value for name, value in (settings or {}).items() if name not in WIRING},
        "tasks": dict(tasks),
        "files": list(files),
        "chat_template": asdict(template) if template else None,
    }
    begun = read_run_record(path.parent, _REMEDY) if start else None
    if start and begun is not None:
        changes = differences(begun, record)
        if changes:
            log.warning(
                "the run goes on with something else than it began with, so that it will differ from an uninterrupted "
                "one: %s",
                "; ".join(changes),
            )
        entry: dict[str, Any] = {name: record[name] for name in ("command", "python", "packages", "commit")}
        entry |= {"after_update": update_of(start), "changes": changes}
        record = {**begun, "continued": [*begun.get("continued", ()), entry]}
        record["files"] = sorted({*begun.get("files", ()), *files})
    _write(path, record)


@rank_zero_only
def add_files(folder: Path, files: Sequence[str]) -> None:
    """Adds to the files that the record of the run in ``folder`` lists."""
    record = read_run_record(folder, _REMEDY)
    assert record is not None
    _write(folder / FILE, {**record, "files": sorted({*record.get("files", ()), *files})})


def _write(path: Path, record: Mapping[str, Any]) -> None:
    with atomic_file(path) as file:
        file.write(json.dumps(record, indent=2) + "\n")


def differences(begun: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """`settings.grpo.beta was 0.1 and is 0.2`, of whatever two records do not agree in and that changes numbers."""
    # Older records do not have all of them.
    compared = begun.keys() & {"settings", "python", "packages", "commit", "tasks", "chat_template"}
    old, new = (_flat({name: record.get(name) for name in compared}, record) for record in (begun, now))
    return [
        f"{_printable(name)} was {_printable(old.get(name))} and is {_printable(new.get(name))}"
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name) and not name.startswith(_FREE) and name not in _FREE_LENGTHS
    ]


def _flat(value: Any, record: Mapping[str, Any]) -> dict[str, Any]:
    """By dotted name; the run's own folder is left out of paths, for it may have been moved."""
    home = (record.get("settings") or {}).get("run_folder")
    found: dict[str, Any] = {}

    def visit(value: Any, name: str) -> None:
        if isinstance(value, Mapping):
            for key, part in value.items():
                visit(part, f"{name}.{key}".lstrip("."))
        else:
            found[name] = value.replace(home, "") if home and isinstance(value, str) else value

    visit(value, "")
    return found


def _printable(value: Any) -> str:
    """In one line: the record may come from somebody else, and what differs goes to the terminal and to the log."""
    text = str(value)
    return text if text.isprintable() else ascii(text)


def _commit() -> str | None:
    """The commit this code stands at; None outside a git checkout."""
    here = Path(__file__).parent
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty"],
            cwd=here,
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip() or None
