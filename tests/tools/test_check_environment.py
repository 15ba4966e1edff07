from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from envtune.commands.check_environment import lines_of
from envtune.environment.contract import Outcome

ROOT = Path(__file__).parents[2]
MODULE = '''
from envtune.environment import PythonEnvironment, Task, UserTurn, call


class Lamp:
    def __init__(self) -> None:
        self.lit = False

    def switch(self, on: bool) -> bool:
        """Switch the lamp.

        Args:
            on: Whether it should be lit.
        """
        if on is self.lit:
            raise ValueError("it is so already")
        self.lit = on
        return self.lit


environment = PythonEnvironment(Lamp)


def tasks(split: str):
    yield Task(f"{split}_lit", "base", {}, (UserTurn("Light it.", (call("switch", on=True),)),))
    yield Task(f"{split}_dark", "base", {}, (UserTurn("Put it out.", (call("switch", on=False),)),))
'''


def check(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "tools" / "check_environment.py"), *arguments]
    paths = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{folder}"}
    return subprocess.run(command, cwd=folder, env=paths, capture_output=True, text=True, check=False)


def test_a_broken_promise_has_a_line_and_ends_the_command_with_1(tmp_path: Path):
    (tmp_path / "lamp.py").write_text(MODULE)
    done = check(tmp_path, "environment=module", "environment.module=lamp", "promises=[1,4,6]")
    assert done.returncode == 1, done.stderr
    one, rest, four, six, last = done.stdout.splitlines()
    assert f"{one} {rest.strip()}" == (
        "FAIL  1 every ground truth passes its own twin: train_dark, turn 0: switch(on=False) fails: Error during "
        "execution: it is so already"
    )
    assert four == "ok    4 the same calls return the same results in another process"
    assert six == "ok    6 every tool has a document, every argument a type and a description"
    assert last == "2 of 3 promises are kept"
    assert {path.name for path in tmp_path.iterdir()} <= {"lamp.py", "__pycache__"}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "import nowhere",
            "environment.module=lamp cannot be imported (ModuleNotFoundError in lamp.py, line 1:",
        ),
        (MODULE.replace("on: bool", "on"), "environment.module=lamp: Lamp.switch: the parameter 'on' has no type hint"),
    ],
)
def test_a_mistake_in_the_module_ends_in_one_sentence(text: str, sentence: str, tmp_path: Path):
    (tmp_path / "lamp.py").write_text(text)
    done = check(tmp_path, "environment=module", "environment.module=lamp")
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert sentence in line


def test_an_outcome_is_wrapped_at_80_columns_and_shows_some_of_its_notes():
    outcome = Outcome(9, "failing calls get a hint", None, tuple(f"{'word ' * 20}{number}" for number in range(7)))
    lines = [*lines_of(outcome, notes=5)]
    assert lines[0] == "ok    9 failing calls get a hint"
    assert max(map(len, lines)) <= 80
    assert lines[-1] == "        and 2 more"


def test_what_a_tool_returns_cannot_control_the_terminal():
    (line,) = lines_of(Outcome(4, "same", "\x1b[2J", ()), notes=None)
    assert line == "FAIL  4 same: �[2J"
