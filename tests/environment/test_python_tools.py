from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, Literal, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, field_validator
from transformers.utils import get_json_schema
from typing_extensions import TypedDict

from envtune.chat.prompt import compact_document
from envtune.environment.python_tools import ArgumentsRefused, PythonTool, tools_of, undescribed
from envtune.errors import UserError

if TYPE_CHECKING:
    from decimal import Decimal


class Binding(Enum):
    """How a copy is bound."""

    PAPER = "paper"
    CLOTH = "cloth"


@dataclass
class Line:
    title: str
    copies: int = 1


class Address(TypedDict):
    city: str


class Reader(BaseModel):
    name: str
    age: int = Field(ge=0)


class Shelf(BaseModel):
    label: str
    inside: list[Shelf] = []


class Box(BaseModel):
    drawers: list[Drawer]


class Drawer(BaseModel):
    boxes: list[Box]


class Even(BaseModel):
    number: int

    @field_validator("number")
    @classmethod
    def _even(cls, number: int) -> int:
        if number % 2:
            raise ValueError(f"{number} is odd")
        return number


class Cat(BaseModel):
    kind: Literal["cat"]


class Dog(BaseModel):
    kind: Literal["dog"]


class Library:
    """A desk with a tool of every kind of parameter."""

    class Desk(Enum):
        NORTH = "north"

    motto = "read"

    def search(self, word: str, limit: int = 10) -> list[str]:
        """Return the titles that contain a word.

        A title is matched
        without case.

        Args:
            word: any part
                of a title.
            limit (int, optional): the maximum number of titles.

        Returns:
            the titles, sorted.
        """

    def order(
        self,
        lines: list[Line],
        binding: Binding = Binding.PAPER,
        kind: Literal["gift", "loan"] = "loan",
        place: Address | None = None,
        reader: Reader | None = None,
        until: date | None = None,
        at: datetime | None = None,
        price: float = 1,
        weight: Annotated[int, Field(ge=1, le=9)] = 1,
        sent_by: Annotated[str, Field(alias="from", description="who sends it.")] = "",
        pair: tuple[int, str] = (1, "a"),
        counts: dict[str, int] = {},  # noqa: B006
        tags: list[str] = ["new"],  # noqa: B006
        either: int | str = 0,
        desk: Desk | None = None,
        found: Optional[bool] = None,  # noqa: UP045
        anything: Any = None,
        shelf: Shelf | None = None,
    ) -> None:
        """Order copies."""

    @staticmethod
    def opening_hours() -> str:
        """Return the hours."""

    @classmethod
    def branches(cls, city: str) -> dict[str, int]:
        """Return the branches.

        :param city: the city.
        :returns: copies by branch.
        """

    @property
    def shelf(self) -> int:
        return 1

    def state(self) -> dict[str, Any]:
        return {}

    def _private(self) -> None: ...


TOOLS = tools_of(Library)
HOSTILE = ["\ud800", 10**400, -(10**4200), "2024-02-03", "99999-01-01T00:00:00Z", "paper"]
HOSTILE = ["\ud800", 10**400, -(10**4200), "2024-02-03", "99999-01-01T00:00:00Z", "paper"]
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(HOSTILE),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=10,
)


def one_tool(method: Callable[..., Any]) -> PythonTool:
    return tools_of(type("Desk", (), {"tool": method}))["tool"]


def refusal(arguments: Mapping[str, Any], tool: str = "order") -> str | None:
    """Return the message of a refusal, None if the arguments are read; a message is one line that can be encoded."""
    message = None
    try:
        TOOLS[tool].arguments(arguments)
    except ArgumentsRefused as refused:
        message = str(refused)
    assert message is None or len(message.encode().decode().splitlines()) == 1
    return message


# --- Which methods are tools ---


def test_public_methods_are_tools_in_the_order_of_definition():
    assert list(TOOLS) == ["search", "order", "opening_hours", "branches"]
    assert {tool.document.domain for tool in TOOLS.values()} == {"Library"}


def test_inherited_methods_are_tools_and_overriding_ones_keep_place_and_docstring():
    class Branch(Library):
        search = None

        def close(self) -> None:
            """Close it."""

        @classmethod
        def branches(cls, town: str) -> str:
            return town

    tools = tools_of(Branch)
    assert list(tools) == ["order", "opening_hours", "branches", "close"]
    assert tools["branches"].document.description == "Return the branches."
    assert list(tools["branches"].document.parameters["properties"]) == ["town"]


