"""What a response protocol has to provide: it reads completions as actions, and writes actions as completions.

Length and number of calls of a response are bounded. The environment, not the protocol, validates tool names and
arguments. A protocol of your own is a subclass of ``ResponseProtocol``, named by a file of your conf/protocol/.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from envtune.chat.protocol.strict_json import SURROGATE, Violation
from envtune.task import ToolCall
from envtune.trajectory import Action, FinalAnswer, FormatError, FormatFault, ToolCalls

# The environment's limits on time and memory (envtune/environment/limits/) assume these two.
MAX_CHARACTERS = 200_000
MAX_CALLS = 50

_THINK_TAG = re.compile("</?think>")


class ResponseProtocol(ABC):
    """A format of responses. Stateless."""

    brief: ClassVar[str]
    """What to write, in the sentence that an empty response gets."""
    form: ClassVar[str]
    """How to write calls and answers, for a system prompt that has to explain it."""
    rule: ClassVar[str]
    """One line on what a response may hold and what happens to its calls, for every system prompt."""
    is_native: ClassVar[bool] = False
    """True if the model's own chat template renders tool documents, and results in a role of their own."""
    end_tokens: ClassVar[tuple[str, ...]] = ()
    """Tokens that end a completion, beside those of the chat template, in tokenizers that have them."""
    shown_tokens: ClassVar[tuple[str, ...]] = ()
    """Control tokens that ``parse`` reads; all others are left out of a completion's text."""

    def parse(self, completion: str) -> Action:
        """Return the action of a completion, or its first format error. Never raises."""
        try:
            if len(completion) > MAX_CHARACTERS:
                raise Violation(
                    FormatFault.TOO_LONG,
                    f"Your response is longer than {MAX_CHARACTERS} characters: answer much more briefly.",
                )
            if not completion.strip():
                raise Violation(FormatFault.EMPTY, f"Your response is empty: write {self.brief}.")
            if SURROGATE.search(completion):
                raise Violation(
                    FormatFault.INVALID_TEXT,
                    "Your response contains half of a surrogate pair: write plain characters only.",
                )
            return self._read(completion)
        except Violation as violation:
            return violation.error

    def write_calls(self, thought: str, calls: Sequence[ToolCall]) -> str:
        """Return the completion that ``parse`` reads as these calls.

        Raises:
            ValueError: the protocol cannot express them (no calls, a tag in the thought, NaN, too deep, …).
        """
        completion = self._calls_text(thought.strip(), calls)
        action = self._expressed(completion)
        if not isinstance(action, ToolCalls) or (action.thought, len(action.calls)) != (thought.strip(), len(calls)):
            raise ValueError("the response protocol cannot express this: it is read as something else")
        return completion

    def write_answer(self, thought: str, text: str) -> str:
        """Return the completion that ``parse`` reads as this answer.

        Raises:
            ValueError: the protocol cannot express it (a tag in either text, an unpaired surrogate, too long).
        """
        completion = self._answer_text(thought.strip(), text.strip())
        if self._expressed(completion) != FinalAnswer(thought.strip(), text.strip()):
            raise ValueError("the response protocol cannot express this: it is read as something else")
        return completion

    @abstractmethod
    def start_of_calls(self, completion: str) -> int:
        """Return the place in a completion, which ``parse`` reads as calls, where their text begins."""

    @abstractmethod
    def _read(self, completion: str) -> Action:
        """Return the action of a completion that is neither empty nor too long; raise its first Violation."""

    @abstractmethod
    def _calls_text(self, thought: str, calls: Sequence[ToolCall]) -> str:
        """Return the text of calls."""

    @abstractmethod
    def _answer_text(self, thought: str, text: str) -> str:
        """Return the text of an answer."""

    def _expressed(self, completion: str) -> Action:
        action = self.parse(completion)
        if isinstance(action, FormatError):
            raise ValueError(f"the response protocol cannot express this ({action.fault}): {action.message}")
        return action


def split_thought(completion: str) -> tuple[str, int]:
    """Return the optional thought ``<think>…</think>`` at the beginning, and the place behind it.

    Raises:
        Violation: a tag of the thought is missing, repeated or in the wrong place.
    """
    tags = list(_THINK_TAG.finditer(completion))
    names = [tag[0] for tag in tags]
    if not tags:
        return "", 0
    for name in ("<think>", "</think>"):
        if names.count(name) > 1:
            raise Violation(
                FormatFault.REPEATED_TAG, f"The tag {name} stands {names.count(name)} times: think once, at the start."
            )
    if names == ["<think>"]:
        raise Violation(FormatFault.UNCLOSED_TAG, "<think> is never closed: end it with </think>.")
    if names == ["</think>"]:
        raise Violation(FormatFault.UNOPENED_TAG, "</think> was never opened: put <think> before it.")
    if names == ["</think>", "<think>"]:
        raise Violation(FormatFault.WRONG_ORDER, "The tags are in the wrong order: write <think> … </think>.")
    if completion[: tags[0].start()].strip():
        raise Violation(
            FormatFault.TEXT_OUTSIDE_TAGS, "There is text before <think>: begin with the thought, or leave it out."
        )
    return completion[tags[0].end() : tags[1].start()].strip(), tags[1].end()


def start_behind_thought(completion: str) -> int:
    """Return the place of the first character behind the thought that is not white space."""
    _, start = split_thought(completion)
    rest = completion[start:]
    return start + len(rest) - len(rest.lstrip())


def thought_text(thought: str) -> str:
    """Return a thought with its tags and a line break, or nothing for an empty one."""
    return f"<think>{thought}</think>\n" if thought else ""


def nothing_follows() -> Violation:
    """Return the violation of a response that only has a thought."""
    return Violation(
        FormatFault.NO_ACTION, "Nothing follows your thought: call a tool, or write your answer to the user."
    )
