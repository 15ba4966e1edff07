"""A long observation loses its middle in the prompt; verdict and record use the whole observation."""

from __future__ import annotations

from typing import Any

from toy_world import ANSWER, DOCUMENTS, LS, STYLE, ScriptedGenerator, always

from envtune.bfcl.category import Category
from envtune.bfcl.environment import BFCL_ENVIRONMENT
from envtune.bfcl.scenario import Scenario
from envtune.chat.template import Template
from envtune.environment.augmentation.none import NoAugmentation
from envtune.environment.episode import NEXT_MESSAGE
from envtune.rollout.collector import Collector, EpisodeRequest
from envtune.task import Task, ToolCall, UserTurn
from envtune.trajectory import Trajectory

FILES = {f"file_{number:03}": {"type": "file", "content": ""} for number in range(60)}
STATE = {"GorillaFileSystem": {"root": {"home": {"type": "directory", "contents": FILES}}}}
TASK = Task(
    "long",
    Category.BASE,
    Scenario(0, ("GorillaFileSystem",), STATE),
    (UserTurn("List.", (ToolCall("ls", {}),)), UserTurn("Thanks.", ())),
    DOCUMENTS,
)


def play(tokenizer: Any, max_observation_tokens: int | None) -> tuple[Trajectory, str]:
    """Return the trajectory and the text of all its tokens."""
    collector = Collector(
        ScriptedGenerator(tokenizer, always((LS, LS, ANSWER))),
        Template(tokenizer, STYLE, max_observation_tokens),
        BFCL_ENVIRONMENT,
        NoAugmentation(),
        step_limit=1,
        max_prompt_tokens=1024,
        max_response_tokens=4096,
        max_completion_tokens=96,
    )
    trajectory = collector.play([EpisodeRequest(TASK, seed=1)])[0]
    assert trajectory.tokens is not None
    return trajectory, tokenizer.decode(trajectory.tokens.ids)


def test_the_cut_changes_neither_verdict_nor_record(tokenizer: Any) -> None:
    whole, read = play(tokenizer, None)
    cut, read_cut = play(tokenizer, 120)
    assert "file_030" in read
    assert "the middle is left out" not in read
    assert "file_000" in read_cut
    assert "file_030" not in read_cut
    assert "file_059" in read_cut
    assert read_cut.count("[... the middle is left out, it is too long ...]") == 2
    assert "file_030" in cut.steps[0].observation
    assert cut.turns == whole.turns
    assert cut.success
    assert cut.turns[0].verdict.response


def test_the_message_after_a_turn_at_its_step_limit_is_not_cut(tokenizer: Any) -> None:
    _, read = play(tokenizer, 120)
    assert f"{NEXT_MESSAGE}\nThanks.<|im_end|>" in read
