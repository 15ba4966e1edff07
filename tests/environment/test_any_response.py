"""Whatever the model writes, an episode goes on: any text, any calls of real tools, mutated ground truths."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from envtune import trajectory_file
from envtune.bfcl.benchmark import load_bfcl_tasks
from envtune.bfcl.environment import BFCL_ENVIRONMENT
from envtune.chat.protocol import parse, write_answer, write_calls
from envtune.environment.augmentation import Augmentation
from envtune.environment.augmentation.actionable import Actionable
from envtune.environment.augmentation.none import NoAugmentation
from envtune.environment.episode import Episode, Observation
from envtune.environment.limits.result_budget import MAX_RESPONSE_CHARACTERS, MAX_RESULT_CHARACTERS
from envtune.task import Task, ToolCall
from envtune.trajectory import ToolResult, Trajectory

SCENARIOS = (0, 42, 60, 110, 121, 155, 170, 195)
# Each example plays a whole episode; the same examples every time.
EXAMPLES = settings(
    max_examples=60, deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)


@cache
def tasks() -> tuple[Task, ...]:
    """Of every category and every domain of tools."""
    return tuple(task for task in load_bfcl_tasks() if task.world.number in SCENARIOS)


def play(task: Task, responses: list[str], augmentation: Augmentation = Actionable()) -> Trajectory:
    """One step for each response, an answer after every third, and the end; all claims about a step are checked."""
    hints = augmentation.for_episode(BFCL_ENVIRONMENT, task, 0)
    episode = Episode(BFCL_ENVIRONMENT, task, parse, hints, step_limit=20)
    episode.reset()
    answer = write_answer("", "Done.")
    for number, response in enumerate(responses):
        for text in (response, answer) if number % 3 == 2 else (response,):
            observation = episode.step(text)
            check_observation(observation)
            if observation.done:
                return episode.finish()
    episode.truncate()
    return episode.finish()


def check_observation(observation: Observation) -> None:
    assert isinstance(observation.text, str)
    observation.text.encode("utf-8")


def check_trajectory(trajectory: Trajectory) -> None:
    for result in trajectory.results:
        check_result(result)
    for step in trajectory.steps:
        assert sum(len(result.text) for result in step.results) < MAX_RESPONSE_CHARACTERS + 2 * MAX_RESULT_CHARACTERS
    verdicts = [turn.verdict for turn in trajectory.turns]
    assert all(type(fact) is bool for v in verdicts for fact in (v.state, v.response, v.called, v.answered))
    line = json.dumps(trajectory_file.to_json(trajectory))
    assert trajectory_file.from_json(json.loads(line)) == trajectory


def check_result(result: ToolResult) -> None:
    assert type(result.ok) is bool
    assert result.text
    # The longest refusal stays within the bound; every other text has been measured.
    assert len(result.text) <= MAX_RESULT_CHARACTERS


PAYLOADS = (
    "__import__('os').system('true')",
    "__class__",
    "../../..",
    ".",
    "",
    "\u0000",
    "\u202e",
    "ｅcho",
    "a\u0301",
    "é",
    "\U0001f600",
    "{0.__class__}",
    "%s",
    "' not found",
    "x" * 300,
    "x" * 40_000,
    "2024-02-30",
    "1e999999",
    10**299,
    -(10**299),
    2**64,
    1e308,
    5e-324,
    -0.0,
    0,
    [[[[]]]],
    [0] * 1_001,
    {"a": {"a": {}}},
)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**12), 10**12),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(codec="utf-8"), max_size=20),
    st.sampled_from(PAYLOADS),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=5), inner, max_size=3),
    ),
    max_leaves=8,
)


@st.composite
def calls_of_any_tool(draw: st.DrawFn, task: Task) -> ToolCall:
    """A documented tool or a name that is none, with its own parameters more often than with others."""
    tool = draw(st.sampled_from(task.tools))
    name = draw(
        st.one_of(st.just(tool.name), st.sampled_from(("__init__", "_load_scenario", "worlds", "eval", "ＬＳ")))
    )
    parameters = [*tool.parameters["properties"], "self", "x"]
    return ToolCall(name, draw(st.dictionaries(st.sampled_from(parameters), values, max_size=4)))


@st.composite
def mutated_ground_truth(draw: st.DrawFn, task: Task) -> list[ToolCall]:
    """The calls of a turn, some with another value, some twice, in any order."""
    turn = draw(st.sampled_from([turn for turn in task.turns if turn.ground_truth]))
    return [_mutated(draw, call) for call in draw(st.permutations(turn.ground_truth * 2))[: draw(st.integers(1, 6))]]


def _mutated(draw: st.DrawFn, call: ToolCall) -> ToolCall:
    arguments: dict[str, Any] = dict(call.arguments)
    if arguments and draw(st.booleans()):
        arguments[draw(st.sampled_from(sorted(arguments)))] = draw(values)
    return ToolCall(call.name, arguments)


def responses_of_calls(strategy: st.SearchStrategy[list[ToolCall]]) -> st.SearchStrategy[list[str]]:
    return st.lists(strategy.map(lambda calls: render_or_text("look", calls)), min_size=1, max_size=8)


def render_or_text(thought: str, calls: list[ToolCall]) -> str:
    """The response; also of calls that the protocol refuses, whose refusal is then the observation."""
    try:
        return write_calls(thought, calls)
    except ValueError:
        entries = [{"name": call.name, "arguments": call.arguments} for call in calls]
        return f"<think></think><tool_call>{json.dumps(entries)}</tool_call>"


PIECES = (
    "<think>",
    "</think>",
    "<tool_call>",
    "</tool_call>",
    "<answer>",
    "</answer>",
    '[{"name": "ls", "arguments": {}}]',
    "NaN",
    "\ud800",
    "[" * 30,
    '"',
    "\\u",
)
texts = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=20)), max_size=12).map("".join)


@EXAMPLES
@given(st.data())
def test_any_text_ends_in_an_observation(data: st.DataObject) -> None:
    task = data.draw(st.sampled_from(tasks()))
    bodies = texts.map(lambda text: f"<think></think><tool_call>{text}</tool_call>")
    check_trajectory(play(task, data.draw(st.lists(st.one_of(texts, bodies), min_size=1, max_size=8))))


@EXAMPLES
@given(st.data())
def test_any_calls_of_the_tools_end_in_an_observation(data: st.DataObject) -> None:
    task = data.draw(st.sampled_from(tasks()))
    calls = st.lists(calls_of_any_tool(task), min_size=1, max_size=5)
    check_trajectory(play(task, data.draw(responses_of_calls(calls))))


@EXAMPLES
@given(st.data())
def test_mutated_ground_truths_end_in_an_observation(data: st.DataObject) -> None:
    task = data.draw(st.sampled_from(tasks()))
    check_trajectory(play(task, data.draw(responses_of_calls(mutated_ground_truth(task)))))


@EXAMPLES
@given(st.data())
def test_hints_change_neither_results_nor_verdicts_whatever_was_called(data: st.DataObject) -> None:
    task = data.draw(st.sampled_from(tasks()))
    responses = data.draw(responses_of_calls(mutated_ground_truth(task)))
    hinted, plain = play(task, responses), play(task, responses, NoAugmentation())
    assert [replace(result, hint=None) for result in hinted.results] == list(plain.results)
    assert [turn.verdict for turn in hinted.turns] == [turn.verdict for turn in plain.turns]
