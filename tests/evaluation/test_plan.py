from __future__ import annotations

import pytest

from envtune.bfcl.category import Category
from envtune.bfcl.scenario import Scenario
from envtune.errors import UserError
from envtune.evaluation.plan import Plan
from envtune.task import Task
from envtune.trajectory import EpisodeEnd, TokenRecord, Trajectory


def _task(scenario: int) -> Task:
    return Task(f"multi_turn_base_{scenario}", Category.BASE, Scenario(scenario, (), {}), (), ())


class _Recorder:
    """In the collector's place: remembers what it was asked for."""

    def __init__(self):
        self.calls = []

    def play(self, requests, greedy, finished):
        self.calls.append((len(requests), greedy))
        tokens = TokenRecord((1,), (True,), (0.0,), 0)
        played = [
            Trajectory(r.task.id, r.task.group, 1, (), EpisodeEnd.STEP_LIMIT, r.seed, 0, tokens) for r in requests
        ]
        for trajectory in reversed(played):
            finished(trajectory)
        return played


def test_every_task_is_played_as_often_as_asked_with_seeds_of_its_own():
    requests = Plan(greedy=False, samples=2, seed=0).requests([_task(0), _task(1)])
    assert [request.task.world.number for request in requests] == [0, 0, 1, 1]
    assert len({request.seed for request in requests}) == 4


def test_a_tasks_seed_depends_on_the_plans_seed_and_not_on_the_tasks_beside_it():
    plan = Plan(greedy=False, samples=1, seed=0)
    assert plan.requests([_task(0), _task(1)])[1] == plan.requests([_task(1)])[0]
    assert plan.requests([_task(0)]) != Plan(greedy=False, samples=1, seed=1).requests([_task(0)])


def test_episodes_are_played_in_one_go_reported_as_they_finish_and_kept_without_tokens():
    plan, recorder = Plan(greedy=True, samples=1, seed=0), _Recorder()
    finished = []
    played = plan.play(recorder, plan.requests([_task(index) for index in range(3)]), finished.append)
    assert recorder.calls == [(3, True)]
    assert [t.task_id for t in played] == [f"multi_turn_base_{index}" for index in range(3)]
    assert [t.task_id for t in finished] == [f"multi_turn_base_{index}" for index in (2, 1, 0)]
    assert all(t.tokens is None for t in played)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"samples": 0}, "samples=0 must be a whole number of at least 1"),
        ({"samples": 1.5}, "samples=1.5 must be a whole number of at least 1"),
        ({"seed": -1}, "seed=-1 must be a whole number of at least 0"),
        ({"greedy": "no"}, "greedy='no' must be true or false"),
        ({"greedy": True, "samples": 4}, "the same greedy episodes 4 times: add greedy=false"),
    ],
)
def test_a_value_that_makes_no_plan_is_named(values, message):
    with pytest.raises(UserError, match=message):
        Plan(**{"greedy": False, "samples": 1, "seed": 0, **values})
