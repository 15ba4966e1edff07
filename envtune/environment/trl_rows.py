"""The rows of a data set for a TRL environment class, in JSON lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from envtune.checked import checked
from envtune.environment.interface import Environment
from envtune.environment.trl_environment import PROMPT
from envtune.environment.trl_world import TRLView
from envtune.errors import UserError
from envtune.files.json_lines import read_objects
from envtune.task import Split, Task, ToolDocument, UserTurn


@checked
class TRLRows:
    """The tasks of a folder with the files ``train.jsonl``, ``val.jsonl`` and ``test.jsonl``, one row per line.

    A row has the columns that ``reset`` takes and ``prompt``: a text, or a list of messages. Without ``prompt``, the
    text that ``reset`` returns is the whole message. ``id`` and ``group`` are optional, and columns too.

    Args:
        path: the folder.
        environment: plays the rows; ``reset`` runs once for each row, for its text.
    """

    def __init__(self, path: str, environment: Environment) -> None:
        self._folder, self.place, self._environment = Path(path), path, environment
        self._documents: tuple[ToolDocument, ...] = getattr(environment, "documents", ())

    def all_tasks(self, split: Split) -> Iterator[Task]:
        """Yield every row of a split as a task of one turn; none if there is no test file.

        Raises:
            UserError: a file cannot be read, a prompt cannot be used, or ``reset`` fails; the message names the line.
        """
        file = self._folder / f"{split}.jsonl"
        if split is Split.TEST and not file.exists():
            return
        for number, row in enumerate(read_objects(file, "rows"), start=1):
            where = f"{file}, line {number}"
            prompt = prompt_text(row, where)
            turn = UserTurn(prompt, check=reward_check)
            name = str(row.get("id", f"{split}_{number}"))
            task = Task(name, row.get("group", "base"), row, (turn,), self._documents)
            message = prompt + self._environment.open(task).view.opening
            if not message.strip():
                raise UserError(f"{where} has no prompt and reset() returns no text: give either")
            yield replace(task, turns=(replace(turn, message=message),))


def reward_check(view: TRLView, answer: str) -> float:
    """Return the reward of the episode whose only turn ends: the check of every row's turn."""
    return view.reward()


def prompt_text(row: Mapping[str, Any], where: str) -> str:
    """Return the user message of a row: its text, or the texts of its messages with blank lines between them.

    Raises:
        UserError: it is neither a text nor messages of system and one user; the sentence begins with ``where``.
    """
    prompt = row.get(PROMPT, "")
    if isinstance(prompt, str):
        return prompt
    messages = prompt if isinstance(prompt, list) else []
    roles = [message.get("role") if isinstance(message, dict) else None for message in messages]
    if roles.count("user") != 1 or roles[-1] != "user" or not {*roles} <= {"system", "developer", "user"}:
        raise UserError(
            f"{where}: prompt must be a text, or a list of messages: any of the system, then one of the user; an "
            "episode has one user turn"
        )
    return "\n\n".join(_content(message, where) for message in messages)


def _content(message: Mapping[str, Any], where: str) -> str:
    content = message.get("content")
    parts = [content] if isinstance(content, str) else content if isinstance(content, list) else [None]
    texts = [part.get("text") if isinstance(part, dict) else part for part in parts]
    if any(not isinstance(text, str) for text in texts):
        raise UserError(f"{where}: the content of a message must be a text, or a list of parts with a text each")
    return "".join(map(str, texts))
