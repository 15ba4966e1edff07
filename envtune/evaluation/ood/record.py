"""The record of a checkpoint's score on a benchmark: tasks, harness, endpoints and scores."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from envtune.errors import UserError
from envtune.files.atomic_file import atomic_file
from envtune.files.record_file import read_record


@dataclass(frozen=True, slots=True)
class AgentEndpoint:
    """A chat endpoint that took part, without its key."""

    url: str
    model: str
    decoding: Mapping[str, Any]
    """The decoding settings of every request."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a benchmark with a score of its own."""

    scores: Mapping[str, float]
    """By task, the mean score of its episodes in [0, 1]. Tasks of one name in several parts are one task under several
    conditions."""
    beside: Mapping[str, float]
    """Further measured numbers, by name."""


@dataclass(frozen=True, slots=True)
class Results:
    """The results of a harness."""

    parts: Mapping[str, Part]
    broken: Sequence[str]
    """For each episode that the harness could not finish, its name and the reason."""


@dataclass(frozen=True, slots=True)
class OODRecord:
    """One checkpoint on one benchmark."""

    checkpoint: str
    choice: str
    """The choice of conf/ood, which is also the file's name."""
    benchmark: str
    harness: str
    """Name and version."""
    data: str
    """The origin of the tasks."""
    agent: AgentEndpoint
    user: AgentEndpoint | None
    """The simulated user; None without one."""
    episodes_per_task: int
    limit: int | None
    """Tasks of each part; None for all."""
    broken: int
    """Episodes that the harness could not finish; they count as failed."""
    seconds: float
    parts: Mapping[str, Part]


def write_record(folder: Path, record: OODRecord) -> Path:
    """Write ``<choice>.json``, which replaces an earlier record, and return its path."""
    path = folder / f"{record.choice}.json"
    with atomic_file(path) as file:
        file.write(json.dumps(asdict(record), indent=1, ensure_ascii=False) + "\n")
    return path


def read_records(folder: Path) -> list[OODRecord]:
    """Return all records in a checkpoint's folder, sorted by file name.

    Raises:
        UserError: there are none, a file is not a record, they are of several checkpoints, or two have one part.
    """
    remedy = "it is not a record of tools/ood.py, delete it or name another folder"
    records: list[OODRecord] = [read_record(path, OODRecord, remedy) for path in sorted(folder.glob("*.json"))]
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
