from __future__ import annotations

import random
import re
from dataclasses import replace

import pytest
from demonstrated import outcome, stories

from envtune.bfcl.category import Category
from envtune.bfcl.environment import BFCL_ENVIRONMENT
from envtune.bfcl.scenario import Scenario
from envtune.chat.protocol import parse
from envtune.environment.augmentation.actionable import Actionable
from envtune.playground.source import Story
from envtune.playground.story_builder import all_documents
from envtune.task import Task, ToolCall, UserTurn
from envtune.trajectory import FinalAnswer, FormatError, ToolCalls
from tools.tiny_model import demonstrators
from tools.tiny_model.demonstrators import Habits


def test_careful_demonstrators_pass_every_turn_within_the_step_limit(bfcl_tasks):
    for story in [*stories(60), *map(Story, bfcl_tasks)]:
        assert outcome(story, Habits()).progress == 1, story.task.id


def test_a_code_is_written_only_after_it_was_looked_up_and_other_calls_share_a_response():
    calls = together = 0
    for story in [story for story in stories(200, "base") if story.looked_up]:
        trajectory = outcome(story, Habits())
        read = ""
        for step in trajectory.steps:
            for call in step.action.calls if step.results else ():
                codes = [value for value in call.arguments.values() if str(value) in story.looked_up]
                assert all(code in read for code in codes)
                calls += len(codes)
            read += step.observation
        together += any(len(step.results) > 1 for step in trajectory.steps)
    assert calls > 20
    assert together > 5


def test_one_that_skips_prerequisites_fails_at_first_and_repairs_it():
    asked = [story for story in stories(120, "base") if story.prerequisites]
    played = [outcome(story, Habits(skips_prerequisites=1.0, guesses_instead_of_looking_up=1.0)) for story in asked]
    failed = [any(not result.ok for result in trajectory.results) for trajectory in played]
    assert sum(failed) > 0.7 * len(asked)
    assert sum(trajectory.success for trajectory in played) > 0.3 * len(asked)


def test_one_that_gives_up_after_an_error_passes_no_turn_with_an_error_unless_a_hint_helps():
    lazy = Habits(skips_prerequisites=1.0, guesses_instead_of_looking_up=1.0, gives_up_after_an_error=1.0)
    asked = [story for story in stories(120, "base") if story.prerequisites]
    for story in asked:
        # Later turns may fail for what was left undone in the first.
        first = outcome(story, lazy).turns[0]
        if any(not result.ok for step in first.steps for result in step.results):
            assert len(first.steps) == 2
            assert not first.verdict.passed
    helped = [
        outcome(story, lazy, Actionable().for_episode(BFCL_ENVIRONMENT, story.task, 0)).progress for story in asked
    ]
    assert sum(helped) > 1.3 * sum(outcome(story, lazy).progress for story in asked)


@pytest.mark.parametrize("category", ["miss_param", "miss_func"])
def test_one_that_acts_instead_of_asking_fails_the_turn_that_lacks_something(category: str):
    for story in stories(40, category):
        turns = outcome(story, Habits(acts_instead_of_asking=1.0)).turns
        for turn in turns:
            if not turn.ground_truth:
                assert turn.steps[0].results
                assert not turn.verdict.passed


@pytest.mark.parametrize(
    ("category", "thought"), [("miss_func", "but it is not offered."), ("miss_param", "but something is missing.")]
)
def test_the_tool_that_would_be_taken_is_named_before_it_is_said_what_lacks(category: str, thought: str):
    for story in stories(40, category):
        turns = outcome(story, Habits()).turns
        for index, turn in enumerate(turns):
            if not turn.ground_truth:
                offered = {tool.name for tool in story.task.tools_offered_at(index)}
                named = re.fullmatch(rf"(?:I use|Now) (\w+), {thought}", turn.steps[0].action.thought)
                assert named[1] in {call.name for call in turns[index + 1].ground_truth}
                assert (named[1] in offered) == (category == "miss_param")


def test_the_tool_that_a_turn_is_about_is_named_before_the_one_that_comes_first():
    asked = 0
    for story in stories(60, "base"):
        for index, turn in enumerate(outcome(story, Habits()).turns):
            if (
                (index, 0) in story.prerequisites
                and (index, 1) not in story.prerequisites
                and len(turn.ground_truth) > 1
            ):
                first, goal = [call.name for call in turn.ground_truth[:2]]
                assert turn.steps[0].action.thought in {
                    f"{word} {goal}, but first {first}." for word in ("I use", "Now")
                }
                asked += 1
    assert asked > 10


