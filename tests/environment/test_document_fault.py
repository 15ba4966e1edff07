"""Faults of calls against documents in both dialects, and against pydantic as a judge of its own documents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from envtune.environment.augmentation.document_fault import DocumentFault, FaultKind, first_fault
from envtune.environment.python_tools import ArgumentsRefused, tools_of


def fault_of(schema: Any, value: Any) -> tuple[str, str, tuple[Any, ...]] | None:
    """Kind, place and what is documented, of one argument ``x``."""
    fault = first_fault({"type": "object", "properties": {"x": schema}}, {"x": value})
    return None if fault is None else (fault.kind.value, fault.place, fault.documented)


@pytest.mark.parametrize("kind", ["dict", "object"])
def test_names_are_compared_before_values_and_unknown_ones_first(kind):
    parameters = {"type": kind, "properties": {"a": {"type": "integer"}, "b": {}, "c": {}}, "required": ["a", "b"]}
    assert first_fault(parameters, {"z": 0, "y": 0, "a": "1"}) == DocumentFault(
        FaultKind.UNKNOWN_ARGUMENT, "", "z", ("a", "b", "c")
    )
    lacking = {"c": 1}
    assert first_fault(parameters, lacking) == DocumentFault(FaultKind.MISSING_ARGUMENT, "", lacking, ("a", "b"))
    assert first_fault(parameters, {"a": "1", "b": 1}) == DocumentFault(
        FaultKind.WRONG_TYPE, "a", "1", ("a whole number",)
    )
    assert first_fault(parameters, {"a": 1, "b": None}) is None


@pytest.mark.parametrize(
    ("types", "fitting", "others"),
    [
        (["string"], [""], [1, None, True, [], {}]),
        (["integer"], [0, -3], [3.0, True, "3", None]),
        (["number", "float"], [0, 1.5], [True, "1", None, []]),
        (["boolean"], [True], [0, 1, "true", None]),
        (["array", "tuple"], [[], [1], (1,)], ["a", {}, None]),
        (["object", "dict"], [{}, {"a": 1}], [[], "a", None]),
        (["null"], [None], [0, "", False]),
        (["any", "a type of another dialect"], [None, 1, "a", [], {}], []),
    ],
    ids=str,
)
def test_types_of_both_dialects_allow_the_values_of_json_that_they_name(types, fitting, others):
    for name in types:
        assert [value for value in fitting if fault_of({"type": name}, value)] == []
        assert [value for value in others if fault_of({"type": name}, value) is None] == []


def test_a_list_of_types_and_an_untyped_part_allow_several():
    assert fault_of({"type": ["string", "null"]}, None) is None
    assert fault_of({"type": ["string", "null"]}, 1) == ("wrong_type", "x", ("text", "nothing"))
    assert [fault_of(schema, [1]) for schema in ({}, True, {"description": "Anything."})] == [None] * 3


@pytest.mark.parametrize(
    ("schema", "value", "documented"),
    [
        ({"type": "string", "enum": ["a", "b"]}, "c", ("a", "b")),
        ({"enum": [1, "b"]}, "1", (1, "b")),
        ({"enum": [1, 2]}, True, (1, 2)),
        ({"const": "a"}, "b", ("a",)),
        ({"anyOf": [{"enum": ["a", "b"]}, {"type": "null"}]}, "c", ("a", "b")),
        ({"oneOf": [{"const": "a", "description": "One."}, {"const": "b"}]}, "c", ("a", "b")),
    ],
    ids=str,
)
def test_a_value_outside_the_allowed_ones_is_a_fault_with_all_of_them(schema, value, documented):
    assert fault_of(schema, value) == ("value_not_allowed", "x", documented)
    assert [fault_of(schema, allowed) for allowed in documented] == [None] * len(documented)


@pytest.mark.parametrize(
    ("bound", "fitting", "broken", "words"),
    [
        ({"minimum": 1}, 1, 0, "at least 1"),
        ({"exclusiveMinimum": 1}, 1.5, 1, "greater than 1"),
        ({"maximum": 4}, 4, 4.5, "at most 4"),
        ({"exclusiveMaximum": 4}, 3, 4, "less than 4"),
        ({"minLength": 2}, "ab", "a", "at least 2 characters long"),
        ({"maxLength": 2}, "ab", "abc", "at most 2 characters long"),
        ({"minItems": 1}, [0], [], "at least 1 items long"),
        ({"maxItems": 1}, [0], [0, 0], "at most 1 items long"),
    ],
    ids=str,
)
def test_a_bound_applies_to_values_of_its_type(bound, fitting, broken, words):
    assert fault_of(bound, fitting) is None
    assert fault_of(bound, broken) == ("out_of_bounds", "x", (words,))
    assert fault_of(bound, {"an": "object"}) is None


def test_exclusive_bounds_of_draft_4_are_not_compared():
    assert fault_of({"type": "integer", "minimum": 0, "exclusiveMinimum": True}, 0) is None


ORDERS = {
    "type": "array",
    "items": {
        "type": "dict",
        "properties": {"price": {"type": "float"}, "unit": {"enum": ["kg", "g"]}},
        "required": ["price"],
    },
}


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ([{"price": 1}, {"price": "1"}], ("wrong_type", "x[1].price", ("a number",))),
        ([{"price": 1, "unit": "t"}], ("value_not_allowed", "x[0].unit", ("kg", "g"))),
        ([{"price": 1}, {"unit": "g"}], ("missing_argument", "x[1]", ("price",))),
        ([{"price": 1, "prize": 2}], ("unknown_argument", "x[0]", ("price", "unit"))),
        ([{"price": 1, "unit": "g"}], None),
        ([], None),
    ],
    ids=str,
)
def test_faults_are_found_inside_lists_and_objects(value, fault):
    assert fault_of(ORDERS, value) == fault


def test_tuples_and_mappings_are_compared_part_by_part():
    pair = {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}], "items": {"type": "null"}}
    assert fault_of(pair, [1, "a", None]) is None
    assert fault_of(pair, [1, 2]) == ("wrong_type", "x[1]", ("text",))
    assert fault_of(pair, [1, "a", 3]) == ("wrong_type", "x[2]", ("nothing",))
    counts = {"type": "object", "additionalProperties": {"type": "integer"}}
    assert fault_of(counts, {"anything": 1}) is None
    assert fault_of(counts, {"anything": "1"}) == ("wrong_type", "x.anything", ("a whole number",))


@pytest.mark.parametrize("further", [True, {}, {"type": "integer"}])
def test_further_names_are_known_where_the_document_allows_them(further):
    assert fault_of({"type": "object", "properties": {"a": {}}, "additionalProperties": further}, {"b": 1}) is None
    assert first_fault({"type": "object", "properties": {}, "additionalProperties": further}, {"b": 1}) is None


def test_a_document_without_properties_knows_no_names():
    assert first_fault({"type": "object"}, {"a": 1}) is None
    assert fault_of({"type": "dict"}, {"a": 1}) is None


@pytest.mark.parametrize("default", [None, "None"])
def test_null_fits_where_it_is_the_default(default):
    assert fault_of({"type": "array", "default": default}, None) is None
    assert fault_of({"type": "array", "default": []}, None) == ("wrong_type", "x", ("a list",))


SQUARE = {
    "type": "object",
    "properties": {"kind": {"const": "square"}, "side": {"type": "number"}},
    "required": ["side"],
}
CIRCLE = {"type": "object", "properties": {"kind": {"const": "circle"}, "radius": {}}, "required": ["radius"]}


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ({"kind": "square"}, ("missing_argument", "x", ("side",))),
        ({"kind": "square", "side": "long"}, ("wrong_type", "x.side", ("a number",))),
        ({"kind": "circle", "side": 1}, ("unknown_argument", "x", ("kind", "radius"))),
        ({"kind": "oval", "side": 1}, ("wrong_type", "x", ("an object", "text"))),
        (3, ("wrong_type", "x", ("an object", "text"))),
        ({"kind": "circle", "radius": 1}, None),
        ("unit square", None),
    ],
    ids=str,
)
def test_the_fault_in_a_union_is_that_of_the_member_with_its_type_and_tag(value, fault):
    assert fault_of({"oneOf": [SQUARE, CIRCLE, {"type": "string"}]}, value) == fault


@pytest.mark.parametrize("key", ["$defs", "definitions"])
def test_references_are_followed_to_any_depth_that_values_have(key):
    node = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "parts": {"type": "array", "items": {"$ref": f"#/{key}/Node"}}},
    }
    parameters = {"type": "object", "properties": {"x": {"$ref": f"#/{key}/Node"}}, key: {"Node": node}}
    fault = first_fault(parameters, {"x": {"parts": [{"name": "a"}, {"parts": [{"name": 1}]}]}})
    assert fault is not None
    assert (fault.kind, fault.place) == (FaultKind.WRONG_TYPE, "x.parts[1].parts[0].name")


def test_documents_that_only_refer_to_themselves_allow_anything():
    circular = {"$ref": "#/$defs/A"}
    parameters = {
        "properties": {"x": circular, "y": {"anyOf": [{"$ref": "#/properties/y"}]}, "z": {"$ref": "elsewhere.json"}},
        "$defs": {"A": circular},
    }
    assert first_fault(parameters, {"x": 1, "y": 2, "z": 3}) is None
    deep: Any = 1
    for _ in range(500):
        deep = [deep]
    lists = {"type": "object", "properties": {"x": {"type": "array", "items": {"$ref": "#/properties/x"}}}}
    assert first_fault(lists, {"x": deep}) is None


@dataclass
class Line:
    title: str
    copies: Annotated[int, Field(ge=1, lt=100)] = 1


class Square(BaseModel, extra="forbid"):
    kind: Literal["square"]
    side: float


class Circle(BaseModel, extra="forbid"):
    kind: Literal["circle"]
    radius: Annotated[float, Field(gt=0)]


@dataclass
class Box:
    label: str
    inside: list[Box]


class Tools:
    def pack(
        self,
        number: int,
        weight: float,
        colour: Literal["red", "blue"],
        line: Line | None,
        shape: Annotated[Square | Circle, Field(discriminator="kind")],
        pair: tuple[int, str],
        counts: dict[str, int],
        box: Box | None = None,
        code: Annotated[str, Field(min_length=2, max_length=3)] = "ab",
        names: Annotated[list[str], Field(min_length=1)] = ["a"],  # noqa: B006 - every call gets a copy
        either: int | str | None = None,
        flag: bool = False,
        anything: Any = None,
    ) -> None:
        """Does nothing."""


PACK = tools_of(Tools)["pack"]
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 101),
    st.floats(-2, 2),
    st.sampled_from(["", "a", "ab", "abcd", "red", "square", "circle"]),
)
names = st.sampled_from(["a", "title", "copies", "kind", "side", "radius", "label", "inside"])
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3), max_leaves=6
)
boxes = st.recursive(
    st.builds(dict, label=scalars, inside=st.just([])),
    lambda inner: st.builds(dict, label=st.just("a"), inside=st.lists(inner, max_size=2)),
    max_leaves=4,
)
near = {
    "number": st.integers(),
    "weight": st.floats(allow_nan=False, allow_infinity=False),
    "colour": st.sampled_from(["red", "blue", "green"]),
    "line": st.fixed_dictionaries({"title": scalars}, optional={"copies": st.integers(0, 100), "more": scalars}),
    "shape": st.fixed_dictionaries(
        {"kind": st.sampled_from(["square", "circle", "oval"])}, optional={"side": scalars, "radius": scalars}
    ),
    "pair": st.lists(scalars, max_size=3),
    "counts": st.dictionaries(names, scalars, max_size=2),
    "box": boxes,
    "code": st.text("ab", max_size=4),
    "names": st.lists(st.just("a") | scalars, max_size=2),
    "either": scalars,
    "flag": scalars,
    "anything": anything,
}
FITTING = {
    "number": 1,
    "weight": 1,
    "colour": "red",
    "line": None,
    "shape": {"kind": "square", "side": 1},
    "pair": [1, "a"],
    "counts": {},
}


@given(st.data())
def test_a_call_has_a_fault_exactly_if_pydantic_refuses_it(data):
    changed = data.draw(st.lists(st.sampled_from(sorted(near)), max_size=3))
    arguments = FITTING | {name: data.draw(near[name] | anything, name) for name in changed}
    for name in data.draw(st.lists(st.sampled_from(sorted(FITTING)), max_size=1)):
        del arguments[name]
    if data.draw(st.booleans()):
        arguments |= data.draw(st.dictionaries(names, scalars, max_size=1))
    try:
        PACK.arguments(arguments)
        refused = False
    except ArgumentsRefused:
        refused = True
    assert (first_fault(PACK.document.parameters, arguments) is not None) == refused


def test_the_fitting_call_fits():
    assert first_fault(PACK.document.parameters, FITTING) is None
