"""Tasks in JSON lines, which can be written without Python; docs/environments.md has the schema."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from envtune.checked import checked
from envtune.environment.interface import Environment
from envtune.errors import UserError
from envtune.files.json_lines import read_objects
from envtune.task import Split, Task, ToolCall, ToolDocument, UserTurn

_STRICT = ConfigDict(extra="forbid", strict=True)


class CallRecord(BaseModel):
    """A call of the ground truth."""

    model_config = _STRICT

    name: str
    arguments: dict[str, Any] = {}


class TurnRecord(BaseModel):
    """A user turn."""

    model_config = _STRICT

    message: str = ""
    calls: list[CallRecord] = []
    new_tools: list[str] = []


class TaskRecord(BaseModel):
    """A line of the file."""

    model_config = _STRICT

    id: str
    group: str = "base"
    world: dict[str, Any] = {}
    """The keyword arguments of the class."""
    turns: list[TurnRecord] = Field(min_length=1)
    tools: list[str] | None = None
    """The names of the task's tools; None for all."""


@checked
class JsonTasks:
    """The tasks of a folder with the files ``train.jsonl``, ``val.jsonl`` and ``test.jsonl``.

    Args:
        path: the folder.
        environment: has the documents of the tools.
    """

    def __init__(self, path: str, environment: Environment) -> None:
        self._folder, self.place = Path(path), path
        documents: tuple[ToolDocument, ...] = getattr(environment, "documents", ())
        self._documents = {document.name: document for document in documents}

    def all_tasks(self, split: Split) -> Iterator[Task]:
        """Yield every task of a split; none if there is no test file.

        Raises:
            UserError: a file cannot be read, or a line is not a task; the message has the line number, from 1.
        """
        file = self._folder / f"{split}.jsonl"
        if split is Split.TEST and not file.exists():
            return
        for number, record in enumerate(read_objects(file, "tasks"), start=1):
            try:
                line = TaskRecord.model_validate(record)
                tools = () if line.tools is None else tuple(self._documents[name] for name in line.tools)
            except ValidationError as error:
                fault = error.errors()[0]
                where = ".".join(map(str, fault["loc"]))
                raise UserError(f"{file}, line {number}: {where}: {fault['msg']}; see docs/environments.md") from None
            except KeyError as error:
                raise UserError(
                    f"{file}, line {number}: the tool {error} is unknown: use some of {', '.join(self._documents)}"
                ) from None
            turns = tuple(
                UserTurn(
                    turn.message,
                    tuple(ToolCall(call.name, call.arguments) for call in turn.calls),
                    tuple(turn.new_tools),
                )
                for turn in line.turns
            )
            yield Task(line.id, line.group, line.world, turns, tools)
