"""Hints read off documents, on worlds without a table and with one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envtune.environment import PythonEnvironment, Rule, Task, UserTurn, call
from envtune.environment.augmentation.actionable import Actionable
from envtune.environment.augmentation.schema import SchemaHints
from envtune.task import ToolCall, ToolDocument, leaves
from envtune.trajectory import Hint, ToolResult


class Desk:
    """Lends books."""

    def __init__(self) -> None:
        self.lent: list[str] = []

    def search(self, word: str, shelf: Literal["new", "old"] = "new") -> list[str]:
        """Titles with a word."""
        raise LookupError("nothing found")

    def lend(self, title: str, days: int) -> str:
        """Lends a book."""
        raise PermissionError("no session")

    def sign_in(self) -> str:
        """Opens a session."""
        raise PermissionError("closed")

    def renew(self, title: str) -> str:
        """Lends a book for longer."""
        return "renewed"


NO_SESSION = Rule("desk.no_session", "lend", "no session", "A session is needed.", kind="dependency")
EXTRA = Rule("desk.extra", "search", "not a parameter", "A rule of the table.")
PLAIN, WITH_TABLE = PythonEnvironment(Desk), PythonEnvironment(Desk, [NO_SESSION, EXTRA])
TASK = Task(
    "t",
    "base",
    {},
    (UserTurn("Lend me Emma.", (call("lend", title="Emma", days=9),)), UserTurn("Longer.", (), ("renew",))),
    PLAIN.documents,
)
FIRST_TURN = frozenset({"search", "lend", "sign_in"})


def hint_of(made: ToolCall, augmentation: Any = SchemaHints(), environment: PythonEnvironment = PLAIN) -> Hint | None:
    """The hint about a real call in the first turn."""
    world = environment.open(TASK)
    world.offer(FIRST_TURN)
    return augmentation.for_episode(environment, TASK, 0).hint(world.call(made), world)


def failed(documents: tuple[ToolDocument, ...], made: ToolCall, offered: frozenset[str] | None = None) -> Hint | None:
    """The hint about a call that failed for whatever reason."""
    hints = SchemaHints().for_episode(PLAIN, Task("t", "base", {}, (), documents), 0)
    world: Any = SimpleNamespace(tools=frozenset(tool.name for tool in documents) if offered is None else offered)
    return hints.hint(ToolResult(made, False, "failed"), world)


@pytest.mark.parametrize(
    ("made", "rule", "text"),
    [
        (
            call("lent", title="Emma"),
            "schema.unknown_tool",
            "'lent' is not the name of a tool. The offered tools with the nearest names: `lend`.",
        ),
        (
            call("pay"),
            "schema.unknown_tool",
            "'pay' is not the name of a tool. Use those that are documented, or tell the user that none of them fits.",
        ),
        (
            call("renew", book="Emma"),
            "schema.not_offered",
            "`renew` cannot be called now, as it is not among the offered tools. See whether one of those does what is "
            "asked; if none does, tell the user.",
        ),
        (
            call("lend", titel="Emma", days=1),
            "schema.unknown_argument",
            "`lend` has no parameter 'titel'. The documented names nearest to it: 'title'.",
        ),
        (
            call("lend", title="Emma", days=1, colour="red"),
            "schema.unknown_argument",
            "`lend` has no parameter 'colour'. The tool's document lists its parameters.",
        ),
        (
            call("sign_in", name="Bo"),
            "schema.unknown_argument",
            "`sign_in` has no parameter 'name'. The document has none at this place.",
        ),
        (
            call("lend"),
            "schema.missing_argument",
            "`lend` requires 'title' and 'days'. Look in the conversation for what is missing; another tool may supply "
            "it, or else the user.",
        ),
        (
            call("lend", title="Emma", days="9"),
            "schema.wrong_type",
            "'days' of `lend` is documented as a whole number, and you gave text. Compare the types in the call with "
            "those in the tool's document.",
        ),
        (
            call("search", word="Emma", shelf="top"),
            "schema.value_not_allowed",
            '\'shelf\' of `search` cannot be "top". The document allows these values: "new", "old".',
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and value.startswith("schema.") else "",
)
def test_the_hint_names_the_cause_and_a_direction(made, rule, text):
    hint = hint_of(made)
    assert hint is not None
    assert (hint.rule, hint.text) == (rule, text)
    # A call that comes too early may be right as it is; any other has to be written differently.
    assert hint.kind == ("dependency" if rule == "schema.not_offered" else "constraint")


def test_a_failure_with_another_cause_gets_no_hint():
    assert hint_of(call("lend", title="Emma", days=1)) is None
    assert hint_of(call("search", word="x")) is None


def test_a_result_that_is_ok_gets_no_hint_whatever_was_given():
    hints = SchemaHints().for_episode(PLAIN, TASK, 0)
    world: Any = SimpleNamespace(tools=FIRST_TURN)
    assert hints.hint(ToolResult(call("lend", titel="Emma"), True, "lent"), world) is None


def test_a_tool_that_a_world_offers_without_a_document_gets_no_hint():
    assert failed((), call("undocumented", x=1), frozenset({"undocumented"})) is None


def test_bounds_are_given_with_the_value_that_breaks_them():
    document = ToolDocument("f", "", {"type": "dict", "properties": {"n": {"type": "float", "minimum": 0.5}}})
    hint = failed((document,), call("f", n=0))
    assert hint is not None
    assert hint.text == "'n' of `f` cannot be 0. By the document, it is at least 0.5."


def test_faults_inside_an_argument_are_named_by_their_place():
    shape = {"type": "dict", "properties": {"height": {"type": "integer"}, "width": {"type": "integer"}}}
    document = ToolDocument("f", "", {"type": "dict", "properties": {"shapes": {"type": "array", "items": shape}}})
    texts = [failed((document,), call("f", shapes=[{}, part])).text for part in ({"hight": 1}, {"width": 1.5})]
    assert texts[0].startswith(
        "'shapes[1]' of `f` has no parameter 'hight'. The documented names nearest to it: 'height'"
    )
    assert texts[1].startswith("'shapes[1].width' of `f` is documented as a whole number, and you gave a number.")


def test_many_allowed_values_are_left_to_the_document():
    document = ToolDocument("f", "", {"type": "dict", "properties": {"n": {"enum": list(range(21))}}})
    assert failed((document,), call("f", n=99)).text.endswith("The document lists the values it allows.")


def test_a_union_that_a_value_of_its_types_does_not_fit_is_left_to_the_document():
    objects = [{"type": "object", "properties": {name: {}}, "required": [name]} for name in "ab"]
    document = ToolDocument("f", "", {"type": "object", "properties": {"x": {"anyOf": objects}}})
    assert failed((document,), call("f", x={})).text.startswith(
        "'x' of `f` has none of the forms in the tool's document"
    )


def test_the_table_comes_first_and_then_the_documents():
    def rule(made: ToolCall) -> str | None:
        hint = hint_of(made, Actionable(), WITH_TABLE)
        return hint and hint.rule

    assert rule(call("lend", title="Emma", days=1)) == "desk.no_session"
    assert rule(call("search", wrod="x")) == "desk.extra"
    assert rule(call("lend", titel="Emma")) == "schema.unknown_argument"
    assert rule(call("search", word="x")) is None


def test_an_environment_whose_table_covers_the_schema_gets_the_table_alone():
    class Covered(PythonEnvironment):
        covers_schema = True

    environment = Covered(Desk, [NO_SESSION])
    assert hint_of(call("lend", title="Emma", days=1), Actionable(), environment).rule == "desk.no_session"
    assert hint_of(call("lend", titel="Emma"), Actionable(), environment) is None
    assert hint_of(call("lend", titel="Emma"), SchemaHints(), environment).rule == "schema.unknown_argument"


@pytest.mark.parametrize(
    ("kind", "rules"),
    [
        ("dependency", ["desk.no_session", "schema.not_offered", None]),
        ("constraint", [None, None, "schema.missing_argument"]),
    ],
)
def test_kinds_choose_among_both_and_a_rule_of_the_other_kind_is_not_replaced(kind, rules):
    calls = (call("lend", title="Emma", days=1), call("renew"), call("lend"))
    hints = [hint_of(made, Actionable((kind,)), WITH_TABLE) for made in calls]
    assert [hint and hint.rule for hint in hints] == rules


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=50)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
)
schemas = st.recursive(
    st.sampled_from(
        [
            {},
            True,
            *({"type": kind} for kind in ("string", "integer", "float", "boolean", "array", "tuple", "dict", "any")),
            {"type": ["string", "null"], "maxLength": 3},
            {"type": "number", "minimum": 0},
            {"enum": ["a", 1, None]},
            {"const": [1]},
            {"$ref": "#/properties/a"},
        ]
    ),
    lambda inner: st.one_of(
        st.fixed_dictionaries({"type": st.just("array"), "items": inner}),
        st.fixed_dictionaries({"anyOf": st.lists(inner, min_size=1, max_size=3)}),
        st.fixed_dictionaries(
            {
                "type": st.sampled_from(["object", "dict"]),
                "properties": st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
                "required": st.lists(st.sampled_from("abc"), max_size=2),
            },
            optional={"additionalProperties": inner},
        ),
    ),
    max_leaves=6,
)


@given(
    st.dictionaries(st.sampled_from("abc"), schemas, max_size=3),
    st.sampled_from(["f", "g", ""]) | st.text(max_size=99),
    st.dictionaries(st.sampled_from("abc") | st.text(max_size=99), values, max_size=3),
)
def test_whatever_is_called_with_whatever_document_a_hint_is_a_short_sentence_or_none(properties, name, arguments):
    documents = (ToolDocument("f", "", {"type": "dict", "properties": properties}), ToolDocument("g", "", {}))
    hint = failed(documents, ToolCall(name, arguments), frozenset({"f"}))
    if hint is not None:
        assert len(hint.text) < 2000
        assert hint.rule.startswith("schema.")


@st.composite
def secret_and_call(draw: st.DrawFn) -> tuple[int, ToolCall]:
    """A number of the ground truth, and a call of a tool in which it does not occur."""
    arguments = draw(st.dictionaries(st.sampled_from(["title", "days", "word", "shelf", "x"]), values, max_size=4))
    secret = draw(st.integers(10**6, 10**7))
    return secret, ToolCall(draw(st.sampled_from(["search", "lend", "sign_in", "renew", "len"])), arguments)


@given(secret_and_call())
def test_a_hint_has_no_value_of_the_ground_truth_that_the_agent_has_not_seen(secret_and_call):
    secret, made = secret_and_call
    turns = (UserTurn("Lend me it.", (call("lend", title=f"Book {secret}", days=secret),)),)
    world: Any = SimpleNamespace(tools=FIRST_TURN)
    hints = SchemaHints().for_episode(PLAIN, Task("t", "base", {"secret": secret}, turns, PLAIN.documents), 0)
    hint = hints.hint(ToolResult(made, False, "failed"), world)
    if hint is not None:
        written = " ".join(map(str, leaves([made.arguments, list(made.arguments)])))
        assert str(secret) not in hint.text or str(secret) in written
        # What remains of a hint without its call is the same for any ground truth.
        other = SchemaHints().for_episode(PLAIN, Task("t", "base", {}, (), PLAIN.documents), 0)
        assert other.hint(ToolResult(made, False, "another message"), world) == hint
