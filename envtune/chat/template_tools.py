"""Tool documents rendered by the chat template itself, without letting their text become control tokens.

The ids are those of the rendered text as a whole, as the model saw it in its own training, if they contain no other
control tokens than the template's own text does. If they do, because a document holds the name of one, the documents'
strings are cut out of the rendering and encoded as plain text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from envtune.chat.plain_text import PlainText, TooLong
from envtune.chat.rendering import Rendering
from envtune.errors import UserError

# Private-use characters around a number stand for a string: no vocabulary contains them.
_MARK = re.compile("\ue000(\\d+)\ue001")
_USER = "\ue000user\ue001"
_CACHED_SETS = 64
# Words of a document's form, which templates may compare with. They are no names of control tokens.
_WORDS = frozenset(
    {
        *("type", "function", "name", "description", "parameters", "response", "properties", "required", "items"),
        *("enum", "default", "anyOf", "oneOf", "allOf", "additionalProperties"),
        *("object", "array", "string", "integer", "number", "boolean", "null"),
    }
)
PROBE = {
    "type": "function",
    "function": {
        "name": "probe_tool",
        "description": "Does nothing.",
        "parameters": {
            "type": "object",
            "properties": {"part": {"type": "string", "description": "A part."}},
            "required": ["part"],
        },
    },
}


def rendering_of_probe(rendering: Rendering, generation: str) -> str | None:
    """Return what the template writes before the first user message with a tool; None if it does not render tools.

    Args:
        rendering: of the tokenizer's chat template.
        generation: the template's text between a user message and the completion.
    """
    try:
        found = before_user(rendering, "Be kind.", [PROBE], generation)
        return found if found != before_user(rendering, "Be kind.", None, generation) else None
    except UserError:
        return None


class TemplateTools:
    """Encodes what a chat template writes before the first user message of a conversation with tools.

    Args:
        rendering: of a chat template that renders tools.
        generation: the template's text between a user message and the completion.
        text: the encoder of untrusted text.
        lead: spaces at the end of the template's text that are encoded with the user message.
    """

    def __init__(self, rendering: Rendering, generation: str, text: PlainText, lead: str = "") -> None:
        self._rendering, self.generation, self._text, self._lead = rendering, generation, text, lead
        self._cached = lru_cache(_CACHED_SETS)(self._encoded)

    def before_user(self, system: str, tools: Sequence[Mapping[str, Any]], room: int | None = None) -> Sequence[int]:
        """Return the ids before the first user message.

        Args:
            system: the system message.
            tools: the documents, as chat templates take them.
            room: limit on the number of ids; None sets no limit.

        Raises:
            TooLong: there are more than ``room`` ids.
            UserError: the template fails for these documents, or hides where it writes their strings.
        """
        documents = json.dumps(tools, ensure_ascii=False)
        if room is not None and len(documents) > 4 * room:
            self._text.encode(documents, room)
        ids = self._cached(_encodable(system), _encodable(documents))
        if room is not None and len(ids) > room:
            raise TooLong
        return ids

    def _encoded(self, system: str, documents: str) -> tuple[int, ...]:
        tools = json.loads(documents)
        rendered = before_user(self._rendering, system, tools, self.generation).removesuffix(self._lead)
        # Each string gets a mark of its own, so what is left of the rendering is the template's text.
        numbers = {system: 0}
        marked = [_marked(tool, numbers) for tool in tools]
        own = _MARK.split(before_user(self._rendering, _mark(0), marked, self.generation).removesuffix(self._lead))
        ids = self._text.segments.first(rendered)
        if self._control(ids) == [id_ for piece in own[::2] for id_ in self._control(self._text.segments.first(piece))]:
            return tuple(ids)
        return tuple(self._apart(rendered, own, list(numbers)))

    def _control(self, ids: Sequence[int]) -> list[int]:
        return [id_ for id_ in ids if id_ in self._text.control_ids]

    def _apart(self, rendered: str, own: Sequence[str], strings: Sequence[str]) -> list[int]:
        """Return the ids of a rendering with its strings as plain text; ``own`` is it without, with their numbers."""
        ids, place = self._text.segments.first(own[0]), len(own[0])
        found = rendered.startswith(own[0])
        for number, following in zip(own[1::2], own[2::2], strict=True):
            string = strings[int(number)]
            forms = (json.dumps(string, ensure_ascii=False)[1:-1], string, string.strip())
            written = next((form for form in forms if rendered.startswith(form + following, place)), None)
            if not found or written is None:
                raise UserError(
                    "a tool's document contains the name of a control token, and the chat template does not show where "
                    "it writes it: remove it, or choose protocol=plain_json or protocol=environment_tuning"
                )
            ids += [*self._text.encode(written), *self._text.segments.further(following)]
            place += len(written) + len(following)
        return ids


def _mark(number: int) -> str:
    return f"\ue000{number}\ue001"


def _marked(value: Any, numbers: dict[str, int]) -> Any:
    """Return a document with marks in place of its strings, which ``numbers`` receives."""
    if isinstance(value, str):
        return value if value in _WORDS else _mark(numbers.setdefault(value, len(numbers)))
    if isinstance(value, Mapping):
        return {_marked(key, numbers): _marked(part, numbers) for key, part in value.items()}
    return [_marked(part, numbers) for part in value] if isinstance(value, list) else value


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")


def before_user(rendering: Rendering, system: str, tools: Sequence[Mapping[str, Any]] | None, generation: str) -> str:
    """Return what the template writes before the first user message.

    Raises:
        UserError: the template fails, or what is behind the user message is not ``generation``.
    """
    messages = [{"role": "system", "content": system}, {"role": "user", "content": _USER}]
    before, found, behind = rendering.text_of(messages, tools).rpartition(_USER)
    if not found or behind != generation:
        raise UserError("the chat template changes the text behind the first user message when there are tools")
    return before