def test_one_that_guesses_writes_what_it_should_look_up_and_one_that_skips_does_not():
    guessed = 0
    for story in [story for story in stories(200, "base") if story.looked_up]:
        skipped = outcome(story, Habits(skips_prerequisites=1.0, guesses_instead_of_looking_up=0.0))
        wanted = [call for turn in skipped.turns for call in turn.ground_truth]
        assert all(result.call in wanted for result in skipped.results if not _is_a_path(result.call))
        guesses = outcome(story, Habits(guesses_instead_of_looking_up=1.0))
        guessed += any(result.call not in wanted for result in guesses.results)
    assert guessed > 20


def _is_a_path(call: ToolCall) -> bool:
    return any("/" in str(value) for value in call.arguments.values())


def test_a_turn_needs_what_only_an_earlier_turns_result_has_told():
    state = {"TicketAPI": {"ticket_queue": [], "ticket_counter": 417, "current_user": "ada"}}
    opened = UserTurn("Open a ticket: 'Old Oak'.", (ToolCall("create_ticket", {"title": "Old Oak"}),))
    shown = UserTurn("Show 3 and it.", tuple(ToolCall("get_ticket", {"ticket_id": number}) for number in (3, 417)))
    task = Task(
        "made", Category.BASE, Scenario(0, ("TicketAPI",), state), (opened, shown), all_documents(("TicketAPI",))
    )
    assert demonstrators.values_from_results(task) == [[], [417]]


def test_a_value_that_was_never_read_is_not_written_and_the_turn_is_given_up():
    lacking = 0
    for story in stories(150, "base"):
        needed = demonstrators.values_from_results(story.task)
        turns = outcome(story, Habits(stops_halfway=1.0, skips_prerequisites=1.0, gives_up_after_an_error=1.0)).turns
        read = ""
        for turn, values in zip(turns, needed, strict=True):
            if all(demonstrators.stands_in(value, read) for value in values):
                read += "".join(step.observation for step in turn.steps)
                continue
            (step,) = turn.steps
            assert isinstance(step.action, FinalAnswer)
            assert step.action.thought == "It does not work."
            lacking += 1
    assert lacking > 20


def test_one_that_would_rather_act_has_nothing_to_guess_where_no_turn_follows():
    story = next(story for story in stories(20, "miss_func") if not story.task.turns[-2].ground_truth)
    shortened = replace(story, task=replace(story.task, turns=story.task.turns[:-1]))
    last = outcome(shortened, Habits(acts_instead_of_asking=1.0)).turns[-1]
    assert [type(step.action) for step in last.steps] == [FinalAnswer]


def test_one_that_answers_without_acting_passes_only_what_asks_for_an_answer():
    for story in stories(20):
        for turn in outcome(story, Habits(answers_without_acting=1.0)).turns:
            assert turn.verdict.passed == (not turn.ground_truth)
            assert [type(step.action) for step in turn.steps] == [FinalAnswer]


@pytest.mark.parametrize(("habit", "kind"), [("breaks_calls", ToolCalls), ("breaks_answers", FinalAnswer)])
def test_a_broken_response_is_followed_by_the_same_one_whole(habit: str, kind: type):
    for story in stories(30):
        for turn in outcome(story, Habits(**{habit: 1.0})).turns:
            for step, after in zip(turn.steps, turn.steps[1:], strict=False):
                if isinstance(step.action, FormatError):
                    assert isinstance(after.action, kind)
            assert any(isinstance(step.action, FormatError) for step in turn.steps) or not turn.ground_truth


def test_every_way_of_breaking_breaks_the_protocol():
    call = demonstrators.write_calls("Now ls.", [ToolCall("ls", {})])
    answer = demonstrators.write_answer("All done.", "Done.")
    for seed in range(20):
        assert isinstance(parse(demonstrators.broken_call(call, random.Random(seed))), FormatError)
        assert isinstance(parse(demonstrators.broken_answer(answer, random.Random(seed))), FormatError)


def test_a_habit_is_had_with_the_given_share_and_then_whole():
    drawn = [Habits(breaks_calls=0.5).some(0.3, random.Random(seed)).breaks_calls for seed in range(1000)]
    assert set(drawn) == {0.0, 0.5}
    assert 250 < drawn.count(0.5) < 350


def test_one_that_stops_halfway_leaves_what_it_would_have_to_read_first():
    shorter = 0
    for story in stories(120, "base"):
        for turn in outcome(story, Habits(stops_halfway=1.0)).turns:
            made = [result.call for step in turn.steps for result in step.results]
            assert made == list(turn.ground_truth[: len(made)])
            assert len([step for step in turn.steps if step.results]) <= 1
            if len(made) < len(turn.ground_truth):
                assert not turn.verdict.passed
                shorter += 1
    assert shorter > 20
