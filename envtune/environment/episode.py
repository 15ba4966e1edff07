"""One live run of a task: completions in, observations out, and a trajectory at the end.

The episode owns the agent's world, and each turn is judged when it ends. Tokens and scores are not handled here;
augmentation changes what the agent reads and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from envtune.environment.augmentation import Hints
from envtune.environment.augmentation.document_fault import first_fault
from envtune.environment.augmentation.none import NoAugmentation
from envtune.environment.fingerprint import digest_of
from envtune.environment.interface import Environment
from envtune.environment.judge import Judge
from envtune.environment.limits import LimitExceeded, ResultBudget
from envtune.task import Task, ToolCall, ToolDocument
from envtune.trajectory import (
    UNREADABLE,
    Action,
    EpisodeEnd,
    FinalAnswer,
    FormatError,
    FormatFault,
    Step,
    ToolCalls,
    ToolResult,
    Trajectory,
    Turn,
    TurnEnd,
)

MORE_TOOLS = "You now have more tools than before. Use them to do what could not be done with the earlier ones."
NEXT_MESSAGE = "There are no more steps for this request. The user's next message:"
CUT_OFF = "Your response reached its length limit before it was complete: think and act more briefly."

AtStepLimit = Literal["next_turn", "end"]
"""What a turn's step limit ends: the turn, after which the next user message comes, or the whole episode."""


@dataclass(frozen=True, slots=True)
class Observation:
    """The environment's answer to a completion."""

    text: str
    """What the agent reads next."""
    new_tools: tuple[ToolDocument, ...]
    """The documents of the tools handed over with the text, with cues where augmentation adds them."""
    done: bool
    """True if the episode is over."""
    results: tuple[str, ...] = ()
    """The results at the start of ``text``, each with its hint, but without number and name."""
    behind: str = ""
    """What follows the results in ``text``."""


