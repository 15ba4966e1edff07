"""What must be known to repeat a run or to compare its numbers, beside the composed config that Hydra saves."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

PACKAGES = ("envtune", "bfcl-eval", "lightning", "numpy", "torch", "transformers")


def write_run_record(folder: str, tasks: Mapping[str, Any], tags: Sequence[str]) -> None:
    """Writes ``folder``/run.json: command line, versions, the code's commit, and which tasks were drawn."""
    record = {
        "command": sys.argv,
        "tags": list(tags),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "commit": _commit(),
        "tasks": dict(tasks),
    }
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    (path / "run.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


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
