"""Records and review files made by hand."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from envtune.evaluation.ood.record import AgentEndpoint, OODRecord, Part

USER = AgentEndpoint("http://user/v1", "gpt", {"temperature": 0.0})


def record(
    checkpoint: str = "stage-4",
    choice: str = "acebench",
    parts: Mapping[str, Mapping[str, float]] | None = None,
    **changed: Any,
) -> OODRecord:
    """A record of the parts' scores by task; ``changed`` replaces any other field."""
    given = parts or {"multi_step": {"a": 1.0, "b": 0.0}}
    settings: dict[str, Any] = {
        "benchmark": choice.partition("_")[0],
        "harness": "evalscope 1.14.1",
        "data": "hub",
        "agent": AgentEndpoint("http://agent/v1", "agent", {"temperature": 0.0}),
        "user": USER,
        "episodes_per_task": 1,
        "limit": None,
        "broken": 0,
        "seconds": 1.0,
    }
    filled = {name: Part(scores, {}) for name, scores in given.items()}
    return OODRecord(checkpoint=checkpoint, choice=choice, parts=filled, **{**settings, **changed})


def review(index: int, task: str, metadata: Mapping[str, Any] | None = None, error: Any = (), **value: float) -> str:
    """A line of evalscope's review file, with what is read of it; ``error`` is the score's."""
    score = {"value": value, "metadata": {"error": error}}
    return json.dumps(
        {"index": index, "sample_score": {"score": score, "sample_metadata": {"id": task, **(metadata or {})}}}
    )


def write_reviews(work: Path, name: str, lines: Iterable[str]) -> None:
    folder = work / "reviews" / "agent"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
