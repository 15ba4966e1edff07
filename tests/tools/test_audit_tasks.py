from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from envtune.bfcl.audit.shipped_list import published

ROOT = Path(__file__).parents[2]


def _audit(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "tools/audit_tasks.py", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_an_audit_prints_counts_and_findings_and_writes_the_list(tmp_path: Path) -> None:
    done = _audit("--scenarios", "33, 49", "--show", "--write", str(tmp_path / "audit.json"))
    assert done.returncode == 0, done.stderr
    assert "2 of 8 tasks are on the list" in done.stdout
    assert "multi_turn_miss_func_49, turn 1: withheld_tool (cannot_pass)" in done.stdout
    (row,) = [line for line in done.stdout.splitlines() if "unneeded_tool" in line and "│" in line]
    assert [cell.strip() for cell in row.strip("│").split("│")] == [
        "unneeded_tool",
        "defective",
        "0",
        "1",
        "0",
        "0",
        "1",
    ]
    written = json.loads((tmp_path / "audit.json").read_text(encoding="utf-8"))["tasks"]
    names = ("multi_turn_miss_func_33", "multi_turn_miss_func_49")
    assert written == {name: published()["tasks"][name] for name in names}


def test_an_unknown_scenario_and_a_missing_folder_are_told_in_one_sentence(tmp_path: Path) -> None:
    done = _audit("--scenarios", "4,200")
    told = "audit_tasks: --scenarios 4,200: '200' is not a scenario, give numbers from 0 to 199\n"
    assert (done.returncode, done.stderr) == (1, told)
    done = _audit("--write", str(tmp_path / "none" / "audit.json"))
    assert done.returncode == 1
    assert done.stderr.endswith("does not exist: create it, or name another file\n")
