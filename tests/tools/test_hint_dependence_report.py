"""Numbers worked out on paper, of two evaluations made by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from test_hint_report import LOGIN, PATHS, report, result

from envtune import trajectory_file
from envtune.bfcl.category import Category
from envtune.trajectory import EpisodeEnd, Step, ToolCalls, ToolResult, Trajectory, Turn, TurnEnd, TurnVerdict

PATH_ERROR = {"ok": False, "text": "Invalid character"}
NO_LOGIN = {"ok": False, "text": "not logged in"}
CONFIG = {
    "prompt": {"instructions": "long"},
    "model": {"path": "tiny"},
    "seed": 0,
    "samples": 1,
    "device": "cpu",
    "run_folder": "${hydra:runtime.output_dir}",
}


def episode(task: str, passed: int, *results: ToolResult, hints: bool, seed: int = 0) -> Trajectory:
    """Two turns, of which the first ones pass; the calls, one a step, belong to the first."""
    steps = tuple(Step("", ToolCalls("", (one.call,)), (one,), "") for one in results)
    turns = tuple(
        Turn("", (), steps if number == 0 else (), TurnEnd.ANSWERED, TurnVerdict(right, right, True, False, True))
        for number, right in enumerate((passed > 0, passed > 1))
    )
    return Trajectory(task, Category.BASE, 2, turns, EpisodeEnd.TERMINATED, seed=seed, hints=hints)


def write(folder: Path, episodes: list[Trajectory], checkpoint: str = "best.ckpt", **config: Any) -> Path:
    (folder / ".hydra").mkdir(parents=True)
    (folder / ".hydra/config.yaml").write_text(yaml.safe_dump(CONFIG | {"tags": [str(folder)]} | config))
    (folder / "scores.json").write_text(json.dumps({"model": {"path": "tiny", "checkpoint": checkpoint}}))
    trajectory_file.write(folder / "trajectories.jsonl", [trajectory_file.to_json(one) for one in episodes])
    return folder


def with_hints() -> list[Trajectory]:
    """Task a: a path, recovered. b: a login, recovered, then a path, never again. c: nothing fails. d: a path twice."""
    path, login = result("rm", hint=PATHS, **PATH_ERROR), result("send", hint=LOGIN, **NO_LOGIN)
    return [
        episode("a", 2, path, result("rm"), hints=True),
        episode("b", 1, login, result("send"), path, hints=True),
        episode("c", 2, hints=True),
        episode("d", 0, path, path, hints=True),
    ]


def without() -> list[Trajectory]:
    """Task a: the path, then again. b: the login, then another failure. c: nothing fails. d: the path, recovered."""
    path, login = result("rm", **PATH_ERROR), result("send", **NO_LOGIN)
    return [
        episode("a", 0, path, path, hints=False),
        episode("b", 1, login, result("send", ok=False, text="No such user"), hints=False),
        episode("c", 1, hints=False),
        episode("d", 1, path, result("rm"), hints=False),
    ]


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    hinted = write(tmp_path / "hinted", with_hints(), augmentation={"_target_": "Actionable"})
    return hinted, write(tmp_path / "plain", without(), augmentation={"_target_": "NoAugmentation"}, device="cuda")


def counts(outcome: dict[str, Any]) -> tuple[int, int, int]:
    return outcome["given"], outcome["attempted"], outcome["recovered"]


def test_all_tasks_are_compared_in_pairs(folders: tuple[Path, Path]):
    code, printed, _ = report("--dependence", *folders, "--json")
    numbers = json.loads(printed)
    assert code == 0
    assert (numbers["tasks"], numbers["episodes"]) == (4, 4)
    # Progress 1, 1/2, 1, 0 with hints and 0, 1/2, 1/2, 1/2 without: differences 1, 0, 1/2, -1/2.
    assert numbers["progress"]["with_hints"] == 0.625
    assert numbers["progress"]["without"] == 0.375
    assert numbers["progress"]["difference"] == pytest.approx(0.25)
    assert numbers["progress"]["method"] == "bootstrap"
    assert numbers["progress"]["low"] < 0.25 < numbers["progress"]["high"]
    # Tasks a and c pass with hints, none without.
    assert (numbers["success"]["with_hints"], numbers["success"]["without"]) == (0.5, 0.0)
    assert (numbers["success"]["difference"], numbers["success"]["method"]) == (0.5, "newcombe")
    # Five hints: a recovered; b recovered, never again; d not, never again.
    assert counts(numbers["recovery_with_hints"]) == (5, 3, 2)
    # The same results without: a not, never again; b not (the other failure is another); d recovered.
    assert counts(numbers["recovery_without"]) == (4, 3, 1)


def test_a_rule_is_compared_on_the_tasks_in_which_it_gave_a_hint(folders: tuple[Path, Path]):
    rules = json.loads(report("--dependence", *folders, "--json")[1])["rules"]
    assert [(row["rule"], row["kind"], row["tasks"]) for row in rules] == [
        ("files.path", "constraint", 3),
        ("mail.login", "dependency", 1),
    ]
    paths, login = rules
    # Tasks a, b and d: 1, 0 and -1/2.
    assert paths["progress"]["difference"] == pytest.approx(0.5 / 3)
    assert counts(paths["recovery_with_hints"]) == (4, 2, 1)
    # Task b did not give a path without hints.
    assert counts(paths["recovery_without"]) == (3, 2, 1)
    assert login["progress"]["difference"] == 0.0
    assert counts(login["recovery_with_hints"]) == (1, 1, 1)
    assert counts(login["recovery_without"]) == (1, 1, 0)


def test_samples_of_a_task_are_paired_by_seed_and_averaged(tmp_path: Path):
    path = result("rm", hint=PATHS, **PATH_ERROR)
    # Of task a only the second sample gets the hint, with a difference of 1/2; the mean over both is (1 + 1/2) / 2.
    hinted = [episode("a", 2, hints=True, seed=1), episode("a", 1, path, hints=True, seed=2)]
    plain = [episode("a", 0, hints=False, seed=1), episode("a", 0, hints=False, seed=2)]
    folders = [
        write(tmp_path / name, [*played, episode("b", 0, hints=played is hinted)], samples=2)
        for name, played in (("plain", plain), ("hinted", hinted))
    ]
    numbers = json.loads(report("--dependence", *folders, "--json")[1])
    assert (numbers["tasks"], numbers["episodes"]) == (2, 3)
    assert numbers["progress"]["difference"] == pytest.approx(0.75 / 2)
    (rule,) = numbers["rules"]
    assert (rule["tasks"], rule["episodes"], rule["progress"]["difference"]) == (1, 1, 0.5)


def test_the_order_of_the_folders_does_not_matter(folders: tuple[Path, Path]):
    one, other = (report("--dependence", *pair, "--json")[1] for pair in (folders, folders[::-1]))
    assert one == other


def test_the_tables_show_the_same(folders: tuple[Path, Path]):
    code, shown, _ = report("--dependence", *folders)
    rows = [" ".join(line.replace("│", " ").split()) for line in shown.splitlines()]
    assert code == 0
    # Newcombe's and Wilson's intervals have tests of their own.
    assert any(row.startswith("all 4 62.5 37.5 +25.0 (") for row in rows)
    assert any(row.startswith("all 4 50.0 0.0 +50.0 (") for row in rows)
    (paths, _) = [row for row in rows if row.startswith("files.path constraint 3 50.0 33.3 +16.7 (")] * 2
    assert ") 50 (9 to 91) of 2 50 (9 to 91) of 2" in paths


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 1}, "seed is 0 in "),
        ({"prompt": {"instructions": "short"}}, "prompt.instructions is long in "),
        ({"checkpoint": "other.ckpt"}, "model.checkpoint is best.ckpt in "),
        ({"episodes": without()[:3]}, "do not hold the same tasks with the same seeds"),
        ({"episodes": [replace(one, seed=1) for one in without()]}, "do not hold the same tasks with the same seeds"),
        ({"episodes": with_hints()}, "are not one evaluation with hints and one without"),
        ({"episodes": [*without()[:3], with_hints()[3]]}, "are not one evaluation with hints and one without"),
    ],
)
def test_evaluations_that_cannot_be_paired_are_refused_in_one_sentence(tmp_path: Path, change: Any, message: str):
    hinted = write(tmp_path / "hinted", with_hints())
    plain = write(tmp_path / "plain", **({"episodes": without()} | change))
    code, shown, complaint = report("--dependence", hinted, plain)
    assert (code, shown) == (1, "")
    assert message in complaint
    assert complaint.count("\n") == 1


@pytest.mark.parametrize("name", ["scores.json", ".hydra/config.yaml", "trajectories.jsonl"])
def test_another_folder_is_refused_in_one_sentence(folders: tuple[Path, Path], name: str):
    (folders[1] / name).unlink()
    code, _, complaint = report("--dependence", *folders)
    assert code == 1
    assert f"{folders[1]} is not the folder of an evaluation: give the folders of two evaluations" in complaint
    assert complaint.count("\n") == 1


def test_runs_and_evaluations_are_not_mixed(folders: tuple[Path, Path]):
    for arguments in ((), (folders[0], "--dependence", *folders)):
        code, _, complaint = report(*arguments)
        assert code == 2
        assert "give the folders of runs, or two evaluations after --dependence" in complaint