def test_reserved_methods_are_not_tools():
    assert "search" not in tools_of(Library, frozenset({"search", "state"}))
    with pytest.raises(UserError, match=r"Library\.state has no docstring"):
        tools_of(Library, frozenset())


def test_methods_of_pydantic_itself_are_not_tools():
    class World(BaseModel):
        shelf: int = 0

        def take(self) -> None:
            """Take one."""

    assert list(tools_of(World)) == ["take"]


def test_decorated_methods_are_tools_with_their_own_signature():
    def logged(method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def call(*positional: Any, **named: Any) -> Any:
            return method(*positional, **named)

        return call

    class World:
        @logged
        def take(self, title: str) -> str:
            """Take one."""
            return title

        @functools.lru_cache  # noqa: B019
        def look(self, title: str) -> str:
            """Look at one."""
            return title

    tools = tools_of(World)
    assert list(tools) == ["take", "look"]
    for name, tool in tools.items():
        assert list(tool.document.parameters["properties"]) == ["title"]
        assert getattr(World(), name)(**tool.arguments({"title": "Emma"})) == "Emma"


# --- Documents ---


def test_a_document_holds_what_signature_hints_and_docstring_state():
    document = TOOLS["search"].document
    assert document.name == "search"
    assert document.description == "Return the titles that contain a word.\n\nA title is matched\nwithout case."
    assert document.parameters == {
        "type": "object",
        "properties": {
            "word": {"type": "string", "description": "any part of a title."},
            "limit": {"type": "integer", "default": 10, "description": "the maximum number of titles."},
        },
        "required": ["word"],
    }
    assert document.response == {"type": "array", "items": {"type": "string"}, "description": "the titles, sorted."}
    assert compact_document(document).startswith("search(word: str, limit: int = 10): Return the titles")


def test_a_tool_without_parameters_has_an_empty_schema():
    document = TOOLS["opening_hours"].document
    assert document.parameters == {"type": "object", "properties": {}, "required": []}
    assert document.response == {"type": "string"}
    assert TOOLS["order"].document.response == {}


def test_every_kind_of_hint_has_its_json_schema():
    properties = dict(TOOLS["order"].document.parameters["properties"])
    line = {
        "type": "object",
        "properties": {"title": {"type": "string"}, "copies": {"type": "integer", "default": 1}},
        "required": ["title"],
    }
    null = {"type": "null"}
    shelf = properties.pop("shelf")
    assert shelf == {"anyOf": [{"$ref": "#/$defs/Shelf"}, null], "default": None}
    assert properties == {
        "lines": {"type": "array", "items": line},
        "binding": {
            "description": "How a copy is bound.",
            "enum": ["paper", "cloth"],
            "type": "string",
            "default": "paper",
        },
        "kind": {"enum": ["gift", "loan"], "type": "string", "default": "loan"},
        "place": {
            "anyOf": [{"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}, null],
            "default": None,
        },
        "reader": {
            "anyOf": [
                {
                    "type": "object",
                    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}},
                    "required": ["name", "age"],
                },
                null,
            ],
            "default": None,
        },
        "until": {"anyOf": [{"type": "string", "format": "date"}, null], "default": None},
        "at": {"anyOf": [{"type": "string", "format": "date-time"}, null], "default": None},
        "price": {"type": "number", "default": 1},
        "weight": {"type": "integer", "minimum": 1, "maximum": 9, "default": 1},
        "from": {"type": "string", "default": "", "description": "who sends it."},
        "pair": {
            "type": "array",
            "prefixItems": [{"type": "integer"}, {"type": "string"}],
            "minItems": 2,
            "maxItems": 2,
            "default": [1, "a"],
        },
        "counts": {"type": "object", "additionalProperties": {"type": "integer"}, "default": {}},
        "tags": {"type": "array", "items": {"type": "string"}, "default": ["new"]},
        "either": {"anyOf": [{"type": "integer"}, {"type": "string"}], "default": 0},
        "desk": {"anyOf": [{"enum": ["north"], "type": "string"}, null], "default": None},
        "found": {"anyOf": [{"type": "boolean"}, null], "default": None},
        "anything": {"default": None},
    }
    assert TOOLS["order"].document.parameters["required"] == ["lines"]


def test_a_type_that_contains_itself_stays_a_definition():
    assert TOOLS["order"].document.parameters["$defs"] == {
        "Shelf": {
            "type": "object",
            "properties": {
                "label": {"type": "string"},
                "inside": {"type": "array", "items": {"$ref": "#/$defs/Shelf"}, "default": []},
            },
            "required": ["label"],
        }
    }


def test_types_that_contain_each_other_stay_definitions():
    def tool(self, box: Box) -> None:
        """Open it."""

    parameters = one_tool(tool).document.parameters
    assert parameters["properties"] == {"box": {"$ref": "#/$defs/Box"}}
    assert list(parameters["$defs"]) == ["Box", "Drawer"]


def test_the_values_of_a_default_are_not_read_as_a_schema():
    def tool(self, line: Line = Line("Emma")) -> None:
        """Order it."""

    (line,) = one_tool(tool).document.parameters["properties"].values()
    assert line["default"] == {"title": "Emma", "copies": 1}


def test_parameters_may_have_the_names_of_a_models_own_attributes():
    def tool(self, title: str, json: int, copy: int, model_config: int, schema: int, _hidden: int = 0) -> None:
        """Take them."""

    names = ["title", "json", "copy", "model_config", "schema", "_hidden"]
    read = one_tool(tool)
    assert list(read.document.parameters["properties"]) == names
    values: list[Any] = ["Emma", 1, 2, 3, 4, 5]
    assert read.arguments(dict(zip(names, values, strict=True))) == dict(zip(names, values, strict=True))


@pytest.mark.parametrize(
    "section",
    [
        "Args:\n    first: one.\n    second (str): two.\n\nReturns:\n    both.",
        "Parameters\n----------\nfirst : int\n    one.\nsecond : str\n    two.\n\nReturns\n-------\nstr\n    both.",
        ":param first: one.\n:param str second: two.\n:returns: both.",
    ],
    ids=["google", "numpy", "rest"],
)
def test_docstrings_of_three_styles_describe_parameters_and_result(section: str):
    def tool(self, first: int, second: str) -> str: ...

    tool.__doc__ = f"Join.\n\n{section}\n"
    document = one_tool(tool).document
    assert document.description == "Join."
    described = {name: schema["description"] for name, schema in document.parameters["properties"].items()}
    assert described == {"first": "one.", "second": "two."}
    assert document.response == {"type": "string", "description": "both."}


def test_one_entry_in_numpy_style_describes_several_parameters():
    def tool(self, first: int, second: int) -> None:
        """Add.

        Parameters
        ----------
        first, second : int
            the summands.
        """

    properties = one_tool(tool).document.parameters["properties"]
    assert properties["first"] == properties["second"] == {"type": "integer", "description": "the summands."}


def test_the_constants_of_a_tagged_union_stay_when_its_definitions_are_inlined():
    def tool(self, pet: Annotated[Cat | Dog, Field(discriminator="kind")]) -> None:
        """Take it."""

    read = one_tool(tool)
    (pet,) = read.document.parameters["properties"].values()
    assert [member["properties"]["kind"] for member in pet.pop("oneOf")] == [
        {"type": "string", "const": "cat"},
        {"type": "string", "const": "dog"},
    ]
    assert pet == {}
    assert read.arguments({"pet": {"kind": "dog"}}) == {"pet": Dog(kind="dog")}


def test_a_default_without_json_text_makes_a_parameter_optional(recwarn: pytest.WarningsRecorder):
    missing = object()

    def tool(self, title: str = missing) -> None:  # type: ignore[assignment]
        """Take it."""

    read = one_tool(tool)
    assert read.document.parameters == {"type": "object", "properties": {"title": {"type": "string"}}, "required": []}
    assert read.arguments({}) == {"title": missing}
    assert not recwarn.list


def test_parameters_without_description_are_listed():
    assert [name for name in undescribed(TOOLS) if name.startswith("search")] == []
    assert "order.lines" in undescribed(TOOLS)
    # The alias has a description in its hint, and the enumeration in its class.
    assert not {"order.from", "order.binding"} & set(undescribed(TOOLS))


def test_simple_schemas_are_those_of_transformers():
    def tool(
        word: str,
        limit: int,
        price: float,
        exact: bool,
        tags: list[str],
        counts: dict[str, list[int]],
        kind: Literal["gift", "loan"] = "loan",
    ) -> list[str]:
        """Find titles.

        Over two lines.

        Args:
            word: any part
                of a title.
            limit: how many.
            price: at most.
            exact: or not.
            tags: of the titles.
            counts: by branch.
            kind: of order.

        Returns:
            the titles.
        """

    tool.__annotations__ = {  # it reads no annotations that are texts
        "word": str,
        "limit": int,
        "price": float,
        "exact": bool,
        "tags": list[str],
        "counts": dict[str, list[int]],
        "kind": Literal["gift", "loan"],
        "return": list[str],
    }
    theirs = get_json_schema(tool)["function"]
    ours = one_tool(staticmethod(tool)).document
    assert ours.parameters["properties"]["kind"].pop("default") == "loan"
    assert (ours.description, ours.parameters, ours.response) == (
        theirs["description"],
        theirs["parameters"],
        theirs["return"],
    )


# --- Arguments ---


def test_arguments_arrive_in_the_types_of_the_hints():
    arguments = TOOLS["order"].arguments(
        {
            "lines": [{"title": "Emma"}, {"title": "Dune", "copies": 2}],
            "binding": "cloth",
            "kind": "gift",
            "place": {"city": "Rome"},
            "reader": {"name": "Bo", "age": 3},
            "until": "2024-02-03",
            "at": "2024-02-03T04:05:06",
            "price": 3,
            "from": "Ann",
            "pair": [2, "b"],
            "either": "5",
            "desk": "north",
            "shelf": {"label": "A", "inside": [{"label": "B"}]},
        }
    )
    assert arguments == {
        "lines": [Line("Emma"), Line("Dune", 2)],
        "binding": Binding.CLOTH,
        "kind": "gift",
        "place": {"city": "Rome"},
        "reader": Reader(name="Bo", age=3),
        "until": date(2024, 2, 3),
        "at": datetime(2024, 2, 3, 4, 5, 6),
        "price": 3.0,
        "weight": 1,
        "sent_by": "Ann",
        "pair": (2, "b"),
        "counts": {},
        "tags": ["new"],
        "either": "5",
        "desk": Library.Desk.NORTH,
        "found": None,
        "anything": None,
        "shelf": Shelf(label="A", inside=[Shelf(label="B")]),
    }
    assert type(arguments["price"]) is float


def test_an_integer_larger_than_64_bits_is_exact():
    assert TOOLS["order"].arguments({"lines": [], "either": 10**300})["either"] == 10**300


def test_values_and_defaults_are_new_objects():
    anything: dict[str, list[int]] = {"a": [1]}
    first = TOOLS["order"].arguments({"lines": [], "anything": anything})
    first["anything"]["a"].append(2)
    first["tags"].append("old")
    first["counts"]["a"] = 1
    assert anything == {"a": [1]}
    second = TOOLS["order"].arguments({"lines": []})
    assert (second["tags"], second["counts"]) == (["new"], {})
    assert Library.order.__defaults__[11] == ["new"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "'lines' is missing"),
        ({"lines": [], "pric": 1}, "'pric' is not a parameter: did you mean price? valid are: anything, at, "),
        ({"line": []}, "'lines' is missing; 'line' is not a parameter: did you mean lines?"),
        ({"lines": [], "sent_by": "Ann"}, "'sent_by' is not a parameter"),
        ({"lines": "Emma"}, "'lines' should be a valid array, given \"Emma\" (string)"),
        ({"lines": None}, "'lines' should be a valid array, given null"),
        ({"lines": [{"copies": 1}]}, "'lines[0].title' is missing"),
        ({"lines": [{"title": 1, "copies": "3"}]}, "'lines[0].title' should be a valid string, given 1 (integer)"),
        ({"lines": [{"title": "Emma", "copy": 1}]}, "'lines[0].copy' is not allowed"),
        ({"lines": [], "place": {"city": "Rome", "land": "Italy"}}, "'place.land' is not allowed"),
        ({"lines": [{"title": "Emma"}, 3]}, "'lines[1]' should be an object, given 3 (integer)"),
        (
            {"lines": [{"title": "Emma", "copies": "3"}]},
            "'lines[0].copies' should be a valid integer, given \"3\" (string)",
        ),
        ({"lines": [], "binding": "gold"}, "'binding' should be 'paper' or 'cloth', given \"gold\" (string)"),
        ({"lines": [], "kind": 3}, "'kind' should be 'gift' or 'loan', given 3 (integer)"),
        ({"lines": [], "weight": True}, "'weight' should be a valid integer, given true (boolean)"),
        ({"lines": [], "weight": 2.0}, "'weight' should be a valid integer, given 2.0 (number)"),
        ({"lines": [], "weight": 10}, "'weight' should be less than or equal to 9, given 10 (integer)"),
        ({"lines": [], "price": True}, "'price' should be a valid number, given true (boolean)"),
        ({"lines": [], "price": "3"}, "'price' should be a valid number, given \"3\" (string)"),
        (
            {"lines": [], "either": [1]},
            "'either' should be a valid integer or should be a valid string, given [1] (array)",
        ),
        ({"lines": [], "place": {"city": 1}}, "'place.city' should be a valid string, given 1 (integer)"),
        (
            {"lines": [], "reader": {"name": "Bo", "age": "3"}},
            "'reader.age' should be a valid integer, given \"3\" (string)",
        ),
        ({"lines": [], "reader": {"name": "Bo", "age": -1}}, "'reader.age' should be greater than or equal to 0"),
        ({"lines": [], "until": 5}, "'until' should be a valid date, given 5 (integer)"),
        ({"lines": [], "until": "2024-02-30"}, "'until' should be a valid date in the format YYYY-MM-DD, day value is"),
        ({"lines": [], "pair": [1]}, "'pair[1]' is missing"),
        ({"lines": [], "counts": {"a": "b"}}, "'counts.a' should be a valid integer, given \"b\" (string)"),
    ],
)
def test_a_refusal_names_the_parameter_what_is_expected_and_what_was_given(arguments: dict[str, Any], message: str):
    assert refusal(arguments).startswith(message)


