"""All storylines. A new one is added to ``STORYLINES`` of its file."""

from __future__ import annotations

from envtune.playground.story_builder import Storyline
from envtune.playground.storylines import (
    file_stories,
    math_stories,
    message_stories,
    ticket_stories,
    trading_stories,
    travel_stories,
    twitter_stories,
    vehicle_stories,
)

# The order is part of every task: a seed draws a storyline by its position.
STORYLINES: tuple[Storyline, ...] = (
    *file_stories.STORYLINES,
    *vehicle_stories.STORYLINES,
    *trading_stories.STORYLINES,
    *travel_stories.STORYLINES,
    *message_stories.STORYLINES,
    *ticket_stories.STORYLINES,
    *twitter_stories.STORYLINES,
    *math_stories.STORYLINES,
)
