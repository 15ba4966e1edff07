"""The same task and calls give the same observations, byte for byte, wherever and in whatever order they are played."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from envtune.bfcl.benchmark import tool_documents
from envtune.bfcl.category import Category
from envtune.bfcl.scenario import Scenario
from envtune.bfcl.toolbox import Toolbox
from envtune.task import Task, ToolCall

# Every tenth scenario in all categories: each ground-truth call gone wrong, then right, and what the agent reads.
PROGRAM = """
import hashlib, sys
from envtune.chat.protocol import parse, write_answer, write_calls
from envtune.bfcl.benchmark import load_bfcl_tasks
from envtune.bfcl.environment import BFCL_ENVIRONMENT
from envtune.environment.augmentation.actionable import Actionable
from envtune.environment.episode import Episode
from envtune.task import ToolCall

def observations(task):
    hints = Actionable().for_episode(BFCL_ENVIRONMENT, task, 0)
    episode = Episode(BFCL_ENVIRONMENT, task, parse, hints, step_limit=9)
    texts = [episode.reset().text]
    for turn in task.turns:
        wrong = [ToolCall(c.name, {k: f"{value}x" for k, value in c.arguments.items()}) for c in turn.ground_truth]
        for calls in (wrong, turn.ground_truth):
            if calls:
                texts.append(episode.step(write_calls("", calls)).text)
        texts.append(episode.step(write_answer("", "Done.")).text)
    return texts

tasks = [task for task in load_bfcl_tasks() if task.world.number % 10 == 3]
if sys.argv[1] == "backwards":
    tasks.reverse()
for line in sorted(f"{task.id} {hashlib.sha256(repr(observations(task)).encode()).hexdigest()}" for task in tasks):
    print(line)
"""
# Clocks go back in this zone at 20:00 on the first of September, inside the trading world's day.
CHANGING_ZONE = "AAA-3BBB,120/2:00,244/20:00"


def played(hash_seed: str, zone: str, order: str) -> list[str]:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "TZ": zone}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, order], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def test_observations_do_not_depend_on_process_order_hash_seed_or_time_zone() -> None:
    expected = played("1", "UTC", "forwards")
    assert len(expected) == 80
    assert played("2", CHANGING_ZONE, "backwards") == expected


def test_a_transaction_is_stamped_in_utc_whatever_the_local_time() -> None:
    program = """
from envtune.bfcl.toolbox import Toolbox
from envtune.bfcl.benchmark import tool_documents
from envtune.bfcl.scenario import Scenario
from envtune.task import Task, ToolCall
state = {"TradingBot": {"authenticated": True, "account_info": {"balance": 5.0}}}
toolbox = Toolbox(Task("t", "base", Scenario(0, ("TradingBot",), state), (), tuple(tool_documents("TradingBot"))))
for _ in range(20):
    toolbox.call(ToolCall("fund_account", {"amount": 1}))
print([entry["timestamp"] for entry in toolbox.view["TradingBot"].transaction_history])
"""
    stamps = {
        subprocess.run(
            [sys.executable, "-c", program], env={**os.environ, "TZ": zone}, capture_output=True, text=True, check=True
        ).stdout
        for zone in ("UTC", CHANGING_ZONE)
    }
    assert len(stamps) == 1
    assert "2024-09-01 2" in stamps.pop()


@pytest.mark.parametrize(("born", "verified"), [("2006-09-01", "true"), ("2006-09-02", "false")])
def test_an_age_is_told_on_the_first_of_september_2024(born: str, verified: str) -> None:
    state = {"TravelAPI": {"user_first_name": "A", "user_last_name": "B"}}
    toolbox = Toolbox(
        Task("t", Category.BASE, Scenario(0, ("TravelAPI",), state), (), tuple(tool_documents("TravelAPI")))
    )
    person = {"first_name": "A", "last_name": "B", "date_of_birth": born, "passport_number": "US1"}
    text = toolbox.call(ToolCall("verify_traveler_information", person)).text
    assert f'"verification_status": {verified}' in text
