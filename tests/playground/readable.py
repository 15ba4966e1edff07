from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from typing import Any

from envtune.bfcl.toolbox import Toolbox
from envtune.playground.phrase import _parts, stands_in
from envtune.task import Task, leaves


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
            for value in leaves(call.arguments):
                if not isinstance(value, bool) and not any(stands_in(value, text) for text in (*read, *documents)):
                    found.append((index, call.name, value))
            read.append(toolbox.call(call).text)
    return found


def expansions(patterns: Sequence[str]) -> Iterator[str]:
    """Yield every text that the patterns can produce, with unfilled slots."""
    for pattern in patterns:
        yield from map("".join, itertools.product(*_parts(pattern)))
