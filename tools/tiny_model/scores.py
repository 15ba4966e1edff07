"""Scores of the tiny model: success, broken responses, and correct arguments where the right tool was chosen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import mean
from typing import Any

from transformers import PreTrainedModel

from envtune.bfcl.environment import BFCL_ENVIRONMENT
from envtune.chat.prompt import PromptStyle
from envtune.chat.template import Template
from envtune.environment.augmentation.none import NoAugmentation
from envtune.rollout.collector import Collector, EpisodeRequest
from envtune.rollout.hf.hf_generator import HFGenerator
from envtune.task import Task, ToolCall
from envtune.trajectory import FormatError, Trajectory, Turn
from tools.tiny_model.demonstrators import AT_STEP_LIMIT, STEP_LIMIT

STYLE = PromptStyle("compact", "long")
# In tokens: first prompt, everything after it, one completion; below, one observation.
BUDGET = {"max_prompt_tokens": 2560, "max_response_tokens": 2048, "max_completion_tokens": 160}
MAX_OBSERVATION_TOKENS = 512


def scores(model: PreTrainedModel, tokenizer: Any, tasks: Sequence[Task], greedy: bool) -> dict[str, float]:
    """Return the scores of one episode per task: long instructions, no hints, sampled at temperature 1 or greedy."""
    generator = HFGenerator(temperature=1.0)
    generator.update_weights(model, policy_version=0)
    template = Template(tokenizer, STYLE, MAX_OBSERVATION_TOKENS)
    collector = Collector(
        generator,
        template,
        BFCL_ENVIRONMENT,
        NoAugmentation(),
        STEP_LIMIT,
        **BUDGET,
        at_step_limit=AT_STEP_LIMIT,
    )
    requests = [EpisodeRequest(task, seed) for seed, task in enumerate(tasks)]
    played = collector.play(requests, greedy=greedy)
    return summary(played)


def summary(played: Sequence[Trajectory]) -> dict[str, float]:
    """Return the scores by the names that the card prints: shares in [0, 1], and means per episode."""
    steps = [step for trajectory in played for step in trajectory.steps]
    results = [result for trajectory in played for result in trajectory.results]
    turns = [turn for trajectory in played for turn in trajectory.turns]
    informed = [turn for trajectory in played for turn in up_to_the_first_failed(trajectory.turns)]
    return {
        "success": mean(trajectory.success for trajectory in played),
        "progress": mean(trajectory.progress for trajectory in played),
        "responses that break the protocol": mean(isinstance(step.action, FormatError) for step in steps),
        "right arguments, where the tool is right": _share_of_right_arguments(turns),
        "the same, up to an episode's first failed turn": _share_of_right_arguments(informed),
        "calls without an error": mean(result.ok for result in results) if results else 0.0,
        "truncated episodes": mean(trajectory.truncated for trajectory in played),
        "responses per episode": len(steps) / len(played),
        "tokens per episode": mean(len(trajectory.tokens.ids) for trajectory in played if trajectory.tokens),
    }


def up_to_the_first_failed(turns: Sequence[Turn]) -> Sequence[Turn]:
    """Return the turns up to the first failed one: later turns may need values that were never read."""
    for place, turn in enumerate(turns, 1):
        if not turn.verdict.passed:
            return turns[:place]
    return turns


def _share_of_right_arguments(turns: Sequence[Turn]) -> float:
    chosen = [right for turn in turns for right in right_arguments(turn)]
    return mean(chosen) if chosen else 0.0


def right_arguments(turn: Turn) -> Iterator[bool]:
    """Yield for every call of a tool in the turn's ground truth whether its arguments equal those of such a call."""
    wanted: dict[str, list[ToolCall]] = {}
    for call in turn.ground_truth:
        wanted.setdefault(call.name, []).append(call)
    for step in turn.steps:
        for result in step.results:
            if result.call.name in wanted:
                yield any(result.call.arguments == call.arguments for call in wanted[result.call.name])
