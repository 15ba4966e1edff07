"""The values that an agent can read before a call, and so write into it."""

from __future__ import annotations

import json
import re
from typing import Any

from envtune.environment.toolbox import Toolbox
from envtune.task import Task, leaves

_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?![\w]|\.\d)")


def stands_in(value: Any, text: str) -> bool:
    """Return True if a text contains the value as a whole: a text literally, a number in any notation."""
    if isinstance(value, str):
        return re.search(rf"(?<!\w){re.escape(value)}(?!\w)", text) is not None
    return any(float(number) == value for number in _NUMBER.findall(text))


def unreadable_values(task: Task) -> list[tuple[int, str, Any]]:
    """Return turn, tool and value for every value of a ground-truth call that could not be read before the call.

    A value is readable if it is in the messages so far, in the results of earlier ground-truth calls, or in the
    documents of the tools offered. Truth values are not checked, because they are not quoted from texts.
    """
    found: list[tuple[int, str, Any]] = []
    read: list[str] = []
    toolbox = Toolbox(task)
    for index, turn in enumerate(task.turns):
        read.append(turn.message)
        documents = [json.dumps([tool.description, tool.parameters]) for tool in task.tools_offered_at(index)]
        for call in turn.ground_truth:
            texts = [*read, *documents]
            for value in leaves(call.arguments):
                if not isinstance(value, bool) and not any(stands_in(value, text) for text in texts):
                    found.append((index, call.name, value))
            read.append(toolbox.call(call).text)
    return found
