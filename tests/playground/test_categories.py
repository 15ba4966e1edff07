from __future__ import annotations

import random
from dataclasses import replace

import pytest
from readable import unreadable_values

from envtune.bfcl.category import Category
from envtune.playground.categories import SUBSTITUTES, shape_story
from envtune.playground.phrase import Gap, Phrase
from envtune.playground.source import Story
from envtune.playground.story_builder import StoryBuilder, StorylineError
from envtune.task import Split

OPEN = Phrase(
    train=("Open '{title}', priority {priority}.",),
    val=("v '{title}' {priority}",),
    test=("t '{title}' {priority}",),
    gap=Gap(
        slot="title",
        what="title",
        train=("Open a ticket, priority {priority}.",),
        val=("v {priority}",),
        test=("t {priority}",),
    ),
)
CLOSE = Phrase(train=("Close it.",), val=("v close",), test=("t close",))

# What is missing there says which of the listed items is meant; the item itself has been listed.
CHOOSING = ("trade_history", "maths_listed")


def story_of_a_ticket(seed: int = 0) -> StoryBuilder:
    story = StoryBuilder(["TicketAPI"], random.Random(seed), length=2, crowded=False)
    story.world("TicketAPI", ticket_queue=[], ticket_counter=417, current_user=None)
    story.say(OPEN, title="Old Oak", priority=3)
    story.log_in("ticket_login", "ada", "oak12")
    number = story.call("create_ticket", title="Old Oak", priority=3)["id"]
    story.say(CLOSE)
    story.call("close_ticket", ticket_id=number)
    return story


def names(calls: object) -> list[str]:
    return [call.name for call in calls]  # type: ignore[attr-defined]


def test_the_value_that_was_left_out_comes_with_the_next_message():
    shape = shape_story(story_of_a_ticket(), Category.MISS_PARAM, Split.TRAIN)
    assert shape is not None
    vague, supplied, closed = shape.turns
    assert "Open a ticket, priority 3." in vague.message
    assert "Old Oak" not in vague.message
    assert vague.ground_truth == ()
    assert "'Old Oak'" in supplied.message
    assert names(supplied.ground_truth) == ["ticket_login", "create_ticket"]
    assert names(closed.ground_truth) == ["close_ticket"]
    assert shape.origins == (-1, 0, 1)


def test_a_withheld_tool_comes_with_an_empty_message_after_it_was_missed():
    for seed in range(20):
        shape = shape_story(story_of_a_ticket(seed), Category.MISS_FUNC, Split.TRAIN)
        assert shape is not None
        (handed_over,) = [index for index, turn in enumerate(shape.turns) if turn.new_tools]
        asked, given = shape.turns[handed_over - 1 : handed_over + 1]
        (tool,) = given.new_tools
        assert (asked.ground_truth, given.message) == ((), "")
        assert tool in ("create_ticket", "close_ticket")
        assert tool in names(given.ground_truth)
        assert not SUBSTITUTES.get(tool, frozenset()) & {document.name for document in shape.tools}


def test_no_earlier_turn_needs_a_withheld_tool_and_it_is_no_prerequisite(stories: list[Story]):
    for story in stories:
        task = story.task
        for index, turn in enumerate(task.turns):
            earlier = {call.name for before in task.turns[:index] for call in before.ground_truth}
            assert not earlier & set(turn.new_tools)
            for tool in turn.new_tools:
                places = [place for place, call in enumerate(turn.ground_truth) if call.name == tool]
                assert any((index, place) not in story.prerequisites for place in places)


def test_only_the_message_that_supplies_it_has_the_missing_value(stories: list[Story]):
    for story in stories:
        task = story.task
        if task.group == Category.MISS_PARAM and story.storyline not in CHOOSING:
            (vague,) = [index for index, turn in enumerate(task.turns) if not turn.ground_truth]
            # A document names ranges and choices, of which none is the user's.
            tools = tuple(replace(tool, description="", parameters={}) for tool in task.tools)
            unsaid = replace(task.turns[vague + 1], message="Well.")
            turns = (*task.turns[: vague + 1], unsaid, *task.turns[vague + 2 :])
            before = unreadable_values(replace(task, tools=tools))
            without = unreadable_values(replace(task, tools=tools, turns=turns))
            assert [turn for turn, *value in without if (turn, *value) not in before][:1] == [vague + 1], task.id


def test_a_tale_with_nothing_to_withhold_has_no_shape():
    story = StoryBuilder(["TicketAPI"], random.Random(0), length=1, crowded=False)
    story.world("TicketAPI", ticket_queue=[], ticket_counter=417, current_user="ada")
    story.say(Phrase(train=("Who is in?",), val=("v",), test=("t",)))
    story.call("ticket_get_login_status")
    assert shape_story(story, Category.MISS_PARAM, Split.TRAIN) is None


def test_a_call_of_a_storyline_that_fails_is_an_error_of_ours():
    story = story_of_a_ticket()
    with pytest.raises(StorylineError, match="Ticket with ID 1 not found"):
        story.call("close_ticket", ticket_id=1)
