from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from envtune.bfcl.category import Category
from envtune.errors import UserError
from envtune.playground import source
from envtune.playground.source import VERSION, Playground
from envtune.task import Split

DIGEST = (
    "import hashlib; from envtune.playground.source import Playground; from envtune.task import Split; "
    "p = Playground(); print(hashlib.sha256(repr([p.story(s, n) for s in Split for n in range(8, 24)]).encode())"
    ".hexdigest())"
)


def test_a_task_depends_on_seed_split_and_number_alone():
    one, other = Playground(train_size=50), Playground(train_size=1_000, val_size=7)
    forwards = [one.tasks(Split.TRAIN)[number] for number in range(20)]
    backwards = [other.tasks(Split.TRAIN)[number] for number in reversed(range(20))]
    assert forwards == backwards[::-1]
    others = [one.tasks(Split.VAL), one.tasks(Split.TEST), Playground(seed=1).tasks(Split.TRAIN)]
    assert all(tasks[3].world.initial_state != forwards[3].world.initial_state for tasks in others)


def test_tasks_are_the_same_in_every_process():
    digests = {
        subprocess.run(
            [sys.executable, "-c", DIGEST],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert len(digests) == 1
    assert len(digests.pop().strip()) == 64


def test_a_million_tasks_are_a_sequence_of_which_only_the_drawn_are_made():
    tasks = Playground().tasks(Split.TRAIN)
    assert len(tasks) == 1_000_000
    assert tasks[999_999].id == "playground_train_long_context_999999"
    assert tasks[-1] is tasks[999_999]
    assert [task.world.number for task in tasks[10:14]] == [10, 11, 12, 13]
    with pytest.raises(IndexError):
        tasks[1_000_000]


def test_a_tale_is_told_anew_until_it_has_something_to_withhold(monkeypatch: pytest.MonkeyPatch):
    """One of a million tasks may need a hundred attempts; a run over them must not end there."""
    attempts, shaped = [], source.shape_story

    def reluctant(*arguments):
        attempts.append(arguments)
        return shaped(*arguments) if len(attempts) > 200 else None

    monkeypatch.setattr(source, "shape_story", reluctant)
    task = Playground(["miss_param"]).tasks(Split.TRAIN)[0]
    assert task.group == Category.MISS_PARAM
    assert len(attempts) > 200


def test_categories_take_turns_and_held_out_splits_have_all_four():
    playground = Playground(categories=["base", "miss_func"], max_tasks=5, val_size=4, test_size=3)
    assert [task.group for task in playground.tasks(Split.TRAIN)] == [
        Category.BASE,
        Category.MISS_FUNC,
        Category.BASE,
        Category.MISS_FUNC,
        Category.BASE,
    ]
    assert [task.group for task in playground.tasks(Split.VAL)] == list(Category)
    assert len(playground.tasks(Split.TEST)) == 3
    only_base = Playground(val_categories=["base"], val_size=3)
    assert {task.group for task in only_base.tasks(Split.VAL)} == {Category.BASE}


def test_stories_are_told_of_the_chosen_classes_only():
    playground = Playground(toolboxes=["TicketAPI", "VehicleControlAPI"], max_tasks=40)
    involved = {toolbox for task in playground.tasks(Split.TRAIN) for toolbox in task.world.toolboxes}
    assert involved == {"TicketAPI", "VehicleControlAPI"}
    alone = Playground(toolboxes=["TicketAPI"], max_tasks=12)
    assert {task.world.toolboxes for task in alone.tasks(Split.TRAIN)} == {("TicketAPI",)}


def test_describe_says_how_to_make_the_same_tasks_again():
    facts = Playground(["base"], max_tasks=75, val_size=12, seed=5).describe()
    assert facts["benchmark"] == "playground"
    assert facts["package"].startswith("bfcl-eval 20")
    assert (facts["version"], facts["seed"]) == (VERSION, 5)
    assert facts["sizes"] == {"train": 75, "val": 12, "test": 400}
    assert facts["categories"]["train"] == ["base"]
    assert json.loads(json.dumps(facts)) == facts


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"categories": ["basic"]}, "must be a list of one or more of base, miss_func"),
        ({"toolboxes": ["WebSearch"]}, r"toolboxes=\['WebSearch'\] must be a list of one or more of Gorilla"),
        ({"toolboxes": ["MathAPI"]}, "has no story with a long_context: add one of GorillaFileSystem"),
        ({"val_size": -1}, "val_size=-1 must be a whole number of at least 1"),
    ],
)
def test_what_cannot_be_made_is_refused_in_one_sentence(settings: dict, message: str):
    with pytest.raises(UserError, match=message):
        Playground(**settings)


def test_an_unknown_split_is_refused():
    with pytest.raises(UserError, match="split 'dev' is unknown: use one of train, val, test"):
        Playground().tasks("dev")  # type: ignore[arg-type]
