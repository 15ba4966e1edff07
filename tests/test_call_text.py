from __future__ import annotations

import pytest

from envtune.call_text import parse_call, parse_call_list, render_call_list
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


CALLS = (ToolCall("book", {"city": "Rome", "seats": 2, "window": True, "tags": ["a'b", None]}), ToolCall("pwd", {}))
TEXT = """[book(city='Rome', seats=2, window=True, tags=["a'b", None]), pwd()]"""


def test_calls_are_written_as_a_list_of_python_calls_and_read_back() -> None:
    assert render_call_list(CALLS) == TEXT
    assert parse_call_list(f" {TEXT}\n") == CALLS


@pytest.mark.parametrize("name", ["", "a b", "f(); g", "__import__('os').system", "class", "Api.f"])
def test_a_name_that_could_smuggle_in_code_is_not_written(name: str) -> None:
    assert render_call_list([ToolCall(name, {})]) is None
    assert render_call_list([ToolCall("f", {name: 1})]) is None


@pytest.mark.parametrize(
    "text", ["", "Done.", "[]", "[1]", "[f(1)]", "[f(a=g())]", "[f(a=1)", "f(a=1)", "[os.f()]", "[" * 5000 + "]" * 5000]
)
def test_other_text_holds_no_calls(text: str) -> None:
    assert parse_call_list(text) == ()


def test_a_list_of_calls_is_read_without_searching_the_text_again_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """`ast.get_source_segment` splits the whole text into lines, so that 80 kB of calls took minutes."""
    monkeypatch.setattr("ast.get_source_segment", lambda *_: pytest.fail("the text was searched for a call"))
    assert parse_call_list(f"[{'a(),' * 500}a()]") == (ToolCall("a", {}),) * 501
