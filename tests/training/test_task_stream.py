from __future__ import annotations

import pytest
from toy_world import toy_task

from envtune.training.task_stream import TaskStream

TASKS = [toy_task(number) for number in range(7)]


def ids_of(stream: TaskStream, count: int) -> list[str]:
    return [draw.task.id for draw in stream.draw(count)]


def test_every_task_comes_once_per_pass_in_another_order():
    stream = TaskStream(TASKS, seed=0)
    first, second = ids_of(stream, 7), ids_of(stream, 7)
    assert sorted(first) == sorted(second) == sorted(task.id for task in TASKS)
    assert first != second


def test_passes_are_whole_however_draws_cut_them():
    stream = TaskStream(TASKS, seed=0)
    cut = [task for count in (3, 1, 5, 5) for task in ids_of(stream, count)]
    assert cut == ids_of(TaskStream(TASKS, seed=0), 14)
    assert stream.drawn == 14


def test_another_seed_gives_another_order():
    assert ids_of(TaskStream(TASKS, seed=0), 7) != ids_of(TaskStream(TASKS, seed=1), 7)


def test_ranks_share_one_sequence_without_overlap():
    alone = TaskStream(TASKS, seed=0).draw(12)
    ranks = [TaskStream(TASKS, seed=0, rank=rank, world_size=3).draw(4) for rank in range(3)]
    assert [[draw.position for draw in draws] for draws in ranks] == [[0, 3, 6, 9], [1, 4, 7, 10], [2, 5, 8, 11]]
    assert sorted((draw for draws in ranks for draw in draws), key=lambda draw: draw.position) == list(alone)


def test_the_number_drawn_is_the_whole_state():
    stream = TaskStream(TASKS, seed=3)
    stream.draw(9)
    resumed = TaskStream(TASKS, seed=3)
    resumed.drawn = stream.drawn
    assert resumed.draw(6) == stream.draw(6)


def test_only_the_tasks_that_are_drawn_are_asked_for():
    asked: list[int] = []

    class Recording(list):
        def __getitem__(self, index):
            asked.append(index)
            return super().__getitem__(index)

    drawn = ids_of(TaskStream(Recording(TASKS), seed=0), 2)
    assert [TASKS[index].id for index in asked] == drawn


def test_no_tasks_are_refused():
    with pytest.raises(ValueError, match="no tasks to draw from"):
        TaskStream([], seed=0)
