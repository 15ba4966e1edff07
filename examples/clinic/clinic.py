"""The front desk of a clinic, on a SQLite database: patients, doctors and their hours.

A project of your own can look like this: hints, tasks and rewards in modules beside this one, settings in ``conf/``.
"""

from __future__ import annotations

import sqlite3
from datetime import date
from typing import Annotated, Any, Literal

from clinic_hints import NON_ANSWERS, RULES
from clinic_tasks import tasks
from pydantic import Field

from envtune.environment import PythonEnvironment

# What `environment.module=clinic` reads of this module.
__all__ = ["environment", "tasks"]

TABLES = """
create table patients (number integer primary key, name text unique);
create table doctors (name text primary key, field text);
create table hours (doctor text, day text, time text, patient integer, primary key (doctor, day, time));
"""
Time = Annotated[str, Field(pattern=r"^\d\d:\d\d$")]


def new_database() -> sqlite3.Connection:
    """Return an empty database in memory, in which every query is a transaction of its own.

    A world is used by one thread at a time, but not always by the same one.
    """
    return sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)


class Clinic:
    """The desk and its database.

    Args:
        patients: names and numbers.
        doctors: names and fields.
        hours: doctor, day, time, and the number of the patient who has booked it; None if it is free.
    """

    def __init__(self, patients: dict[str, int], doctors: dict[str, str], hours: list[tuple[Any, ...]]) -> None:
        self._database = new_database()
        self._database.executescript(TABLES)
        self._database.executemany("insert into patients (name, number) values (?, ?)", patients.items())
        self._database.executemany("insert into doctors values (?, ?)", doctors.items())
        self._database.executemany("insert into hours values (?, ?, ?, ?)", hours)

    # The state is in the database and not in attributes, so the class says how to compare and how to copy it.

    def state(self) -> dict[str, list[tuple[Any, ...]]]:
        """Return every row by table. It is compared after each turn; it is not a tool."""
        return {name: sorted(self._rows(f"select * from {name}")) for name in ("patients", "doctors", "hours")}

    def __deepcopy__(self, memo: dict[int, Any]) -> Clinic:
        copied = Clinic.__new__(Clinic)
        copied._database = new_database()
        self._database.backup(copied._database)
        return copied

    def find_patient(self, name: str) -> int:
        """Return the number of a patient.

        Args:
            name: The full name.
        """
        for (number,) in self._rows("select number from patients where name = ?", name):
            return number
        raise LookupError("no patient has this name")

    def find_doctors(self, field: Literal["eyes", "heart", "skin", "teeth"]) -> list[str]:
        """List the doctors of a field.

        Args:
            field: The field.
        """
        return [name for (name,) in self._rows("select name from doctors where field = ? order by name", field)]

    def free_hours(self, doctor: str, day: date) -> list[str]:
        """List the free hours of a doctor.

        Args:
            doctor: The name, such as Dr. Chen.
            day: The day, such as 2026-03-02.
        """
        self._require_doctor(doctor)
        free = "select time from hours where doctor = ? and day = ? and patient is null order by time"
        return [time for (time,) in self._rows(free, doctor, str(day))]

    def book(self, patient: int, doctor: str, day: date, time: Time) -> str:
        """Book an hour of a doctor for a patient, who can have one visit a day.

        Args:
            patient: The number of the patient.
            doctor: The name, such as Dr. Chen.
            day: The day, such as 2026-03-02.
            time: The time, such as 09:30.
        """
        self._require_patient(patient)
        self._require_doctor(doctor)
        where = "doctor = ? and day = ? and time = ?"
        hour = self._rows(f"select patient from hours where {where}", doctor, str(day), time)
        if not hour:
            raise LookupError("not an hour of this doctor")
        if hour != [(None,)]:
            raise ValueError(f"{time} on {day} is taken")
        if self._rows("select 1 from hours where patient = ? and day = ?", patient, str(day)):
            raise ValueError("the patient has a visit on this day")
        self._rows(f"update hours set patient = ? where {where}", patient, doctor, str(day), time)
        return f"booked: {doctor}, {day} {time}"

    def cancel(self, patient: int, day: date) -> str:
        """Cancel the visit of a patient on a day.

        Args:
            patient: The number of the patient.
            day: The day, such as 2026-03-02.
        """
        self._require_patient(patient)
        if not self._rows("select 1 from hours where patient = ? and day = ?", patient, str(day)):
            raise LookupError("the patient has no visit on this day")
        self._rows("update hours set patient = null where patient = ? and day = ?", patient, str(day))
        return "cancelled"

    def visits(self, patient: int) -> list[dict[str, str]]:
        """List the visits of a patient, the earliest first.

        Args:
            patient: The number of the patient.
        """
        self._require_patient(patient)
        booked = "select doctor, day, time from hours where patient = ? order by day, time"
        return [{"doctor": doctor, "day": day, "time": time} for doctor, day, time in self._rows(booked, patient)]

    def _require_patient(self, number: int) -> None:
        if not self._rows("select 1 from patients where number = ?", number):
            raise LookupError("no patient has this number")

    def _require_doctor(self, name: str) -> None:
        if not self._rows("select 1 from doctors where name = ?", name):
            raise LookupError("no such doctor")

    def _rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        return self._database.execute(query, values).fetchall()


environment = PythonEnvironment(Clinic, RULES, NON_ANSWERS)
