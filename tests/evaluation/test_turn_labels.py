from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from envtune.bfcl.category import Category
from envtune.diagnosis import Diagnosis
from envtune.evaluation.turn_labels import (
    NEVER_REACHED,
    ROWS,
    comparison_table,
    first_failure_shares,
    groups_table,
    run_table,
    shares_by_group,
    turn_shares,
)
from envtune.task import ToolCall
from envtune.trajectory import EpisodeEnd, Trajectory, Turn, TurnEnd, TurnVerdict

PASSED, MISSING = Diagnosis.PASSED, Diagnosis.MISSING_TOOL_CALL


def _played(task: str, *passes: bool, group: str = Category.BASE, turn_count: int | None = None) -> Trajectory:
    """An episode without calls: its turns passed, or lack their call."""
    turns = tuple(
        Turn("", (ToolCall("ls", {}),), (), TurnEnd.ANSWERED, TurnVerdict(ok, ok, False, False, True)) for ok in passes
    )
    return Trajectory(task, group, turn_count or len(turns), turns, EpisodeEnd.TERMINATED)


def test_a_task_is_one_observation_and_its_rows_sum_to_its_turns():
    shares = turn_shares([_played("a", True, False), _played("a", True, True), _played("b", False, turn_count=4)])
    assert list(shares) == list(ROWS)
    assert shares[PASSED] == {"a": 0.75, "b": 0}
    assert shares[MISSING] == {"a": 0.25, "b": 0.25}
    assert shares[NEVER_REACHED] == {"a": 0, "b": 0.75}
    assert sum(shares[row]["b"] for row in ROWS) == 1


def test_only_the_first_failure_of_an_episode_is_counted_as_such():
    shares = first_failure_shares([_played("a", False, False), _played("a", True), _played("b", True)])
    assert shares[MISSING] == {"a": 0.5, "b": 0}
    assert PASSED not in shares


def test_groups_are_reported_in_the_order_in_which_they_were_played():
    shares = shares_by_group([_played("m", False, group="mine"), _played("b", True), _played("c", True)])
    assert list(shares) == ["overall", "mine", "base"]
    assert [row[PASSED] for row in shares.values()] == [pytest.approx(2 / 3), 0, 1]


@pytest.mark.parametrize("which", ["groups", "run", "comparison"])
def test_a_table_fits_80_columns(which: str):
    before = [_played(f"{group}{n}", n > 1, False, group=group) for group in Category for n in range(3)]
    after = [_played(f"{group}{n}", True, n > 1, group=group) for group in Category for n in range(3)]
    tasks = [episode.task_id for episode in before]
    shown = {
        "groups": lambda: groups_table(shares_by_group(before), "labels"),
        "run": lambda: run_table(before),
        "comparison": lambda: comparison_table(before, after, tasks),
    }[which]()
    written = StringIO()
    Console(width=80, file=written).print(shown)
    # Title, head, rows and a frame of three lines, beside sections and a second line of the head: no cell is wrapped.
    further = {"groups": 2, "run": 0, "comparison": 1}
    assert len(written.getvalue().splitlines()) == 1 + 1 + len(ROWS) + 3 + further[which]


def test_a_comparison_pairs_the_tasks_that_both_have():
    before = [_played("a", False), _played("b", False), _played("only_before", True)]
    after = [_played("b", False), _played("a", True)]
    table = comparison_table(before, after, ["a", "b"])
    rows = {label: cells for label, *cells in zip(*(column.cells for column in table.columns), strict=True)}
    passed, missing = rows[PASSED], rows[MISSING]
    assert (passed[:2], missing[:2]) == (["0.0", "50.0"], ["100.0", "50.0"])
    assert passed[2].startswith("+50.0 (")
    assert (passed[3:], missing[3:]) == (["-", "-"], ["100.0", "50.0"])
