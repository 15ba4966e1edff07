"""What commands set before torch and Lightning are loaded, and that they all do."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

from envtune.process_start import SPIN_COUNT, shorten_spinning

import pytest

from envtune import process_start

ROOT = Path(__file__).parent.parent
COMMANDS = [ROOT / "train.py", *(path for path in (ROOT / "tools").rglob("*.py") if "__main__" in path.read_text())]
COMMANDS += (ROOT / "envtune/commands").glob("[!_]*.py")


@pytest.mark.parametrize("path", [*COMMANDS, ROOT / "tests/conftest.py"], ids=lambda path: path.name)
def test_every_command_prepares_its_process_above_all_libraries(path: Path):
    imports = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.Import | ast.ImportFrom)]
    roots = [node.module if isinstance(node, ast.ImportFrom) else node.names[0].name for node in imports]
    first = next(name for name in roots if str(name).split(".")[0] not in sys.stdlib_module_names)
    assert first == "envtune.process_start"


def test_the_threads_of_torch_spin_as_long_as_is_set():
    """libgomp itself says so, which torch loads."""
    said = _stderr_of("import envtune.process_start, torch", {"OMP_DISPLAY_ENV": "VERBOSE"})
    assert re.search(rf"GOMP_SPINCOUNT = '{SPIN_COUNT}'", said)


@pytest.mark.parametrize(
    ("given", "after"),
    [
        ({}, {"GOMP_SPINCOUNT": SPIN_COUNT}),
        ({"GOMP_SPINCOUNT": "7"}, {"GOMP_SPINCOUNT": "7"}),
        ({"OMP_WAIT_POLICY": "PASSIVE"}, {"OMP_WAIT_POLICY": "PASSIVE"}),
    ],
)
def test_how_threads_wait_is_the_users_choice_first(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], after: dict[str, str]
):
    _forget(monkeypatch)
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    os.environ.update(given)
    shorten_spinning()
    assert _set() == after


def test_nothing_is_set_that_torch_no_longer_reads(monkeypatch: pytest.MonkeyPatch):
    _forget(monkeypatch)
    monkeypatch.setitem(sys.modules, "torch", process_start)
    shorten_spinning()
    assert _set() == {}


def test_make_sets_the_same_and_leaves_the_users_choice(tmp_path: Path):
    rules = f"include {ROOT / 'Makefile'}\nshown:\n\t@echo count=$$GOMP_SPINCOUNT\n"
    (tmp_path / "Makefile").write_text(rules)
    plain = {name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    for given, count in (({}, SPIN_COUNT), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "PASSIVE"}, "")):
        shown = subprocess.run(
            ["make", "-s", "-C", tmp_path, "shown"], env=plain | given, capture_output=True, text=True, check=True
        )
        assert shown.stdout == f"count={count}\n"


def _stderr_of(program: str, environment: dict[str, str]) -> str:
    plain = {name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=plain | environment, capture_output=True, text=True, check=True
    )
    return done.stderr


def _forget(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        # Restores the variable, also if the code under test sets it.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


def _set() -> dict[str, str]:
    return {name: os.environ[name] for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY") if name in os.environ}
