"""The README of the tiny model's folder: description, recipe and scores."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

from envtune.report_text import markdown_table
from tools.tiny_model.demonstrators import Habits

INTRODUCTION = """# tiny

The embedded default model of envtune, written by `tools/tiny_model/build.py`. **It is a stand-in for a pretrained
model**: a small Llama, trained from scratch on scripted demonstrations, so that the whole method can be run and
watched on two CPU cores. Its scores are not evidence about the method.

It is meant to start like an instruct model that is new to this environment: it can copy arguments and choose tools, but
carelessly. Its demonstrators are careful or careless, so sampling sometimes finds the careful behaviour.

It contains no text or weights of any other model. Its training data are playground tasks of the training split and
BFCL's training tasks of the scenario split; no task of a validation or test split is among them.
"""


PHASE: tuple[tuple[str, Callable[[Any], str]], ...] = (
    ("tokens", lambda phase: f"{phase.tokens:,}"),
    ("per update", lambda phase: f"{phase.batch_tokens:,}"),
    ("rates", lambda phase: "{:g} to {:g}".format(*phase.rates)),
    ("exercises", lambda phase: f"{phase.share if phase.mixture else 1:.0%}"),
)
MIXTURE: tuple[tuple[str, Callable[[Any], str]], ...] = (
    ("with the system message", lambda mixture: f"{mixture.system_share:.0%}"),
    ("observations are cut at", lambda mixture: f"{mixture.max_observation_tokens} tokens"),
    ("BFCL tasks", lambda mixture: f"{mixture.bfcl_share:.0%}"),
    ("with hints", lambda mixture: f"{mixture.hinted_share:.0%}"),
    ("careful demonstrators", lambda mixture: f"{mixture.careful_share:.0%}"),
    ("the others have a habit with", lambda mixture: f"{mixture.habit_share:.0%}"),
)


Scores = Mapping[str, Mapping[str, float]]


def model_card(facts: Mapping[str, Any], phases: Sequence[Any], scores: Scores, budget: Mapping[str, int]) -> str:
    """Return the card as Markdown: settings, phases with their demonstrators, a column for each of the ``scores``."""
    lengths = ", ".join(f"{name} {value}" for name, value in budget.items())
    names = next(iter(scores.values()))
    score_rows = ([name, *(f"{table[name]:.3f}" for table in scores.values())] for name in names)
    return "\n".join(
        [
            INTRODUCTION,
            _table(["setting", "value"], facts.items()),
            "",
            "Tokens per update are per process, with padding; rates are fractions of those above. Exercises in looking",
            "up and copying are mixed with demonstrated dialogues; a dialogue may begin with its system message,",
            "instructions and tool documents. A demonstrator that is not careful has each habit with the given",
            "probability.",
            "",
            _table(["", "phase", *(name for name, _ in PHASE), *(name for name, _ in MIXTURE)], _phase_rows(phases)),
            "",
            "Share of opportunities at which a demonstrator with the habit is careless:",
            "",
            _habits(phases),
            "",
            f"Scores with the long instructions and without hints, one episode per task; {lengths}:",
            "",
            _table(["", *scores], score_rows),
            "",
        ]
    )


def _phase_rows(phases: Sequence[Any]) -> Iterator[list[str]]:
    for number, phase in enumerate(phases, 1):
        mixed = [cell(phase.mixture) if phase.mixture else "" for _, cell in MIXTURE]
        yield [str(number), phase.name, *(cell(phase) for _, cell in PHASE), *mixed]


def _habits(phases: Sequence[Any]) -> str:
    """Return a table with a column for each set of habits, named by the phases of their demonstrators."""
    columns: dict[Habits, list[str]] = {}
    for number, phase in enumerate(phases, 1):
        if phase.mixture:
            columns.setdefault(phase.mixture.careless, []).append(str(number))
    names = [field.name for field in fields(Habits)]
    rows = [[name.replace("_", " "), *(f"{getattr(habits, name):.0%}" for habits in columns)] for name in names]
    return _table(["habit", *(f"phase {', '.join(numbers)}" for numbers in columns.values())], rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    return markdown_table(head, rows, texts=len(head))
