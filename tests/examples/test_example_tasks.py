"""What the examples promise: ground truths pass, answers alone do not, and each hint rule is reached by some call."""

from __future__ import annotations

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from envtune.chat.protocol import parse, write_answer, write_calls
from envtune.environment.augmentation.actionable import Actionable
from envtune.environment.episode import Episode
from envtune.environment.python_module import ModuleTasks, environment_of
from envtune.environment.selected_tasks import SelectedTasks
from envtune.task import Split, Task, ToolCall, call
from envtune.trajectory import Trajectory

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = ("library", "clinic")

SHELF = {
    "books": ["Emma", "Kim"],
    "readers": ["Bo Lind", "Cy Young"],
    "loans": {"Kim": "Cy Young"},
}
SIGN_IN = call("sign_in", name="Bo Lind")
HOURS = {
    "patients": {"Ana Fox": 101, "Ben Hill": 102},
    "doctors": {"Dr. Berg": "eyes", "Dr. Chen": "eyes"},
    "hours": [
        ("Dr. Berg", "2026-03-02", "08:00", 102),
        ("Dr. Berg", "2026-03-02", "09:00", None),
        ("Dr. Berg", "2026-03-03", "08:00", 101),
        ("Dr. Chen", "2026-03-03", "08:00", None),
    ],
}


def visit(patient: Any = 101, doctor: str = "Dr. Berg", day: str = "2026-03-02", time: str = "09:00") -> ToolCall:
    return call("book", patient=patient, doctor=doctor, day=day, time=time)


# Per example: a world, and wrong calls (the last one of each row is the wrong one) with the rule that they reach.
WRONG: dict[str, tuple[dict[str, Any], list[tuple[str, tuple[ToolCall, ...]]]]] = {
    "library": (
        SHELF,
        [
            ("library.no_session", (call("borrow", title="Emma"),)),
            ("library.no_session", (call("give_back", title="Kim"),)),
            ("library.no_session", (call("on_loan"),)),
            ("library.no_reader", (call("sign_in", name="Bo"),)),
            ("library.no_title", (SIGN_IN, call("borrow", title="emma"))),
            ("library.book_out", (SIGN_IN, call("borrow", title="Kim"))),
            ("library.not_lent", (SIGN_IN, call("give_back", title="Kim"))),
            ("library.nothing_found", (call("search", word="Dune"),)),
        ],
    ),
    "clinic": (
        HOURS,
        [
            ("clinic.patient_number", (visit(patient=7),)),
            ("clinic.patient_number", (visit(patient="Ana Fox"),)),
            ("clinic.patient_number", (call("cancel", patient=7, day="2026-03-02"),)),
            ("clinic.patient_number", (call("visits", patient=7),)),
            ("clinic.patient_name", (call("find_patient", name="Ana"),)),
            ("clinic.doctor", (visit(doctor="Berg"),)),
            ("clinic.doctor", (call("free_hours", doctor="Berg", day="2026-03-02"),)),
            ("clinic.full_day", (visit(patient=102, day="2026-03-03", time="08:00"),)),
            ("clinic.hour", (visit(time="08:00"),)),
            ("clinic.hour", (visit(time="07:15"),)),
            ("clinic.second_visit", (visit(doctor="Dr. Chen", day="2026-03-03", time="08:00"),)),
            ("clinic.no_visit", (call("cancel", patient=101, day="2026-03-02"),)),
            ("clinic.nothing_free", (call("free_hours", doctor="Dr. Berg", day="2026-03-03"),)),
        ],
    ),
}


@pytest.fixture(autouse=True)
def examples_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.syspath_prepend(str(EXAMPLES / name))


def tasks_of(name: str, split: Split) -> Sequence[Task]:
    return SelectedTasks(ModuleTasks(name), environment_of(name)).tasks(split)


def played(name: str, task: Task, responses: Sequence[str]) -> Trajectory:
    environment = environment_of(name)
    episode = Episode(environment, task, parse, Actionable().for_episode(environment, task, seed=0), step_limit=1)
    episode.reset()
    for response in responses:
        if episode.step(response).done:
            break
    return episode.finish()


def ground_truth(task: Task) -> list[str]:
    answer = write_answer("Nothing more is due.", "Done.")
    calls = [[write_calls("These are due.", turn.ground_truth)] if turn.ground_truth else [] for turn in task.turns]
    return [response for of_turn in calls for response in (*of_turn, answer)]


@pytest.mark.parametrize("split", Split)
@pytest.mark.parametrize("name", NAMES)
def test_every_ground_truth_passes_without_a_failed_call(name: str, split: Split):
    for task in tasks_of(name, split):
        trajectory = played(name, task, ground_truth(task))
        assert trajectory.success, task.id
        assert trajectory.progress == 1, task.id
        assert all(result.ok and result.hint is None for result in trajectory.results), task.id


@pytest.mark.parametrize("split", Split)
@pytest.mark.parametrize("name", NAMES)
def test_a_policy_that_only_answers_passes_no_task(name: str, split: Split):
    for task in tasks_of(name, split):
        trajectory = played(name, task, [write_answer("I do nothing.", "Done.")] * len(task.turns))
        assert trajectory.progress < 1, task.id
        assert not trajectory.success, task.id


