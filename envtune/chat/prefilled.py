"""Responses that the chat template has begun: it writes ``<think>`` for the policy, or a whole empty thought."""

from __future__ import annotations

import re

from envtune.chat.protocol.response_protocol import ResponseProtocol
from envtune.errors import UserError
from envtune.task import ToolCall
from envtune.trajectory import FormatError

# A tag or a word: what a response and the pre-filled text have in common, whatever white space is between them.
_WORD = re.compile(r"<[^<>]*>|[^\s<]+|<")
_END_OF_THOUGHT = "</think>"


def behind_prefix(prefix: str, response: str) -> str:
    """Return the completion that makes ``response`` of the pre-filled text.

    White space may differ. A thought is left out where the pre-filled text has ended it already. A response that does
    not begin with the text is returned as it is.
    """
    if response.startswith(prefix):
        return response.removeprefix(prefix)
    begun = re.match(r"\s*" + r"\s*".join(map(re.escape, _WORD.findall(prefix))), response)
    if begun:
        rest = response[begun.end() :]
        return rest.lstrip() if prefix[-1:].isspace() else rest
    if _END_OF_THOUGHT in prefix and _END_OF_THOUGHT in response:
        return response.partition(_END_OF_THOUGHT)[2].lstrip()
    return response


def require_response(prefix: str, protocol: ResponseProtocol) -> None:
    """Raise UserError if the protocol has no response that begins with the pre-filled text."""
    calls = protocol.write_calls("I look.", [ToolCall("ls", {})])
    for response in (calls, protocol.write_answer("I see it.", "It is here.")):
        if isinstance(protocol.parse(prefix + behind_prefix(prefix, response)), FormatError):
            raise UserError(
                f"the chat template begins every response with {prefix!r}, but no response of the protocol begins like "
                "that: choose another model, prompt.thinking=on or prompt.thinking=off, or set its chat_template"
            )
