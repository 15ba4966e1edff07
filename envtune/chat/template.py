"""Messages -> token ids around a tokenizer's own chat template, appended piece by piece and never tokenised again.

The template is rendered once, at construction, with placeholders for the messages; the text between them is what every
episode appends. The agent's completions never pass through: the ids that were sampled stay. What the environment says
is a ``user`` message, the one role that every template knows besides the assistant.

Nothing that a user or a tool says can become a control token: its text is cut inside the name of each before encoding.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jinja2.exceptions import TemplateError

from envtune.chat.prompt import PromptStyle
from envtune.checked import Count, checked
from envtune.errors import UserError
from envtune.task import ToolDocument

_TAGS = frozenset({"<think>", "</think>", "<tool_call>", "</tool_call>", "<answer>", "</answer>"})
_MARK = "\n[... the middle is left out, it is too long ...]\n"


@checked
class Template:
    """One tokenizer's chat template as the increments of an episode; holds no state of any episode.

    ``end_ids`` are the ids that end a completion: first the token with which the template closes an assistant message,
    then the tokenizer's end-of-text token if that is another one.

    Args:
        tokenizer: a ``transformers`` tokenizer with a chat template.
        style: how the agent is instructed.
        max_observation_tokens: a longer user message or observation loses its middle; ``None`` for no limit. The
            documents of tools do not count.

    Raises:
        UserError: if the chat template cannot be continued by appending, or the limit has no room for its mark.
    """

    def __init__(self, tokenizer: Any, style: PromptStyle, max_observation_tokens: Count | None = None) -> None:
        self._tokenizer = tokenizer
        self._style = style
        pieces = _pieces(tokenizer)
        control = _control_tokens(tokenizer, pieces)
        self._hidden_ids = frozenset(control.values())
        self._inside_control_token = re.compile(f"(?={'|'.join(map(re.escape, control))})" if control else "(?!)")
        self._check_no_control_token_in_text(control)
        self._before_system, self._before_user = self._control(pieces.before_system), self._control(pieces.before_user)
        self._generation = self._control(pieces.generation)
        self.end_ids, self._next_message = self._split_closing(pieces.closing)
        self._mark = self._plain(_MARK)
        if max_observation_tokens is not None and max_observation_tokens < 2 * len(self._mark):
            raise UserError(
                f"max_observation_tokens is {max_observation_tokens}: with this tokenizer use {2 * len(self._mark)} or "
                "more, or null for no limit"
            )
        self._max_observation_tokens = max_observation_tokens

    def open(self, text: str, tools: Sequence[ToolDocument], further: str = "") -> list[int]:
        """The ids before the first completion: the system prompt with ``tools`` and the first user message ``text``.

        ``further`` is what the system prompt says beside our own; training says nothing.
        """
        system = self._plain(self._style.system_prompt(tools, further))
        return [*self._before_system, *system, *self._before_user, *self._observation(text), *self._generation]

    def append(self, text: str, new_tools: Sequence[ToolDocument] = ()) -> list[int]:
        """The ids between the end token of a completion and the next completion: ``text`` after the new documents."""
        documents = self._plain(self._style.handed_over(new_tools) + "\n\n") if new_tools else []
        return [*self._next_message, *documents, *self._observation(text), *self._generation]

    def reply(self, completion: str) -> list[int]:
        """The ids of a completion that was not sampled here, its end token included."""
        return [*self._plain(completion), self.end_ids[0]]

    def close_clipped(self, completion: Sequence[int]) -> list[int]:
        """The end token that ``completion`` lacks, which was not sampled; nothing if it has it.

        Goes between a completion and ``append``: a completion may have stopped at its length limit, or with the
        end-of-text token.
        """
        return [] if completion and completion[-1] == self.end_ids[0] else [self.end_ids[0]]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of sampled ids without control tokens; the protocol's tags always stay."""
        visible = [id_ for id_ in ids if id_ not in self._hidden_ids]
        return str(self._tokenizer.decode(visible, skip_special_tokens=False, clean_up_tokenization_spaces=False))

    def _control(self, text: str) -> list[int]:
        return list(self._tokenizer.encode(text, add_special_tokens=False, verbose=False))

    def _plain(self, text: str) -> list[int]:
        """The ids of ``text`` with no control token among them; half a surrogate pair becomes a question mark."""
        text = text.encode("utf-8", "replace").decode("utf-8")
        cuts = [match.start() + 1 for match in self._inside_control_token.finditer(text)]
        parts = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        return [id_ for part in parts for id_ in self._control(part)]

    def _observation(self, text: str) -> list[int]:
        ids = self._plain(text)
        limit = self._max_observation_tokens
        if limit is None or len(ids) <= limit:
            return ids
        kept = limit - len(self._mark)
        return [*ids[: kept - kept // 2], *self._mark, *ids[len(ids) - kept // 2 :]]

    def _split_closing(self, closing: str) -> tuple[tuple[int, ...], list[int]]:
        """The end ids, and the ids from behind the end token to the next user message."""
        ids = self._control(closing)
        if not ids or ids[0] not in self._hidden_ids:
            raise UserError(
                f"the chat template closes an assistant message with {closing!r}, which begins with no control token, "
                "so nothing tells where a completion ends: choose a chat model's tokenizer"
            )
        others = {self._tokenizer.eos_token_id} - {None, ids[0]}
        return (ids[0], *others), ids[1:]

    def _check_no_control_token_in_text(self, control: dict[str, int]) -> None:
        for text, id_ in control.items():
            if id_ in self._plain(text):
                raise UserError(
                    f"this tokenizer turns the plain text {text!r} into a control token: choose another one"
                )


@dataclass(frozen=True)
class _Pieces:
    """The template's own text: around the system message, before a completion, and from its end to the next message."""

    before_system: str
    before_user: str
    generation: str
    closing: str


def _pieces(tokenizer: Any) -> _Pieces:
    """Cuts renderings of placeholder conversations apart and checks that the pieces add up to a longer one."""
    if not getattr(tokenizer, "chat_template", None):
        raise UserError("the tokenizer has no chat template: choose a chat model's tokenizer, or set its chat_template")
    names = [f"PLACEHOLDER{number}" for number in range(6)]
    system, user, reply, second, second_reply, third = names
    first_text, second_text, third_text = (_render(tokenizer, names[:count]) for count in (2, 4, 6))
    before_system, found_system, rest = first_text.partition(system)
    before_user, found_user, generation = rest.partition(user)
    closing, found_second, _ = second_text.removeprefix(first_text + reply).partition(second)
    tail = f"{closing}{second}{generation}{second_reply}{closing}{third}{generation}"
    found = found_system and found_user and found_second
    if not found or second_text != first_text + reply + closing + second + generation:
        raise _not_appendable(second_text)
    if third_text != first_text + reply + tail:
        raise _not_appendable(third_text)
    return _Pieces(before_system, before_user, generation, closing)


def _render(tokenizer: Any, contents: Sequence[str]) -> str:
    roles = ["system", *(["user", "assistant"] * len(contents))]
    messages = [{"role": role, "content": content} for role, content in zip(roles, contents, strict=False)]
    try:
        return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))
    except TemplateError as error:
        raise UserError(
            "the chat template refuses a system message, or a user's message after an assistant's "
            f"({error}): choose another model"
        ) from error


def _not_appendable(rendering: str) -> UserError:
    return UserError(
        "the chat template cannot be continued by appending: it changes earlier messages, or the text before a "
        f"completion is not the text before that assistant message ({rendering!r}): choose another model or set a "
        "chat_template without this"
    )


def _control_tokens(tokenizer: Any, pieces: _Pieces) -> dict[str, int]:
    """Special tokens, and those others that the template itself writes, by their text; never the protocol's tags."""
    template = pieces.before_system + pieces.before_user + pieces.generation + pieces.closing
    added = {str(token.content): (id_, token.special) for id_, token in tokenizer.added_tokens_decoder.items()}
    control = {text: id_ for text, (id_, special) in added.items() if special or text in template}
    return {text: id_ for text, id_ in control.items() if text not in _TAGS}
