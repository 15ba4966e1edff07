"""Stories of the playground, and demonstrators who play them."""

from __future__ import annotations

import random

from envtune.bfcl.category import CATEGORIES
from envtune.bfcl.environment import BFCL_ENVIRONMENT
from envtune.chat.protocol import parse
from envtune.environment.augmentation.none import NoAugmentation
from envtune.environment.episode import Episode
from envtune.playground.source import Playground, Story
from envtune.task import Split
from tools.tiny_model import demonstrators
from tools.tiny_model.demonstrators import Habits, play

PLAIN = NoAugmentation()


def stories(count: int, category: str | None = None) -> list[Story]:
    playground = Playground(CATEGORIES if category is None else [category])
    return [playground.story(Split.TRAIN, number) for number in range(count)]


def outcome(story: Story, habits: Habits, hints=PLAIN, seed: int = 0):
    """The trajectory of a demonstrator."""
    episode = Episode(BFCL_ENVIRONMENT, story.task, parse, hints, demonstrators.STEP_LIMIT, demonstrators.AT_STEP_LIMIT)
    episode.reset()
    done = False
    for _, completion in play(story, habits, hints, random.Random(seed)):
        done = episode.step(completion).done
    assert done
    return episode.finish()
