"""The table of docs/models.md, between two markers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch
import transformers

from envtune.errors import UserError
from envtune.files.atomic_file import atomic_file
from envtune.report_text import markdown_table
from tools.models.rows import VERDICTS, Row

BEGIN, END = "<!-- table: python -m tools.models --markdown -->", "<!-- end of the table -->"
_HEADER = ("model", "outcome", "path", "sampled", "sampler", "update", "repeated", "seconds", "reason")


def summary(rows: Sequence[Row]) -> str:
    """Return how many rows have each verdict."""
    counts = Counter(row.verdict for row in rows)
    return ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS)


def report(rows: Sequence[Row]) -> str:
    """Return versions, counts and the table in Markdown."""
    versions = f"transformers {transformers.__version__}, torch {torch.__version__.partition('+')[0]}"
    header = f"{len(rows)} models, {versions}, float32 on a CPU: {summary(rows)}."
    return f"{header}\n\n{markdown_table(_HEADER, [row.cells for row in rows], texts=4)}\n"


def replace_table(document: Path, table: str) -> None:
    """Replace what stands between the markers of a document.

    Raises:
        UserError: the document lacks a marker.
    """
    before, begin, rest = document.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise UserError(f"{document} lacks the line {BEGIN} or, below it, {END}: add both where the table belongs")
    with atomic_file(document) as file:
        file.write(f"{before}{BEGIN}\n{table}\n{END}{after}")
