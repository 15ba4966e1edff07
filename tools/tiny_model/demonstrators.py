"""Careful and careless demonstrators: policies that play tasks in their environment, step by step.

The tiny model clones a mixture of them, so that it starts like an instruct model without training in this environment:
able, but sloppy. A demonstrator is defined by its *habits*, the shares of opportunities at which it is careless.
Otherwise it follows the task's ground truth.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import takewhile
from typing import Any

from typing_extensions import override

from envtune.bfcl.environment import BFCL_ENVIRONMENT
from envtune.bfcl.toolbox import Toolbox
from envtune.chat.protocol import parse, write_answer, write_calls
from envtune.environment.augmentation import Hints
from envtune.environment.episode import AtStepLimit, Episode, Observation
from envtune.environment.interface import World
from envtune.playground import values
from envtune.playground.phrase import stands_in
from envtune.playground.source import Story
from envtune.task import Task, ToolCall, ToolDocument, leaves
from envtune.trajectory import Hint, ToolResult

# A fifth step that is not an answer ends the episode: the rule under which the embedded model's dialogues were made.
STEP_LIMIT: int = 4
AT_STEP_LIMIT: AtStepLimit = "end"

CALL_THOUGHTS = ("I use {}.", "Now {}.")
RETRY_THOUGHTS = ("That failed, so {}.", "It needs {} first.")
DONE_THOUGHTS, DONE_ANSWERS = ("All done.",), ("Done.", "It is done.")
VAGUE_THOUGHTS, VAGUE_ANSWERS = ("Something is missing.",), ("I cannot do this yet, something is missing.",)
# The tool that the turn is about comes first, as in a call; its prerequisite follows.
FIRST_THOUGHTS = ("I use {goal}, but first {}.", "Now {goal}, but first {}.")
NO_TOOL_THOUGHTS = ("I use {}, but it is not offered.", "Now {}, but it is not offered.")
NO_VALUE_THOUGHTS = ("I use {}, but something is missing.", "Now {}, but something is missing.")
NO_TOOL_ANSWERS, NO_VALUE_ANSWERS = ("No tool that I have does this.",), VAGUE_ANSWERS
GIVING_UP_THOUGHTS, GIVING_UP_ANSWERS = ("It does not work.",), ("Sorry, that did not work.",)

Results = Sequence[ToolResult]
Saying = Generator[str, Results, Results]
Breaking = Callable[[str, random.Random], str]


@dataclass(frozen=True, slots=True)
class Habits:
    """Shares in [0, 1] of the opportunities at which a demonstrator is careless."""

    skips_prerequisites: float = 0.0
    guesses_instead_of_looking_up: float = 0.0
    stops_halfway: float = 0.0
    gives_up_after_an_error: float = 0.0
    gives_up_after_a_hint: float = 0.0
    acts_instead_of_asking: float = 0.0
    answers_without_acting: float = 0.0
    spoils_arguments: float = 0.0
    breaks_answers: float = 0.0
    breaks_calls: float = 0.0
    repeats_what_was_refused: float = 0.0

    def some(self, share: float, rng: random.Random) -> Habits:
        """Return the habits, each kept with probability ``share`` and 0 otherwise."""
        return Habits(**{f.name: getattr(self, f.name) if rng.random() < share else 0.0 for f in fields(self)})


class RecordingHints(Hints):
    """Hints that also record the results of the newest step."""

    def __init__(self, hints: Hints) -> None:
        self._hints = hints
        self.results: list[ToolResult] = []

    @override
    def shown(self, tool: ToolDocument) -> ToolDocument:
        return self._hints.shown(tool)

    @override
    def hint(self, result: ToolResult, world: World) -> Hint | None:
        self.results.append(result)
        return self._hints.hint(result, world)


def values_from_results(task: Task) -> list[list[Any]]:
    """Return, for each turn, the values of its ground truth that are in earlier results and not in a message."""
    toolbox, said, shown = Toolbox(task), "", ""
    needed: list[list[Any]] = []
    for turn in task.turns:
        said += f"\n{turn.message}"
        values = leaves([call.arguments for call in turn.ground_truth])
        unsaid = [value for value in values if not isinstance(value, bool) and not stands_in(value, said)]
        needed.append([value for value in unsaid if stands_in(value, shown)])
        shown += "".join(f"\n{toolbox.call(call).text}" for call in turn.ground_truth)
    return needed


def play(story: Story, habits: Habits, hints: Hints, rng: random.Random) -> Iterator[tuple[Observation, str]]:
    """Play the task of a story and yield each observation with the completion that follows it."""
    recorded = RecordingHints(hints)
    episode = Episode(BFCL_ENVIRONMENT, story.task, parse, recorded, STEP_LIMIT, AT_STEP_LIMIT)
    demonstrator = Demonstrator(story, habits, rng)
    observation = episode.reset()
    for index in range(len(story.task.turns)):
        demonstrator.reads(observation.text)
        turn = demonstrator.turn(index)
        completion: str | None = next(turn)
        while completion is not None:
            yield observation, completion
            recorded.results.clear()
            observation = episode.step(completion)
            if observation.done:
                return
            try:
                completion = turn.send(demonstrator.with_hints(recorded.results, observation.text))
            except StopIteration:
                completion = None


class Demonstrator:
    """A policy with habits: a generator of a turn's completions, to which the results of each are sent."""

    def __init__(self, story: Story, habits: Habits, rng: random.Random) -> None:
        self._story, self._habits, self._rng = story, habits, rng
        self._task = story.task
        self._needed = values_from_results(story.task)
        self._read: list[str] = []
        self._hinted = False

    def reads(self, text: str) -> None:
        """Record a text that the agent reads."""
        self._read.append(text)

    def with_hints(self, results: Results, shown: str) -> Results:
        """Record the observation after a step and return the results."""
        self.reads(shown)
        self._hinted = "\nHint: " in shown
        return tuple(results)

    def turn(self, index: int) -> Saying:
        """Yield the completions of one turn; the last is an answer, which ends the turn."""
        calls = self._task.turns[index].ground_truth
        if not calls:
            return (yield from self._cannot(index))
        if not all(map(self._has_read, self._needed[index])):
            # An earlier turn failed: a demonstration must not contain values that the agent could not read.
            return (yield from self._answer(GIVING_UP_THOUGHTS, GIVING_UP_ANSWERS))
        if self._does(self._habits.answers_without_acting):
            return (yield from self._answer(DONE_THOUGHTS, DONE_ANSWERS))
        wrong = self._carelessly(index)
        if wrong:
            results = yield from self._call(CALL_THOUGHTS, wrong)
            if any(not result.ok for result in results):
                habits = self._habits
                if self._does(habits.gives_up_after_a_hint if self._hinted else habits.gives_up_after_an_error):
                    return (yield from self._answer(GIVING_UP_THOUGHTS, GIVING_UP_ANSWERS))
                yield from self._all(calls, RETRY_THOUGHTS)
        else:
            yield from self._all(calls, self._opening(index))
        return (yield from self._answer(DONE_THOUGHTS, DONE_ANSWERS))

    def _opening(self, index: int) -> Sequence[str]:
        """Return the thoughts before the first call, which name the tool of the turn and a prerequisite before it."""
        goals = self._hasty(index)
        if not goals or (index, 0) not in self._story.prerequisites:
            return CALL_THOUGHTS
        return [thought.replace("{goal}", goals[0].name) for thought in FIRST_THOUGHTS]

    def _cannot(self, index: int) -> Saying:
        """Yield the completions of a turn without ground truth: the careful answer names what is missing."""
        if self._hasty(index + 1) and self._does(self._habits.acts_instead_of_asking):
            yield from self._call(CALL_THOUGHTS, [self._guess(index)])
            return (yield from self._answer(DONE_THOUGHTS, DONE_ANSWERS))
        return (yield from self._answer(*self._reason(index, self._hasty(index + 1))))

    def _reason(self, index: int, wanted: Sequence[ToolCall]) -> tuple[Sequence[str], Sequence[str]]:
        """Return the thoughts and answers for ``wanted`` calls that cannot be made: the tool, and what is missing."""
        if not wanted:
            return VAGUE_THOUGHTS, VAGUE_ANSWERS
        offered = {tool.name for tool in self._task.tools_offered_at(index)}
        for call in wanted:
            if call.name not in offered:
                return [thought.format(call.name) for thought in NO_TOOL_THOUGHTS], NO_TOOL_ANSWERS
        return [thought.format(wanted[0].name) for thought in NO_VALUE_THOUGHTS], NO_VALUE_ANSWERS

    def _guess(self, index: int) -> ToolCall:
        """Return the call of the next turn, with invented values for those that no message has given yet."""
        after, call = self._task.turns[index + 1], self._hasty(index + 1)[0]
        known = self._task.turns[index].message
        unsaid = {
            name: self._invented(value)
            for name, value in call.arguments.items()
            if stands_in(value, after.message) and not stands_in(value, known)
        }
        return self._looked_up_by_name(ToolCall(call.name, {**call.arguments, **unsaid}))

    def _invented(self, value: object) -> object:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            return value
        return values.word(self._rng) if isinstance(value, str) else self._rng.randint(1, 9)

    def _carelessly(self, index: int) -> Sequence[ToolCall]:
        """Return the turn's calls with a mistake in the first of them; empty without a mistake."""
        calls, hasty = self._task.turns[index].ground_truth, self._hasty(index)
        skipped = [call for place, call in enumerate(calls) if (index, place) in self._story.prerequisites]
        if skipped and hasty:
            first = self._guessed(self._looked_up_by_name(hasty[0]))
            guesses = first != hasty[0]
            habits = self._habits
            if self._does(habits.guesses_instead_of_looking_up if guesses else habits.skips_prerequisites):
                return self._writable([self._as_a_path(first, skipped), *hasty[1:]])
        if self._does(self._habits.spoils_arguments):
            return [self._spoiled(calls[0])]
        return []

    def _hasty(self, index: int) -> list[ToolCall]:
        """Return the calls of a turn without its prerequisites; empty after the last turn."""
        calls = self._task.turns[index].ground_truth if index < len(self._task.turns) else ()
        return [call for place, call in enumerate(calls) if (index, place) not in self._story.prerequisites]

    def _looked_up_by_name(self, call: ToolCall) -> ToolCall:
        """Return the call without a look-up: names in place of codes."""
        known = self._story.looked_up
        arguments = {
            name: known[value] if isinstance(value, str) and value in known and not self._has_read(value) else value
            for name, value in call.arguments.items()
        }
        return ToolCall(call.name, arguments)

    def _guessed(self, call: ToolCall) -> ToolCall:
        """Return the call with invented values for those that only a skipped call returns."""
        arguments = {
            name: value if self._can_be_written(ToolCall(call.name, {name: value})) else self._invented(value)
            for name, value in call.arguments.items()
        }
        return ToolCall(call.name, arguments)

    def _as_a_path(self, call: ToolCall, skipped: Sequence[ToolCall]) -> ToolCall:
        """Return the call, in 30% of cases with the folder that was not entered in front of the file's name."""
        folders = [c.arguments["folder"] for c in skipped if c.name == "cd"]
        files = [name for name in ("file_name", "source", "file_name1") if name in call.arguments]
        if not folders or not files or self._rng.random() < 0.7:
            return call
        return ToolCall(call.name, {**call.arguments, files[0]: f"{folders[-1]}/{call.arguments[files[0]]}"})

    def _spoiled(self, call: ToolCall) -> ToolCall:
        """Return the call with a mistake: a path for a name, a missing argument, or an invented parameter."""
        texts = [name for name, value in call.arguments.items() if isinstance(value, str)]
        if texts and self._rng.random() < 0.6:
            name = self._rng.choice(texts)
            return ToolCall(call.name, {**call.arguments, name: f"./files/{call.arguments[name]}"})
        if call.arguments:
            return ToolCall(call.name, dict(list(call.arguments.items())[1:]))
        return ToolCall(call.name, {"all": True})

    def _all(self, calls: Sequence[ToolCall], thoughts: Sequence[str]) -> Saying:
        """Yield all calls, in each response as many as need no result of the others."""
        results: Results = ()
        left = list(calls)
        while left:
            portion = self._writable(left)
            results = yield from self._call(thoughts, portion)
            left, thoughts = left[len(portion) :], CALL_THOUGHTS
            if left and self._does(self._habits.stops_halfway):
                break
        return results

    def _writable(self, calls: Sequence[ToolCall]) -> list[ToolCall]:
        """Return the first call and those after it whose values have been read."""
        return [calls[0], *takewhile(self._can_be_written, calls[1:])]

    def _can_be_written(self, call: ToolCall) -> bool:
        return all(isinstance(value, bool) or self._has_read(value) for value in leaves(call.arguments))

    def _has_read(self, value: object) -> bool:
        return any(stands_in(value, text) for text in self._read)

    def _call(self, thoughts: Sequence[str], calls: Sequence[ToolCall]) -> Saying:
        thought = self._rng.choice(thoughts).format(calls[0].name)
        return (yield from self._say(write_calls(thought, calls), broken_call, self._habits.breaks_calls))

    def _answer(self, thoughts: Sequence[str], answers: Sequence[str]) -> Saying:
        completion = write_answer(self._rng.choice(thoughts), self._rng.choice(answers))
        return (yield from self._say(completion, broken_answer, self._habits.breaks_answers))

    def _say(self, completion: str, broken: Breaking, share: float) -> Saying:
        if self._does(share):
            yield broken(completion, self._rng)
            while self._does(self._habits.repeats_what_was_refused):
                yield broken(completion, self._rng)
        return (yield completion)

    def _does(self, share: float) -> bool:
        return self._rng.random() < share


def broken_call(completion: str, rng: random.Random) -> str:
    """Return the completion with one of the common mistakes of format."""
    return rng.choice(
        (
            completion.replace("</think>", ""),
            completion.replace("<tool_call>[", "<tool_call>").replace("]</tool_call>", "</tool_call>"),
            completion.replace("</tool_call>", ""),
            completion[completion.index("<tool_call>") :],
        )
    )


def broken_answer(completion: str, rng: random.Random) -> str:
    """Return the answer without its tags, or with some of them."""
    bare = completion[completion.index("<answer>") + len("<answer>") : -len("</answer>")]
    return rng.choice((bare, bare, f"<answer>{bare}</answer>", completion.removesuffix("</answer>")))
