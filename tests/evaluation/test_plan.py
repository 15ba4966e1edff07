from __future__ import annotations

import pytest

from envtune.errors import UserError
from envtune.evaluation.plan import Plan
from envtune.task import Category, Task
from envtune.trajectory import EpisodeEnd, TokenRecord, Trajectory


def _task(scenario: int) -> Task:
    return Task(f"multi_turn_base_{scenario}", Category.BASE, scenario, (), {}, (), ())


class _Recorder:
    """In the collector's place: remembers how many episodes were asked for at a time."""

    max_episodes = 2

    def __init__(self):
        self.calls = []

    def play(self, requests, greedy):
        self.calls.append((len(requests), greedy))
        tokens = TokenRecord((1,), (True,), (0.0,), 0)
        return [
            Trajectory(r.task.id, r.task.category, 1, (), EpisodeEnd.STEP_LIMIT, r.seed, 0, tokens) for r in requests
        ]


def test_every_task_is_played_as_often_as_asked_with_seeds_of_its_own():
    requests = Plan(greedy=False, samples=2, seed=0).requests([_task(0), _task(1)])
    assert [request.task.scenario for request in requests] == [0, 0, 1, 1]
    assert len({request.seed for request in requests}) == 4


def test_a_tasks_seed_depends_on_the_plans_seed_and_not_on_the_tasks_beside_it():
    plan = Plan(greedy=False, samples=1, seed=0)
    assert plan.requests([_task(0), _task(1)])[1] == plan.requests([_task(1)])[0]
    assert plan.requests([_task(0)]) != Plan(greedy=False, samples=1, seed=1).requests([_task(0)])


def test_episodes_are_played_by_as_many_as_the_collector_holds_and_kept_without_tokens():
    plan, recorder = Plan(greedy=True, samples=1, seed=0), _Recorder()
    played = list(plan.play(recorder, plan.requests([_task(index) for index in range(5)])))
    assert recorder.calls == [(2, True), (2, True), (1, True)]
    assert [t.task_id for chunk in played for t in chunk] == [f"multi_turn_base_{index}" for index in range(5)]
    assert all(t.tokens is None for chunk in played for t in chunk)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"samples": 0}, "samples=0 must be a whole number of 1 or more"),
        ({"samples": 1.5}, "samples=1.5 must be a whole number of 1 or more"),
        ({"seed": -1}, "seed=-1 must be a whole number of 0 or more"),
        ({"greedy": "no"}, "greedy=no must be true or false"),
        ({"greedy": True, "samples": 4}, "the same greedy episodes 4 times: add greedy=false"),
    ],
)
def test_a_value_that_makes_no_plan_is_named(values, message):
    with pytest.raises(UserError, match=message):
        Plan(**{"greedy": False, "samples": 1, "seed": 0, **values})
