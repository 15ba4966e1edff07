"""What happened in one episode: steps, turns and the checker's verdicts. Immutable facts; rewards judge elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from envtune.task import Category, ToolCall


class FormatFault(str, Enum):
    """Every way to break the response protocol, by name (``envtune/chat/protocol.py`` says what each one means)."""

    EMPTY = "empty"
    TOO_LONG = "too_long"
    INVALID_TEXT = "invalid_text"
    NO_THINK = "no_think"
    NO_ACTION = "no_action"
    BOTH_ACTIONS = "both_actions"
    REPEATED_TAG = "repeated_tag"
    UNCLOSED_TAG = "unclosed_tag"
    UNOPENED_TAG = "unopened_tag"
    WRONG_ORDER = "wrong_order"
    TEXT_OUTSIDE_TAGS = "text_outside_tags"
    INVALID_JSON = "invalid_json"
    DUPLICATE_KEY = "duplicate_key"
    INVALID_NUMBER = "invalid_number"
    NESTED_TOO_DEEP = "nested_too_deep"
    NOT_A_CALL_LIST = "not_a_call_list"
    NO_CALLS = "no_calls"
    TOO_MANY_CALLS = "too_many_calls"
    CALL_NOT_AN_OBJECT = "call_not_an_object"
    CALL_WITHOUT_NAME = "call_without_name"
    CALL_WITHOUT_ARGUMENTS = "call_without_arguments"
    CALL_WITH_UNKNOWN_KEY = "call_with_unknown_key"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class ToolCalls:
    """The agent calls one or more tools."""

    thought: str
    calls: tuple[ToolCall, ...]


@dataclass(frozen=True, slots=True)
class FinalAnswer:
    """The agent closes the turn with text for the user."""

    thought: str
    text: str


@dataclass(frozen=True, slots=True)
class FormatError:
    """The completion broke the protocol; ``message`` is the one sentence that tells the agent how."""

    fault: FormatFault
    message: str


Action = ToolCalls | FinalAnswer | FormatError


class HintKind(str, Enum):
    """The paper's two kinds of hint: a missing prerequisite in another tool, or a rule of the tool itself."""

    DEPENDENCY = "dependency"
    CONSTRAINT = "constraint"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class Hint:
    """Augmentation's one or two sentences about a result, and the rule that wrote them."""

    rule: str
    kind: HintKind
    text: str


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a call returned. ``ok`` is False for exceptions and for results that report an error."""

    call: ToolCall
    ok: bool
    text: str
    hint: Hint | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One completion and the environment's text after it. ``clipped``: the completion reached its length limit."""

    completion: str
    action: Action
    results: tuple[ToolResult, ...]
    observation: str
    clipped: bool = False


class TurnEnd(str, Enum):
    """How a turn ended: the agent answered, or a limit stopped it."""

    ANSWERED = "answered"
    STEP_LIMIT = "step_limit"
    TOKEN_LIMIT = "token_limit"

    def __str__(self) -> str:
        return self.value


class TurnRule(str, Enum):
    """Whose rule says that a turn has passed: Environment Tuning's (``method``) or BFCL's (``official``)."""

    METHOD = "method"
    OFFICIAL = "official"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class TurnVerdict:
    """The checker's facts about one played turn.

    ``state``: every public attribute equals the twin's. ``response``: the results of the turn's ground-truth calls
    are all among the agent's results so far. ``called``: the agent made at least one call in this turn.
    ``expects_answer``: the turn has no ground-truth call. ``answered``: the turn ended with an answer.
    """

    state: bool
    response: bool
    called: bool
    expects_answer: bool
    answered: bool

    @property
    def passed(self) -> bool:
        """The method's rule (section 3.3): world and results right, or an answer without a call where none is due."""
        if self.expects_answer:
            return self.answered and not self.called
        return self.state and self.response

    @property
    def passed_officially(self) -> bool:
        """BFCL's rule: a turn without ground truth is not judged; any other needs a call, the state and the results."""
        return self.expects_answer or (self.called and self.state and self.response)

    def passed_under(self, rule: TurnRule) -> bool:
        return self.passed_officially if rule is TurnRule.OFFICIAL else self.passed


