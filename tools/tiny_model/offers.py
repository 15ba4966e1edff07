"""Exercises in reading tool documents: is the tool that a turn needs among the offered ones?

A dialogue contains this question once, at the withheld tool; an exercise asks it six times after a few documents.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from envtune.chat.prompt import compact_document
from envtune.playground.source import Playground
from envtune.task import Split
from tools.tiny_model.demonstrators import CALL_THOUGHTS, NO_TOOL_THOUGHTS
from tools.tiny_model.dialogues import MAX_NUMBER, Dialogue
from tools.tiny_model.recitations import mixed_exercises, written

ASKED = 6


def offers(tokenizer: Any, rng: random.Random) -> Iterator[Dialogue]:
    """Yield endless exercises: some tool documents of a playground task, then thoughts about using various tools."""
    playground = Playground()
    while True:
        tools = list(playground.story(Split.TRAIN, rng.randrange(MAX_NUMBER)).task.tools)
        rng.shuffle(tools)
        offered = tools[: rng.randint(1, max(1, len(tools) - 2))]
        pieces = [("<|im_start|>system\nTools:\n" + "\n".join(map(compact_document, offered)) + "<|im_end|>\n", False)]
        for tool in rng.sample(tools, min(ASKED, len(tools))):
            thoughts = CALL_THOUGHTS if tool in offered else NO_TOOL_THOUGHTS
            before, behind = rng.choice(thoughts).split("{}")
            begun = f"<|im_start|>assistant\n<think>{before}{tool.name}"
            pieces += [(begun, False), (f"{behind}</think>", True), ("<|im_end|>\n", False)]
        yield written(tokenizer, pieces)


def all_exercises(tokenizer: Any, rng: random.Random) -> Iterator[Dialogue]:
    """Yield endless exercises: a quarter in reading documents, the rest in looking up and copying, which is harder."""
    documents, lookups = offers(tokenizer, rng), mixed_exercises(tokenizer, rng)
    while True:
        yield next(documents if rng.random() < 0.25 else lookups)
