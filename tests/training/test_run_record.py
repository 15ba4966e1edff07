from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from envtune.training import run_record
from envtune.training.run_record import write_run_record


def written(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "run.json").read_text(encoding="utf-8"))


def test_a_run_is_recorded_with_its_command_versions_and_tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "argv", ["train.py", "stage=3"])
    write_run_record(str(tmp_path / "new" / "run"), {"split": "scenario", "validation_tasks": ["t_1"]}, ["ablation"])
    record = written(tmp_path / "new" / "run")
    assert record["command"] == ["train.py", "stage=3"]
    assert record["tags"] == ["ablation"]
    assert record["tasks"] == {"split": "scenario", "validation_tasks": ["t_1"]}
    assert record["packages"]["torch"] == version("torch")
    assert set(record["packages"]) == {"envtune", "bfcl-eval", "lightning", "numpy", "torch", "transformers"}
    assert record["python"] == ".".join(map(str, sys.version_info[:3]))


def test_without_git_the_commit_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def missing(*_: Any, **__: Any) -> Any:
        raise FileNotFoundError("git")

    monkeypatch.setattr(subprocess, "run", missing)
    write_run_record(str(tmp_path), {}, [])
    assert written(tmp_path)["commit"] is None


@pytest.mark.parametrize(("said", "commit"), [("abc123-dirty\n", "abc123-dirty"), ("", None)])
def test_the_commit_is_what_git_describes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, commit: str | None
):
    asked = []

    def run(command: list[str], **arguments: Any) -> Any:
        asked.append((command[0], arguments["cwd"]))
        return subprocess.CompletedProcess(command, 0, stdout=said, stderr="")

    monkeypatch.setattr(subprocess, "run", run)
    write_run_record(str(tmp_path), {}, [])
    assert written(tmp_path)["commit"] == commit
    # Of the code that runs, not of the folder that the user stands in.
    assert asked == [("git", Path(run_record.__file__).parent)]
