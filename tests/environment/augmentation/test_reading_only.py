"""Augmentation changes what the agent reads, and nothing else."""

from __future__ import annotations

from dataclasses import replace

from envtune.chat.protocol import parse, render_answer, render_calls
from envtune.data.bfcl import load_bfcl_tasks
from envtune.environment.augmentation import Augmentation
from envtune.environment.augmentation.actionable import Actionable
from envtune.environment.augmentation.none import NoAugmentation
from envtune.environment.checker import judge_state
from envtune.environment.episode import Episode
from envtune.reward import BinaryReward, FormatReward, MixedReward, ProgressReward, ToolRLReward
from envtune.task import Task, ToolCall
from envtune.trajectory import Trajectory

REWARDS = (BinaryReward(), FormatReward(), MixedReward(), ProgressReward(), ToolRLReward())


def wrong(call: ToolCall) -> ToolCall:
    """The call with its first text argument replaced by one that no world knows."""
    for name, value in call.arguments.items():
        if isinstance(value, str):
            return replace(call, arguments={**call.arguments, name: "no/such/thing"})
    return replace(call, arguments={**call.arguments, "no_such_parameter": 1})


def completions(task: Task) -> list[str]:
    """In every turn first its calls gone wrong, then as they should be, then an answer."""
    lines = []
    for turn in task.turns:
        if turn.ground_truth:
            lines.append(render_calls("I try.", [wrong(call) for call in turn.ground_truth]))
            lines.append(render_calls("I correct it.", turn.ground_truth))
        lines.append(render_answer("Done.", "Here you are."))
    return lines


def played(task: Task, augmentation: Augmentation) -> tuple[Episode, Trajectory]:
    episode = Episode(task, parse, augmentation, step_limit=5)
    episode.reset()
    for completion in completions(task):
        episode.step(completion)
    return episode, episode.finish()


def without_hints(trajectory: Trajectory) -> list[tuple[bool, str]]:
    return [(result.ok, result.text) for result in trajectory.results]


def test_same_calls_give_the_same_worlds_results_verdicts_and_rewards_with_and_without_hints():
    hints = 0
    for task in load_bfcl_tasks()[::20]:
        plain_episode, plain = played(task, NoAugmentation())
        hinted_episode, hinted = played(task, Actionable())
        assert judge_state(plain_episode._agent, hinted_episode._agent)
        assert without_hints(plain) == without_hints(hinted)
        assert [turn.verdict for turn in plain.turns] == [turn.verdict for turn in hinted.turns]
        assert [reward(plain) for reward in REWARDS] == [reward(hinted) for reward in REWARDS]
        assert plain.success == hinted.success
        assert not any(result.hint for result in plain.results)
        given = [result.hint.text for result in hinted.results if result.hint]
        assert all(any(text in step.observation for step in hinted.steps) for text in given)
        hints += len(given)
    # 40 tasks with every call tried wrongly once: the comparison is about something.
    assert hints > 100
