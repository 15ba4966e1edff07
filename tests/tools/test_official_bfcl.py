"""BFCL's own program scores what it is given as it was made, and agrees with us about our own episodes."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from official import entries
from variants import WRITES, Turns, as_steps, mixed

from envtune import trajectory_file
from envtune.bfcl.benchmark import load_bfcl_tasks
from envtune.bfcl.category import CATEGORIES, Category
from envtune.bfcl.environment import BFCL_ENVIRONMENT
from envtune.bfcl.official.bfcl_program import OfficialProgram
from envtune.bfcl.official.official_scores import OfficialScore, read_scores
from envtune.bfcl.official.result_files import result_file, write_results
from envtune.bfcl.toolbox import PARAMETERS
from envtune.call_text import parse_call
from envtune.chat.protocol import parse, write_answer, write_calls
from envtune.environment.augmentation.none import NoAugmentation
from envtune.environment.episode import AtStepLimit, Episode
from envtune.task import Task
from envtune.trajectory import Trajectory

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-bfcl" / "bin" / "python"

installed = pytest.mark.skipif(not PYTHON.exists(), reason="BFCL's own program is not installed: run make bfcl")
TASKS = {task.id: task for task in load_bfcl_tasks()}
GROUND_TRUTHS = {entry.id: entry.ground_truth for category in CATEGORIES for entry in entries(category)}


def command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, ROOT / "tools" / "official_bfcl.py", *arguments]
    return subprocess.run(line, capture_output=True, text=True, check=False, cwd=ROOT)


def official_scores(folder: Path) -> dict[str, OfficialScore]:
    OfficialProgram(PYTHON, folder, "policy").evaluate()
    return read_scores(folder, "policy")


def step(calls: list[str]) -> list[dict[str, str]]:
    made = [parse_call(call, PARAMETERS) for call in calls]
    return [{call.name: json.dumps(call.arguments)} for call in made]


def constructed(task: Task) -> tuple[str | None, list[list[object]]]:
    """Ground truth, or by the scenario's number one of four departures; the fault that it is made to be.

    With one turn too few; without a call where one is due; with a call too many that changes a world; and, which is no
    fault, with text beside every call and at the end of every turn.
    """
    turns = [[step([call]) for call in turn] for turn in GROUND_TRUTHS[task.id]]
    with_text = [[said for call in turn for said in ("I think.", call)] + ["Done."] for turn in turns]
    first = next(index for index, turn in enumerate(turns) if turn)
    one_more = [
        [*turn, step([WRITES[task.world.toolboxes[-1]]])] if index == first else turn
        for index, turn in enumerate(turns)
    ]
    return [
        (None, turns),
        ("multi_turn:force_terminated", turns[:-1]),
        ("multi_turn:empty_turn_model_response", [["Done."] if i == first else turn for i, turn in enumerate(turns)]),
        ("multi_turn:instance_state_mismatch", one_more),
        (None, with_text),
    ][task.world.number % 5]


@installed
def test_ground_truths_are_all_right_and_departures_are_wrong_as_they_were_made(tmp_path: Path) -> None:
    made: dict[str, Counter[str]] = {}
    wrong: set[str] = set()
    for category in Category:
        tasks = [task for task in TASKS.values() if task.group == category and task.world.number % 20 < 5]
        results = {task.id: constructed(task) for task in tasks}
        path = result_file(tmp_path, "policy", category)
        path.parent.mkdir(parents=True, exist_ok=True)
        trajectory_file.write(path, ({"id": name, "result": turns} for name, (_, turns) in results.items()))
        made[f"multi_turn_{category}"] = Counter(fault for fault, _ in results.values() if fault)
        wrong |= {name for name, (fault, _) in results.items() if fault}
    scores = official_scores(tmp_path)
    assert {category: score.faults for category, score in scores.items()} == made
    verdicts = {name: passed for score in scores.values() for name, passed in score.passed.items()}
    assert len(verdicts) == 200
    assert {name for name, passed in verdicts.items() if not passed} == wrong


def episodes(category: Category) -> Iterator[Trajectory]:
    """Of every tenth scenario the ground truth, in half of them with random departures."""
    for task in TASKS.values():
        if task.group == category and task.world.number % 10 == 3:
            draw = random.Random(task.id)
            truth = GROUND_TRUTHS[task.id]
            yield played(task, mixed(task, truth, draw) if task.world.number % 20 == 3 else as_steps(truth), draw)


def played(task: Task, turns: Turns, draw: random.Random) -> Trajectory:
    """Now and then with broken text, a call that cannot run, or more steps than the limit allows."""
    at_step_limit: AtStepLimit = draw.choice(("next_turn", "end"))
    episode = Episode(BFCL_ENVIRONMENT, task, parse, NoAugmentation(), 25, at_step_limit)
    episode.reset()
    for index, steps in enumerate(turns):
        for calls in filter(None, steps):
            said = [write_calls("I act.", [parse_call(call, PARAMETERS) for call in calls])]
            if draw.random() < 0.1:
                said.insert(
                    0, draw.choice(["No tags.", '<think></think><tool_call>[{"name": "exit"}]</tool_call>', ""])
                )
            if draw.random() < 0.1:
                said.insert(0, write_calls("", [parse_call("power(base=10.0, exponent=1000000000)", PARAMETERS)]))
            for completion in said:
                if episode.step(completion).done:
                    return episode.finish()
        repeats = draw.random() < 0.05
        while repeats and len(episode.turns) == index:
            if episode.step("Again?").done:
                return episode.finish()
        if len(episode.turns) == index:
            episode.step(write_answer("I am done.", "Done."))
    return episode.finish()


@installed
def test_success_is_the_official_verdict_on_the_same_episodes(tmp_path: Path) -> None:
    trajectories = [episode for category in Category for episode in episodes(category)]
    write_results(tmp_path, "policy", trajectories, TASKS)
    scores = official_scores(tmp_path)
    ours = {trajectory.task_id: trajectory.success for trajectory in trajectories}
    assert {name: passed for score in scores.values() for name, passed in score.passed.items()} == ours
    # Nothing would be shown if all were right, or all wrong.
    for category, score in scores.items():
        assert 5 <= sum(score.passed.values()) <= 15, category


@installed
def test_the_command_exports_an_evaluation_and_prints_the_official_verdicts(tmp_path: Path) -> None:
    task = TASKS["multi_turn_base_0"]
    right, idle = as_steps(GROUND_TRUTHS[task.id]), [[] for _ in TASKS["multi_turn_base_7"].turns]
    never = random.Random(0)
    lines = [played(task, right, never), played(TASKS["multi_turn_base_7"], idle, never)]
    (tmp_path / "evaluation").mkdir()
    trajectory_file.write(tmp_path / "evaluation" / "trajectories.jsonl", map(trajectory_file.to_json, lines))
    exported = command("export", tmp_path / "evaluation", tmp_path / "official")
    assert (exported.returncode, exported.stderr) == (0, "")
    # What an earlier evaluation left does not get into the tables of a later one.
    stale = tmp_path / "official" / "score" / "envtune" / "multi_turn" / "BFCL_v4_multi_turn_miss_func_score.json"
    stale.parent.mkdir(parents=True)
    stale.write_text('{"accuracy": 1.0, "correct_count": 200, "total_count": 200}\n', encoding="utf-8")
    evaluated = command("evaluate", tmp_path / "official")
    assert (evaluated.returncode, evaluated.stderr) == (0, "")
    assert "multi_turn_base" in evaluated.stdout
    record = json.loads((tmp_path / "official" / "scores.json").read_text(encoding="utf-8"))
    assert record["bfcl_eval"] == "2026.3.23"
    assert record["categories"].keys() == {"multi_turn_base"}
    assert record["categories"]["multi_turn_base"]["passed"] == {task.id: True, "multi_turn_base_7": False}
    assert record["categories"]["multi_turn_base"]["faults"] == {"multi_turn:empty_turn_model_response": 1}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("evaluate", "there", "--python", "nowhere/python"), "is not installed at nowhere/python: run make bfcl"),
        (("evaluate", "there", "--name", "my_model"), "name 'my_model' cannot be used: write a letter"),
        (("generate", "there", "--endpoint", "http://e", "--categories", "multi"), "category 'multi' is unknown"),
        (("export", "nowhere.jsonl", "there"), "nowhere.jsonl"),
    ],
)
def test_a_mistake_is_told_in_one_sentence(arguments: tuple[str, ...], sentence: str) -> None:
    told = command(*arguments)
    assert told.returncode == 1
    assert told.stderr.startswith("official_bfcl: ")
    assert told.stderr.count("\n") == 1
    assert sentence in told.stderr


@installed
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("evaluate", "nothing"), "nothing has no results of 'envtune': generate or export them first"),
        (("generate", "nothing", "--endpoint", "127.0.0.1:1"), "endpoint '127.0.0.1:1' is not a URL"),
        (("generate", "nothing", "--endpoint", "http://127.0.0.1:1/v1"), "http://127.0.0.1:1/v1 does not respond"),
        (
            ("generate", "nothing", "--endpoint", "http://127.0.0.1:1/v1", "--categories", "web_search"),
            "web search needs a key of serpapi.com: export it as SERPAPI_API_KEY",
        ),
        (
            ("generate", "nothing", "--endpoint", "http://127.0.0.1:1/v1", "--categories", "memory_vector"),
            "-m pip install sentence-transformers faiss-cpu",
        ),
    ],
)
def test_what_is_missing_is_told_before_anything_runs(
    arguments: tuple[str, ...], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SERPAPI_API_KEY", raising=False)
    test_a_mistake_is_told_in_one_sentence(arguments, sentence)
    assert not (ROOT / "nothing").exists()
