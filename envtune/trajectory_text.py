"""Trajectories as Markdown, for terminals, TensorBoard and issues."""

from __future__ import annotations

from envtune.call_text import render_call
from envtune.diagnosis import Diagnosis, diagnose
from envtune.task import ToolCall
from envtune.trajectory import FinalAnswer, FormatError, Step, ToolCalls, Trajectory, Turn

_LONGEST_CODE = 1500


def as_markdown(trajectory: Trajectory, headline: str = "") -> str:
    """Return a trajectory as Markdown: each turn with messages, thoughts, actions, results, hints and verdict."""
    outcome = "success" if trajectory.success else f"{trajectory.turns_passed} of {trajectory.turn_count} turns passed"
    title = f"# {trajectory.task_id}: {outcome}"
    facts = f"ended: {trajectory.end} · policy version {trajectory.policy_version} · seed {trajectory.seed}"
    unplayed = trajectory.turn_count - len(trajectory.turns)
    rest = [f"*{unplayed} more turns were never reached.*"] if unplayed else []
    turns = [_turn(index, turn) for index, turn in enumerate(trajectory.turns)]
    return "\n\n".join([title, *([headline] if headline else []), facts, *turns, *rest]) + "\n"


def _turn(index: int, turn: Turn) -> str:
    verdict = turn.verdict
    label = diagnose(turn)
    named = "" if label is Diagnosis.PASSED else f", {label}"
    head = f"## Turn {index}: {'passed' if verdict.passed else 'failed'}{named} ({_judged(turn)}; {turn.end})"
    user = f"**User:** {turn.user_message or '*(hands over more tools)*'}"
    expected = f"*Ground truth:* {_calls(turn.ground_truth) or 'no call'}"
    return "\n\n".join([head, user, expected, *(_step(number, step) for number, step in enumerate(turn.steps))])


def _judged(turn: Turn) -> str:
    if turn.verdict.expects_answer:
        return "answer without a call expected"
    if turn.verdict.checked is not None:
        return f"the check grants {turn.verdict.checked:.0%}"
    state = "right" if turn.verdict.state else "wrong"
    response = "right" if turn.verdict.response else "missing"
    return f"state {state}, results {response}"


def _step(number: int, step: Step) -> str:
    clipped = " *(cut off at the length limit)*" if step.clipped else ""
    lines = [f"**Step {number}**{clipped} {_action(step)}"]
    for result in step.results:
        lines.append(
            f"- {_code(render_call(result.call))} → {'ok' if result.ok else '**failed**'}: {_code(result.text)}"
        )
        if result.hint:
            lines.append(f"  - hint ({result.hint.kind}, `{result.hint.rule}`): {result.hint.text}")
    return "\n".join(lines)


def _action(step: Step) -> str:
    match step.action:
        case ToolCalls(thought=thought):
            return f"*thinks:* {thought}\n"
        case FinalAnswer(thought=thought, text=text):
            return f"*thinks:* {thought}\n\n**Answers:** {text}"
        case FormatError(fault=fault, message=message):
            return f"**breaks the protocol** ({fault}): {message}\n\n{_code(step.completion)}\n"


def _calls(calls: tuple[ToolCall, ...]) -> str:
    return ", ".join(_code(render_call(call)) for call in calls)


def _code(text: str) -> str:
    shown = text if len(text) <= _LONGEST_CODE else f"{text[:_LONGEST_CODE]} … ({len(text)} characters)"
    return f"`{shown.replace('`', chr(39))}`"
