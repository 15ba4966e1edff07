"""Calls written as Python source -> ToolCall. The text is read, never evaluated: arguments are literals."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from envtune.task import ToolCall

MAX_CHARACTERS = 100_000


def parse_call(text: str, parameters: Mapping[str, Sequence[str]]) -> ToolCall:
    """The call that ``text`` spells, such as ``mv(source='a', destination='b')``.

    ``parameters`` maps each tool to its parameters in order; positional arguments are bound by it. Whether the tool
    exists and accepts the arguments is decided where the call runs.

    Raises:
        ValueError: the text is no call of a plain name with literal arguments, or an argument cannot be bound.
    """
    node = _expression(text)
    if not _is_call(node):
        raise ValueError(f"{_shown(text)} is not the call of one tool by its name")
    return _call(node, parameters)


def parse_calls(text: str) -> tuple[ToolCall, ...]:
    """The calls in a list such as ``[ls(), mv(source='a')]``, whose arguments all have names.

    Raises:
        ValueError: the text is not a list of such calls.
    """
    entries = _expression(text)
    if not isinstance(entries, ast.List) or not all(map(_is_call, entries.elts)):
        raise ValueError(f"{_shown(text)} is not a list of calls of tools by their names")
    return tuple(_call(entry, {}) for entry in entries.elts)


def _is_call(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name)


def _call(call: Any, parameters: Mapping[str, Sequence[str]]) -> ToolCall:
    """``call`` is an ``ast.Call`` of a name."""
    name = call.func.id
    if call.args and name not in parameters:
        raise ValueError(f"the arguments of '{name}' need names, because no such tool is known")
    order = parameters.get(name, ())
    if len(call.args) > len(order):
        raise ValueError(f"'{name}' takes {len(order)} arguments at most, not {len(call.args)}")
    arguments = {parameter: _literal(node, name) for parameter, node in zip(order, call.args, strict=False)}
    for keyword in call.keywords:
        if keyword.arg is None or keyword.arg in arguments:
            raise ValueError(f"'{name}' must be given each argument once and by its own name")
        arguments[keyword.arg] = _literal(keyword.value, name)
    return ToolCall(name, arguments)


def _expression(text: str) -> ast.expr:
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"the call is {len(text)} characters long; {MAX_CHARACTERS} are allowed")
    try:
        with warnings.catch_warnings():
            # A string such as '\d' is worth a warning in source code, not in a recorded call.
            warnings.simplefilter("ignore")
            return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ValueError(f"{_shown(text)} is not a Python expression") from None


def _literal(node: ast.expr, name: str) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        raise ValueError(f"an argument of '{name}' is not a literal value") from None


def _shown(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:79] + "…")
