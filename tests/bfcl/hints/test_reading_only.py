"""Augmentation changes what the agent reads, and nothing else."""

from __future__ import annotations

from dataclasses import replace

from envtune.bfcl.benchmark import load_bfcl_tasks
from envtune.bfcl.environment import BFCL_ENVIRONMENT
from envtune.chat.protocol import parse, write_answer, write_calls
from envtune.environment.augmentation import Augmentation
from envtune.environment.augmentation.actionable import Actionable
from envtune.environment.augmentation.none import NoAugmentation
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
            lines.append(write_calls("I try.", [wrong(call) for call in turn.ground_truth]))
            lines.append(write_calls("I correct it.", turn.ground_truth))
        lines.append(write_answer("Done.", "Here you are."))
    return lines


def ground_truth(task: Task) -> list[str]:
    """In every turn its calls, then an answer."""
    calls = [[write_calls("I do it.", turn.ground_truth)] if turn.ground_truth else [] for turn in task.turns]
    return [line for lines in calls for line in (*lines, write_answer("Done.", "Here you are."))]


def played(task: Task, augmentation: Augmentation, lines: list[str]) -> tuple[Episode, Trajectory]:
    hints = augmentation.for_episode(BFCL_ENVIRONMENT, task, 0)
    episode = Episode(BFCL_ENVIRONMENT, task, parse, hints, step_limit=5)
    episode.reset()
    for completion in lines:
        episode.step(completion)
    return episode, episode.finish()


def without_hints(trajectory: Trajectory) -> list[tuple[bool, str]]:
    return [(result.ok, result.text) for result in trajectory.results]


def test_same_calls_give_the_same_worlds_results_verdicts_and_rewards_with_and_without_hints():
    hints = 0
    for task in load_bfcl_tasks()[::20]:
        plain_episode, plain = played(task, NoAugmentation(), completions(task))
        hinted_episode, hinted = played(task, Actionable(), completions(task))
        assert plain_episode._agent.same_as(hinted_episode._agent)
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


def test_with_every_hint_on_all_ground_truths_score_the_same():
    succeeded, hints = [], []
    for task in load_bfcl_tasks():
        (_, plain), (_, hinted) = (
            played(task, choice, ground_truth(task)) for choice in (NoAugmentation(), Actionable())
        )
        assert [turn.verdict for turn in plain.turns] == [turn.verdict for turn in hinted.turns]
        assert (plain.success, plain.progress) == (hinted.success, hinted.progress)
        succeeded.append(hinted.success)
        hints += [(task.id, result.hint.rule) for result in hinted.results if result.hint]
    # multi_turn_miss_func_49 needs a tool before it is handed over.
    assert (len(succeeded), sum(succeeded)) == (800, 799)
    # The story of scenario 188 has a login with a wrong password in it.
    assert hints == [
        ("multi_turn_base_188", "twitter.wrong_credentials"),
        ("multi_turn_miss_func_49", "python.unknown_tool"),
        ("multi_turn_miss_func_188", "twitter.wrong_credentials"),
        ("multi_turn_miss_param_188", "twitter.wrong_credentials"),
        ("multi_turn_long_context_188", "twitter.wrong_credentials"),
    ]
