"""The import contract of pyproject.toml, run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_imports_go_down_the_way_of_the_data():
    lint = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    result = subprocess.run(lint, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "5 kept, 0 broken" in result.stdout


def test_no_file_is_named_for_a_missing_noun():
    names = {path.stem for path in (ROOT / "envtune").rglob("*.py")}
    assert not names & {"utils", "util", "common", "helpers", "helper", "manager", "handler"}
