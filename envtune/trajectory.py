"""Immutable records of one episode: steps, turns, verdicts and tokens. Rewards are computed from them elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, groupby

from envtune.task import TextEnum, ToolCall

# The digest of a state that could not be read: it is equal to no other state.
UNREADABLE = "unreadable"


class FormatFault(TextEnum):
    """The ways to break a response protocol; those of envtune/chat/protocol/ have their own subset each."""

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
    TEXT_BESIDE_CALLS = "text_beside_calls"
    CALL_OUTSIDE_TAGS = "call_outside_tags"
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
    """The completion broke the protocol."""

    fault: FormatFault
    message: str
    """One sentence for the agent on what was wrong."""


Action = ToolCalls | FinalAnswer | FormatError


class HintKind(TextEnum):
    """The paper's two kinds of hint: a missing prerequisite in another tool, or a rule of the tool itself."""

    DEPENDENCY = "dependency"
    CONSTRAINT = "constraint"


@dataclass(frozen=True, slots=True)
class Hint:
    """One or two sentences that augmentation adds to a result."""

    rule: str
    """The name of the rule that matched."""
    kind: HintKind
    text: str


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a call returned."""

    call: ToolCall
    ok: bool
    """False for exceptions and for results that report an error."""
    text: str
    hint: Hint | None = None
    valid: bool = True
    """False if the call failed and does not fit the documents: its tool is not offered, or its arguments differ."""


@dataclass(frozen=True, slots=True)
class Step:
    """One completion and the environment's text after it."""

    completion: str
    action: Action
    results: tuple[ToolResult, ...]
    observation: str
    clipped: bool = False
    """True if the completion reached its length limit."""


class TurnEnd(TextEnum):
    """How a turn ended: the agent answered, or a limit stopped it."""

    ANSWERED = "answered"
    STEP_LIMIT = "step_limit"
    TOKEN_LIMIT = "token_limit"


class TurnRule(TextEnum):
    """The rule for a passed turn: Environment Tuning's (``method``) or BFCL's (``official``)."""

    METHOD = "method"
    OFFICIAL = "official"


@dataclass(frozen=True, slots=True)
class TurnVerdict:
    """The facts that decide whether a turn has passed."""

    state: bool
    """The agent's world equals the twin's."""
    response: bool
    """The results of the turn's ground-truth calls are all among the agent's results so far."""
    called: bool
    """The agent made at least one call in this turn."""
    expects_answer: bool
    """Only an answer is due: the turn has neither a ground-truth call nor a check."""
    answered: bool
    """The turn ended with an answer."""
    checked: float | None = None
    """The share of the turn, in [0, 1], that a check granted: it replaces the rules. None without a check."""

    @property
    def passed(self) -> bool:
        """The method's rule (paper, section 3.3): state and response match, or only an answer where no call is due."""
        if self.checked is not None:
            return self.checked >= 1
        if self.expects_answer:
            return self.answered and not self.called
        return self.state and self.response

    @property
    def passed_officially(self) -> bool:
        """BFCL's rule: a turn without ground truth is not judged; any other needs a call, state and response."""
        if self.checked is not None:
            return self.checked >= 1
        return self.expects_answer or (self.called and self.state and self.response)

    def credit(self, rule: TurnRule) -> float:
        """Return the share of the turn that counts by a rule; only a check grants other shares than 0 and 1."""
        if self.checked is not None:
            return self.checked
        return float(self.passed_officially if rule is TurnRule.OFFICIAL else self.passed)


@dataclass(frozen=True, slots=True)
class Turn:
    """One user turn as it was played."""

    user_message: str
    ground_truth: tuple[ToolCall, ...]
    steps: tuple[Step, ...]
    end: TurnEnd
    verdict: TurnVerdict
    state_digest: str | None = None
    """Digest of the world's state when the turn began; None where it was not computed, ``UNREADABLE`` where that
    failed."""


