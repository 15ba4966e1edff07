from __future__ import annotations

import re
from types import SimpleNamespace

from envtune.environment.augmentation.rule import Rule, fill, quoted, shown
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
