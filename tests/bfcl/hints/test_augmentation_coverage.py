"""Every message that a tool can fail with is either reworded by one rule or listed as already actionable."""

from __future__ import annotations

import ast
import inspect
import re
from types import ModuleType

import pytest
from error_surface import EXAMPLES, SURFACE, result, whole_text
from of_tables import HINTS

from envtune.bfcl.hints import python_errors
from envtune.bfcl.hints.tables import NON_ANSWERS, RULES


def listed(table: ModuleType, text: str) -> list[str]:
    patterns = {**table.ALREADY_ACTIONABLE, **python_errors.ALREADY_ACTIONABLE}
    return [pattern for pattern in patterns if re.search(pattern, text)]


@pytest.mark.parametrize(("table", "tool", "arguments", "error"), EXAMPLES, ids=[f"{e[1]}: {e[3]}" for e in EXAMPLES])
def test_every_message_is_either_reworded_or_listed_as_actionable(table, tool, arguments, error, toolbox):
    read = result(tool, arguments, error)
    hint = HINTS.hint(read, toolbox)
    assert (hint is not None) != bool(listed(table, read.text)), (hint, listed(table, read.text))


def test_no_rule_and_no_listed_pattern_is_without_its_message(toolbox):
    results = [(table, result(*example)) for table, *example in EXAMPLES]
    hints = {hint.rule for _, read in results if (hint := HINTS.hint(read, toolbox))}
    patterns = {pattern for table, read in results for pattern in listed(table, read.text)}
    assert {rule.name for rule in (*RULES, *NON_ANSWERS)} == hints
    assert {pattern for table in SURFACE for pattern in table.ALREADY_ACTIONABLE} == patterns


def test_every_message_in_the_source_of_the_tools_has_an_example_here(toolbox):
    missing = []
    for world in toolbox.view.values():
        for function in ast.walk(ast.parse(inspect.getsource(inspect.getmodule(type(world))))):
            if isinstance(function, ast.FunctionDef):
                for template in _message_templates(function):
                    if not any(_is_example(function.name, template, *example) for example in EXAMPLES):
                        missing.append((function.name, template))
    assert missing == []


def _is_example(function: str, template: str, table: ModuleType, tool: str, arguments: object, error: str) -> bool:
    return (tool == function or function.startswith("_")) and re.search(template, whole_text(error)) is not None


def _message_templates(function: ast.FunctionDef) -> list[str]:
    """Every error that a function reports or raises, as a pattern."""
    found = []
    for node in ast.walk(function):
        if isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            found += [
                v for k, v in pairs if isinstance(k, ast.Constant) and k.value in ("error", "verification_failure")
            ]
        elif isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args:
            found.append(node.exc.args[0])
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]).endswith("['error']"):
            found.append(node.value)
    return [_pattern(node) for node in found]


def _pattern(node: ast.AST) -> str:
    if isinstance(node, ast.Constant):
        return re.escape(str(node.value))
    if isinstance(node, ast.JoinedStr):
        return "".join(_pattern(part) for part in node.values)
    if isinstance(node, ast.BinOp):
        return _pattern(node.left) + _pattern(node.right)
    return ".*"
