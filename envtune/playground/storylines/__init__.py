"""All storylines: those that the files of this folder define, in their order."""

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

_FILES = (
    file_stories,
    vehicle_stories,
    trading_stories,
    travel_stories,
    message_stories,
    ticket_stories,
    twitter_stories,
    math_stories,
)
# The order of files and of definitions is part of every task: a seed draws a storyline by its position.
STORYLINES = tuple(line for file in _FILES for line in vars(file).values() if isinstance(line, Storyline))