def test_an_argument_of_a_tool_without_parameters_is_refused():
    assert refusal({"day": 1}, "opening_hours") == "'day' is not a parameter: the tool takes no arguments"


def test_a_refusal_holds_the_message_of_the_users_own_validator():
    def tool(self, even: Even) -> None:
        """Take it."""

    with pytest.raises(ArgumentsRefused, match=r"^'even.number': 3 is odd, given 3 \(integer\)$"):
        one_tool(tool).arguments({"even": {"number": 3}})


def test_a_refusal_is_short_whatever_was_given():
    arguments = {**{f"unknown\u2028{number}" * 20: 1 for number in range(100)}, "lines": ["\u2028" * 5000] * 500}
    message = refusal(arguments)
    assert message.endswith("; and 98 more")
    assert len(message) < 1000


def _nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


CYCLE: list[Any] = []
CYCLE.append(CYCLE)


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        -float("inf"),
        [{"a": float("inf")}],
        10**308,
        [-(10**5000)],
        "\ud800",
        {"\udfff": 1},
        object(),
        {1, 2},
    ],
    ids=["nan", "infinity", "inside", "digits", "more digits", "surrogate", "key", "object", "set"],
)
@pytest.mark.parametrize("parameter", ["price", "anything", "either"])
def test_what_json_cannot_hold_is_refused(parameter: str, value: Any):
    assert refusal({"lines": [], parameter: value}).startswith(f"'{parameter}' cannot be read: NaN, infinity, integers")


