from __future__ import annotations

import pytest

from envtune.serving.call_text import read_calls, write_calls
from envtune.task import ToolCall

CALLS = (ToolCall("book", {"city": "Rome", "seats": 2, "window": True, "tags": ["a'b", None]}), ToolCall("pwd", {}))
TEXT = """[book(city='Rome', seats=2, window=True, tags=["a'b", None]), pwd()]"""


def test_calls_are_written_as_a_list_of_python_calls_and_read_back() -> None:
    assert write_calls(CALLS) == TEXT
    assert read_calls(f" {TEXT}\n") == CALLS


@pytest.mark.parametrize("name", ["", "a b", "f(); g", "__import__('os').system", "class", "Api.f"])
def test_a_name_that_could_smuggle_in_code_is_not_written(name: str) -> None:
    assert write_calls([ToolCall(name, {})]) is None
    assert write_calls([ToolCall("f", {name: 1})]) is None


@pytest.mark.parametrize(
    "text", ["", "Done.", "[]", "[1]", "[f(1)]", "[f(a=g())]", "[f(a=1)", "f(a=1)", "[os.f()]", "[" * 5000 + "]" * 5000]
)
def test_other_text_holds_no_calls(text: str) -> None:
    assert read_calls(text) == ()


def test_a_list_of_calls_is_read_without_searching_the_text_again_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """`ast.get_source_segment` splits the whole text into lines, so that 80 kB of calls took minutes."""
    monkeypatch.setattr("ast.get_source_segment", lambda *_: pytest.fail("the text was searched for a call"))
    assert read_calls(f"[{'a(),' * 500}a()]") == (ToolCall("a", {}),) * 501
