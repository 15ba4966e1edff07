"""All storylines: those that the files of this folder define, in their order."""

from __future__ import annotations

from importlib import import_module

from envtune.playground.story_builder import Storyline

# The order of files and of definitions is part of every task: a seed draws a storyline by its position.
_FILES = ("file", "vehicle", "trading", "travel", "message", "ticket", "twitter", "math")
_MODULES = [import_module(f"{__name__}.{name}_stories") for name in _FILES]
STORYLINES = tuple(line for module in _MODULES for line in vars(module).values() if isinstance(line, Storyline))
