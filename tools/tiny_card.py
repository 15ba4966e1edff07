"""The README of the tiny model's folder: what it is, how it was made, and what it scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
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
    mixtures = [phase.mixture for phase in phases]
    return [
        ["share of the tokens", *(f"{phase.share:.0%}" for phase in phases)],
        ["system message", *("yes" if mixture.system_message else "no" for mixture in mixtures)],
        ["observations are cut at", *(f"{mixture.max_observation_tokens} tokens" for mixture in mixtures)],
        ["BFCL tasks", *(f"{mixture.bfcl_share:.0%}" for mixture in mixtures)],
        ["with hints", *(f"{mixture.hinted_share:.0%}" for mixture in mixtures)],
        ["careful demonstrators", *(f"{mixture.careful_share:.0%}" for mixture in mixtures)],
        ["the others have a habit with", *(f"{mixture.habit_share:.0%}" for mixture in mixtures)],
        *(
            [field.name.replace("_", " "), *(f"{getattr(mixture.careless, field.name):.0%}" for mixture in mixtures)]
            for field in fields(Habits)
        ),
    ]


def _score_rows(scores: Mapping[str, Mapping[str, float]]) -> list[list[str]]:
    names = next(iter(scores.values()))
    return [[name, *(f"{table[name]:.3f}" for table in scores.values())] for name in names]


def _table(head: Sequence[str], rows: Any) -> list[str]:
    return [f"| {' | '.join(map(str, row))} |" for row in (head, ["---"] * len(head), *rows)]
