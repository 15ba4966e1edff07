"""The text that a tokenizer's chat template writes around the messages of a conversation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from envtune.chat.rendering import Rendering
from envtune.errors import UserError

# Begins a thought. Generation prompts that end in it have begun the response.
_THOUGHT = "<think>"


@dataclass(frozen=True, slots=True)
class Pieces:
    """The template's own text."""

    before_system: str
    """Before the system message."""
    before_user: str
    """Between the system message and the first user message."""
    generation: str
    """Between a user message and the completion."""
    closing: str
    """Between a completion and the next user message."""
    prefix: str = ""
    """The end of ``generation`` that begins the response, such as ``<think>\\n``."""
    lead: str = ""
    """White space that the template writes before an assistant's message, but not before a completion."""

    @property
    def text(self) -> str:
        """All pieces."""
        return self.before_system + self.before_user + self.generation + self.closing

    @property
    def header(self) -> str:
        """Between a user message and the response."""
        return self.generation.removesuffix(self.prefix)

    @property
    def record(self) -> dict[str, str]:
        """The texts between the messages, which imply the others."""
        return {name: getattr(self, name) for name in ("before_system", "before_user", "generation", "closing")}


def read_template(tokenizer: Any, thinking: bool | None = None) -> tuple[Rendering, Pieces]:
    """Return the way to render conversations with a tokenizer's chat template, and the pieces of that.

    A template that has no place for a system message gets it at the beginning of the first user message.

    Args:
        tokenizer: a ``transformers`` tokenizer.
        thinking: the value of the template's own switch for thoughts; None leaves it alone.

    Raises:
        UserError: the chat template is missing, fails, cannot be continued by appending, or lacks the switch.
    """
    rendering = Rendering(tokenizer)
    try:
        pieces = _render_pieces(rendering)
    except UserError as error:
        rendering = Rendering(tokenizer, folds_system=True)
        try:
            pieces = _render_pieces(rendering)
        except UserError:
            raise error from None
    if thinking is None:
        return rendering, pieces
    rendering = rendering.with_thinking(thinking)
    return rendering, _render_pieces(rendering)


def _render_pieces(rendering: Rendering) -> Pieces:
    """Render conversations of placeholders, split them, and verify that the pieces reproduce a longer conversation."""
    names = [f"PLACEHOLDER{number}" for number in range(6)]
    system, user, reply, second, second_reply, third = names
    first_text, second_text, third_text = (rendering.text(names[:count]) for count in (2, 4, 6))
    before_system, found_system, rest = first_text.partition(system)
    before_user, found_user, generation = rest.partition(user)
    opening = first_text.removesuffix(generation)
    header, found_reply, rest = second_text.removeprefix(opening).partition(reply)
    closing, found_second, end = rest.partition(second)
    found = found_system and found_user and found_reply and found_second
    if not found or not second_text.startswith(opening) or end != generation:
        raise _not_appendable(second_text)
    if third_text != f"{opening}{header}{reply}{closing}{second}{header}{second_reply}{closing}{third}{generation}":
        raise _not_appendable(third_text)
    begun = _begin_response(generation, header)
    if begun is None:
        raise _not_appendable(second_text)
    generation, prefix, lead = begun
    return Pieces(before_system, before_user, generation, closing, prefix, lead)


def _begin_response(generation: str, header: str) -> tuple[str, str, str] | None:
    """Compare the text before a completion with that before an assistant's message.

    Returns:
        The text before a completion, the end of it that begins the response, and the white space that only an
        assistant's message begins with; None if the texts have nothing to do with each other.
    """
    role, thought, rest = generation.partition(_THOUGHT)
    if thought and header.startswith(role):
        return generation, thought + rest, ""
    if generation.startswith(header):
        return generation, generation.removeprefix(header), ""
    if not header.startswith(generation):
        return None
    missing = header.removeprefix(generation)
    if not missing.strip():
        return generation, "", missing
    # Some templates write an empty thought into messages without one: the policy writes its own. Further text
    # selects what follows, such as the channel of the final answer.
    return (generation if _THOUGHT in missing else header), "", ""


def _not_appendable(rendering: str) -> UserError:
    return UserError(
        "the chat template cannot be continued by appending: it changes earlier messages, or the text before a "
        f"completion is not the text before that assistant message ({rendering!r}): choose another model or set a "
        "chat_template without this"
    )
