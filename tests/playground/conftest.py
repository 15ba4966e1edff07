"""Some hundred stories of each split, told once for all tests of the playground."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from envtune.bfcl.environment import BFCL_ENVIRONMENT
from envtune.chat.protocol import parse, write_answer, write_calls
from envtune.environment.augmentation import Hints
from envtune.environment.augmentation.none import NoAugmentation
from envtune.environment.episode import Episode
from envtune.playground.source import Playground, Story
from envtune.task import Split, Task, ToolCall
from envtune.trajectory import Trajectory

STORIES_OF_A_SPLIT = 160


@pytest.fixture(scope="session")
def stories() -> list[Story]:
    playground = Playground()
    return [playground.story(split, number) for split in Split for number in range(STORIES_OF_A_SPLIT)]


def play(task: Task, calls: Callable[[int], Sequence[ToolCall]], hints: Hints | None = None) -> Trajectory:
    """In each turn, the calls for its index in one step, if there are any; then an answer."""
    episode = Episode(BFCL_ENVIRONMENT, task, parse, hints or NoAugmentation(), step_limit=5)
    episode.reset()
    for index in range(len(task.turns)):
        if calls(index):
            episode.step(write_calls("I act.", calls(index)))
        episode.step(write_answer("I am done.", "Done."))
    return episode.finish()


def naive_calls(story: Story) -> Callable[[int], list[ToolCall]]:
    """Those of an agent that makes no prerequisite call, and writes what the user says where a code was wanted."""

    def calls(index: int) -> list[ToolCall]:
        asked_for = enumerate(story.task.turns[index].ground_truth)
        return [
            ToolCall(call.name, {name: _said(story, value) for name, value in call.arguments.items()})
            for place, call in asked_for
            if (index, place) not in story.prerequisites
        ]

    return calls


def _said(story: Story, value: object) -> object:
    return story.looked_up.get(value, value) if isinstance(value, str) else value
