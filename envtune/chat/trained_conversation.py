"""A conversation in the response protocol, as training writes it beside what the model's own template makes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from envtune.chat.prefilled import behind_prefix
from envtune.chat.rendering import Message
from envtune.chat.segments import Segments
from envtune.chat.template import Template
from envtune.chat.template_tools import before_user
from envtune.errors import UserError
from envtune.task import ToolCall, ToolDocument

_LS = ToolDocument("ls", "List the folder.", {"type": "dict", "properties": {"path": {"type": "string"}}})
# Characters, or tokens, of a difference that are shown.
_SHOWN = 24
_SHOWN_TOKENS = 3


@dataclass(frozen=True, slots=True)
class TrainedConversation:
    """A conversation up to a completion."""

    messages: tuple[Message, ...]
    """The messages of a chat request. Those of the assistant have the whole response as their content."""
    tools: tuple[Mapping[str, Any], ...]
    """The documents of a chat request; none if they are part of the system message."""
    text: str
    """The contents with the pieces of the template between them."""
    ids: tuple[int, ...]
    """The ids that training has for it."""


def trained_conversation(template: Template) -> TrainedConversation:
    """Return a conversation of several turns with calls and an answer."""
    protocol = template.protocol
    written = _ConversationWriter(template, "What is in this folder?")
    written.respond(protocol.write_calls("I look into it.", [ToolCall("ls", {"path": "."})]))
    written.show("notes.txt, plans")
    written.respond(protocol.write_answer("That is all there is.", "The file notes.txt and the folder plans."))
    written.ask("And in plans?")
    written.respond(protocol.write_calls("It needs\na second look.", [ToolCall("ls", {"path": "plans"})]))
    written.show("2024.txt")
    return TrainedConversation(
        tuple(written.messages), tuple(written.documents), written.text + written.generation, tuple(written.ids)
    )


class _ConversationWriter:
    """Writes the messages of a conversation as requests, as text and as ids."""

    def __init__(self, template: Template, first: str) -> None:
        self._template, style = template, template.style
        self.documents = style.native_documents([_LS]) if template.tools else []
        self.generation = template.pieces.generation
        if template.tools:
            system = style.undocumented_prompt("", template.protocol)
            before = before_user(template.rendering, system, self.documents, self.generation)
        else:
            system = style.system_prompt([_LS], protocol=template.protocol)
            before = template.pieces.before_system + system + template.pieces.before_user
        self.messages: list[Message] = [{"role": "system", "content": system}, {"role": "user", "content": first}]
        self.text, self.ids = before + first, template.open(first, [_LS])

    def respond(self, response: str) -> None:
        template = self._template
        completion = behind_prefix(template.prefix, response)
        self.messages.append({"role": "assistant", "content": template.prefix + completion})
        self.text += self.generation + template.pieces.lead + completion
        self.ids += template.reply(response)

    def ask(self, message: str) -> None:
        pieces = self._template.pieces
        self.messages.append({"role": "user", "content": message})
        self.text, self.generation = f"{self.text}{pieces.closing}{message}", pieces.generation
        self.ids += self._template.append(message)

    def show(self, result: str) -> None:
        role, shown = self._template.tool_role, f"[1] ls: {result}"
        if role is None:
            self.ask(shown)
            return
        self.messages.append({"role": "tool", "name": "ls", "tool_call_id": "call00001", "content": result})
        self.text, self.generation = f"{self.text}{role.closing}{role.written(result)}", role.generation
        self.ids += self._template.append(shown, results=[result])


def differences_from_own(template: Template) -> list[str]:
    """Return a line for each way in which training departs from the tokenizer's own chat template; none if in none."""
    tokenizer, trained, lines = template.rendering.tokenizer, trained_conversation(template), []
    segments, tokens = Segments(tokenizer), tokenizer.convert_ids_to_tokens
    if template.rendering.folds_system:
        lines.append("the chat template has no system role: the system prompt is put before the first user message")
    in_one_go = segments.first(trained.text)
    if in_one_go != list(trained.ids):
        lines.append(
            f"{_count(trained.ids, in_one_go)} of the {len(trained.ids)} tokens of a test conversation would differ if "
            f"it were encoded in one go ({_excerpts(*map(tokens, (trained.ids, in_one_go)))}): the tokenizer joins "
            "characters of the chat template with those of messages"
        )
    try:
        own = template.rendering.text_of(trained.messages, trained.tools)
    except UserError as error:
        return [*lines, f"the chat template refuses messages that training appends piece by piece: {error}"]
    if own != trained.text:
        lines.append(
            f"the chat template itself would render a test conversation as {len(segments.first(own))} tokens instead "
            f"of {len(trained.ids)} ({_excerpts(trained.text, own)}): training appends to what was sampled, and an "
            "exported folder gets a template that does so too"
        )
    return lines


def _count(ids: Sequence[int], others: Sequence[int]) -> int:
    """Return the number of ids that have no counterpart."""
    changes = SequenceMatcher(None, ids, others, autojunk=False).get_opcodes()
    return sum(max(end - start, stop - begin) for kind, start, end, begin, stop in changes if kind != "equal")


def _excerpts(trained: str | list[str], other: str | list[str]) -> str:
    """Return what follows the common beginning, and the end of that."""
    pairs = enumerate(zip(trained, other, strict=False))
    start = next((place for place, (ours, theirs) in pairs if ours != theirs), min(len(trained), len(other)))
    shown = _SHOWN if isinstance(trained, str) else _SHOWN_TOKENS
    before = trained[max(0, start - shown) : start]
    return f"{other[start : start + shown]!r} instead of {trained[start : start + shown]!r} behind {before!r}"
