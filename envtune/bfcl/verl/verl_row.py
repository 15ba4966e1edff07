"""Conversion between tasks and rows in verl's format, which Environment Tuning's training files have.

The format is that of the method's reference code (github.com/inclusionAI/AWorld-RL, EnvTuning/README.md). A row has a
task's messages, worlds, tool classes and ground truth. Withheld tools are not in it, and tool documents are only text
inside the prompt: both come from the installed BFCL package, by the row's id.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from envtune.bfcl.benchmark import make_task
from envtune.bfcl.category import Category
from envtune.bfcl.worlds import new_worlds
from envtune.task import Split, Task, ToolCall

# The name of the environment that plays the row in the reference code.
INTERACTION = "multi_turn_tool_call"
ABILITY = "multi_turn_function_calling"


def to_row(
    category: Category, entry: Mapping[str, Any], split: Split, system_prompt: str, messages: Sequence[str]
) -> dict[str, Any]:
    """Return the row of an entry of the package.

    Args:
        category: the entry's category.
        entry: the entry with its ``ground_truth``.
        split: the split that the row is for.
        system_prompt: the first message of the prompt.
        messages: the user messages that the agent reads, one per turn, with the documents of tools handed over. The
            first is part of the prompt, the others are the row's ``processed_question``.
    """
    kind, name, ground_truth = f"multi_turn_{category}", entry["id"], entry["ground_truth"]
    return {
        "data_source": kind,
        "prompt": [{"role": "system", "content": system_prompt}, {"role": "user", "content": messages[0]}],
        "ability": ABILITY,
        "reward_model": {"style": "interaction", "ground_truth": ground_truth},
        "extra_info": {
            "split": str(split),
            "index": name,
            "original_id": name,
            "dataset_type": kind,
            "interaction_kwargs": {
                "name": INTERACTION,
                "id": name,
                # As text, because all structures in a parquet column must have one shape.
                "initial_config": json.dumps(entry["initial_config"], ensure_ascii=False),
                "involved_classes": entry["involved_classes"],
                "ground_truth": ground_truth,
                "processed_question": list(messages[1:]),
                "question": entry["question"],
            },
        },
    }


def id_of_row(extra_info: Mapping[str, Any] | None) -> str:
    """Return the task's id from the column ``extra_info`` of a row.

    Raises:
        ValueError: the row does not have an id.
    """
    return str(_field(extra_info, "original_id", str, "a text"))


def task_of_row(extra_info: Mapping[str, Any] | None, packaged: Task) -> Task:
    """Return the task of a row.

    Args:
        extra_info: the column of the row: worlds, tool classes, messages and ground truth.
        packaged: the installed package's task with the row's id, for the withheld tools.

    Raises:
        ValueError: a field is missing or has another shape, a ground-truth call does not suit a tool of the package, or
            a world cannot be loaded.
    """
    kwargs = _field(extra_info, "interaction_kwargs", Mapping, "a struct")
    entry = {
        "id": packaged.id,
        "initial_config": _worlds(_field(kwargs, "initial_config", str, "a JSON object as text")),
        "involved_classes": _field(kwargs, "involved_classes", list, "a list of names"),
        "question": _turns(kwargs, "question", Mapping, "messages"),
        "ground_truth": _turns(kwargs, "ground_truth", str, "call strings"),
        "missed_function": {index: turn.new_tools for index, turn in enumerate(packaged.turns) if turn.new_tools},
    }
    try:
        task = make_task(Category(packaged.group), entry)
    except KeyError as error:
        raise ValueError(f"{error} is missing or unknown") from None
    except (TypeError, AttributeError) as error:
        raise ValueError(str(error)) from None
    for turn in task.turns:
        for call in turn.ground_truth:
            _check_call(call, task)
    new_worlds(task)
    return task


def _field(record: Mapping[str, Any] | None, name: str, kind: type, expected: str) -> Any:
    value = None if record is None else record.get(name)
    if not isinstance(value, kind):
        raise ValueError(f"{name} is missing or is not {expected}")
    return value


def _worlds(text: str) -> dict[str, Any]:
    try:
        worlds = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"initial_config is not valid JSON ({error})") from None
    if not isinstance(worlds, dict):
        raise ValueError("initial_config is not a JSON object as text")
    return worlds


def _turns(kwargs: Mapping[str, Any], name: str, kind: type, parts: str) -> list[list[Any]]:
    turns: list[Any] = _field(kwargs, name, list, "a list of turns")
    if not all(isinstance(turn, list) and all(isinstance(part, kind) for part in turn) for turn in turns):
        raise ValueError(f"{name} is not a list of turns, each a list of {parts}")
    return turns


def _check_call(call: ToolCall, task: Task) -> None:
    """Raise ValueError for a tool or argument that BFCL has renamed since the method was published."""
    parameters = next((tool.parameters for tool in task.tools if tool.name == call.name), None)
    if parameters is None:
        raise ValueError(f"the ground truth calls {call.name}, which the task's classes do not have in this bfcl-eval")
    if not set(parameters["required"]) <= set(call.arguments) <= set(parameters["properties"]):
        raise ValueError(
            f"the ground truth calls {call.name} with {', '.join(call.arguments) or 'no argument'}, and this bfcl-eval "
            f"asks for {', '.join(parameters['required']) or 'none'}"
        )
