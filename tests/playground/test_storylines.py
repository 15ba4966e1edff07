"""What is promised of every story: it can be passed, read and hinted at, and it cannot be passed idly."""

from __future__ import annotations

import re
from collections import Counter, defaultdict

import pytest
from playground.conftest import naive_calls, play
from readable import unreadable_values

from envtune.bfcl.category import Category
from envtune.bfcl.environment import BFCL_ENVIRONMENT
from envtune.bfcl.hints import (
    file_system,
    mathematics,
    message,
    ticket,
    trading,
    travel,
    twitter,
    vehicle,
)
from envtune.bfcl.worlds import TOOLBOXES
from envtune.chat.protocol import parse, write_answer, write_calls
from envtune.environment.augmentation.actionable import Actionable
from envtune.environment.augmentation.none import NoAugmentation
from envtune.environment.episode import Episode
from envtune.playground.phrase import stands_in
from envtune.playground.source import Story
from envtune.playground.storylines import STORYLINES
from envtune.task import Split, leaves

DOMAINS = (file_system, mathematics, message, ticket, trading, travel, twitter, vehicle)
SAYS_ENOUGH = re.compile("|".join(pattern for domain in DOMAINS for pattern in domain.ALREADY_ACTIONABLE))


def test_an_agent_that_follows_the_ground_truth_passes_every_turn(stories: list[Story]):
    for story in stories:
        trajectory = play(story.task, lambda index, task=story.task: task.turns[index].ground_truth)
        assert (trajectory.success, trajectory.progress) == (True, 1.0), story.task.id


def test_one_call_a_step_fits_the_step_limit(stories: list[Story]):
    for story in stories[::5]:
        episode = Episode(BFCL_ENVIRONMENT, story.task, parse, NoAugmentation(), step_limit=5)
        episode.reset()
        for turn in story.task.turns:
            for call in turn.ground_truth:
                assert not episode.step(write_calls("I act.", [call])).done
            episode.step(write_answer("I am done.", "Done."))
        assert episode.finish().success


def test_every_value_of_a_call_can_be_read_before_it_is_needed(stories: list[Story]):
    assert [(story.task.id, unreadable_values(story.task)) for story in stories if unreadable_values(story.task)] == []


def test_an_agent_that_only_answers_passes_no_task(stories: list[Story]):
    assert not any(play(story.task, lambda index: ()).success for story in stories)


def test_without_the_prerequisites_a_task_fails_and_the_agent_reads_why(stories: list[Story]):
    with_prerequisites = [story for story in stories if story.prerequisites]
    assert len(with_prerequisites) > len(stories) / 2
    for story in with_prerequisites:
        trajectory = play(story.task, naive_calls(story), Actionable().for_episode(BFCL_ENVIRONMENT, story.task, 0))
        results = [result for turn in trajectory.turns for step in turn.steps for result in step.results]
        assert not trajectory.success, story.task.id
        assert any(result.hint or (not result.ok and SAYS_ENOUGH.search(result.text)) for result in results), (
            story.task.id,
            [result.text for result in results],
        )


def test_turns_without_a_call_are_exactly_the_one_where_something_is_missing(stories: list[Story]):
    for story in stories:
        idle = [turn for turn in story.task.turns if not turn.ground_truth]
        missing = story.task.group in (Category.MISS_PARAM, Category.MISS_FUNC)
        assert len(idle) == missing, story.task.id


def test_turns_calls_and_tools_are_as_many_as_promised(stories: list[Story]):
    for story in stories:
        task = story.task
        assert 1 <= len(task.turns) <= 4
        assert all(len(turn.ground_truth) <= 4 for turn in task.turns)
        assert 5 <= len(task.tools) <= 10
        assert all(tool.domain in task.world.toolboxes for tool in task.tools)


def test_classes_categories_and_storylines_are_spread(stories: list[Story]):
    per_class = Counter(story.task.world.toolboxes[0] for story in stories)
    assert set(per_class) == set(TOOLBOXES)
    assert min(per_class.values()) > len(stories) / 16
    assert set(Counter(story.task.group for story in stories).values()) == {len(stories) // 4}
    assert {story.storyline for story in stories} == {line.name for line in STORYLINES}
    families = defaultdict(set)
    for line in STORYLINES:
        families[line.toolboxes[0]].add(line.name)
    assert min(map(len, families.values())) >= 3


def test_a_long_context_hides_what_a_later_call_needs_among_many(stories: list[Story]):
    crowded = [story for story in stories if story.task.group == Category.LONG_CONTEXT]
    for story in crowded:
        task = story.task
        trajectory = play(task, lambda index, task=task: task.turns[index].ground_truth)
        results = [result for turn in trajectory.turns for step in turn.steps for result in step.results]
        longest = max(range(len(results)), key=lambda position: len(results[position].text))
        text = results[longest].text
        assert len(text) > 150, task.id
        assert text.count(",") >= 7, task.id
        # A value that is called with later stands in the long result.
        later = leaves([result.call.arguments for result in results[longest + 1 :]])
        assert any(stands_in(value, text) for value in later if not isinstance(value, bool)), task.id


def test_no_message_is_the_same_in_two_splits(stories: list[Story]):
    said: dict[str, set[str]] = {}
    for story in stories:
        split = story.task.id.split("_")[1]
        for turn in story.task.turns:
            if turn.message:
                said.setdefault(turn.message, set()).add(split)
    assert {message for message, splits in said.items() if len(splits) > 1} == set()
    assert set().union(*said.values()) == {str(split) for split in Split}


@pytest.mark.parametrize("line", STORYLINES, ids=lambda line: line.name)
def test_a_storyline_needs_no_class_beside_its_own(line):
    assert set(line.toolboxes) <= set(TOOLBOXES)
    assert len(line.toolboxes) in (1, 2)
