"""A conversation in the response protocol, as training writes it beside what the model's own template makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from envtune.chat.prefilled import behind_prefix
from envtune.chat.protocol import write_answer, write_calls
from envtune.chat.rendering import chat_messages
from envtune.chat.segments import Segments
from envtune.chat.template import Template
from envtune.errors import UserError
from envtune.task import ToolCall, ToolDocument

_LS = ToolDocument("ls", "List the folder.", {"type": "dict", "properties": {"path": {"type": "string"}}})
_EXCHANGES = (
    ("What is in this folder?", write_calls("I look into it.", [ToolCall("ls", {"path": "."})])),
    ("[1] ls: notes.txt, plans", write_answer("That is all there is.", "The file notes.txt and the folder plans.")),
    ("And in plans?", write_calls("It needs\na second look.", [ToolCall("ls", {"path": "plans"})])),
)
_LAST = "[1] ls: 2024.txt"
# Characters, or tokens, of a difference that are shown.
_SHOWN = 24
_SHOWN_TOKENS = 3


@dataclass(frozen=True, slots=True)
class TrainedConversation:
    """A conversation up to a completion."""

    contents: tuple[str, ...]
    """Of the system message, the user, the assistant, the user, …"""
    text: str
    """The contents with the pieces of the template between them."""
    ids: tuple[int, ...]
    """The ids that training has for it."""

    @property
    def messages(self) -> list[dict[str, str]]:
        """The messages of a chat request."""
        return [{"role": "system", "content": self.contents[0]}, *chat_messages(self.contents[1:])]


def trained_conversation(template: Template) -> TrainedConversation:
    """Return a conversation of several turns with calls and an answer."""
    pieces, system = template.pieces, template.style.system_prompt([_LS])
    text, contents, ids = pieces.before_system + system + pieces.before_user, [system], list[int]()
    for message, response in _EXCHANGES:
        completion = behind_prefix(template.prefix, response)
        contents += [message, template.prefix + completion]
        text += message + pieces.generation + pieces.lead + completion + pieces.closing
        ids += template.append(message) if ids else template.open(message, [_LS])
        ids += template.reply(response)
    text += _LAST + pieces.generation
    return TrainedConversation((*contents, _LAST), text, (*ids, *template.append(_LAST)))


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
        own = template.rendering.text(trained.contents)
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