@pytest.mark.parametrize("value", [_nested(250), _nested(100_000), CYCLE], ids=["deep", "deeper", "endless"])
def test_deep_arguments_are_refused(value: Any):
    assert refusal({"lines": [], "anything": value}).startswith("'anything' cannot be read")


def test_a_name_that_cannot_be_encoded_is_refused():
    assert refusal({"lines": [], "\ud800": 1}).startswith("'\\ud800' cannot be read")


def test_a_long_text_of_digits_is_accepted():
    assert TOOLS["search"].arguments({"word": "7" * 5000})["word"] == "7" * 5000


@given(st.dictionaries(st.sampled_from(["lines", "pair", "unknown"]) | st.text(max_size=3), JSON_VALUES, max_size=3))
def test_any_json_arguments_are_read_or_refused(arguments: dict[str, Any]):
    for tool in TOOLS:
        refused = refusal(arguments, tool)
        assert refused is None or refused.startswith("'")


@given(st.sampled_from(list(TOOLS["order"].document.parameters["properties"])), JSON_VALUES)
def test_any_json_value_of_any_parameter_is_read_or_refused(parameter: str, value: Any):
    refused = refusal({"lines": [], parameter: value})
    assert refused is None or refused.startswith(f"'{parameter}")


@given(JSON_VALUES)
def test_a_value_of_any_type_arrives_unchanged_or_is_refused(value: Any):
    try:
        arrived = TOOLS["order"].arguments({"lines": [], "anything": value})["anything"]
    except ArgumentsRefused:
        return
    assert json.dumps(arrived) == json.dumps(value)