@pytest.mark.parametrize("name", NAMES)
def test_each_hint_rule_is_reached_by_a_wrong_call(name: str):
    environment = environment_of(name)
    world_of, wrong = WRONG[name]
    reached = set()
    for rule, calls in wrong:
        task = Task("hand_made", "base", world_of, (), environment.documents)
        world = environment.open(task)
        results = [world.call(one) for one in calls]
        assert all(result.ok for result in results[:-1]), rule
        hint = Actionable().for_episode(environment, task, seed=0).hint(results[-1], world)
        assert hint is not None, (rule, results[-1].text)
        assert hint.rule == rule
        assert "`" in hint.text or rule in ("library.no_reader", "library.nothing_found", "clinic.patient_name")
        reached.add(rule)
    assert reached == {rule.name for rule in (*environment.rules, *environment.non_answers)}


@pytest.mark.parametrize("name", NAMES)
def test_tasks_are_the_same_in_every_run_and_differ_between_splits(name: str):
    made = {split: list(import_module(name).tasks(str(split))) for split in Split}
    # Checks of turns are functions, which are equal to themselves alone.
    again = [(task.id, task.world, task.turns[0]) for task in import_module(name).tasks("train")]
    assert [(task.id, task.world, task.turns[0]) for task in made[Split.TRAIN]] == again
    messages = {split: {tuple(turn.message for turn in task.turns) for task in made[split]} for split in Split}
    assert not messages[Split.TRAIN] & (messages[Split.VAL] | messages[Split.TEST])


def test_the_environment_in_the_readme_is_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    readme = (EXAMPLES.parent / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```", readme, flags=re.M | re.S)
    (tmp_path / "desk.py").write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    for split in Split:
        for task in tasks_of("desk", split):
            assert played("desk", task, ground_truth(task)).success
            assert not played("desk", task, [write_answer("I do nothing.", "Done.")]).success
    world = environment_of("desk").open(tasks_of("desk", Split.VAL)[0])
    result = world.call(call("borrow", title="Dune"))
    hint = Actionable().for_episode(environment_of("desk"), tasks_of("desk", Split.VAL)[0], seed=0).hint(result, world)
    assert hint is not None
    assert hint.text == "A session is needed. `sign_in` opens one."


def clinic_world() -> Any:
    environment = environment_of("clinic")
    return environment.open(Task("hand_made", "base", HOURS, (), environment.documents))


def test_a_clinic_can_be_used_by_another_thread():
    world = clinic_world()
    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(world.call, call("visits", patient=102)).result().ok
        assert thread.submit(world.copy).result().same_as(world)


def test_a_copied_clinic_has_a_database_of_its_own():
    world = clinic_world()
    other = world.copy()
    assert world.call(visit(patient=102, doctor="Dr. Chen", day="2026-03-03", time="08:00")).ok
    assert not world.same_as(other)
    assert other.same_as(clinic_world())


def test_the_clinic_has_every_group_in_turn_and_goal_checks_among_them():
    tasks = tasks_of("clinic", Split.TRAIN)
    assert [task.group for task in tasks[:4]] == ["base", "miss_func", "miss_param", "long_context"]
    assert {task.group for task in tasks if task.turns[1].check} == {"base", "long_context"}


def test_any_free_hour_of_the_field_passes_a_turn_with_a_goal_check_and_a_booking_elsewhere_does_not():
    task = next(task for task in tasks_of("clinic", Split.TRAIN) if task.turns[1].check)
    book = task.turns[1].ground_truth[-1]
    day, doctor = book.arguments["day"], book.arguments["doctor"]
    free = [hour for hour in task.world["hours"] if hour[1] == day and hour[3] is None]
    other_hour = next(hour[2] for hour in free if hour[0] == doctor and hour[2] != book.arguments["time"])
    fields = task.world["doctors"]
    elsewhere = next(hour for hour in free if fields[hour[0]] != fields[doctor])
    for arguments, passes in (
        ({"time": other_hour}, True),
        ({"doctor": elsewhere[0], "time": elsewhere[2]}, False),
    ):
        wanted = ToolCall("book", {**book.arguments, **arguments})
        answer = write_answer("It is booked.", "Done.")
        steps = [*ground_truth(task)[:2], write_calls("I take this one.", (wanted,)), answer]
        trajectory = played("clinic", task, steps)
        assert trajectory.results[-1].ok
        assert trajectory.success is passes


def test_the_tool_that_is_missing_at_first_cannot_be_called_before_it_is_handed_over():
    task = next(task for task in tasks_of("clinic", Split.TRAIN) if task.group == "miss_func")
    calls = write_calls("I try.", task.turns[1].ground_truth)
    trajectory = played("clinic", task, [calls, *ground_truth(task)])
    assert [result.ok for result in trajectory.results[:2]] == [True, False]
    assert not trajectory.turns[0].verdict.passed


def test_the_clinics_reward_subtracts_a_cost_for_each_failed_booking():
    reward = import_module("my_rewards").CarefulProgress(cost=0.25)
    task = next(task for task in tasks_of("clinic", Split.TRAIN) if task.group == "miss_param")
    book = task.turns[1].ground_truth[-1]
    wrong = write_calls("A guess.", (ToolCall("book", {**book.arguments, "patient": 1}),))
    ask, *right, done = ground_truth(task)
    assert reward(played("clinic", task, [ask, *right, done])).total == 1
    assert reward(played("clinic", task, [ask, wrong, *right])).total == pytest.approx(1 - 0.25)
