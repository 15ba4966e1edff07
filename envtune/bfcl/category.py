"""BFCL's groups of multi-turn tasks."""

from __future__ import annotations

from envtune.task import TextEnum


class Category(TextEnum):
    """The four kinds of multi-turn task (the paper calls them splits)."""

    BASE = "base"
    MISS_FUNC = "miss_func"
    MISS_PARAM = "miss_param"
    LONG_CONTEXT = "long_context"


CATEGORIES = tuple(str(category) for category in Category)