class Episode:
    """One run of a task.

    Args:
        environment: the environment that plays it.
        task: the task to play.
        parse: reads a completion as an action.
        hints: adds hints to results, and cues to documents.
        step_limit: steps per turn, at least 1. Answers are not counted. One step more is run, and ends the turn.
        at_step_limit: what the step beyond the limit ends. In the last turn both are the same: the turn is judged as
            it stands, and the episode is over.
        state_digests: record the digest of the world's state at the start of each turn.
    """

    def __init__(
        self,
        environment: Environment,
        task: Task,
        parse: Callable[[str], Action],
        hints: Hints,
        step_limit: int,
        at_step_limit: AtStepLimit = "next_turn",
        state_digests: bool = False,
    ) -> None:
        if step_limit < 1:
            raise ValueError(f"step_limit is {step_limit}: a turn needs at least 1 step")
        self._environment, self._task, self._parse, self._hints = environment, task, parse, hints
        self._step_limit, self._at_step_limit, self._state_digests = step_limit, at_step_limit, state_digests
        self._end: EpisodeEnd | None = None
        self._started = False

    @property
    def turns(self) -> tuple[Turn, ...]:
        """The turns that have ended."""
        return tuple(self._turns)

    def reset(self) -> Observation:
        """Start the episode in the task's initial state; return the first user message with the tools of turn 0."""
        self._agent = self._environment.open(self._task)
        self._judge = Judge(self._environment, self._task, self._agent)
        self._turns: list[Turn] = []
        self._steps: list[Step] = []
        self._end = None
        self._started = True
        self._digest = self._digest_now()
        self._offer_tools()
        return self._opening(0)

    def step(self, completion: str, clipped: bool = False) -> Observation:
        """Run the calls of one completion; end the turn if it is an answer or the step beyond the limit.

        Args:
            completion: the text that the agent sampled.
            clipped: the completion reached its length limit.

        Raises:
            RuntimeError: the episode has not been reset, or is over.
        """
        self._require_running()
        action = self._read(completion, clipped)
        results = self._run(action.calls) if isinstance(action, ToolCalls) else ()
        if results:
            self._judge.see(result.text for result in results)
        observation = self._observation(action, results)
        self._steps.append(Step(completion, action, results, observation.text, clipped))
        if isinstance(action, FinalAnswer):
            self._close_turn(TurnEnd.ANSWERED, action.text)
        elif len(self._steps) > self._step_limit:
            self._close_turn(TurnEnd.STEP_LIMIT)
        return observation

    def truncate(self) -> None:
        """End the episode in the running turn because the caller's token limit was reached.

        Raises:
            RuntimeError: the episode has not been reset, or is over.
        """
        self._require_running()
        self._close_turn(TurnEnd.TOKEN_LIMIT)

    def finish(self) -> Trajectory:
        """Return the record of the episode.

        Raises:
            RuntimeError: the episode is not over.
        """
        if self._end is None:
            raise RuntimeError(f"the episode of {self._task.id} is not over")
        return Trajectory(
            task_id=self._task.id,
            group=self._task.group,
            turn_count=len(self._task.turns),
            turns=tuple(self._turns),
            end=self._end,
            hints=not isinstance(self._hints, NoAugmentation),
        )

    def _require_running(self) -> None:
        if not self._started or self._end is not None:
            raise RuntimeError(f"the episode of {self._task.id} is not running: call reset()")

    def _read(self, completion: str, clipped: bool) -> Action:
        action = self._parse(completion)
        if clipped and isinstance(action, FormatError):
            return FormatError(FormatFault.TOO_LONG, CUT_OFF)
        return action

    def _run(self, calls: tuple[ToolCall, ...]) -> tuple[ToolResult, ...]:
        budget = ResultBudget()
        return tuple(self._with_hint(self._compared(self._agent.call(call, budget))) for call in calls)

    def _compared(self, result: ToolResult) -> ToolResult:
        """Return the result of a call; ``valid`` is False if it failed and does not fit the offered documents."""
        document = self._documents.get(result.call.name)
        if result.ok or (document and first_fault(document.parameters, result.call.arguments) is None):
            return result
        return replace(result, valid=False)

    def _with_hint(self, result: ToolResult) -> ToolResult:
        try:
            hint = self._hints.hint(result, self._agent)
        except LimitExceeded:  # a condition read an isolated world
            hint = None
        return result if hint is None else replace(result, hint=hint)

    def _observation(self, action: Action, results: tuple[ToolResult, ...]) -> Observation:
        if isinstance(action, FinalAnswer):
            return self._opening(len(self._turns) + 1)
        text = action.message if isinstance(action, FormatError) else render_results(results)
        each = tuple(map(result_text, results))
        if len(self._steps) < self._step_limit:
            return Observation(text, (), done=False, results=each)
        following = len(self._turns) + 1
        if self._at_step_limit == "end" or following == len(self._task.turns):
            return Observation(text, (), done=True, results=each)
        opening = self._opening(following)
        behind = f"{NEXT_MESSAGE}\n{opening.text}"
        return replace(opening, text=f"{text}\n\n{behind}", results=each, behind=behind if each else "")

    def _opening(self, turn_index: int) -> Observation:
        """Return the first observation of a turn; after the last turn, the one that ends the episode."""
        if turn_index == len(self._task.turns):
            return Observation("", (), done=True)
        new_tools = tuple(map(self._hints.shown, self._task.tools_handed_over_at(turn_index)))
        return Observation(self._message(turn_index), new_tools, done=False)

    def _message(self, turn_index: int) -> str:
        return self._task.turns[turn_index].message or MORE_TOOLS

    def _digest_now(self) -> str | None:
        try:
            return digest_of(self._agent.view) if self._state_digests else None
        except LimitExceeded:  # an isolated world whose state cannot be read
            return UNREADABLE

    def _offer_tools(self) -> None:
        self._documents = {tool.name: tool for tool in self._task.tools_offered_at(len(self._turns))}
        self._agent.offer(self._documents)

    def _close_turn(self, end: TurnEnd, answer: str | None = None) -> None:
        index = len(self._turns)
        ground_truth = self._task.turns[index].ground_truth
        called = any(step.results for step in self._steps)
        verdict = self._judge.verdict(index, called, answer)
        self._turns.append(Turn(self._message(index), ground_truth, tuple(self._steps), end, verdict, self._digest))
        self._steps = []
        if end is TurnEnd.TOKEN_LIMIT:
            self._end = EpisodeEnd.TOKEN_LIMIT
        elif index + 1 == len(self._task.turns):
            self._end = EpisodeEnd.TERMINATED
        elif end is TurnEnd.STEP_LIMIT and self._at_step_limit == "end":
            self._end = EpisodeEnd.STEP_LIMIT
        else:
            self._digest = self._digest_now()
            if self._task.turns[index + 1].new_tools:
                self._offer_tools()


def render_results(results: tuple[ToolResult, ...]) -> str:
    """Return the text of results in the order of their calls: number, tool and result, then the hint if any."""
    numbered = enumerate(results, start=1)
    return "\n".join(f"[{number}] {result.call.name}: {result_text(result)}" for number, result in numbered)


def result_text(result: ToolResult) -> str:
    """Return the text of a result, then the hint if any."""
    return result.text if result.hint is None else f"{result.text}\nHint: {result.hint.text}"
