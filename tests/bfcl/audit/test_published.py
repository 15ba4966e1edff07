"""The shipped list is what the finders make of the installed benchmark."""

from __future__ import annotations

import json
from importlib.metadata import version
from importlib.resources import files

import pytest

from envtune.bfcl.audit.finding import Reason, Severity
from envtune.bfcl.audit.published import audit, by_scenario, to_json, written_list
from envtune.bfcl.audit.shipped_list import listed_tasks, published
from envtune.bfcl.benchmark import load_bfcl_tasks

# Every reason, and tasks without any; `pytest tests/evaluation --all-scenarios` audits all 200.
SCENARIOS = (0, 4, 15, 29, 33, 49, 92, 154, 180, 188)


def test_the_finders_make_the_shipped_list(pytestconfig: pytest.Config) -> None:
    scenarios = range(200) if pytestconfig.getoption("--all-scenarios") else SCENARIOS
    every = load_bfcl_tasks()
    chosen = [task for task in every if task.world.number in scenarios]
    made = json.loads(written_list(audit(chosen, by_scenario(every))))
    names = {task.id for task in chosen}
    assert made["bfcl_eval"] == published()["bfcl_eval"] == version("bfcl-eval")
    assert made["tasks"] == {name: found for name, found in published()["tasks"].items() if name in names}
    reasons = {finding["reason"] for found in made["tasks"].values() for finding in found}
    assert reasons == {str(reason) for reason in Reason}


def test_the_file_is_written_as_the_program_writes_it() -> None:
    text = files("envtune.bfcl.audit").joinpath("bfcl_audit.json").read_text(encoding="utf-8")
    assert text == json.dumps(published(), indent=1, ensure_ascii=False) + "\n"


def test_every_listed_task_is_left_out_whatever_its_severity() -> None:
    severities = {finding["severity"] for found in published()["tasks"].values() for finding in found}
    assert severities == {str(severity) for severity in Severity}
    assert "multi_turn_miss_func_49" in listed_tasks()
    assert "multi_turn_base_0" not in listed_tasks()
    assert len(listed_tasks()) == 74


def test_a_sound_task_makes_no_entry() -> None:
    every = load_bfcl_tasks(["base"])
    assert to_json(audit([every[0]], by_scenario(every)))["tasks"] == {}
