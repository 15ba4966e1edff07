from __future__ import annotations

import re

import pytest
from error_surface import EXAMPLES, result
from of_tables import HINTS, hints_of

from envtune.bfcl.hints.tables import NON_ANSWERS, RULES
from envtune.bfcl.toolbox import PARAMETERS
from envtune.environment.augmentation.actionable import Actionable
from envtune.environment.augmentation.none import NoAugmentation
from envtune.environment.augmentation.rule import tools_in
from envtune.errors import UserError
from envtune.trajectory import HintKind

NO_USER = result("get_message_stats", {}, "No user is currently logged in.")
BAD_MODE = result("setHeadlights", {"mode": "dim"}, "Invalid headlight mode.")
EVERY_RULE = (*RULES, *NON_ANSWERS)
ODD_VALUES = (None, True, -1.5, "", "a/b", [], ["x", 1], {"k": [2]}, "{door} {0}", "😀" * 9)


def test_only_the_kinds_asked_for_are_given(toolbox):
    dependencies, constraints = hints_of("dependency"), hints_of("constraint")
    assert dependencies.hint(NO_USER, toolbox).kind is HintKind.DEPENDENCY
    assert dependencies.hint(BAD_MODE, toolbox) is None
    assert constraints.hint(NO_USER, toolbox) is None
    assert constraints.hint(BAD_MODE, toolbox).kind is HintKind.CONSTRAINT


@pytest.mark.parametrize("kinds", [["typos"], [], "dependency"])
def test_unknown_kinds_end_in_one_sentence_that_names_the_known_ones(kinds):
    with pytest.raises(UserError, match="one or more of dependency, constraint"):
        Actionable(kinds)


def test_no_augmentation_gives_no_hint(toolbox):
    assert NoAugmentation().hint(NO_USER, toolbox) is None


def test_rule_names_are_unique():
    assert len({rule.name for rule in EVERY_RULE}) == len(EVERY_RULE)


def test_rules_name_only_tools_that_exist():
    named = {tool for rule in EVERY_RULE for tool in rule.tools}
    suggested = {tool for rule in EVERY_RULE for direction in rule.directions for tool in tools_in(direction)}
    assert (named | suggested) - PARAMETERS.keys() == set()


def test_hints_name_other_tools_only_where_they_are_offered(make_toolbox):
    for _, tool, arguments, message in EXAMPLES:
        toolbox = make_toolbox()
        toolbox.offer([tool])
        hint = HINTS.hint(result(tool, arguments, message), toolbox)
        assert hint is None or set(re.findall(r"`(\w+)`", hint.text)) & PARAMETERS.keys() <= {tool}


def test_hints_are_one_or_two_sentences(toolbox):
    for _, tool, arguments, message in EXAMPLES:
        hint = HINTS.hint(result(tool, arguments, message), toolbox)
        if hint is not None:
            assert len(re.findall(r"[.](?= [A-Z`]|$)", hint.text)) <= 2, hint.text
            assert hint.text[-1] == "."
            assert len(hint.text) < 300


@pytest.mark.parametrize("value", ODD_VALUES, ids=ascii)
def test_no_argument_breaks_a_rule(value, toolbox):
    for _, tool, arguments, message in EXAMPLES:
        HINTS.hint(result(tool, dict.fromkeys(arguments, value), message), toolbox)
        HINTS.hint(result(tool, {}, message), toolbox)
