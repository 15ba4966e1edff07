"""Trajectories as JSON-lines files: one object per trajectory, with every fact of the episode.

Token ids and log-probs are optional, because they are several times as long as the text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from envtune.diagnosis import diagnose
from envtune.files.atomic_file import atomic_file
from envtune.files.json_lines import read_objects
from envtune.task import ToolCall
from envtune.trajectory import (
    Action,
    EpisodeEnd,
    FinalAnswer,
    FormatError,
    FormatFault,
    Hint,
    HintKind,
    Step,
    TokenRecord,
    ToolCalls,
    ToolResult,
    Trajectory,
    Turn,
    TurnEnd,
    TurnVerdict,
)

_ACTIONS: dict[str, type] = {"tool_calls": ToolCalls, "final_answer": FinalAnswer, "format_error": FormatError}


def to_json(trajectory: Trajectory, with_tokens: bool = False) -> dict[str, Any]:
    """Return a trajectory as JSON values.

    The derived values ``success`` and ``progress``, ``diagnosis`` of each turn and ``recovered`` of each hint are
    included.
    """
    fields = asdict(trajectory if with_tokens else replace(trajectory, tokens=None))
    # Files have called the group `category` since before there were other environments than BFCL.
    record = {"category" if name == "group" else name: value for name, value in fields.items()}
    record |= {"success": trajectory.success, "progress": trajectory.progress}
    for turn, written in zip(trajectory.turns, record["turns"], strict=True):
        if turn.verdict.checked is None:
            del written["verdict"]["checked"]
        if turn.state_digest is None:
            del written["state_digest"]
        written["diagnosis"] = diagnose(turn)
        for step, written_step in zip(turn.steps, written["steps"], strict=True):
            written_step["action"]["kind"] = _kind(step.action)
            for result in written_step["results"]:
                if result["valid"]:
                    del result["valid"]
    hints = [result["hint"] for turn in record["turns"] for step in turn["steps"] for result in step["results"]]
    for hint, recovered in zip(filter(None, hints), trajectory.recoveries, strict=True):
        hint["recovered"] = recovered
    return record


def from_json(record: Mapping[str, Any]) -> Trajectory:
    """Return the trajectory that ``to_json`` wrote.

    Raises:
        KeyError, TypeError, ValueError: the record is not a trajectory.
    """
    return Trajectory(
        task_id=record["task_id"],
        group=record["category"],
        turn_count=record["turn_count"],
        turns=tuple(_turn(turn) for turn in record["turns"]),
        end=EpisodeEnd(record["end"]),
        seed=record["seed"],
        policy_version=record["policy_version"],
        tokens=_tokens(record["tokens"]),
        hints=record.get("hints", True),
    )


def write(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Write a JSON-lines file atomically."""
    with atomic_file(path) as file:
        file.writelines(json.dumps(record, ensure_ascii=True) + "\n" for record in records)


def read(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a JSON-lines file.

    Raises:
        UserError: the file cannot be read, or a line is not a JSON object; the message has the line number, from 1.
    """
    return read_objects(path, "a run's trajectories")


def _kind(action: Action) -> str:
    return next(name for name, kind in _ACTIONS.items() if isinstance(action, kind))


def _turn(record: Mapping[str, Any]) -> Turn:
    return Turn(
        user_message=record["user_message"],
        ground_truth=tuple(ToolCall(**call) for call in record["ground_truth"]),
        steps=tuple(_step(step) for step in record["steps"]),
        end=TurnEnd(record["end"]),
        verdict=TurnVerdict(**record["verdict"]),
        state_digest=record.get("state_digest"),
    )


def _step(record: Mapping[str, Any]) -> Step:
    return Step(
        completion=record["completion"],
        action=_action(record["action"]),
        results=tuple(_result(result) for result in record["results"]),
        observation=record["observation"],
        clipped=record["clipped"],
    )


def _action(record: Mapping[str, Any]) -> Action:
    fields = {name: value for name, value in record.items() if name != "kind"}
    if record["kind"] == "tool_calls":
        return ToolCalls(fields["thought"], tuple(ToolCall(**call) for call in fields["calls"]))
    if record["kind"] == "final_answer":
        return FinalAnswer(**fields)
    return FormatError(FormatFault(fields["fault"]), fields["message"])


def _result(record: Mapping[str, Any]) -> ToolResult:
    hint = record["hint"] and Hint(record["hint"]["rule"], HintKind(record["hint"]["kind"]), record["hint"]["text"])
    return ToolResult(ToolCall(**record["call"]), record["ok"], record["text"], hint or None, record.get("valid", True))


def _tokens(record: Mapping[str, Any] | None) -> TokenRecord | None:
    if record is None:
        return None
    return TokenRecord(
        tuple(record["ids"]), tuple(record["completion_mask"]), tuple(record["logprobs"]), record["prompt_length"]
    )
