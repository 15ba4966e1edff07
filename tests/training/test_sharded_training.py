"""trainer=fsdp: two processes that each hold half of every weight train as one process alone does."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from hand_made_batches import GROUPS
from lightning import Callback
from lightning.pytorch.plugins.precision import HalfPrecision
from sharded_run import together
from toy_training import settings_of, toy_datamodule, toy_trainer
from toy_world import toy_model, toy_tokenizer

from envtune.errors import UserError
from envtune.training.model.fsdp_strategy import FSDP2Strategy
from envtune.training.model.lora import LoRA, add_adapter
from envtune.training.model.policy import Policy
from envtune.training.model.sharding import full_tensor, shard_model
from envtune.training.model.weights import load_stage_weights
from envtune.training.module import GRPOModule
from envtune.training.run_folder.checkpoint_io import AtomicCheckpointIO, damage_of, update_of

# The first test waits for the two processes, which a busy machine may take a while for.
pytestmark = pytest.mark.timeout(900)

ADAM = partial(torch.optim.AdamW, lr=0.01)
# The norm of the gradients is above 1: they are clipped.
GRPO = {"tasks_per_update": 2, "beta": 0.1, "gradient_clip": 0.5}
ADAPTER = LoRA(r=2, alpha=4)
MODELS: dict[str, dict[str, Any]] = {"all weights": {}, "tied weights": {"tied": True}, "adapter": {"lora": ADAPTER}}
# An adapter beside frozen weights in bfloat16, layers that are computed once more in the backward pass.
MIXED: dict[str, dict[str, Any]] = {"weights": {}, "adapter": {"lora": ADAPTER, "dtype": torch.bfloat16}}


class Uneven(Callback):
    """The first process takes its rows in one micro-batch, the second each alone."""

    def on_fit_start(self, trainer: Any, module: Any) -> None:
        module.grpo = replace(module.grpo, max_tokens_per_batch=(65536, 1)[trainer.global_rank])


def toy_module(
    lora: LoRA | None = None, tied: bool = False, dtype: torch.dtype = torch.float32, checkpointing: bool = False
) -> GRPOModule:
    model: Any = toy_model()
    if tied:
        model.config.tie_word_embeddings = True
        model.tie_weights()
    model.to(dtype)
    if lora:
        add_adapter(model, lora)
    if checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    return GRPOModule(Policy(model), settings_of(**GRPO), ADAM)


def fit(folder: Path, module: GRPOModule, updates: int, start: Path | None = None, **arguments: Any) -> Any:
    trainer = toy_trainer(folder, max_steps=updates, plugins=[AtomicCheckpointIO()], **arguments)
    trainer.fit(module, toy_datamodule(toy_tokenizer(), **GRPO), ckpt_path=start, weights_only=True)
    return trainer


def sharded(folder: Path, module: GRPOModule, updates: int, start: Path | None = None, **arguments: Any) -> Any:
    return fit(folder, module, updates, start, devices=2, strategy=FSDP2Strategy(), callbacks=[Uneven()], **arguments)


def play(folder: Path) -> None:
    """What each of the two processes does; the tests read what is left in ``folder``."""
    for name, kind in MODELS.items():
        sharded(folder, toy_module(**kind), 1).save_checkpoint(folder / f"{name}_1.ckpt")
        sharded(folder, module := toy_module(**kind), 2).save_checkpoint(folder / f"{name}_2.ckpt")
        sampled = module.policy.model_to_sample().state_dict()
        resumed = sharded(folder, toy_module(**kind), 2, folder / f"{name}_1.ckpt")
        resumed.save_checkpoint(folder / f"{name}_resumed.ckpt")
        load_stage_weights(resumed.lightning_module.policy.model, str(folder / f"{name}_1.ckpt"))
        state = resumed.lightning_module.policy.model.state_dict().items()
        restored = {weight_name: full_tensor(weight) for weight_name, weight in state}
        torch.save({"sampled": sampled, "restored": restored}, folder / f"{name}_{resumed.global_rank}.pt")
    for name, kind in MIXED.items():
        trainer = sharded(folder, module := toy_module(checkpointing=True, **kind), 0, precision="bf16-mixed")
        assert {weight.dtype for weight in module.policy.model_to_sample().parameters()} == {torch.bfloat16}
        logprobs, gradients = mixed_pass(module.policy)
        torch.save(
            (logprobs, [full_tensor(gradient) for gradient in gradients]),
            folder / f"mixed {name}_{trainer.global_rank}.pt",
        )


def mixed_pass(policy: Policy) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Log-probs of the hand-made groups, and the gradients of their sum."""
    with torch.autocast("cpu", torch.bfloat16, cache_enabled=False):
        logprobs = policy(GROUPS).logprobs
    logprobs.sum().backward()
    return logprobs.detach(), [p.grad for p in policy.parameters() if p.grad is not None]


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sharded")
    codes, said = together(play, folder)
    assert codes == [0, 0], said
    return folder


def read(path: Path) -> Any:
    return torch.load(path, weights_only=True)