class EpisodeEnd(TextEnum):
    """How an episode ended: its last turn ended (``terminated``), or a limit stopped it before (truncation)."""

    TERMINATED = "terminated"
    STEP_LIMIT = "step_limit"
    TOKEN_LIMIT = "token_limit"


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """The tokens of an episode as they were sampled and fed to the model, without re-tokenisation."""

    ids: tuple[int, ...]
    """[L]"""
    completion_mask: tuple[bool, ...]
    """[L], True on sampled tokens and nowhere else."""
    logprobs: tuple[float, ...]
    """[L], natural log-probs under the sampling weights (behaviour log-probs); 0.0 where nothing was sampled."""
    prompt_length: int
    """The number of tokens before the first completion."""

    def __post_init__(self) -> None:
        if not len(self.ids) == len(self.completion_mask) == len(self.logprobs):
            raise ValueError(
                f"ids ({len(self.ids)}), completion_mask ({len(self.completion_mask)}) and logprobs "
                f"({len(self.logprobs)}) of an episode must have one length"
            )

    @property
    def completions(self) -> tuple[tuple[int, int], ...]:
        """Start and end of each completion in ``ids``: a run of sampled tokens, which the environment's separate."""
        runs = [(sampled, len(list(run))) for sampled, run in groupby(self.completion_mask)]
        ends = accumulate(length for _, length in runs)
        return tuple((end - length, end) for end, (sampled, length) in zip(ends, runs, strict=True) if sampled)


@dataclass(frozen=True, slots=True)
class Trajectory:
    """The record of one finished episode."""

    task_id: str
    group: str
    """The group of the task."""
    turn_count: int
    """The number of turns of the task."""
    turns: tuple[Turn, ...]
    """The turns that were begun."""
    end: EpisodeEnd
    seed: int = 0
    policy_version: int = 0
    tokens: TokenRecord | None = None
    hints: bool = True
    """Whether hints could be given; also True in records older than this fact."""

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps of all turns."""
        return tuple(step for turn in self.turns for step in turn.steps)

    @property
    def results(self) -> tuple[ToolResult, ...]:
        """The results of all steps."""
        return tuple(result for step in self.steps for result in step.results)

    @property
    def recoveries(self) -> tuple[bool | None, ...]:
        """For each result with a hint, in order: True if the next attempt at its tool helped; None without an attempt.

        The next attempt is the first call of the tool in a later step, because calls of the same step were written
        before the hint could be read. It helped if its result is ok and, if the hint was on an ok result, differs.
        """
        return self.recoveries_of(lambda result: result.hint is not None)

    @property
    def unaided_recoveries(self) -> tuple[bool | None, ...]:
        """For each failed result without a hint, in order: as ``recoveries``."""
        return self.recoveries_of(lambda result: not result.ok and result.hint is None)

    def recoveries_of(self, counts: Callable[[ToolResult], bool]) -> tuple[bool | None, ...]:
        """Return the same as ``recoveries`` for the results that ``counts`` chooses."""
        steps = self.steps
        return tuple(
            _recovered(result, [later for step in steps[index + 1 :] for later in step.results])
            for index, step in enumerate(steps)
            for result in step.results
            if counts(result)
        )

    @property
    def truncated(self) -> bool:
        """True if a limit stopped the episode: tokens in any turn, steps only before the last one."""
        return self.end is not EpisodeEnd.TERMINATED

    @property
    def turns_passed(self) -> int:
        """The number of turns that passed by the method's rule."""
        return sum(turn.verdict.passed for turn in self.turns)

    @property
    def progress(self) -> float:
        """Passed turns over the task's turns, in [0, 1] (paper, section 3.3); a turn never reached has not passed."""
        return self.progress_under(TurnRule.METHOD)

    def progress_under(self, rule: TurnRule) -> float:
        """Return the progress, in [0, 1], by another rule for a passed turn."""
        return sum(turn.verdict.credit(rule) for turn in self.turns) / self.turn_count

    @property
    def success(self) -> bool:
        """BFCL's own verdict: every turn was played and none failed."""
        return not self.truncated and all(turn.verdict.passed_officially for turn in self.turns)

    def with_tokens(self, tokens: TokenRecord, seed: int, policy_version: int) -> Trajectory:
        """Return a copy with its tokens, sampling seed and policy version."""
        return replace(self, tokens=tokens, seed=seed, policy_version=policy_version)


def _recovered(hinted: ToolResult, later: Sequence[ToolResult]) -> bool | None:
    following = next((result for result in later if result.call.name == hinted.call.name), None)
    if following is None:
        return None
    return following.ok and not (hinted.ok and following.text == hinted.text)
