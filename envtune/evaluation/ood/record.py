"""The record of one checkpoint's score on one benchmark: what was scored, by which harness, against which user."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from envtune.errors import UserError
from envtune.files.atomic_file import atomic_file


@dataclass(frozen=True, slots=True)
class AgentEndpoint:
    """A chat endpoint that was asked, and the decoding settings that every request named. Never a key."""

    url: str
    model: str
    decoding: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a benchmark that has a score of its own.

    ``scores``: by the task's name, its score in 0 to 1, of several episodes their mean. A task of the same name in
    another part is the same task under other conditions. ``beside``: numbers to read beside the score, by name.
    """

    scores: Mapping[str, float]
    beside: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Results:
    """What a harness wrote about a run. ``broken``: for each episode that it could not finish, name and reason."""

    parts: Mapping[str, Part]
    broken: Sequence[str]


@dataclass(frozen=True, slots=True)
class OODRecord:
    """One checkpoint on one benchmark.

    ``choice`` is the config that was run and names the file; ``benchmark`` and a part name a column of the table.
    ``user`` is the endpoint that played the user, None if nobody did. ``limit``: only so many tasks of each part.
    ``broken``: episodes that the harness could not finish, counted as failed.
    """

    checkpoint: str
    choice: str
    benchmark: str
    harness: str
    data: str
    agent: AgentEndpoint
    user: AgentEndpoint | None
    episodes_per_task: int
    limit: int | None
    broken: int
    seconds: float
    parts: Mapping[str, Part]


def write_record(folder: Path, record: OODRecord) -> Path:
    """Writes ``<choice>.json``, in place of an older one; returns its path."""
    path = folder / f"{record.choice}.json"
    with atomic_file(path) as file:
        file.write(json.dumps(asdict(record), indent=1, ensure_ascii=False) + "\n")
    return path


def read_records(folder: Path) -> list[OODRecord]:
    """All records of a checkpoint's folder, by name.

    Raises:
        UserError: there are none, a file is no record, or two records hold the same column.
    """
    records = [_read(path) for path in sorted(folder.glob("*.json"))]
    if not records:
        raise UserError(f"{folder} holds no scores: name a folder that tools/ood.py has written, as runs/ood/<name>")
    if len({record.checkpoint for record in records}) > 1:
        names = ", ".join(sorted({record.checkpoint for record in records}))
        raise UserError(f"{folder} holds scores of several checkpoints ({names}): keep one in each folder")
    holders: dict[tuple[str, str], str] = {}
    for record in records:
        for part in record.parts:
            other = holders.setdefault((record.benchmark, part), record.choice)
            if other != record.choice:
                raise UserError(
                    f"{folder}: {other}.json and {record.choice}.json both score {record.benchmark} {part}: delete one"
                )
    return records


def _read(path: Path) -> OODRecord:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if set(content) != {field.name for field in fields(OODRecord)}:
            raise ValueError("other keys than those of a record")
        content["agent"] = AgentEndpoint(**content["agent"])
        content["user"] = content["user"] and AgentEndpoint(**content["user"])
        content["parts"] = {name: Part(**part) for name, part in content["parts"].items()}
        return OODRecord(**content)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(f"{path} is no record of tools/ood.py ({error}): delete it or name another folder") from None
