"""Generated tasks for the clinic, in the four groups that the stages of the curriculum choose from."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from envtune.environment import Task, UserTurn, call

GROUPS = ("base", "miss_func", "miss_param", "long_context")
SIZES = {"train": 160, "val": 40, "test": 80}
FIELDS = ("eyes", "heart", "skin", "teeth")
DOCTORS = tuple(f"Dr. {name}" for name in ("Abara", "Berg", "Chen", "Diaz", "Eriksen", "Farah", "Gupta", "Holm"))
FIRST_NAMES = ("Ana", "Ben", "Cleo", "Dan", "Eva", "Finn", "Gita", "Hugo", "Iris", "Jon")
LAST_NAMES = {  # no patient of a training task is in a held-out one
    "train": ("Adler", "Baker", "Costa", "Dunn", "Evans", "Fox", "Green", "Hill"),
    "val": ("Irwin", "Jones", "Kelly", "Lopez", "Moore", "Novak"),
    "test": ("Owens", "Price", "Quinn", "Rossi", "Stone", "Tanaka"),
}
TIMES = tuple(f"{hour:02}:{minute}" for hour in range(8, 18) for minute in ("00", "30"))


def tasks(split: str) -> Iterator[Task]:
    """Yield the tasks of a split, ``train``, ``val`` or ``test``, the groups in turn: the same ones in every run."""
    for number in range(SIZES[split]):
        yield task(split, number, GROUPS[number % len(GROUPS)])


def task(split: str, number: int, group: str) -> Task:
    """Return a task: a patient books or cancels visits, in a clinic made for the task."""
    draw = random.Random(f"clinic {split} {number}")
    names = [f"{first} {last}" for first in FIRST_NAMES for last in LAST_NAMES[split]]
    world = clinic(draw, names, large=group == "long_context")
    patient, patient_number = next(iter(world["patients"].items()))
    day_of_visit = next(day for _, day, _, visitor in world["hours"] if visitor == patient_number)
    day, other_day = draw.sample(sorted({hour[1] for hour in world["hours"]} - {day_of_visit}), 2)
    doctor, _, time, _ = draw.choice([hour for hour in world["hours"] if hour[1] == day and hour[3] is None])
    identify = call("find_patient", name=patient)
    book = call("book", patient=patient_number, doctor=doctor, day=day, time=time)
    cancel = call("cancel", patient=patient_number, day=day_of_visit)
    if group == "miss_func":
        # The tool is handed over in the second turn. In the first, the agent has to answer that it cannot do it.
        first = UserTurn(f"I am {patient}. Cancel my visit on {day_of_visit}.")
        second = UserTurn("", (identify, cancel), new_tools=("cancel",))
    elif group == "miss_param":
        # No tool finds the name, so the agent has to ask for it.
        first = UserTurn(f"Please book {doctor} for me on {day} at {time}.")
        second = UserTurn(f"Sorry, I am {patient}.", (identify, book))
    else:
        first = UserTurn(f"I am {patient}. Book {doctor} for me on {day} at {time}.", (identify, book))
        second = draw.choice(
            (
                UserTurn(f"And cancel my visit on {day_of_visit}.", (cancel,)),
                any_hour(world, patient_number, draw.choice(FIELDS), other_day),
            )
        )
    return Task(f"{split}_{number}", group, world, (first, second))


def clinic(draw: random.Random, names: list[str], large: bool) -> dict[str, Any]:
    """Return the arguments of a Clinic in which every patient has one visit."""
    patients = draw.sample(names, 60 if large else 4)
    numbers = draw.sample(range(100, 1000), len(patients))
    doctors = dict(zip(draw.sample(DOCTORS, 8 if large else 4), FIELDS * 2, strict=False))
    days = [f"2026-03-{day:02}" for day in range(2, 8 if large else 5)]
    hours = [(doctor, day, time) for doctor in doctors for day in days for time in sorted(draw.sample(TIMES, 8))]
    visits = dict(zip(draw.sample(hours, len(patients)), numbers, strict=True))
    return {
        "patients": dict(zip(patients, numbers, strict=True)),
        "doctors": doctors,
        "hours": [(*hour, visits.get(hour)) for hour in hours],
    }


def any_hour(world: dict[str, Any], patient: int, field: str, day: str) -> UserTurn:
    """Return a turn that any free hour of a field solves: a check of the goal judges it, and not the twin.

    Such a turn comes last, because the twin takes the hour of the ground truth, and later turns are compared with it.
    """
    of_field = {doctor for doctor, its_field in world["doctors"].items() if its_field == field}
    free = [hour for hour in world["hours"] if hour[0] in of_field and hour[1] == day and hour[3] is None]
    doctor, _, time, _ = free[0]

    def has_visit(view: Any, answer: str) -> bool:
        return any(row[0] in of_field and (row[1], row[3]) == (day, patient) for row in view.state()["hours"])

    return UserTurn(
        f"I also need a doctor for my {field} on {day}. Any hour is fine.",
        (
            call("find_doctors", field=field),
            call("free_hours", doctor=doctor, day=day),
            call("book", patient=patient, doctor=doctor, day=day, time=time),
        ),
        check=has_visit,
    )
