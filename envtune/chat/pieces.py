"""The text that a tokenizer's chat template writes around the messages of a conversation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from jinja2.exceptions import TemplateError

from envtune.errors import UserError

# The date for templates that write one: the fixed time of the tools' world (envtune/bfcl/clock.py), so that
# prompts do not depend on the day of a run, its continuation or its evaluation.
NOW = datetime(2024, 9, 1, 10, 30, tzinfo=timezone.utc)
# Codes that strftime_now supports, each also without leading zeros (%-d).
_CODES = "aAbBcCdDeFgGhHIjmMprRSTuUVwWxXyYzZ"


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

    @property
    def text(self) -> str:
        """All pieces."""
        return self.before_system + self.before_user + self.generation + self.closing


def render_pieces(tokenizer: Any) -> Pieces:
    """Render conversations of placeholders, split them, and verify that the pieces reproduce a longer conversation.

    Raises:
        UserError: the chat template is missing, fails, or cannot be continued by appending.
    """
    template = getattr(tokenizer, "chat_template", None)
    if not template:
        raise UserError("the tokenizer has no chat template: choose a chat model's tokenizer, or set its chat_template")
    if isinstance(template, dict) and "default" not in template:
        raise UserError(
            f"the tokenizer has the chat templates {', '.join(map(str, template))} but not one named default: set its "
            "chat_template to one of them"
        )
    names = [f"PLACEHOLDER{number}" for number in range(6)]
    system, user, reply, second, second_reply, third = names
    roles = ("system", *("user", "assistant") * 3)
    messages = [{"role": role, "content": name} for role, name in zip(roles, names, strict=False)]
    first_text, second_text, third_text = (render_messages(tokenizer, messages[:count]) for count in (2, 4, 6))
    before_system, found_system, rest = first_text.partition(system)
    before_user, found_user, generation = rest.partition(user)
    closing, found_second, _ = second_text.removeprefix(first_text + reply).partition(second)
    tail = f"{closing}{second}{generation}{second_reply}{closing}{third}{generation}"
    found = found_system and found_user and found_second
    if not found or second_text != first_text + reply + closing + second + generation:
        raise _not_appendable(second_text)
    if third_text != first_text + reply + tail:
        raise _not_appendable(third_text)
    return Pieces(before_system, before_user, generation, closing)


def render_messages(tokenizer: Any, messages: Sequence[Any], tools: Sequence[Any] | None = None) -> str:
    """Return the text of a conversation up to the next completion, with the documents of ``tools`` if there are any.

    Raises:
        UserError: the chat template fails.
    """
    try:
        documents = {"tools": list(tools)} if tools else {}
        template = tokenizer.get_chat_template(**documents)
        dated = {"chat_template": _clock() + template} if "strftime_now" in template else {}
        return str(
            tokenizer.apply_chat_template(
                list(messages), tokenize=False, add_generation_prompt=True, **documents, **dated
            )
        )
    # A template is a program of the model's authors and may raise any exception.
    except Exception as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        # raise_exception in a template raises exactly this class; syntax and other errors are subclasses.
        if type(error) is TemplateError:
            reason = f"it refuses a system message, or a user's message after an assistant's: {error}"
        raise UserError(
            f"the chat template cannot be rendered ({reason}): choose another model or set its chat_template"
        ) from error


def _clock() -> str:
    """Return Jinja source of a ``strftime_now`` that formats ``NOW`` instead of the machine's time."""
    codes = [f"%{flag}{code}" for flag in ("-", "") for code in _CODES]
    filled = "".join(f"|replace('{code}', '{NOW.strftime(code)}')" for code in codes)
    # Jinja trims the newline with the tag, so the template still starts at the beginning of a line.
    return f"{{% macro strftime_now(format) %}}{{{{ format{filled} }}}}{{% endmacro %}}\n"


def _not_appendable(rendering: str) -> UserError:
    return UserError(
        "the chat template cannot be continued by appending: it changes earlier messages, or the text before a "
        f"completion is not the text before that assistant message ({rendering!r}): choose another model or set a "
        "chat_template without this"
    )