@dataclass(frozen=True, slots=True)
class Turn:
    """One user turn as it was played."""

    user_message: str
    ground_truth: tuple[ToolCall, ...]
    steps: tuple[Step, ...]
    end: TurnEnd
    verdict: TurnVerdict


class EpisodeEnd(str, Enum):
    """``terminated``: all turns were played. The others name the limit that stopped the episode (truncation)."""

    TERMINATED = "terminated"
    STEP_LIMIT = "step_limit"
    TOKEN_LIMIT = "token_limit"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """The token ids of an episode as they were sampled and fed, never re-tokenised.

    All three have the episode's length L. ``completion_mask`` is True on sampled tokens and nowhere else;
    ``logprobs`` are the sampling weights' (behaviour log-probs, natural log), 0.0 where nothing was sampled.
    ``prompt_length`` counts the tokens before the first completion.
    """

    ids: tuple[int, ...]
    completion_mask: tuple[bool, ...]
    logprobs: tuple[float, ...]
    prompt_length: int

    def __post_init__(self) -> None:
        if not len(self.ids) == len(self.completion_mask) == len(self.logprobs):
            raise ValueError(
                f"ids ({len(self.ids)}), completion_mask ({len(self.completion_mask)}) and logprobs "
                f"({len(self.logprobs)}) of an episode must have one length"
            )


@dataclass(frozen=True, slots=True)
class Trajectory:
    """The record of one finished episode. ``turns`` holds those that were begun; ``turn_count`` is the task's."""

    task_id: str
    category: Category
    turn_count: int
    turns: tuple[Turn, ...]
    end: EpisodeEnd
    seed: int = 0
    policy_version: int = 0
    tokens: TokenRecord | None = None

    @property
    def steps(self) -> tuple[Step, ...]:
        return tuple(step for turn in self.turns for step in turn.steps)

    @property
    def results(self) -> tuple[ToolResult, ...]:
        return tuple(result for step in self.steps for result in step.results)

    @property
    def recoveries(self) -> tuple[bool | None, ...]:
        """For each result with a hint, in order: did the next attempt at its tool help? None if none was made.

        The next attempt is the first call of the tool in a later step: those of the same step were written before the
        hint could be read. It helped if its result is ok and, after a hint on an ok result, not the same once more.
        """
        return self._recoveries(lambda result: result.hint is not None)

    @property
    def unaided_recoveries(self) -> tuple[bool | None, ...]:
        """The same for each failed result without a hint."""
        return self._recoveries(lambda result: not result.ok and result.hint is None)

    def _recoveries(self, counts: Callable[[ToolResult], bool]) -> tuple[bool | None, ...]:
        steps = self.steps
        return tuple(
            _recovered(result, [later for step in steps[index + 1 :] for later in step.results])
            for index, step in enumerate(steps)
            for result in step.results
            if counts(result)
        )

    @property
    def truncated(self) -> bool:
        return self.end is not EpisodeEnd.TERMINATED

    @property
    def turns_passed(self) -> int:
        return sum(turn.verdict.passed for turn in self.turns)

    @property
    def progress(self) -> float:
        """Passed turns over the task's turns (paper, section 3.3); a turn never reached has not passed."""
        return self.progress_under(TurnRule.METHOD)

    def progress_under(self, rule: TurnRule) -> float:
        """The same with another rule for what a passed turn is."""
        return sum(turn.verdict.passed_under(rule) for turn in self.turns) / self.turn_count

    @property
    def success(self) -> bool:
        """BFCL's own verdict: every turn was played and none failed."""
        return not self.truncated and all(turn.verdict.passed_officially for turn in self.turns)

    def with_tokens(self, tokens: TokenRecord, seed: int, policy_version: int) -> Trajectory:
        return replace(self, tokens=tokens, seed=seed, policy_version=policy_version)


def _recovered(hinted: ToolResult, later: Sequence[ToolResult]) -> bool | None:
    following = next((result for result in later if result.call.name == hinted.call.name), None)
    if following is None:
        return None
    return following.ok and not (hinted.ok and following.text == hinted.text)
