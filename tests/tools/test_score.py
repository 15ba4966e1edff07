from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from full_disk import FULL

ROOT = Path(__file__).parents[2]
RIGHT = [
    ["cd(folder='document')", "mkdir(dir_name='temp')", "mv(source='final_report.pdf', destination='temp')"],
    ["cd(folder='temp')", "grep(file_name='final_report.pdf',pattern='budget analysis')"],
    ["sort('final_report.pdf')"],
    [
        "cd(folder='..')",
        "mv(source='previous_report.pdf',destination='temp')",
        "cd(folder='temp')",
        "diff(file_name1='final_report.pdf',file_name2='previous_report.pdf')",
    ],
]
PASSED = {"state": True, "response": True, "called": True, "passed": True, "passed_officially": True}


def _record(turns: list[list[str]], task: str = "multi_turn_base_0", **extra: Any) -> str:
    return json.dumps({"id": task, "decoded": [[[call] for call in turn] for turn in turns], **extra})


def _run(folder: Path, *lines: str) -> tuple[int, str]:
    (folder / "in.jsonl").write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return _run_on(folder / "in.jsonl", folder / "out.jsonl")


def _run_on(source: Path, target: Path) -> tuple[int, str]:
    command = [sys.executable, "tools/score.py", str(source), str(target)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


def _scores(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "out.jsonl").read_text(encoding="utf-8").splitlines()]


def test_records_are_scored_in_their_order_and_further_keys_are_ignored(tmp_path: Path) -> None:
    code, complaint = _run(
        tmp_path,
        _record(RIGHT, model="m"),
        _record([[], *RIGHT[1:]]),
        _record(RIGHT[:3]),
        _record([*RIGHT, []]),
        _record([["sort(", "exit()", *RIGHT[0]], *RIGHT[1:]]),
    )
    assert (code, complaint) == (0, "")
    right, idle, short, long, unreadable = _scores(tmp_path)
    assert right == {"id": "multi_turn_base_0", "success": True, "turns": [PASSED] * 4}
    assert [turn["called"] for turn in idle["turns"]] == [False, True, True, True]
    assert [turn["state"] for turn in idle["turns"]] == [False] * 4
    assert not idle["success"]
    assert short["turns"][3] == dict.fromkeys(PASSED, False)
    assert not short["success"]
    assert long == {**right, "success": False}
    assert unreadable == right


def test_turns_without_ground_truth_pass_without_a_call_and_never_fail_the_task(tmp_path: Path) -> None:
    turns = [*RIGHT[:2], ["pwd()"], RIGHT[2], RIGHT[3]]
    code, _ = _run(tmp_path, _record(turns, "multi_turn_miss_func_0"))
    assert code == 0
    (score,) = _scores(tmp_path)
    assert score["success"]
    assert [turn["passed"] for turn in score["turns"]] == [True, True, False, True, True]


def test_a_turn_is_passed_by_each_of_the_two_rules(tmp_path: Path) -> None:
    # All is done in the first turn: by the method the others pass without a call, by BFCL's rule they need one.
    early = [[*RIGHT[0], *RIGHT[1], *RIGHT[2]], [], ["pwd()"], RIGHT[3]]
    # A call where none is due: by the method that turn fails, by BFCL's rule it is not judged.
    called_in_vain = [*RIGHT[:2], ["pwd()"], RIGHT[2], RIGHT[3]]
    _run(tmp_path, _record(early), _record(called_in_vain, "multi_turn_miss_func_0"))
    ahead, vain = _scores(tmp_path)
    assert [(turn["passed"], turn["passed_officially"]) for turn in ahead["turns"]] == [
        (True, True),
        (True, False),
        (True, True),
        (True, True),
    ]
    assert not ahead["success"]
    assert [(turn["passed"], turn["passed_officially"]) for turn in vain["turns"]] == [
        (True, True),
        (True, True),
        (False, True),
        (True, True),
        (True, True),
    ]
    assert vain["success"]


def test_a_turn_of_several_empty_steps_counts_as_one_with_a_call_as_officially(tmp_path: Path) -> None:
    early = [[*RIGHT[0], *RIGHT[1], *RIGHT[2]], [], ["pwd()"], RIGHT[3]]
    decoded = [[[call] for call in turn] for turn in early]
    records = [{"id": "multi_turn_base_0", "decoded": [decoded[0], steps, *decoded[2:]]} for steps in ([[]], [[], []])]
    _run(tmp_path, *map(json.dumps, records))
    one, two = _scores(tmp_path)
    assert [score["turns"][1]["passed_officially"] for score in (one, two)] == [False, True]
    assert [score["turns"][1]["called"] for score in (one, two)] == [False, False]
    assert [score["success"] for score in (one, two)] == [False, True]


