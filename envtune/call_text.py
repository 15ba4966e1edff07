"""Tool calls as Python source, ``name(key='value')``: written, and read without evaluating anything."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Mapping, Sequence
from keyword import iskeyword
from typing import Any

from envtune.task import ToolCall

MAX_CHARACTERS = 100_000


def render_call(call: ToolCall) -> str:
    """Return the call as Python source with keyword arguments."""
    return f"{call.name}({', '.join(f'{name}={value!r}' for name, value in call.arguments.items())})"


def render_call_list(calls: Sequence[ToolCall]) -> str | None:
    """Return the calls as a Python list, ``[f(a=1), g()]``, for harnesses that send no tools.

    Returns:
        None if a name is not a plain identifier: a harness may run the text, so a name must not smuggle in code.
    """
    names = [name for call in calls for name in (call.name, *call.arguments)]
    if not all(name.isidentifier() and not iskeyword(name) for name in names):
        return None
    return f"[{', '.join(map(render_call, calls))}]"


def parse_call_list(text: str) -> tuple[ToolCall, ...]:
    """Return the calls in a list as ``render_call_list`` writes it; an empty tuple for any other text."""
    text = text.strip()
    if not (text.startswith("[") and text.endswith("]")):
        return ()
    try:
        entries = _expression(text)
        if isinstance(entries, ast.List) and all(map(_is_call, entries.elts)):
            return tuple(_call(entry, {}) for entry in entries.elts)
    except ValueError:
        pass
    return ()


def parse_call(text: str, parameters: Mapping[str, Sequence[str]]) -> ToolCall:
    """Return the call in ``text``, such as ``mv(source='a', destination='b')``.

    Args:
        text: the source. It is parsed and never evaluated: arguments must be literals.
        parameters: the parameters of each tool in order, which positional arguments are bound to. Whether the tool
            exists and accepts the arguments is decided where the call runs.

    Raises:
        ValueError: the text is not a call of a plain name with literal arguments, or an argument cannot be bound.
    """
    node = _expression(text)
    if not _is_call(node):
        raise ValueError(f"{_shown(text)} is not the call of one tool by its name")
    return _call(node, parameters)


def _is_call(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name)


def _call(call: Any, parameters: Mapping[str, Sequence[str]]) -> ToolCall:
    """Return the call of ``call``, an ``ast.Call`` of a name."""
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
