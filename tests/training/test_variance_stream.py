"""The stream on seven toy tasks with variances made by hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import pytest
from toy_world import toy_task

from envtune.errors import UserError
from envtune.task import Task
from envtune.training.task_stream import Draw, TaskStream
from envtune.training.variance_stream import VarianceStream

TASKS = [toy_task(number) for number in range(7)]
EQUAL = [0.0] * 7


def played(stream: VarianceStream, count: int, variances: Sequence[float]) -> tuple[Draw, ...]:
    """Draw so many tasks and observe the variance that belongs to each."""
    draws = stream.draw(count)
    stream.observe([(draw.index, variances[draw.index]) for draw in draws])
    return draws


def known(variances: Sequence[float], seed: int = 0, **settings: float) -> VarianceStream:
    """Every task was played once, in one update."""
    stream = VarianceStream(TASKS[: len(variances)], seed, **settings)  # type: ignore[arg-type]
    stream.observe(list(enumerate(variances)))
    return stream


def indices(draws: Sequence[Draw]) -> list[int]:
    return [draw.index for draw in draws]


def test_before_anything_is_known_the_draws_are_those_of_the_uniform_stream():
    assert VarianceStream(TASKS, seed=3).draw(7) == TaskStream(TASKS, seed=3).draw(7)


def test_a_task_whose_rewards_varied_comes_before_those_whose_rewards_were_equal():
    for seed in range(20):
        assert known([0.0, 0.0, 0.25, 0.0], seed).draw(1)[0].index == 2


def test_tasks_are_replayed_in_proportion_to_their_variance():
    # Variances 0.3 and 0.1: the first draw is the former in 3 of 4 streams. 1,000 draws: 750 with a deviation of 14.
    first = Counter(known([0.3, 0.0, 0.1], seed).draw(1)[0].index for seed in range(1000))
    assert 700 < first[0] < 800
    assert first[0] + first[2] == 1000


def test_without_any_variance_every_task_is_as_likely():
    first = Counter(known([0.0, 0.0], seed).draw(1)[0].index for seed in range(1000))
    assert 420 < first[0] < 580


def test_the_order_is_drawn_anew_in_each_update():
    stream = known(EQUAL, max_age=99)
    orders = [tuple(indices(played(stream, 7, EQUAL))) for _ in range(4)]
    assert len(set(orders)) == 4


def test_no_task_comes_twice_in_an_update_before_all_have_come():
    stream = known([0.25, 0.0, 0.0, 9.0, 0.0, 0.0, 0.1])
    draws = indices(stream.draw(21))
    assert [sorted(draws[lap : lap + 7]) for lap in (0, 7, 14)] == [[*range(7)]] * 3


@pytest.mark.parametrize(("share", "new"), [(0.0, 0), (1.0, 3)])
def test_the_share_of_new_tasks_is_chosen(share: float, new: int):
    # Four tasks were played, three were not; three are drawn.
    stream = VarianceStream(TASKS, seed=0, new_share=share)
    stream.observe([(index, 0.25) for index in range(4)])
    assert sum(index >= 4 for index in indices(stream.draw(3))) == new


def test_new_tasks_come_in_the_order_of_the_first_pass_also_after_a_rank_has_left_some_out():
    order = indices(TaskStream(TASKS, seed=0).draw(7))
    stream = VarianceStream(TASKS, seed=0, new_share=1.0)
    stream.observe([(order[0], 0.0), (order[2], 0.0)])
    assert indices(stream.draw(5)) == [order[1], *order[3:]]


def test_tasks_that_were_not_played_for_long_come_first_and_the_oldest_of_them_before_the_others():
    # Three tasks, two passes: a task is aged when three groups have been played after it.
    stream = VarianceStream(TASKS[:3], seed=0, max_age=2)
    for index in (2, 0, 1):
        stream.observe([(index, 0.0)])
    stream.observe([(1, 9.0)])
    stream.observe([(1, 9.0)])
    # Five groups: task 2 was played after one of them, task 0 after two, task 1 after five.
    assert indices(stream.draw(3)) == [2, 0, 1]
    assert stream.observe([])["sampler/aged"] == [1.0, 1.0, 0.0]


def test_a_task_that_was_never_played_is_as_old_as_the_run():
    stream = VarianceStream(TASKS[:3], seed=0, max_age=2, new_share=0.0)
    stream.observe([(0, 9.0), (0, 9.0)])
    assert stream.draw(1)[0].index == 0
    stream.observe([(0, 9.0)])
    assert stream.draw(1)[0].index in (1, 2)


@pytest.mark.parametrize("new_share", [0.0, 0.5, 1.0])
def test_every_task_is_drawn_in_so_many_passes_although_one_alone_varies(new_share: float):
    # Seven tasks, two in an update, max_age=3: 21 groups are 10.5 updates, and drawing in whole updates costs up to 2.
    stream = VarianceStream(TASKS, seed=0, max_age=3, new_share=new_share)
    updates = [indices(played(stream, 2, [0.0] * 6 + [1.0])) for _ in range(200)]
    for task in range(7):
        at = [-1, *(update for update, drawn in enumerate(updates) if task in drawn), 200]
        assert max(later - earlier for earlier, later in pairwise(at)) <= 12
    assert sum(6 in drawn for drawn in updates) > 120


def test_the_samples_are_those_of_the_draws_since_the_last_update():
    stream = VarianceStream(TASKS[:2], seed=0, max_age=2, new_share=1.0)
    first = stream.draw(1)[0].index
    assert stream.observe([(first, 0.25)]) == {"sampler/aged": [0.0], "sampler/new": [1.0], "sampler/variance": []}
    assert stream.draw(2)[0].index == 1 - first
    assert stream.observe([(1 - first, 0.0), (first, 1.0)]) == {
        "sampler/aged": [0.0, 0.0],
        "sampler/new": [1.0, 0.0],
        "sampler/variance": [0.25],
    }


def ranks_of(monkeypatch: pytest.MonkeyPatch, counts: Sequence[Sequence[int]]) -> list[list[list[int]]]:
    """Play updates on ``len(counts)`` ranks, of which each draws so many tasks; the draws by rank and update."""
    streams = [VarianceStream(TASKS, 0, rank, len(counts)) for rank in range(len(counts))]
    drawn: list[list[list[int]]] = [[] for _ in streams]
    for update in range(len(counts[0])):
        draws = [stream.draw(mine[update]) for stream, mine in zip(streams, counts, strict=True)]
        gathered = [[(draw.index, draw.index / 8) for draw in rank] for rank in draws]
        monkeypatch.setattr("envtune.training.variance_stream.gather", lambda _, them=gathered: them)
        for stream, mine, own in zip(streams, gathered, drawn, strict=True):
            stream.observe(mine)
            own.append([index for index, _ in mine])
    assert all(stream.state_dict() == streams[0].state_dict() for stream in streams)
    positions = [draw.position for stream in streams for draw in stream.draw(3)]
    assert len(set(positions)) == len(positions)
    return drawn


def test_ranks_share_one_sequence_and_one_record(monkeypatch: pytest.MonkeyPatch):
    (alone,) = ranks_of(monkeypatch, [[4] * 9])
    first, second = ranks_of(monkeypatch, [[2] * 9, [2] * 9])
    assert [[a[0], b[0], a[1], b[1]] for a, b in zip(first, second, strict=True)] == alone


def test_ranks_that_refill_differently_draw_no_task_of_another_one(monkeypatch: pytest.MonkeyPatch):
    for first, second in zip(*ranks_of(monkeypatch, [[1, 3, 1, 2], [2, 1, 3, 2]]), strict=True):
        assert set(first).isdisjoint(second)


def test_a_restored_stream_continues_the_saved_one():
    variances = [0.0, 0.5, 0.0, 0.25, 0.0, 1.0, 0.1]
    saved, restored = VarianceStream(TASKS, seed=1), VarianceStream(TASKS, seed=1)
    for _ in range(9):
        played(saved, 3, variances)
    restored.draw(1)
    restored.load_state_dict(saved.state_dict())
    restored.drawn = saved.drawn
    for _ in range(9):
        assert played(restored, 3, variances) == played(saved, 3, variances)
    assert restored.state_dict() == saved.state_dict()


def test_the_state_has_a_record_of_each_task_that_was_played_and_of_no_other():
    stream = VarianceStream(TASKS, seed=0)
    stream.observe([(5, 0.25), (2, 0.0)])
    stream.observe([(5, 1.0)])
    assert stream.state_dict() == {"tasks": 7, "played": 3, "seen": [2, 5], "variance": [0.0, 1.0], "last": [2, 3]}


def test_records_of_other_tasks_are_refused():
    with pytest.raises(UserError, match=r"^the checkpoint has the sampler's records of 7 tasks, but this run has 2: "):
        VarianceStream(TASKS[:2], seed=0).load_state_dict(known(EQUAL).state_dict())


def test_settings_out_of_range_and_no_tasks_are_refused():
    with pytest.raises(UserError, match="max_age=1 must be a whole number of at least 2: passes"):
        VarianceStream(TASKS, seed=0, max_age=1)
    with pytest.raises(UserError, match=r"new_share=1.5 must be a number of at least 0 and of at most 1"):
        VarianceStream(TASKS, seed=0, new_share=1.5)
    with pytest.raises(UserError, match="no tasks to draw from"):
        VarianceStream([], seed=0)


def test_of_a_million_tasks_only_the_drawn_ones_are_made():
    made: list[int] = []

    class Generated(Sequence[Task]):
        def __len__(self) -> int:
            return 1_000_000

        def __getitem__(self, index):
            made.append(index)
            return TASKS[0]

    stream = VarianceStream(Generated(), seed=0)
    for _ in range(3):
        stream.observe([(draw.index, 0.25) for draw in stream.draw(4)])
    assert len(made) == 12
    assert len(stream.state_dict()["seen"]) == len(set(made)) < 12
