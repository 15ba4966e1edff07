"""The policy that has read a hint teaches the call that failed before it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from toy_training import SGD, settings_of, toy_trainer
from toy_world import ANSWER, LS, MKDIR, ScriptedGenerator, ToyTasks, always, toy_collector, toy_model, toy_task

from envtune.environment.augmentation.actionable import Actionable
from envtune.reward.breakdown import RewardBreakdown, RewardPart
from envtune.rollout.collector import Collector, EpisodeRequest
from envtune.training.datamodule import EnvironmentDataModule
from envtune.training.hindsight import Hindsight, TaughtCalls, taught_advantages, taught_calls
from envtune.training.model.policy import Policy
from envtune.training.module import GRPOModule
from envtune.training.rollout_batch import RewardedGroup, train_batch
from envtune.trajectory import Trajectory

OTHER = MKDIR.replace('"a"', '"b"')
UNKNOWN = MKDIR.replace("dir_name", "folder")
# The second call fails, because the folder exists, and the third helps; ls with an argument is never tried again.
RECOVERS = (MKDIR, MKDIR, OTHER, ANSWER, LS, ANSWER)
GIVES_UP = (MKDIR, ANSWER, LS.replace("{}", '{"deep": true}'), ANSWER)
FAILS_AT_ONCE = (UNKNOWN, MKDIR, ANSWER, LS, ANSWER)
MANY = 10_000


class Equal:
    """The same reward for every episode."""

    def __call__(self, trajectory: Trajectory) -> RewardBreakdown:
        return RewardBreakdown((RewardPart("equal", 1.0),))


def hinting(tokenizer: Any, *lines: str) -> Collector:
    return replace(toy_collector(tokenizer, ScriptedGenerator(tokenizer, always(lines))), augmentation=Actionable())


def played(tokenizer: Any, *lines: str) -> tuple[Trajectory, Collector]:
    collector = hinting(tokenizer, *lines)
    (trajectory,) = collector.play([EpisodeRequest(toy_task(), 0)])
    return trajectory, collector


def taught(collector: Collector, *trajectories: Trajectory, guard: str = "recovered") -> TaughtCalls:
    calls = taught_calls(trajectories, guard, collector.template, 1.0, MANY)
    assert calls is not None
    return calls


def test_a_call_that_failed_stands_behind_its_history_with_the_hint(tokenizer: Any):
    trajectory, collector = played(tokenizer, *RECOVERS)
    calls = taught(collector, trajectory)
    hint = trajectory.steps[1].results[0].hint
    assert hint is not None
    assert trajectory.tokens is not None
    opening = "<|im_end|>\n<|im_start|>assistant\n"
    before, first, _ = tokenizer.decode(trajectory.tokens.ids).split(f"{opening}{MKDIR}")
    assert tokenizer.decode(calls.tensors.ids) == (
        f"{before}{opening}{MKDIR}{first}\nHint: {hint.text}{opening}{MKDIR}<|im_end|>"
    )


def test_only_the_tokens_of_the_call_are_taught_and_found_again_in_the_batch(tokenizer: Any):
    first, collector = played(tokenizer, *FAILS_AT_ONCE)
    second, _ = played(tokenizer, *RECOVERS)
    calls = taught(collector, first, second)
    assert len(calls.tensors) == 2
    group = RewardedGroup((first, second), (), tuple((0.0,) * len(t.turns) for t in (first, second)))
    batch = train_batch([group], 1.0)
    in_batch = batch.sampled[calls.places]
    assert batch.ids[in_batch].equal(calls.tensors.ids[calls.tensors.sampled])
    assert batch.behaviour_logprobs[calls.places].equal(calls.tensors.behaviour_logprobs)
    texts = [tokenizer.decode(batch.ids[in_batch[calls.tensors.episodes == row]]) for row in (0, 1)]
    # The tokenizer has a token "><", in which the thought ends and the tag begins.
    assert texts == [">" + line[line.index("<tool_call>") :] + "<|im_end|>" for line in (UNKNOWN, MKDIR)]
    # The places are those of the first completion of one episode, and of the second completion of the other.
    assert batch.episodes[calls.places].unique_consecutive().tolist() == [0, 1]


def test_calls_of_one_task_share_the_prompt_unless_the_hint_is_in_it(tokenizer: Any):
    recovers, collector = played(tokenizer, *RECOVERS)
    at_once, _ = played(tokenizer, *FAILS_AT_ONCE)
    calls = taught(collector, recovers, recovers, at_once, at_once)
    assert calls.tensors.prompts.tolist() == [0, 0, 1, 1]
    generation = len(collector.template.generation_ids)
    assert (calls.tensors.prompt_lengths[0] - calls.tensors.prompt_lengths[2]).item() == generation


def test_a_hint_that_did_not_help_is_taught_only_without_a_guard(tokenizer: Any):
    trajectory, collector = played(tokenizer, *GIVES_UP)
    assert trajectory.recoveries == (None,)
    assert taught_calls([trajectory], "recovered", collector.template, 1.0, MANY) is None
    assert len(taught(collector, trajectory, guard="none").tensors) == 1


def test_a_history_that_is_too_long_with_the_hint_is_left_out(tokenizer: Any):
    trajectory, collector = played(tokenizer, *RECOVERS)
    length = len(taught(collector, trajectory).tensors.ids)
    assert taught_calls([trajectory], "recovered", collector.template, 1.0, length - 1) is None


def test_the_teacher_adds_its_bounded_log_ratio_to_the_tokens_advantages(tokenizer: Any):
    trajectory, collector = played(tokenizer, *RECOVERS)
    calls = replace(taught(collector, trajectory), places=torch.tensor([1, 3]))
    own, log_ratios = torch.tensor([0.5, 0.5, -1.0, -1.0]), torch.tensor([0.25, -7.0])
    found = taught_advantages(own, log_ratios, calls, Hindsight(weight=0.5, clip=2.0))
    assert found.tolist() == [0.5, 0.625, -1.0, -2.0]


def test_an_update_with_equal_rewards_follows_the_teacher_alone(tokenizer: Any, tmp_path: Path):
    # Without rewards, KL and entropy the gradient is the teacher's: zero for a call without a hint, and in proportion
    # to the weight, as the log-ratios of this model are within the bound of 1000 nats.
    def change(weight: float, lines: tuple[str, ...]) -> tuple[torch.Tensor, dict[str, Any]]:
        grpo = {"beta": 0.0, "entropy_coef": 0.0, "gradient_clip": 1e9, "importance": "token"}
        distill = Hindsight(weight, clip=1000.0)
        datamodule = EnvironmentDataModule(
            ToyTasks(), hinting(tokenizer, *lines), Equal(), settings_of(**grpo), distill=distill
        )
        module = GRPOModule(Policy(toy_model()), settings_of(**grpo), SGD, distill=distill)
        before = torch.cat([p.detach().flatten() for p in module.policy.parameters()])
        trainer = toy_trainer(tmp_path)
        trainer.fit(module, datamodule)
        return torch.cat([p.detach().flatten() for p in module.policy.parameters()]) - before, trainer.callback_metrics

    once, logged = change(1.0, RECOVERS)
    twice, _ = change(2.0, RECOVERS)
    nothing, untaught = change(1.0, (MKDIR, ANSWER, LS, ANSWER))
    assert once.abs().max() > 1e-3
    torch.testing.assert_close(twice, 2 * once, rtol=0.01, atol=1e-5)
    assert nothing.norm() == 0
    assert (float(untaught["distill/tokens"]), float(logged["distill/clipped"])) == (0.0, 0.0)
    assert 0 < float(logged["distill/tokens"]) < 0.5
    assert "distill/log_ratio" not in untaught


def test_distillation_without_hints_is_warned_of(tokenizer: Any, caplog: pytest.LogCaptureFixture):
    collector = toy_collector(tokenizer, ScriptedGenerator(tokenizer, always(RECOVERS)))
    EnvironmentDataModule(ToyTasks(), collector, distill=Hindsight(), grpo=settings_of()).train_dataloader()
    assert "distill=hindsight teaches nothing with augmentation=none" in caplog.text
