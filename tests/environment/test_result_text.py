from __future__ import annotations

import subprocess
import sys
from collections import Counter, deque
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from envtune.environment.result_text import result_text


class Colour(Enum):
    RED = "red"


class Word(str, Enum):
    YES = "yes"


class Letters(Enum):
    FIRST = frozenset("hgfedcba")


class Title(str):
    def __str__(self) -> str:
        return "another text"


class Pair(NamedTuple):
    first: int
    second: int


@dataclass(frozen=True)
class Copy:
    title: str
    tags: frozenset[str] = frozenset()


class Desk(BaseModel):
    name: str
    copies: list[Copy] = []
    open: bool = True


class Marked(BaseModel):
    letters: set[str]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("", ""),
        ('a "word"\né', 'a "word"\né'),
        (None, "null"),
        (True, "true"),
        (3, "3"),
        (2.50, "2.5"),
        (["é", None, (1,)], '["é", null, [1]]'),
        ({"a": {"b": []}}, '{"a": {"b": []}}'),
        (Copy("Emma", frozenset({"b", "a"})), '{"title": "Emma", "tags": ["a", "b"]}'),
        (Desk(name="N", copies=[Copy("E")]), '{"name": "N", "copies": [{"title": "E", "tags": []}], "open": true}'),
        (Colour.RED, "red"),
        (Word.YES, "yes"),
        (Title("Emma"), "Emma"),
        ([Colour.RED, Word.YES], '["red", "yes"]'),
        (date(2024, 2, 3), "2024-02-03"),
        ([date(2024, 2, 3), Decimal("1.10"), Path("/a")], '["2024-02-03", "1.10", "/a"]'),
        ({date(2024, 2, 3): 1, Colour.RED: 2, (1, 2): 3, 4: 5}, '{"2024-02-03": 1, "red": 2, "[1, 2]": 3, "4": 5}'),
        (Pair(1, 2), "[1, 2]"),
        (deque([1, 2]), "[1, 2]"),
        (Counter("aab"), '{"a": 2, "b": 1}'),
        (MappingProxyType({"a": 1}), '{"a": 1}'),
    ],
    ids=lambda value: type(value).__name__,
)
def test_text_is_unchanged_and_everything_else_is_json(value: Any, text: str):
    assert result_text(value) == text
    assert type(result_text(value)) is str


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({10, 9, 100}, "[9, 10, 100]"),
        ({"b", "a"}, '["a", "b"]'),
        ({"b", 1, None}, '["b", 1, null]'),
        (Letters.FIRST, '["a", "b", "c", "d", "e", "f", "g", "h"]'),
        (Marked(letters=set("hgfedcba")), '{"letters": ["a", "b", "c", "d", "e", "f", "g", "h"]}'),
        (frozenset({frozenset({2, 1}), frozenset({3}), frozenset()}), "[[], [1, 2], [3]]"),
        ({Copy("b"), Copy("a")}, '[{"title": "a", "tags": []}, {"title": "b", "tags": []}]'),
    ],
)
def test_sets_are_sorted(value: Any, text: str):
    assert result_text(value) == text


@given(st.permutations(["a", "b", 1, 2.5, None, (1, "a"), ("a", 1), (), float("nan")]))
def test_the_text_of_a_set_does_not_depend_on_the_order_of_its_items(items: list[Any]):
    # Items with equal hashes, and NaN, which no order holds for, are met in the order of insertion.
    assert result_text(frozenset(items)) == '["a", "b", 1, 2.5, NaN, ["a", 1], [1, "a"], [], null]'


def test_the_text_of_a_set_does_not_depend_on_the_hash_seed():
    program = (
        "from envtune.environment.result_text import result_text\n"
        "print(result_text({'a', 'b', 'c', 1, None, ('d', 'e'), frozenset('fgh')}))"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert texts == {'["a", "b", "c", 1, ["d", "e"], ["f", "g", "h"], null]\n'}


CYCLE: list[Any] = []
CYCLE.append(CYCLE)


class Opaque: ...


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (Opaque(), "Opaque"),
        ([{"a": Opaque()}], "Opaque"),
        ({Opaque(): 1}, "Opaque"),
        (Opaque, "type"),
        (lambda: 1, "function"),
        ((number for number in [1]), "generator"),
        ([map(str, [1])], "map"),
        ({}.keys(), "dict_keys"),
        (b"\xff", "bytes"),
        (10**5000, "int"),
        ("\ud800", "str"),
        ([{"a": "\ud800"}], "list"),
        (CYCLE, "list"),
    ],
    ids=lambda value: ascii(value) if isinstance(value, str) else type(value).__name__,
)
def test_what_json_cannot_hold_is_a_type_error_that_names_the_type(value: Any, name: str):
    with pytest.raises(TypeError, match=rf"\b{name}\b") as error:
        result_text(value)
    assert " at 0x" not in str(error.value)
