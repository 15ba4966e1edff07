"""What reports print: shares in percent, tables, and text that cannot control the terminal."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table

WIDTH = 160
"""Columns of a report that goes to a file or a pipe, where rich would wrap at 80."""
_CONTROL = {code: "\N{REPLACEMENT CHARACTER}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}


def console() -> Console:
    """Return a console as wide as the terminal, or `WIDTH` columns wide where standard output is not a terminal."""
    return Console(width=None if sys.stdout.isatty() else WIDTH)


def without_control(text: str) -> str:
    """Replace every control character but line feed and tab, so that a model's text cannot steer the terminal."""
    return text.translate(_CONTROL)


def percent(share: float | None, digits: int = 1, signed: bool = False) -> str:
    """Return a share in [0, 1], or a difference in [-1, 1], in percent; "-" for None."""
    return "-" if share is None else f"{100 * share:{'+' if signed else ''}.{digits}f}"


def table(title: str, texts: Iterable[str], numbers: Iterable[str]) -> Table:
    """Return an empty table: columns of ``texts`` on the left, columns of right-aligned ``numbers`` behind them."""
    made = Table(title=title)
    for column in texts:
        made.add_column(column)
    for column in numbers:
        made.add_column(column, justify="right")
    return made


def csv_text(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return rows of numbers as CSV; the cell of None is empty."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue()


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[object]], texts: int = 1) -> str:
    """Return a Markdown table whose first ``texts`` columns are left-aligned, the others right-aligned."""
    rule = [*["---"] * texts, *["---:"] * (len(header) - texts)]
    lines = (header, rule, *([str(cell).replace("|", r"\|") for cell in row] for row in rows))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
