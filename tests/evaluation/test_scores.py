from __future__ import annotations

import pytest

from envtune.bfcl.category import Category
from envtune.evaluation.scores import audited_scores, score, scores_by_group, scores_table
from envtune.trajectory import EpisodeEnd, Trajectory, Turn, TurnEnd, TurnVerdict


def _played(task: str, passes: list[bool], category: Category = Category.BASE) -> Trajectory:
    """An episode whose turns passed or failed by their state."""
    turns = tuple(
        Turn("do it", (), (), TurnEnd.ANSWERED, TurnVerdict(passed, True, True, False, True)) for passed in passes
    )
    return Trajectory(task, category, len(turns), turns, EpisodeEnd.TERMINATED)


def test_success_counts_whole_tasks_and_progress_their_turns():
    row = score([_played("a", [True, True]), _played("b", [True, False]), _played("c", [False] * 4)])
    assert (row.tasks, row.episodes) == (3, 3)
    assert row.success.mean == pytest.approx(1 / 3)
    assert row.progress.mean == pytest.approx((1 + 0.5 + 0) / 3)
    assert (row.success.method, row.progress.method) == ("wilson", "bootstrap")


def test_samples_of_a_task_are_one_observation():
    # a succeeds in 3 of 3, b in 0 of 1: each task weighs the same, and two tasks leave a wide interval.
    row = score([_played("a", [True])] * 3 + [_played("b", [False])])
    assert (row.tasks, row.episodes, row.success.mean) == (2, 4, 0.5)
    assert row.success == score([_played("a", [True]), _played("b", [False])]).success


def test_a_task_that_succeeds_now_and_then_is_bootstrapped():
    # Task means 0.5 and 0: the bootstrap of two tasks spans both.
    row = score([_played("a", [True]), _played("a", [False]), _played("b", [False]), _played("b", [False])])
    assert (row.success.low, row.success.mean, row.success.high) == (0.0, 0.25, 0.5)


def test_groups_are_scored_in_the_order_in_which_they_were_played():
    scores = scores_by_group([_played("m", [False], "my group"), _played("b", [True])])
    assert list(scores) == ["overall", "my group", "base"]
    assert [row.success.mean for row in scores.values()] == [0.5, 0.0, 1.0]


def test_audited_scores_leave_the_listed_tasks_out():
    played = [_played("a", [True]), _played("b", [False]), _played("m", [False], Category.MISS_PARAM)]
    audited = audited_scores(played, {"b", "m"})
    assert {name: (row.tasks, row.success.mean) for name, row in audited.items()} == {
        "overall": (1, 1.0),
        "base": (1, 1.0),
    }
    assert audited_scores(played, {"a", "b", "m"}) == {}


def test_the_table_shows_raw_and_audited_rows():
    played = [_played("a", [True]), _played("b", [False])]
    table = scores_table(scores_by_group(played), audited_scores(played, {"b"}), "scores")
    assert list(table.columns[0].cells) == ["overall", "base", "overall, audited", "base, audited"]
    assert list(table.columns[1].cells) == ["2", "2", "1", "1"]
