"""Numbers worked out on paper, of a run folder made by hand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from envtune import trajectory_file
from envtune.bfcl.category import Category
from envtune.task import ToolCall
from envtune.trajectory import (
    EpisodeEnd,
    Hint,
    HintKind,
    Step,
    ToolCalls,
    ToolResult,
    Trajectory,
    Turn,
    TurnEnd,
    TurnVerdict,
)

ROOT = Path(__file__).parents[2]
PATHS = Hint("files.path", HintKind.CONSTRAINT, "No paths.")
LOGIN = Hint("mail.login", HintKind.DEPENDENCY, "Log in first.")
NOTHING = {"given": 0, "attempted": 0, "recovered": 0, "share": None, "low": None, "high": None}


def result(tool: str, ok: bool = True, hint: Hint | None = None, text: str = "said") -> ToolResult:
    return ToolResult(ToolCall(tool, {}), ok, text, hint)


def episode(version: int, *results: ToolResult) -> Trajectory:
    """One turn, one call a step."""
    steps = tuple(Step("", ToolCalls("", (one.call,)), (one,), "") for one in results)
    turn = Turn("", (), steps, TurnEnd.ANSWERED, TurnVerdict(True, True, True, False, True))
    return Trajectory("t", Category.BASE, 1, (turn,), EpisodeEnd.TERMINATED, policy_version=version)


def write(path: Path, *episodes: Trajectory) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    trajectory_file.write(path, [trajectory_file.to_json(one) for one in episodes])


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Three updates and a validation. files.path: recovered, not recovered, recovered; mail.login: never again."""
    lost = result("rm", ok=False, hint=PATHS)
    folder = tmp_path / "trajectories"
    write(
        folder / "train" / "update_000001.jsonl", episode(0, lost, result("rm")), episode(0, lost, lost, result("rm"))
    )
    closed = result("send", ok=False, hint=LOGIN)
    write(folder / "train" / "update_000002.jsonl", episode(1, closed))
    dead = [result("[red]add\x1b", ok=False, text=text) for text in ("no\nnumber", "no\nnumber", "too large")]
    write(folder / "train" / "update_000003.jsonl", episode(2, *dead, result("rm", ok=False)))
    write(folder / "val" / "update_000003.jsonl", episode(3, result("rm", ok=False)))
    write(folder / "val" / "update_000009.jsonl")
    return tmp_path


def report(*arguments: Path | str) -> tuple[int, str, str]:
    command = [sys.executable, "tools/hint_report.py", *map(str, arguments)]
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", env=environment, check=False)
    return done.returncode, done.stdout, done.stderr


def test_every_rule_is_counted_with_its_attempts_recoveries_and_halves(run: Path):
    code, printed, _ = report(run, "--json")
    numbers = json.loads(printed)
    assert code == 0
    assert [(row["rule"], row["kind"]) for row in numbers["rules"]] == [
        ("files.path", "constraint"),
        ("mail.login", "dependency"),
    ]
    paths, login = numbers["rules"]
    assert (paths["given"], paths["attempted"], paths["recovered"]) == (3, 3, 2)
    # Wilson's interval of 2 in 3, z² = 3.841459: (2 + 1.920729 ± 1.959964 * sqrt(2/3 + 0.960365)) / 6.841459.
    assert [paths[name] for name in ("share", "low", "high")] == [
        pytest.approx(value, abs=1e-5) for value in (2 / 3, 0.207660, 0.938508)
    ]
    assert (login["given"], login["attempted"], login["share"]) == (1, 0, None)
    # Versions 0, 1 and 2: the middle is 1.5.
    assert numbers["second_half_from_version"] == 2
    assert paths["first_half"]["given"] == 3
    assert paths["second_half"] == NOTHING
    assert (numbers["all"]["given"], numbers["all"]["attempted"], numbers["all"]["recovered"]) == (4, 3, 2)


def test_failures_without_a_hint_are_counted_in_the_same_way_without_those_of_validation(run: Path):
    unaided = json.loads(report(run, "--json")[1])["no_hint"]
    # Three of add, the second and third of them tries, and one of rm.
    assert (unaided["given"], unaided["attempted"], unaided["recovered"]) == (4, 2, 0)
    assert unaided["second_half"]["given"] == 4


def test_several_runs_are_counted_together(run: Path, tmp_path: Path):
    write(tmp_path / "other" / "trajectories.jsonl", episode(0, result("rm", ok=False, hint=PATHS), result("rm")))
    alone, both = (json.loads(report(*runs, "--json")[1]) for runs in ((run,), (run, tmp_path / "other")))
    assert (alone["all"]["recovered"], both["all"]["recovered"]) == (2, 3)
    assert [part["episodes"] for part in both["sources"]] == [4, 1, 1]


def test_the_parts_of_a_run_are_told_apart(run: Path):
    numbers = json.loads(report(run, "--json")[1])
    assert [list(part.values()) for part in numbers["sources"]] == [
        ["train", 4, 10, 8, 4],
        ["val", 1, 1, 1, 0],
        ["evaluation", 0, 0, 0, 0],
    ]


def test_failures_without_a_hint_are_listed_by_tool_without_those_of_validation(run: Path):
    assert json.loads(report(run, "--json")[1])["failures_without_hint"] == [
        {"tool": "[red]add\x1b", "failed": 3, "without_hint": 3, "most_frequent": "no\nnumber"},
        {"tool": "rm", "failed": 4, "without_hint": 1, "most_frequent": "said"},
    ]


def test_the_tables_show_the_same_and_nothing_steers_the_terminal(run: Path):
    code, shown, _ = report(run)
    rows = [line.replace("│", " ").split() for line in shown.splitlines()]
    assert code == 0
    assert [
        "files.path",
        "constraint",
        "3",
        "3",
        *["67", "(21", "to", "94)", "of", "3", "67", "(21", "to", "94)", "of", "3", "-"],
    ] in rows
    assert ["mail.login", "dependency", "1", "0", "-", "-", "-"] in rows
    assert ["no", "hint", "4", "2", "0", "(0", "to", "66)", "of", "2", "-", "0", "(0", "to", "66)", "of", "2"] in rows
    assert ["[red]add\N{REPLACEMENT CHARACTER}", "3", "3", "no", "number"] in rows
    assert "train: 4 episodes, 8 of 10 calls failed, 4 hints" in shown
    assert "\x1b" not in shown


def test_an_evaluation_has_no_halves(tmp_path: Path):
    write(tmp_path / "trajectories.jsonl", episode(0, result("rm", ok=False, hint=PATHS), result("rm")))
    numbers = json.loads(report(tmp_path, "--json")[1])
    assert numbers["second_half_from_version"] is None
    assert numbers["rules"][0]["recovered"] == 1
    assert numbers["rules"][0]["first_half"] == numbers["rules"][0]["second_half"] == NOTHING
    assert numbers["sources"][2]["episodes"] == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "holds no trajectories: give the folder of a run"),
        ("", "holds no trajectories"),
        ('{"task_id": ', "line 1 is not JSON"),
        ('{"task_id": "t_0"}', "line 1 is not a trajectory ('category' is missing)"),
    ],
)
def test_a_mistake_is_told_in_one_sentence(tmp_path: Path, content: str | None, message: str):
    if content is not None:
        (tmp_path / "trajectories.jsonl").write_text(content, encoding="utf-8")
    code, shown, complaint = report(tmp_path)
    assert (code, shown) == (1, "")
    assert complaint.startswith("hint_report: ")
    assert message in complaint
    assert complaint.count("\n") == 1
