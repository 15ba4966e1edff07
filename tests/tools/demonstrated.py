"""Stories of the playground, and demonstrators who play them."""

from __future__ import annotations

import random
import sys
from pathlib import Path

from envtune.chat.protocol import parse
from envtune.data.bfcl import CATEGORIES
from envtune.environment.augmentation.none import NoAugmentation
from envtune.environment.episode import Episode
from envtune.playground.source import Playground
from envtune.task import Split

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import tiny_demonstrators as demonstrators  # noqa: E402
from tiny_demonstrators import Habits, Told, play  # noqa: E402

PLAIN = NoAugmentation()


def stories(count: int, category: str | None = None) -> list[Told]:
    playground = Playground(CATEGORIES if category is None else [category])
    drawn = [playground.story(Split.TRAIN, number) for number in range(count)]
    return [Told(story.task, story.prerequisites, story.looked_up) for story in drawn]


def outcome(told: Told, habits: Habits, hints=PLAIN, seed: int = 0):
    """The trajectory of a demonstrator."""
    episode = Episode(told.task, parse, hints, demonstrators.STEP_LIMIT)
    episode.reset()
    done = False
    for _, completion in play(told, habits, hints, random.Random(seed)):
        done = episode.step(completion).done
    assert done
    return episode.finish()
