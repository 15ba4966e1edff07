"""A call written as Python source -> ToolCall. The text is read, never evaluated: arguments are literals."""

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
    call = _call_node(text)
    name = call.func.id  # type: ignore[attr-defined]
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


def _call_node(text: str) -> ast.Call:
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"the call is {len(text)} characters long; {MAX_CHARACTERS} are allowed")
    try:
        with warnings.catch_warnings():
            # A string such as '\d' is worth a warning in source code, not in a recorded call.
            warnings.simplefilter("ignore")
            node = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ValueError(f"{_shown(text)} is not a Python expression") from None
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        raise ValueError(f"{_shown(text)} is not the call of one tool by its name")
    return node


def _literal(node: ast.expr, name: str) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        raise ValueError(f"an argument of '{name}' is not a literal value") from None


def _shown(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:79] + "…")
