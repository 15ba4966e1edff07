"""Every storyline there is. A new one is a function of a tale, listed in its file and so here."""

from __future__ import annotations

from envtune.playground.storylines import files, maths, messages, tickets, trading, travel, tweets, vehicle
from envtune.playground.tale import Storyline

STORYLINES: tuple[Storyline, ...] = tuple(
    line for file in (files, vehicle, trading, travel, messages, tickets, tweets, maths) for line in file.STORYLINES
)
