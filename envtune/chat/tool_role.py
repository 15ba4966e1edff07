"""The text that a chat template writes around results in the role ``tool``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from envtune.chat.pieces import Pieces
from envtune.chat.rendering import Rendering
from envtune.errors import UserError

_RESULT, _OTHER_RESULT, _REPLY, _USER = (f"Placeholder{name}" for name in ("A", "B", "C", "D"))
_ASKED = ({"role": "system", "content": "Be kind."}, {"role": "user", "content": "Act."})
# A quotation mark shows whether the template writes results as JSON strings.
_QUOTED = 'PLACE"HOLDER'
# Some templates require an id of nine letters and digits.
_CALL = {"id": "call00001", "type": "function", "function": {"name": "act", "arguments": {"part": "x"}}}


@dataclass(frozen=True, slots=True)
class ToolRole:
    """The template's own text around results."""

    closing: str
    """Between a completion with calls and the first result."""
    between: str
    """Between two results."""
    generation: str
    """Between the last result and the completion."""
    before_user: str
    """Between the last result and a user message."""
    is_json: bool
    """True if a result stands as a JSON string, between quotation marks of the pieces."""

    @property
    def text(self) -> str:
        """All pieces."""
        return self.closing + self.between + self.generation + self.before_user

    def written(self, result: str) -> str:
        """Return a result as it stands between the pieces."""
        return json.dumps(result, ensure_ascii=False)[1:-1] if self.is_json else result


class NoToolRole(Exception):
    """Why results cannot have a role of their own."""


def find_tool_role(rendering: Rendering, pieces: Pieces, end: str, tools: list[dict[str, Any]] | None) -> ToolRole:
    """Render conversations with placeholders as results, split them, and verify that they can be appended to.

    Args:
        rendering: of the tokenizer's chat template.
        pieces: the pieces of conversations without tools.
        end: the text of the token that ends a completion.
        tools: documents to render, if the template does.

    Raises:
        NoToolRole: the template fails, leaves results out, or cannot be continued by appending.
    """
    call = {"role": "assistant", "content": "", "tool_calls": [_CALL]}
    try:
        rendering.text_of([*_ASKED, call], tools)
    except UserError:
        # Templates of exported folders take calls as the text that the policy wrote.
        call = {"role": "assistant", "content": "I act."}

    def render(*following: tuple[str, str]) -> str:
        added = [{"role": role, "content": content, **_facts(role)} for role, content in following]
        try:
            return rendering.text_of([*_ASKED, call, *added], tools)
        except UserError as error:
            raise NoToolRole("it cannot render them") from error

    one = render(("tool", _RESULT))
    before, found, generation = one.partition(_RESULT)
    _, found_end, behind_end = before.rpartition(end)
    if not found or not found_end:
        raise NoToolRole("it leaves them out")
    between, found_other, last = (
        render(("tool", _RESULT), ("tool", _OTHER_RESULT)).partition(_RESULT)[2].partition(_OTHER_RESULT)
    )
    before_user, found_user, behind_user = (
        render(("tool", _RESULT), ("user", _USER)).partition(_RESULT)[2].partition(_USER)
    )
    if not found_other or last != generation or not found_user or behind_user != pieces.generation:
        raise NoToolRole("what follows a result changes the text before it")
    if not generation.endswith(pieces.generation):
        raise NoToolRole("a completion after a result begins differently")
    longer = render(("tool", _RESULT), ("assistant", _REPLY), ("user", _USER))
    if not longer.startswith(before + _RESULT) or not longer.endswith(
        f"{_REPLY}{pieces.closing}{_USER}{pieces.generation}"
    ):
        raise NoToolRole("it changes results once there is a reply")
    quoted = render(("tool", _QUOTED))
    is_json = json.dumps(_QUOTED)[1:-1] in quoted
    if not is_json and _QUOTED not in quoted:
        raise NoToolRole("it changes their text")
    return ToolRole(end + behind_end, between, generation, before_user, is_json)


def _facts(role: str) -> dict[str, str]:
    return {"name": "act", "tool_call_id": str(_CALL["id"])} if role == "tool" else {}
