"""Digests of states: equal for equal states, and for no others."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest

from envtune.environment.fingerprint import digest_of


class Shelf:
    """A state with one value."""

    def __init__(self, value: Any) -> None:
        self.value = value


class Stored:
    """A state that is elsewhere, under a name of its own."""

    def __init__(self, name: str, rows: list[int]) -> None:
        self._name, self._rows = name, rows

    def state(self) -> list[int]:
        return self._rows


class File:
    """What BFCL's files are: the moment of a change is recorded, and compared by nothing."""

    def __init__(self, name: str, changed: datetime) -> None:
        self.name, self._changed = name, changed


VALUES = [
    date(2026, 1, 1),
    date(2026, 1, 2),
    datetime(2026, 1, 1),
    Decimal("1.5"),
    Decimal("2.5"),
    bytearray(b"a"),
    bytearray(b"b"),
    range(2),
    range(3),
    [Shelf(1)],
    [Shelf(2)],
]


def test_states_with_equal_values_have_one_digest_and_others_have_others():
    digests = [digest_of(Shelf(value)) for value in VALUES]
    assert len(set(digests)) == len(VALUES)
    assert digest_of(Shelf(date(2026, 1, 2))) == digests[1]


def test_only_what_state_returns_counts():
    assert digest_of(Stored("/tmp/1", [1])) == digest_of(Stored("/tmp/2", [1]))
    assert digest_of(Stored("/tmp/1", [1])) != digest_of(Stored("/tmp/1", [2]))


@pytest.mark.parametrize(("name", "same"), [("a", True), ("b", False)])
def test_the_private_time_of_a_change_does_not_count(name: str, same: bool):
    files = Shelf([File("a", datetime(2026, 1, 1))]), Shelf([File(name, datetime(2026, 1, 2))])
    assert (digest_of(files[0]) == digest_of(files[1])) is same
