"""Demonstrations are an agent's episodes, and only those that pass are cloned."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from toy_world import CHATML, DOCUMENTS, STYLE, ScriptedGenerator, ToyTasks, always, toy_collector, toy_task

from envtune.errors import UserError
from envtune.grpo.settings import GRPOSettings
from envtune.task import Split, Task, ToolCall, UserTurn
from envtune.training.cloning import clone_datamodule
from envtune.training.cloning.clone_datamodule import CloneDataModule
from envtune.training.cloning.demonstrator import Demonstrator
from envtune.training.rollout_batch import RolloutBatch

MKDIR = '<think>I call mkdir.</think>\n<tool_call>[{"name": "mkdir", "arguments": {"dir_name": "a"}}]</tool_call>'
LS = '<think>I call ls.</think>\n<tool_call>[{"name": "ls", "arguments": {}}]</tool_call>'
DONE = "<think>The calls are made.</think>\n<answer>Done.</answer>"
LINES = (MKDIR, DONE, LS, DONE)


class Tasks(ToyTasks):
    """These training tasks."""

    def __init__(self, train: Sequence[Task]) -> None:
        super().__init__()
        self._tasks[Split.TRAIN] = tuple(train)


def datamodule_of(
    tokenizer: Any, train: Sequence[Task] = (toy_task(),), tasks_per_update: int = 1, seed: int = 0, **limits: Any
) -> CloneDataModule:
    collector = toy_collector(tokenizer, ScriptedGenerator(tokenizer, always(LINES)), **limits)
    settings = GRPOSettings(tasks_per_update=tasks_per_update)
    return CloneDataModule(Tasks(train), collector, grpo=settings, seed=seed, demonstrator=Demonstrator())


def batches_of(datamodule: CloneDataModule, count: int) -> list[RolloutBatch]:
    loader = datamodule.train_dataloader()
    return [loader._play(number) for number in range(count)]


def defective(number: int) -> Task:
    """Its third turn has a check that nothing passes."""
    task = toy_task(number)
    return replace(task, turns=(*task.turns, UserTurn("Now?", check=lambda view, answer: False)))


def test_a_demonstration_is_this_conversation_with_the_responses_as_sampled(tokenizer: Any):
    batch = batches_of(datamodule_of(tokenizer), 1)[0].tensors
    assert tokenizer.chat_template == CHATML
    prompt = (
        f"<|im_start|>system\n{STYLE.system_prompt(DOCUMENTS)}<|im_end|>\n<|im_start|>user\nTask 0: make a.<|im_end|>"
    )
    expected = (
        f"{prompt}\n<|im_start|>assistant\n{MKDIR}<|im_end|>\n<|im_start|>user\n[1] mkdir: None<|im_end|>\n"
        f"<|im_start|>assistant\n{DONE}<|im_end|>\n<|im_start|>user\nWhat is here?<|im_end|>\n"
        f"<|im_start|>assistant\n{LS}<|im_end|>\n<|im_start|>user\n"
        '[1] ls: {"current_directory_content": ["a"]}<|im_end|>\n'
        f"<|im_start|>assistant\n{DONE}<|im_end|>"
    )
    assert tokenizer.decode(batch.ids.tolist()) == expected
    assert tokenizer.decode(batch.ids[batch.sampled].tolist()) == "<|im_end|>".join(LINES) + "<|im_end|>"
    assert batch.temperature == 1.0


def test_the_ids_are_those_of_an_agent_that_makes_the_same_calls(tokenizer: Any):
    datamodule = datamodule_of(tokenizer)
    (validated, *_) = datamodule.val_dataloader()
    (shown,) = batches_of(datamodule_of(tokenizer, [toy_task(4)]), 1)[0].groups
    agent, demonstrated = validated.trajectories[0], shown.trajectories[0]
    assert agent.task_id == demonstrated.task_id == "toy_4"
    assert demonstrated.tokens.ids == agent.tokens.ids
    assert demonstrated.tokens.completion_mask == agent.tokens.completion_mask
    assert demonstrated.turns == agent.turns


def test_a_ground_truth_that_does_not_pass_is_left_out_counted_and_named_once(tokenizer: Any, caplog: Any):
    tasks = [defective(0), toy_task(1), defective(2), toy_task(3)]
    datamodule = datamodule_of(tokenizer, tasks, tasks_per_update=2)
    with caplog.at_level(logging.WARNING):
        batches = batches_of(datamodule, 3)
    played = [group.trajectories[0].task_id for batch in batches for group in batch.groups]
    assert sorted(set(played)) == ["toy_1", "toy_3"]
    assert len(played) == 6
    (line,) = [record.message for record in caplog.records]
    assert "because its ground truth does not pass (failed turns: [2])" in line
    drawn = sum(2 / (1 - batch.sampler["clone/left_out"][0]) for batch in batches)
    assert drawn == pytest.approx(datamodule.state_dict()["drawn"][0])


@pytest.mark.parametrize(
    ("task", "limits", "why"),
    [
        (toy_task(), {"max_completion_tokens": 5}, "exceeds"),
        (toy_task(), {"max_response_tokens": 60}, "exceeds"),
        (
            replace(toy_task(), turns=(UserTurn("Make it.", (ToolCall("mkdir", {"dir_name": float("nan")}),)),)),
            {},
            "not JSON compliant|cannot express",
        ),
    ],
    ids=["a response is too long", "an episode is too long", "the protocol cannot write a call"],
)
def test_what_an_agent_could_not_have_done_is_not_shown(
    tokenizer: Any, monkeypatch: pytest.MonkeyPatch, task: Task, limits: dict[str, int], why: str
):
    monkeypatch.setattr(clone_datamodule, "MOST_LEFT_OUT", 3)
    with pytest.raises(UserError, match=f"none of the last 3 training tasks can be cloned.*({why})"):
        batches_of(datamodule_of(tokenizer, [task], **limits), 1)


def test_a_stream_that_goes_on_from_its_state_shows_the_same_tasks(tokenizer: Any):
    tasks = [toy_task(number) for number in range(5)]
    whole = batches_of(datamodule_of(tokenizer, tasks, 2), 4)
    first = datamodule_of(tokenizer, tasks, 2)
    batches_of(first, 2)
    again = datamodule_of(tokenizer, tasks, 2)
    again.load_state_dict(first.state_dict())
    for one, other in zip(whole[2:], batches_of(again, 2), strict=True):
        assert one.tensors.ids.equal(other.tensors.ids)