def test_a_withheld_tool_may_be_called_before_its_turn_as_officially(tmp_path: Path) -> None:
    turns = [*RIGHT[:2], RIGHT[2], RIGHT[2], RIGHT[3]]
    _run(tmp_path, _record(turns, "multi_turn_miss_func_0"))
    assert _scores(tmp_path)[0]["success"]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("{", "not valid JSON"),
        ("", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("[]", "not a JSON object with 'id' and 'decoded'"),
        ('{"id": "multi_turn_base_0"}', "not a JSON object with 'id' and 'decoded'"),
        ('{"id": "multi_turn_base_200", "decoded": []}', 'the id "multi_turn_base_200" is not a task, such'),
        ('{"id": ["x"], "decoded": []}', "is not a task, such as multi_turn_base_0"),
        ('{"id": "multi_turn_base_0", "decoded": [["ls()"]]}', "'decoded' is not a list of turns"),
        ('{"id": "multi_turn_base_0", "decoded": [[[1]]]}', "'decoded' is not a list of turns"),
    ],
)
def test_a_malformed_line_stops_with_its_number_and_leaves_the_output_as_it_was(
    tmp_path: Path, line: str, fault: str
) -> None:
    (tmp_path / "out.jsonl").write_text("before", encoding="utf-8")
    code, complaint = _run(tmp_path, _record(RIGHT), line)
    assert code == 1
    assert "in.jsonl, line 2: " in complaint
    assert fault in complaint
    assert complaint.count("\n") == 1
    assert (tmp_path / "out.jsonl").read_text(encoding="utf-8") == "before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl", "out.jsonl"]


def test_a_full_disk_is_told_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "out.jsonl.partial").symlink_to(FULL)
    code, complaint = _run(tmp_path, _record(RIGHT))
    told = f"score: the disk is full while writing {tmp_path}/out.jsonl: free some space\n"
    assert (code, complaint) == (1, told)
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


def test_a_missing_input_and_a_missing_folder_are_told_in_one_sentence(tmp_path: Path) -> None:
    code, complaint = _run_on(tmp_path / "none.jsonl", tmp_path / "out.jsonl")
    assert (code, "none.jsonl: No such file or directory" in complaint, complaint.count("\n")) == (1, True, 1)
    (tmp_path / "in.jsonl").write_text("", encoding="utf-8")
    code, complaint = _run_on(tmp_path / "in.jsonl", tmp_path / "none" / "out.jsonl")
    assert (code, "does not exist: create it" in complaint, complaint.count("\n")) == (1, True, 1)


def test_scoring_imports_neither_torch_nor_transformers() -> None:
    program = "import sys, tools.score; print({'torch', 'transformers'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_success_is_told_raw_and_without_the_listed_tasks(tmp_path: Path) -> None:
    # multi_turn_base_4 is on the list of defective tasks.
    lines = (_record(RIGHT), _record(RIGHT[:3]), _record([["ls()"]], "multi_turn_base_4"))
    (tmp_path / "in.jsonl").write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    command = [sys.executable, "tools/score.py", str(tmp_path / "in.jsonl"), str(tmp_path / "out.jsonl")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "success: raw 33.3% of 3 records, audited 50.0% of 2 records\n"


def test_recorded_calls_of_an_own_environment_are_scored(tmp_path: Path):
    (tmp_path / "desk.py").write_text(
        """
from envtune.environment import PythonEnvironment, Task, UserTurn, call


class Desk:
    def __init__(self) -> None:
        self.stamped = 0

    def stamp(self, times: int) -> str:
        "Stamp.\\n\\nArgs:\\n    times: How often."
        self.stamped += times
        return "stamped"


environment = PythonEnvironment(Desk)


def tasks(split):
    turns = (UserTurn("Twice.", (call("stamp", times=2),)), UserTurn("Thanks."))
    return [Task(f"{split}_0", "base", {}, turns)] if split != "test" else []
"""
    )
    records = [_record([["stamp(2)"], []], "val_0"), _record([["stamp(times=3)"], ["stamp(1)"]], "train_0")]
    (tmp_path / "in.jsonl").write_text("".join(record + "\n" for record in records))
    command = [sys.executable, str(ROOT / "tools/score.py"), "in.jsonl", "out.jsonl", "--module", "desk"]
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    assert done.stdout == "success: raw 50.0% of 2 records, audited 50.0% of 2 records\n", done.stderr
    verdicts = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [[turn["passed"] for turn in verdict["turns"]] for verdict in verdicts] == [[True, True], [False, False]]
