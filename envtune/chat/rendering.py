"""Renders conversations with a tokenizer's chat template: its date is fixed, its switch for thoughts is set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any, TypeAlias

from jinja2.exceptions import TemplateError

from envtune.errors import UserError

# The date for templates that write one: the fixed time of the tools' world (envtune/bfcl/clock.py), so that
# prompts do not depend on the day of a run, its continuation or its evaluation.
NOW = datetime(2024, 9, 1, 10, 30, tzinfo=timezone.utc)
# Names of the variables with which chat templates switch thoughts on and off.
SWITCHES = ("enable_thinking", "thinking")
# A message as chat templates take it.
Message: TypeAlias = Mapping[str, Any]
# Between the system message and the first user message, where the template has no role for the former.
FOLD = "\n\n"
# Codes that strftime_now supports, each also without leading zeros (%-d).
_CODES = "aAbBcCdDeFgGhHIjmMprRSTuUVwWxXyYzZ"


@dataclass(frozen=True, slots=True)
class Rendering:
    """The way in which conversations are rendered.

    Raises:
        UserError: the tokenizer has no chat template, or several without a default.
    """

    tokenizer: Any
    folds_system: bool = False
    """Whether the system message is the beginning of the first user message instead of a message of its own."""
    switches: Mapping[str, bool] = field(default_factory=dict)
    """Variables of the template."""

    def __post_init__(self) -> None:
        template = getattr(self.tokenizer, "chat_template", None)
        if not template:
            raise UserError(
                "the tokenizer has no chat template: choose a chat model's tokenizer, or set its chat_template"
            )
        if isinstance(template, dict) and "default" not in template:
            raise UserError(
                f"the tokenizer has the chat templates {', '.join(map(str, template))} but not one named default: set "
                "its chat_template to one of them"
            )

    def text(self, contents: Sequence[str]) -> str:
        """Return the text up to the next completion.

        Args:
            contents: of the system message, the user, the assistant, the user, …

        Raises:
            UserError: the template fails or refuses the conversation.
        """
        return self.text_of([{"role": "system", "content": contents[0]}, *chat_messages(contents[1:])])

    def text_of(self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] | None = None) -> str:
        """Return the text of a conversation, with documents of ``tools`` if there are any, up to the next completion.

        Args:
            messages: the first is the system message, the second the user's.
            tools: as chat templates take them.

        Raises:
            UserError: the template fails or refuses the conversation.
        """
        try:
            documents = {"tools": list(tools)} if tools else {}
            template = self.tokenizer.get_chat_template(**documents)
            dated = {"chat_template": _clock() + template} if "strftime_now" in template else {}
            options = {"tokenize": False, "add_generation_prompt": True, **documents, **dated, **self.switches}
            return str(self.tokenizer.apply_chat_template(self._folded(messages), **options))
        # A template is a program of the model's authors and may raise any exception.
        except Exception as error:
            reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
            # raise_exception in a template raises exactly this class; syntax and other errors are subclasses.
            if type(error) is TemplateError:
                reason = f"it refuses a system message, or a user's message after an assistant's: {error}"
            raise UserError(
                f"the chat template cannot be rendered ({reason}): choose another model or set its chat_template"
            ) from error

    def _folded(self, messages: Sequence[Message]) -> list[Message]:
        if not self.folds_system:
            return list(messages)
        system, first, *others = messages
        return [{"role": "user", "content": f"{system['content']}{FOLD}{first['content']}"}, *others]

    def with_thinking(self, on: bool) -> Rendering:
        """Return a rendering in which the template's own switch is set.

        Raises:
            UserError: the template has no switch that changes the text.
        """
        probe = ("You call tools.", "Hello.", "Hello!", "What is here?")
        found = {
            name: on
            for name in SWITCHES
            if len({replace(self, switches={name: value}).text(probe) for value in (True, False)}) > 1
        }
        if not found:
            raise UserError(
                f"prompt.thinking={'on' if on else 'off'} needs a chat template with a switch for it, but neither "
                f"{' nor '.join(SWITCHES)} changes what this one writes: set prompt.thinking=null"
            )
        return replace(self, switches=found)


def chat_messages(contents: Sequence[str]) -> list[Message]:
    """Return the messages of the user, the assistant, the user, … with these contents."""
    return [{"role": ("user", "assistant")[i % 2], "content": content} for i, content in enumerate(contents)]


def _clock() -> str:
    """Return Jinja source of a ``strftime_now`` that formats ``NOW`` instead of the machine's time."""
    codes = [f"%{flag}{code}" for flag in ("-", "") for code in _CODES]
    filled = "".join(f"|replace('{code}', '{NOW.strftime(code)}')" for code in codes)
    # Jinja trims the newline with the tag, so the template still starts at the beginning of a line.
    return f"{{% macro strftime_now(format) %}}{{{{ format{filled} }}}}{{% endmacro %}}\n"
