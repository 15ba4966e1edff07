"""JSON-lines files: one JSON object per line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from envtune.errors import UserError


def read_objects(path: Path, content: str) -> Iterator[dict[str, Any]]:
    """Yield the objects of a file, one per line; trailing newlines are ignored.

    Args:
        path: the file.
        content: what the file should hold, for the error message, such as ``trajectories``.

    Raises:
        UserError: the file cannot be read, or a line is not a JSON object; the message has the line number, from 1.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read ({error}): give a JSON-lines file of {content}") from error
    # Not str.splitlines: it also splits at characters that JSON strings may contain.
    for number, line in enumerate(text.rstrip("\n").split("\n") if text else (), start=1):
        if not line.strip():
            raise UserError(f"{path}, line {number} is empty: remove it")
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path}, line {number} is not JSON ({error}): was the file cut off?") from error
        if not isinstance(record, dict):
            raise UserError(f"{path}, line {number} is not a JSON object: give a JSON-lines file of {content}")
        yield record
