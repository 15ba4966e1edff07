"""What must be known to repeat a run or to compare its numbers, and whether a continued one is still the same."""

from __future__ import annotations

import json
import logging
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lightning.pytorch.utilities.rank_zero import rank_zero_only

from envtune.training.checkpoint_io import update_of
from envtune.training.report import WIRING
from envtune.whole_file import whole_file

log = logging.getLogger(__name__)

PACKAGES = ("envtune", "bfcl-eval", "lightning", "numpy", "torch", "transformers")
# What may change when a run is continued without making it another one: where and how long, and how it is shown.
_FREE = ("settings.ckpt_path", "settings.tags", "settings.logger", "settings.optimized_metric", "settings.run_folder")
_FREE_LENGTHS = ("settings.trainer.max_steps", "settings.trainer.max_epochs")


@rank_zero_only
def write_run_record(
    folder: str,
    tasks: Mapping[str, Any],
    tags: Sequence[str],
    settings: Mapping[str, Any] | None = None,
    start: Path | None = None,
) -> None:
    """Writes ``folder``/run.json: command line, versions, the code's commit, the composed ``settings``, and which tasks
    were drawn.

    If the run goes on from ``start``, the record of its beginning stays and `continued` gets an entry. A warning names
    what differs between the two.
    """
    path = Path(folder) / "run.json"
    record = {
        "command": sys.argv,
        "tags": list(tags),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "commit": _commit(),
        "settings": {name: value for name, value in (settings or {}).items() if name not in WIRING},
        "tasks": dict(tasks),
    }
    if start and path.is_file():
        begun = json.loads(path.read_text(encoding="utf-8"))
        changes = differences(begun, record)
        if changes:
            log.warning(
                "the run goes on with something else than it began with, so that it will differ from an uninterrupted "
                "one: %s",
                "; ".join(changes),
            )
        entry: dict[str, Any] = {name: record[name] for name in ("command", "python", "packages", "commit")}
        entry |= {"after_update": update_of(start), "changes": changes}
        record = begun | {"continued": [*begun.get("continued", ()), entry]}
    with whole_file(path) as file:
        file.write(json.dumps(record, indent=2) + "\n")


def differences(begun: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """`settings.grpo.beta was 0.1 and is 0.2`, of whatever two records do not agree in and that changes numbers."""
    compared = ("settings", "python", "packages", "commit", "tasks")
    old, new = (_flat({name: record.get(name) for name in compared}, record) for record in (begun, now))
    return [
        f"{name} was {old.get(name)} and is {new.get(name)}"
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
