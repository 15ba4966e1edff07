"""Arguments are checked by the annotations of the parameters that take them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf, nan
from typing import TYPE_CHECKING, Annotated, Any, Literal

import pytest
from pydantic import AllowInfNan, Field

from envtune.checked import Among, Count, EachOnce, Positive, allowed_of, checked, shown
from envtune.errors import UserError

if TYPE_CHECKING:
    from nowhere import Unknown

Letters = EachOnce[Annotated[str, Among("ab")]]


@checked
class Example:
    def __init__(
        self,
        count: Count = 1,
        share: Annotated[float, Field(gt=0, le=1, description="1 for all")] = 1,
        most: Annotated[float, Field(gt=1), AllowInfNan(True)] = 2,
        letters: Letters = ("a",),
        pair: tuple[float, float] = (0, 1),
        either: Literal["all"] | Sequence[Count] | None = None,
        flag: bool = True,
        more: Mapping[str, Any] | None = None,
        thing: Unknown | None = None,
        thing_or_rate: Example | Positive = 1,
    ) -> None:
        self.count = count


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"count": 0}, "count=0 must be a whole number of at least 1"),
        ({"count": True}, "count=true must be a whole number of at least 1"),
        ({"count": 2.0}, "count=2.0 must be a whole number of at least 1"),
        ({"count": "2"}, "count='2' must be a whole number of at least 1"),
        ({"count": None}, "count=null must be a whole number of at least 1"),
        ({"share": 2}, "share=2 must be a number above 0 and of at most 1: 1 for all"),
        ({"share": nan}, "share=nan must be a finite number above 0 and of at most 1: 1 for all"),
        ({"most": nan}, "most=nan must be a number above 1"),
        ({"letters": []}, "letters=[] must be a list of one or more of a, b, each once"),
        ({"letters": ["a", "a"]}, "letters=['a', 'a'] must be a list of one or more of a, b, each once"),
        ({"letters": "a"}, "letters='a' must be a list of one or more of a, b, each once"),
        ({"pair": [1]}, "pair=[1] must be a list of 2, each a number"),
        ({"either": "some"}, "either='some' must be all or a list, each a whole number of at least 1 or null"),
        ({"flag": 1}, "flag=1 must be true or false"),
        ({"more": 3}, "more=3 must be a mapping or null"),
        ({"thing_or_rate": -1}, "thing_or_rate=-1 must be a number above 0"),
    ],
)
def test_a_wrong_argument_is_named_with_what_is_allowed(given: dict[str, Any], sentence: str):
    with pytest.raises(UserError) as raised:
        Example(**given)
    assert str(raised.value) == sentence


def test_what_is_allowed_passes_as_it_is_and_objects_are_not_looked_at():
    made = Example(3, share=1, most=inf, letters=["b", "a"], pair=[1, 2], thing=object(), thing_or_rate=Example())
    assert made.count == 3
    assert "thing" not in allowed_of(Example)


def test_a_function_is_checked_too_and_keeps_its_name():
    @checked
    def double(number: Count) -> int:
        return 2 * number

    assert (double(3), double.__name__) == (6, "double")
    with pytest.raises(UserError, match="number=-1 must be"):
        double(-1)


def test_a_long_value_is_shown_without_its_middle():
    assert shown("x" * 10_000) == f"'{'x' * 49} … {'x' * 49}'"