def assert_same(found: Any, expected: Any, tolerance: float) -> None:
    assert list(found) == list(expected)
    for name, value in expected.items():
        if isinstance(value, torch.Tensor):
            torch.testing.assert_close(found[name], value, atol=tolerance, rtol=0)
        else:
            assert found[name] == value


@pytest.mark.parametrize("name", MODELS)
def test_two_updates_are_those_of_one_process_with_the_same_groups(left: Path, tmp_path: Path, name: str) -> None:
    alone = fit(tmp_path, module := toy_module(**MODELS[name]), 2)
    alone.save_checkpoint(tmp_path / "alone.ckpt")
    one, two = read(tmp_path / "alone.ckpt"), read(left / f"{name}_2.ckpt")
    # Of a gradient that is nearly zero, AdamW takes the sign: a step of up to 0.01 either way.
    assert_same(two["state_dict"], one["state_dict"], 5e-4)
    (ours,), (theirs,) = two["optimizer_states"], one["optimizer_states"]
    assert ours["param_groups"] == theirs["param_groups"]
    for number, values in theirs["state"].items():
        assert_same(ours["state"][number], values, 1e-5)
    trained = {f"policy.{n}" for n, p in module.policy.named_parameters(remove_duplicate=False) if p.requires_grad}
    assert {n for n, value in two["state_dict"].items() if isinstance(value, torch.Tensor)} == trained


@pytest.mark.parametrize("name", MODELS)
def test_an_interrupted_sharded_run_is_resumed_exactly(left: Path, name: str) -> None:
    resumed, unbroken = read(left / f"{name}_resumed.ckpt"), read(left / f"{name}_2.ckpt")
    assert_same(resumed["state_dict"], unbroken["state_dict"], 0)
    for number, values in unbroken["optimizer_states"][0]["state"].items():
        assert_same(resumed["optimizer_states"][0]["state"][number], values, 0)


@pytest.mark.parametrize("name", MODELS)
def test_every_process_samples_from_all_weights_as_they_are_now(left: Path, name: str) -> None:
    saved = {n.removeprefix("policy.model."): value for n, value in read(left / f"{name}_2.ckpt")["state_dict"].items()}
    before = dict(toy_module(**MODELS[name]).policy.model.named_parameters(remove_duplicate=False))
    for rank in range(2):
        sampled = read(left / f"{name}_{rank}.pt")["sampled"]
        assert set(sampled) == set(before)
        for weight_name, weight in sampled.items():
            torch.testing.assert_close(weight, saved.get(weight_name, before[weight_name].data), atol=0, rtol=0)


@pytest.mark.parametrize("name", MODELS)
def test_a_checkpoint_is_put_back_into_a_sharded_model(left: Path, name: str) -> None:
    saved = {n.removeprefix("policy.model."): value for n, value in read(left / f"{name}_1.ckpt")["state_dict"].items()}
    restored = read(left / f"{name}_1.pt")["restored"]
    for weight_name in set(saved) & set(restored):
        torch.testing.assert_close(restored[weight_name], saved[weight_name], atol=0, rtol=0)
    assert len(set(saved) & set(restored)) == (28 if name == "adapter" else 27)


def test_a_checkpoint_is_a_whole_file_of_the_usual_kind(left: Path) -> None:
    assert damage_of(left / "all weights_2.ckpt") is None
    assert update_of(left / "all weights_2.ckpt") == 2
    model = toy_model(seed=1)
    load_stage_weights(model, str(left / "all weights_2.ckpt"))
    torch.testing.assert_close(
        model.lm_head.weight.data, read(left / "all weights_2.ckpt")["state_dict"]["policy.model.lm_head.weight"]
    )


@pytest.mark.parametrize("name", MIXED)
def test_layers_in_bfloat16_give_the_gradients_of_autocast(left: Path, name: str) -> None:
    logprobs, gradients = read(left / f"mixed {name}_1.pt")
    theirs, wanted = mixed_pass(toy_module(**MIXED[name]).policy)
    # Eight bits of mantissa, and what passes between the layers has no more here.
    torch.testing.assert_close(logprobs, theirs, atol=0.1, rtol=0)
    error, size = (
        torch.cat([t.flatten() for t in tensors]).norm()
        for tensors in ([ours - other for ours, other in zip(gradients, wanted, strict=True)], wanted)
    )
    assert error < 0.05 * size


def test_a_model_with_unknown_layers_is_a_user_error() -> None:
    class Unknown(torch.nn.Linear):
        pass

    with pytest.raises(UserError, match=r"Unknown does not have transformers' own decoder layers.*or trainer=ddp"):
        shard_model(torch.nn.Identity(), Unknown(2, 2), None, None)  # type: ignore[arg-type]


def test_a_precision_that_it_does_not_know_is_refused_in_a_sentence() -> None:
    strategy = FSDP2Strategy()
    strategy.precision_plugin = HalfPrecision("bf16-true")
    with pytest.raises(UserError, match="bf16-true does not go with trainer=fsdp; choose 32-true or bf16-mixed"):
        strategy.shard(toy_module().policy)
