from __future__ import annotations

import re
from types import SimpleNamespace

import pytest

from envtune.environment.augmentation.rule import Rule, fill, quoted, shown
from envtune.errors import UserError
from envtune.task import ToolCall
from envtune.trajectory import HintKind

CALL = ToolCall("open_door", {"door": "cellar"})
RULE = Rule(
    name="house.locked",
    tools=("open_door",),
    pattern=r"locked by (?P<who>\w+)",
    kind=HintKind.DEPENDENCY,
    text="The {door} was locked by {who}.",
    directions=("`find_key` may help.", "Look for a key."),
)


def view(*tools: str) -> SimpleNamespace:
    return SimpleNamespace(tools=frozenset(tools), worlds={})


def test_a_rule_fills_in_the_arguments_and_the_groups_of_its_pattern():
    hint = RULE.hint(CALL, "it is locked by Ada", view("open_door", "find_key"))
    assert hint.text == "The cellar was locked by Ada. `find_key` may help."
    assert (hint.rule, hint.kind) == ("house.locked", HintKind.DEPENDENCY)


def test_a_tool_that_is_not_offered_is_not_named():
    hint = RULE.hint(CALL, "it is locked by Ada", view("open_door"))
    assert hint.text == "The cellar was locked by Ada. Look for a key."


def test_a_rule_is_silent_about_other_tools_and_other_messages():
    assert RULE.hint(ToolCall("close_door", {}), "it is locked by Ada", view()) is None
    assert RULE.hint(CALL, "it is ajar", view()) is None


def test_an_argument_that_was_left_out_reads_nothing_and_braces_in_values_are_harmless():
    match = re.search("x", "x")
    assert fill("{tool} {door} {window}", ToolCall("open", {"door": "{tool}"}), match) == "open {tool} nothing"


def test_long_values_are_cut_to_sixty_characters():
    assert shown("a" * 61) == "a" * 59 + "…"
    assert shown("a" * 60) == "a" * 60


def test_values_are_listed_as_in_a_sentence():
    assert quoted(["a"]) == "'a'"
    assert quoted(["a", 2, "c"]) == "'a', '2' and 'c'"


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ({"text": "Bad {tool ."}, r"^the rule r is not valid \(expected '}' before end of string\): kind is one of"),
        ({"directions": "} stray"}, r"^the rule r is not valid \(Single '}' encountered in format string\)"),
        ({"pattern": "("}, r"^the rule r is not valid \(missing \), unterminated subpattern at position 0\)"),
        (
            {"kind": "advice"},
            r"^the rule r is not valid \('advice' is not a valid HintKind\): kind is one of dependency",
        ),
    ],
)
def test_a_rule_that_could_not_give_its_hint_is_refused_when_it_is_made(rule: dict[str, str], sentence: str):
    with pytest.raises(UserError, match=sentence):
        Rule(**({"name": "r", "tools": "open", "pattern": "locked", "text": "It is locked."} | rule))


@pytest.mark.parametrize(
    ("rule", "fault"),
    [
        ({}, None),
        ({"text": "'{door}' of {tool}, {who}", "pattern": "by (?P<who>.*)"}, None),
        ({"tools": "opne"}, "the rule r names the unknown tool opne: use some of open, find"),
        ({"directions": "`fnd` finds it."}, "the rule r names the unknown tool fnd: use some of open, find"),
        ({"text": "'{dor}' is locked."}, "the rule r has the unknown field {dor}: use some of door, tool"),
        ({"tools": (), "text": "'{what}' is locked."}, None),
    ],
)
def test_names_that_an_environment_does_not_have_are_found(rule: dict[str, str], fault: str | None):
    made = Rule(**({"name": "r", "tools": "open", "pattern": "locked", "text": "It is locked."} | rule))
    assert made.fault_among({"open": ["door"], "find": ["what"]}) == fault


def test_a_condition_that_fails_is_named_with_its_rule():
    failing = Rule("r", "open_door", "locked", "It is.", when=lambda call, match, world: world.nowhere)
    with pytest.raises(UserError, match=r"^the rule r fails on a result of open_door \(AttributeError: .*\): correct"):
        failing.hint(CALL, "it is locked by Ada", view("open_door"))
