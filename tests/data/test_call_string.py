from __future__ import annotations

import pytest

from envtune.data.call_string import parse_call
from envtune.task import ToolCall

PARAMETERS = {"mv": ("source", "destination"), "ls": ("a",)}


def test_positional_arguments_are_bound_in_the_order_of_the_parameters() -> None:
    assert parse_call("mv('a', destination='b')", PARAMETERS) == ToolCall("mv", {"source": "a", "destination": "b"})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("ls(a=-5)", -5),
        ("ls(a=[1, {'k': None}])", [1, {"k": None}]),
        ("ls(a='sort(x) and \\'quotes\\'')", "sort(x) and 'quotes'"),
        (r"ls(a='\d')", r"\d"),
    ],
)
def test_literals_keep_their_value(text: str, value: object) -> None:
    assert parse_call(text, PARAMETERS).arguments == {"a": value}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ls",
        "ls(",
        "ls(a=__import__('os').getcwd())",
        "ls(a=exit())",
        "ls(a=1+1)",
        "ls(a=f'{1}')",
        "ls(a=x)",
        "ls(*[1])",
        "ls(**{'a': 1})",
        "ls(1, a=2)",
        "ls(a=1, a=2)",
        "ls(1, 2)",
        "os.remove('x')",
        "(lambda: 1)()",
        "ls(); ls()",
        "unknown('x')",
        "ls(a={[]: 1})",
        "ls(a='\x00')",
        "ls(a=" + "[" * 5000 + "]" * 5000 + ")",
        "ls(a=" + "-" * 50_000 + "1)",
        "ls(a='" + "x" * 100_000 + "')",
        "ls(a=" + "9" * 5000 + ")",
    ],
)
def test_anything_but_one_call_with_literal_arguments_is_a_value_error_of_one_line(text: str) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]{1,250}$"):
        parse_call(text, PARAMETERS)


def test_reading_a_call_runs_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="not a literal"):
        parse_call("ls(a=print('ran'))", PARAMETERS)
    assert capsys.readouterr().out == ""
