from __future__ import annotations

import pytest
from readable import unreadable_values

from envtune.bfcl.category import Category
from envtune.bfcl.scenario import Scenario
from envtune.playground.phrase import stands_in
from envtune.playground.story_builder import all_documents
from envtune.task import Task, ToolCall, UserTurn, leaves


@pytest.mark.parametrize(
    ("value", "text", "expected"),
    [
        ("oak.txt", "Delete 'oak.txt'.", True),
        ("oak.txt", "Delete 'old_oak.txt'.", False),
        ("oak", "The oaks are old", False),
        (12, "Buy 12 shares", True),
        (12.0, "Buy 12 shares", True),
        (12, "It costs 12.5", False),
        (12, "Room 120", False),
        (2, "USR2", False),
        (-3.5, '{"result": -3.5}', True),
    ],
)
def test_a_value_stands_in_a_text_as_a_whole(value: object, text: str, expected: bool):
    assert stands_in(value, text) is expected


def task_of(*turns: UserTurn) -> Task:
    state = {"TicketAPI": {"ticket_queue": [], "ticket_counter": 417, "current_user": "ada"}}
    return Task("made", Category.BASE, Scenario(0, ("TicketAPI",), state), turns, all_documents(("TicketAPI",)))


def test_a_value_from_an_earlier_result_is_readable():
    opened = UserTurn("Open a ticket: 'Old Oak'.", (ToolCall("create_ticket", {"title": "Old Oak"}),))
    closed = UserTurn("Close it.", (ToolCall("close_ticket", {"ticket_id": 417}),))
    assert unreadable_values(task_of(opened, closed)) == []


def test_a_value_that_is_said_or_returned_only_later_is_not():
    closed = UserTurn("Close it.", (ToolCall("resolve_ticket", {"ticket_id": 417, "resolution": "Cut down"}),))
    opened = UserTurn("Open 'Old Oak', say 'Cut down'.", (ToolCall("create_ticket", {"title": "Old Oak"}),))
    found = unreadable_values(task_of(closed, opened))
    assert found == [(0, "resolve_ticket", 417), (0, "resolve_ticket", "Cut down")]


def test_leaves_are_found_however_deep():
    assert list(leaves([{"updates": {"priority": 4}}, ["a", ["b"]], True])) == [4, "a", "b", True]