# --- Mistakes of the user ---


class World: ...


def no_hint(self, title) -> None:
    """Take it."""


def variadic(self, *titles: str) -> None:
    """Take them."""


def named(self, **titles: str) -> None:
    """Take them."""


def positional(self, title: str, /) -> None:
    """Take it."""


def opaque(self, number: int, title: World) -> None:
    """Take it."""


def nested_opaque(self, number: int, title: list[World] | None = None) -> None:
    """Take it."""


def callback(self, title: Callable[[], int]) -> None:
    """Take it."""


def lazy(self, title: Iterable[int] | None) -> None:
    """Take it."""


def pattern(self, title: Annotated[str, Field(pattern="(")]) -> None:
    """Take it."""


def unknown_name(self, title: Decimal) -> None:
    """Take it."""


def undocumented(self, title: str) -> None: ...


def only_arguments(self, title: str) -> None:
    """
    Args:
        title: a title.
    """


def without_self() -> None:
    """Take it."""


async def deferred(self) -> None:
    """Take it."""


def generator(self) -> Iterable[int]:
    """Take it."""
    yield 1


def opaque_result(self) -> World:
    """Make one."""


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (no_hint, "Desk.tool: the parameter 'title' has no type hint: add one, such as title: str"),
        (variadic, "Desk.tool: the parameter 'titles' is variadic positional"),
        (named, "Desk.tool: the parameter 'titles' is variadic keyword"),
        (positional, "Desk.tool: the parameter 'title' is positional-only"),
        (opaque, "Desk.tool: the type hint of the parameter 'title' has no JSON schema (Unable to generate"),
        (nested_opaque, "Desk.tool: the type hint of the parameter 'title' has no JSON schema (Unable to generate"),
        (callback, "Desk.tool: the type hint of the parameter 'title' has no JSON schema (Cannot generate"),
        (lazy, "Desk.tool: the type hint of the parameter 'title' has no JSON schema (An iterable would be validated"),
        (pattern, "Desk.tool: the type hint of the parameter 'title' has no JSON schema (Error building"),
        (unknown_name, "Desk.tool: the type hint of the parameter 'title' cannot be evaluated (name 'Decimal' is not"),
        (undocumented, "Desk.tool has no docstring"),
        (only_arguments, "Desk.tool has no docstring"),
        (without_self, "Desk.tool takes no self"),
        (deferred, "Desk.tool is asynchronous or a generator"),
        (generator, "Desk.tool is asynchronous or a generator"),
        (opaque_result, "Desk.tool: the type hint of the result has no JSON schema"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_method_that_cannot_be_a_tool_is_a_mistake_of_the_user(method: Callable[..., Any], message: str):
    with pytest.raises(UserError) as mistake:
        one_tool(method)
    assert str(mistake.value).startswith(message)
    assert len(str(mistake.value).splitlines()) == 1


def test_a_sequence_is_a_list_and_an_iterable_may_be_returned():
    def tool(self, titles: Sequence[int]) -> Iterable[int]:
        """Take them."""

    read = one_tool(tool)
    assert read.arguments({"titles": [1]}) == {"titles": [1]}
    assert read.document.response == {"type": "array", "items": {"type": "integer"}}


def test_a_class_without_public_methods_is_a_mistake_of_the_user():
    with pytest.raises(UserError, match=r"^World has no public method"):
        tools_of(World)
