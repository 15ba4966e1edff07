"""Which members of a group play without hints, what they read, and which settings are refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from error_surface import result
from of_tables import ANY_TASK
from toy_world import toy_task

from envtune.bfcl.environment import BFCL_ENVIRONMENT
from envtune.environment.augmentation.actionable import Actionable
from envtune.environment.augmentation.annealed import Annealed
from envtune.environment.augmentation.cues import cued
from envtune.environment.augmentation.mixed_groups import Mixed
from envtune.environment.augmentation.none import CuesOnly, NoAugmentation
from envtune.environment.augmentation.schema import SchemaHints
from envtune.errors import UserError

FAILURE = result("setHeadlights", {"mode": "dim"}, "Invalid headlight mode.")


@pytest.mark.parametrize(
    ("share", "size", "with_hints"), [(0.5, 8, 4), (0.25, 8, 6), (0.75, 8, 2), (0.5, 4, 2), (0.3, 7, 5), (0.4, 5, 3)]
)
def test_the_first_members_play_with_hints_and_the_share_at_the_end_without(share: float, size: int, with_hints: int):
    members = Mixed(Actionable(), share).members_with_hints(size)
    assert members == (True,) * with_hints + (False,) * (size - with_hints)


@pytest.mark.parametrize(
    ("share", "size", "without"), [(0.5, 2, 1), (0.5, 3, 2), (0.1, 8, 1), (0.9, 8, 7), (0.01, 8, 0)]
)
def test_a_kind_of_fewer_than_two_members_is_refused_in_one_sentence(share: float, size: int, without: int):
    with pytest.raises(
        UserError, match=f"makes {without} members without hints and {size - without} with them: choose"
    ):
        Mixed(Actionable(), share).members_with_hints(size)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.5, "half"])
def test_a_share_of_none_or_all_is_refused(share: object):
    with pytest.raises(UserError, match="share="):
        Mixed(Actionable(), share)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "hints", [NoAugmentation(), Annealed(Actionable(), 4, "success", 0.1, 0.5), Mixed(Actionable(), 0.5)]
)
def test_hints_that_are_none_or_withdrawn_by_themselves_are_refused(hints: object):
    with pytest.raises(UserError, match=f"is {type(hints).__name__}: choose Actionable or SchemaHints"):
        Mixed(hints, 0.5)  # type: ignore[arg-type]


def test_an_episode_outside_of_groups_gets_the_hints_of_the_augmentation(toolbox):
    hints = Mixed(Actionable(), 0.5).for_episode(BFCL_ENVIRONMENT, ANY_TASK, 0)
    assert hints.hint(FAILURE, toolbox) == Actionable().for_episode(BFCL_ENVIRONMENT, ANY_TASK, 0).hint(
        FAILURE, toolbox
    )


def test_members_without_hints_read_the_documents_of_the_others(toolbox):
    tool = toy_task().tools[0]
    tool = replace(tool, parameters={"type": "dict", "properties": {"a": {"type": "string"}}, "required": ["a"]})
    hints = Mixed(SchemaHints(cues=True), 0.5).for_episode(BFCL_ENVIRONMENT, ANY_TASK, 0)
    assert hints.shown(tool) == CuesOnly(hints).shown(tool) == cued(tool) != tool
    assert CuesOnly(hints).hint(FAILURE, toolbox) is None
