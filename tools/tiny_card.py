"""The README of the tiny model's folder: what it is, how it was made, and what it scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from functools import partial
from typing import Any

from tiny_demonstrators import Habits

INTRODUCTION = """# tiny

The embedded default model of envtune, written by `tools/build_tiny_model.py`. **It is a stand-in for a pretrained
model**: a small Llama, trained from scratch on played demonstrations, so that the whole method can be run and watched
on two CPU cores. Its scores say nothing about the method.

It is meant to start like an instruct model that has not met this environment: it can copy arguments and choose tools,
and it is sloppy. Its demonstrators are careful or careless, and sampling finds the careful way now and then.

No text or weights of any other model are in it. It saw playground tasks of the training split and BFCL's training tasks
of the scenario split, and no task of a validation or test split.
"""


def model_card(
    facts: Mapping[str, Any],
    phases: Sequence[Any],
    scores: Mapping[str, Mapping[str, float]],
    budget: Mapping[str, int],
) -> str:
    """Markdown: settings, phases with their demonstrators, and one column for each of the ``scores``."""
    lengths = ", ".join(f"{name} {value}" for name, value in budget.items())
    return "\n".join(
        [
            INTRODUCTION,
            *_table(["setting", "value"], facts.items()),
            "",
            "A demonstrator that is not careful has each of its habits with the given probability; a habit is the",
            "share of opportunities at which it is careless. System message: instructions and tool documents.",
            "",
            *_table(["phase", *(phase.name for phase in phases)], _phase_rows(phases)),
            "",
            f"Scores with the long instructions and without hints, one episode a task; {lengths}:",
            "",
            *_table(["", *scores], _score_rows(scores)),
            "",
        ]
    )


def _phase_rows(phases: Sequence[Any]) -> list[list[str]]:
    cells: list[tuple[str, Callable[[Any], str]]] = [
        ("with the system message", lambda mixture: f"{mixture.system_share:.0%}"),
        ("observations are cut at", lambda mixture: f"{mixture.max_observation_tokens} tokens"),
        ("BFCL tasks", lambda mixture: f"{mixture.bfcl_share:.0%}"),
        ("with hints", lambda mixture: f"{mixture.hinted_share:.0%}"),
        ("careful demonstrators", lambda mixture: f"{mixture.careful_share:.0%}"),
        ("the others have a habit with", lambda mixture: f"{mixture.habit_share:.0%}"),
        *((field.name.replace("_", " "), partial(_habit, field.name)) for field in fields(Habits)),
    ]
    rows = [[name, *("" if p.mixture is None else cell(p.mixture) for p in phases)] for name, cell in cells]
    return [["tokens", *(f"{phase.tokens:,}" for phase in phases)], *rows]


def _habit(name: str, mixture: Any) -> str:
    return f"{getattr(mixture.careless, name):.0%}"


def _score_rows(scores: Mapping[str, Mapping[str, float]]) -> list[list[str]]:
    names = next(iter(scores.values()))
    return [[name, *(f"{table[name]:.3f}" for table in scores.values())] for name in names]


def _table(head: Sequence[str], rows: Any) -> list[str]:
    return [f"| {' | '.join(map(str, row))} |" for row in (head, ["---"] * len(head), *rows)]
