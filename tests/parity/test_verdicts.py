"""Our verdicts equal the official checker's, by turn and by task, on ground truths and on departures from them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator

import pytest
from official import Entry, Turns, entries, isolated, turn_verdicts, verdict
from variants import VARIANTS, mixed

from envtune.bfcl.benchmark import load_bfcl_tasks
from envtune.bfcl.category import CATEGORIES
from envtune.bfcl.environment import BFCL_ENVIRONMENT
from envtune.bfcl.toolbox import PARAMETERS
from envtune.call_text import parse_call
from envtune.chat.protocol import parse, write_answer, write_calls
from envtune.environment.augmentation.none import NoAugmentation
from envtune.environment.episode import Episode
from envtune.environment.recorded_calls import score
from envtune.task import Task
from envtune.trajectory import Trajectory

# Of the 200; `pytest tests/parity --all-scenarios` compares them all.
SCENARIOS = (0, 15, 49, 52, 77, 103, 128, 151, 167, 190)

Named = tuple[str, Task, Entry, Turns]


@pytest.fixture(autouse=True)
def isolated_worlds() -> Iterator[None]:
    with isolated():
        yield


@pytest.fixture
def scenarios(pytestconfig: pytest.Config) -> tuple[int, ...]:
    return tuple(range(200)) if pytestconfig.getoption("--all-scenarios") else SCENARIOS


def chosen(category: str, scenarios: Iterable[int]) -> Iterator[tuple[Task, Entry]]:
    tasks = {task.id: task for task in load_bfcl_tasks([category])}
    for number, entry in enumerate(entries(category)):
        if number in scenarios:
            yield tasks[entry.id], entry


def disagreements(trajectories: Iterable[Named]) -> tuple[int, list[str]]:
    """How many trajectories were compared, and the names of those that are judged differently in any way."""
    compared, differing = 0, []
    for name, task, entry, turns in trajectories:
        ours = score(BFCL_ENVIRONMENT, task, turns, PARAMETERS)
        by_turn = [(turn["state"], turn["response"]) for turn in ours["turns"]]
        compared += 1
        if ours["success"] != verdict(entry, turns) or by_turn != turn_verdicts(entry, turns):
            differing.append(f"{task.id} {name}")
    return compared, differing


@pytest.mark.parametrize("category", CATEGORIES)
def test_every_variant_of_a_ground_truth_is_judged_as_officially(category: str, scenarios: tuple[int, ...]) -> None:
    variants = (
        (variant.__name__, task, entry, variant(task, entry.ground_truth))
        for task, entry in chosen(category, scenarios)
        for variant in VARIANTS
    )
    assert disagreements(variants) == (len(VARIANTS) * len(scenarios), [])


@pytest.mark.parametrize("category", CATEGORIES)
def test_trajectories_with_many_departures_are_judged_as_officially(category: str, scenarios: tuple[int, ...]) -> None:
    trajectories = (
        (f"mixed {seed}", task, entry, mixed(task, entry.ground_truth, random.Random(f"{entry.id} {seed}")))
        for task, entry in chosen(category, scenarios)
        for seed in range(5)
    )
    assert disagreements(trajectories) == (5 * len(scenarios), [])


@pytest.mark.parametrize("category", ["base", "miss_param", "long_context"])
def test_a_live_episode_is_judged_as_the_official_checker_judges_its_calls(
    category: str, scenarios: tuple[int, ...]
) -> None:
    """Not miss_func, whose withheld tools an episode refuses and the official checker allows."""
    for task, entry in chosen(category, scenarios[::2]):
        for variant in VARIANTS:
            turns = [[step for step in steps if step] for steps in variant(task, entry.ground_truth)]
            trajectory = played(task, turns)
            verdicts = [(turn.verdict.state, turn.verdict.response) for turn in trajectory.turns]
            assert verdicts == turn_verdicts(entry, turns), (task.id, variant.__name__)
            assert trajectory.success == verdict(entry, turns), (task.id, variant.__name__)


def played(task: Task, turns: Turns) -> Trajectory:
    """The calls as an agent writes them, and an answer at the end of each turn."""
    episode = Episode(BFCL_ENVIRONMENT, task, parse, NoAugmentation(), step_limit=100)
    episode.reset()
    for steps in turns:
        for step in steps:
            episode.step(write_calls("I act.", [parse_call(call, PARAMETERS) for call in step]))
        episode.step(write_answer("I am done.", "Done."))
    return episode.finish()
