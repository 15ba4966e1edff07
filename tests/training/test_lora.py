"""Low-rank adapters: what is trained, what the reference is, what checkpoints hold, and what they do not fit."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from hand_made_batches import BATCH, GROUPS, full_statistics, save_model
from toy_training import settings_of, toy_datamodule, toy_trainer
from toy_world import toy_model
from transformers import AutoModelForCausalLM, PreTrainedModel

from envtune.errors import UserError
from envtune.training.model.lora import LoRA, adapter_tensors
from envtune.training.model.policy import Policy
from envtune.training.model.weights import load_model, load_trained
from envtune.training.module import GRPOModule
from envtune.training.resume.last_checkpoint import LastCheckpoint
from envtune.training.run_folder.checkpoint_io import AtomicCheckpointIO

ADAM = partial(torch.optim.Adam, lr=0.05)
RANK_2 = LoRA(r=2, alpha=4)
# Seven linear layers in each of two blocks, two matrices for each.
MATRICES = 2 * 7 * 2


@pytest.fixture
def model_path(tmp_path: Path) -> str:
    return save_model(tmp_path / "model")


def adapted(path: str, lora: LoRA = RANK_2, **settings: Any) -> Policy:
    return Policy(load_model(path, lora=lora, **settings))


def update(policy: Policy) -> None:
    """One large step, so that A, B and their product are far from where they began."""
    optimizer = torch.optim.Adam([p for p in policy.parameters() if p.requires_grad], lr=0.05)
    for _ in range(2):
        optimizer.zero_grad()
        policy(GROUPS).logprobs.sum().backward()
        optimizer.step()


def save(policy: Policy, path: Path) -> str:
    state = {f"policy.{name}": value for name, value in policy.state_dict().items()}
    AtomicCheckpointIO().save_checkpoint({"state_dict": state, "global_step": 2}, path)
    return str(path)


@torch.no_grad()
def logprobs_of(model: PreTrainedModel) -> torch.Tensor:
    return full_statistics(model, BATCH)[0]


def test_training_begins_at_the_bare_model_and_its_reference_exactly(model_path: str) -> None:
    policy, bare = adapted(model_path), Policy(load_model(model_path))
    logprobs = policy(BATCH).logprobs
    assert logprobs.equal(bare(BATCH).logprobs)
    assert policy.reference_logprobs(BATCH).equal(logprobs)


def test_an_update_changes_the_adapter_alone_and_not_the_reference(model_path: str) -> None:
    policy, bare = adapted(model_path), load_model(model_path)
    before = policy(BATCH).logprobs.detach()
    update(policy)
    trained = [name for name, parameter in policy.model.named_parameters() if parameter.requires_grad]
    assert set(trained) == adapter_tensors(policy.model)
    assert len(trained) == MATRICES
    for name, weight in bare.state_dict().items():
        place = name.replace("_proj.", "_proj.base_layer.")
        assert policy.model.state_dict()[place].equal(weight), name
    assert (policy(BATCH).logprobs - before).abs().max() > 0.1
    assert policy.reference_logprobs(BATCH).equal(before)


def test_the_reference_between_forward_and_backward_leaves_the_gradients_alone(model_path: str) -> None:
    first, second = (adapted(model_path, gradient_checkpointing=checkpointing) for checkpointing in (False, True))
    second.load_state_dict(first.state_dict())
    first(GROUPS).logprobs.sum().backward()
    # With gradient checkpointing, in which the layers are computed again after the reference has been.
    logprobs = second(GROUPS).logprobs
    second.reference_logprobs(GROUPS)
    logprobs.sum().backward()
    gradients = [p.grad for p in first.parameters() if p.grad is not None]
    others = [p.grad for p in second.parameters() if p.grad is not None]
    assert len(gradients) == len(others) == MATRICES
    for ours, theirs in zip(gradients, others, strict=True):
        torch.testing.assert_close(theirs, ours, atol=1e-6, rtol=1e-5)


def test_only_the_listed_layers_are_adapted(model_path: str) -> None:
    policy = adapted(model_path, LoRA(r=2, targets=["q_proj", "layers.1.mlp.up_proj"]))
    names = {name.removesuffix(".weight") for name in adapter_tensors(policy.model)}
    places = ("layers.0.self_attn.q_proj", "layers.1.self_attn.q_proj", "layers.1.mlp.up_proj")
    assert names == {f"model.{place}.lora_{matrix}.policy" for place in places for matrix in "AB"}


def test_an_adapter_beside_bfloat16_weights_is_float32(model_path: str) -> None:
    policy = adapted(model_path, dtype="bfloat16")
    dtypes = {name: parameter.dtype for name, parameter in policy.model.named_parameters()}
    assert {dtypes[name] for name in adapter_tensors(policy.model)} == {torch.float32}
    assert {dtypes[name] for name in dtypes.keys() - adapter_tensors(policy.model)} == {torch.bfloat16}
    assert policy.reference_logprobs(BATCH).equal(policy(BATCH).logprobs)


@pytest.mark.parametrize("tied", [False, True])
def test_the_merged_model_has_the_log_probs_of_model_and_adapter(tmp_path: Path, tied: bool) -> None:
    path = save_model(tmp_path / "model", tied)
    policy = adapted(path)
    update(policy)
    merged = load_trained(path, save(policy, tmp_path / "best.ckpt"), "float32", trust_remote_code=False)
    merged.save_pretrained(tmp_path / "merged")
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    torch.testing.assert_close(logprobs_of(again), policy(BATCH).logprobs.detach(), atol=1e-5, rtol=0)
    assert (logprobs_of(again) - logprobs_of(load_model(path))).abs().max() > 0.1
    assert set(again.state_dict()) == set(load_model(path).state_dict())


def test_a_checkpoint_of_all_weights_is_the_model_that_was_trained(tmp_path: Path, model_path: str) -> None:
    policy = Policy(load_model(model_path))
    update(policy)
    trained = load_trained(model_path, save(policy, tmp_path / "best.ckpt"), "float32", trust_remote_code=False)
    torch.testing.assert_close(logprobs_of(trained), policy(BATCH).logprobs.detach(), atol=1e-5, rtol=0)


def test_a_stage_begins_policy_and_reference_at_the_adapter_of_the_one_before(tmp_path: Path, model_path: str) -> None:
    first = adapted(model_path)
    update(first)
    start = first(BATCH).logprobs.detach()
    second = adapted(model_path, init_from=save(first, tmp_path / "stage_1.ckpt"))
    assert second(BATCH).logprobs.equal(start)
    assert second.reference_logprobs(BATCH).equal(start)
    update(second)
    assert second.reference_logprobs(BATCH).equal(start)
    # The frozen adapter is no part of the next checkpoint, so that they do not grow from stage to stage.
    assert first.state_dict().keys() == second.state_dict().keys()
    third = adapted(model_path, init_from=save(second, tmp_path / "stage_2.ckpt"))
    assert third.reference_logprobs(BATCH).equal(second(BATCH).logprobs)


@pytest.fixture(scope="module")
def toy_path(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("lora") / "toy"
    toy_model().save_pretrained(folder)
    return str(folder)


def fit(
    tokenizer: Any, path: str, folder: Path, updates: int, goes_on: Path | None = None, **settings: Any
) -> tuple[dict[str, float], Path]:
    """Trains an adapter on the toy world as it is, with its own samples: metrics of the last update, checkpoint."""
    torch.manual_seed(0)
    module = GRPOModule(adapted(path, **settings), settings_of(beta=0.1), ADAM)
    trainer = toy_trainer(folder, [LastCheckpoint(str(folder))], max_steps=updates, enable_checkpointing=True)
    trainer.fit(module, toy_datamodule(tokenizer), ckpt_path=goes_on, weights_only=True)
    checkpoint = folder / f"update_{updates}.ckpt"
    trainer.save_checkpoint(checkpoint)
    return {name: float(value) for name, value in trainer.callback_metrics.items()}, checkpoint


def test_the_kl_of_a_stages_first_update_is_exactly_zero(tokenizer: Any, tmp_path: Path, toy_path: str) -> None:
    metrics, _ = fit(tokenizer, toy_path, tmp_path / "first", 1)
    assert metrics["kl"] == 0.0
    metrics, checkpoint = fit(tokenizer, toy_path, tmp_path / "second", 2)
    assert metrics["kl"] > 1e-6
    # What was sampled with the adapter has the log-probs that the update computes.
    assert metrics["sampling/logp_diff_max"] < 1e-4
    metrics, _ = fit(tokenizer, toy_path, tmp_path / "next", 1, init_from=str(checkpoint))
    assert metrics["kl"] == 0.0


def test_a_stage_that_is_continued_is_the_one_that_was_not_interrupted(
    tokenizer: Any, tmp_path: Path, toy_path: str
) -> None:
    _, before = fit(tokenizer, toy_path, tmp_path / "before", 1)
    expected, whole = fit(tokenizer, toy_path, tmp_path / "whole", 3, init_from=str(before))
    _, part = fit(tokenizer, toy_path, tmp_path / "broken", 2, init_from=str(before))
    metrics, continued = fit(tokenizer, toy_path, tmp_path / "broken", 3, part, init_from=str(before))
    assert (metrics["kl"], metrics["grad_norm"]) == (expected["kl"], expected["grad_norm"])
    states = [torch.load(path, weights_only=True)["state_dict"] for path in (whole, continued)]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0] if name != "policy.adapter")


def test_a_checkpoint_holds_the_adapter_alone(tokenizer: Any, tmp_path: Path, toy_path: str) -> None:
    _, path = fit(tokenizer, toy_path, tmp_path, 1)
    checkpoint = torch.load(path, weights_only=True)
    state = checkpoint["state_dict"]
    assert state.pop("policy.adapter") == {"r": 2, "alpha": 4, "beside": toy_path}
    assert len(state) == MATRICES
    assert all(".lora_" in name for name in state)
    # Two blocks of rank 2: inputs and outputs of q and o 32 and 32, k and v 32 and 16, gate, up and down 32 and 48.
    numbers = 2 * 2 * (2 * 64 + 2 * 48 + 3 * 80)
    assert sum(tensor.numel() for tensor in state.values()) == numbers
    moments = checkpoint["optimizer_states"][0]["state"]
    assert sum(tensors["exp_avg"].numel() for tensors in moments.values()) == numbers


def test_an_adapter_beside_the_weights_of_another_folder_is_reported(
    tmp_path: Path, model_path: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = save(adapted(model_path), tmp_path / "a.ckpt")
    adapted(model_path, init_from=path)
    assert caplog.messages == []
    other = save_model(tmp_path / "other", seed=5)
    adapted(other, init_from=path)
    assert caplog.messages == [
        f"the adapter in checkpoint {path} was trained beside the weights of {model_path} and is now loaded beside "
        f"those of {other}: they must be identical"
    ]


FOLDER = r"give the folder that tools/export_model\.py makes of it as model\.path"
# What was saved, what it is loaded into, and the sentence, which names the SOURCE.
MISFITS = {
    "another rank": (
        RANK_2,
        LoRA(r=4, alpha=4),
        r"the adapter in SOURCE has r=2, but model\.lora\.r is 4: give model\.lora\.r=2$",
    ),
    "another weight": (
        RANK_2,
        LoRA(r=2),
        r"the adapter in SOURCE has alpha=4, but model\.lora\.alpha is 32\.0: give model\.lora\.alpha=4$",
    ),
    "other layers": (
        RANK_2,
        LoRA(r=2, alpha=4, targets=["q_proj"]),
        r"the adapter in SOURCE is on 14 layers \(down_proj, .*\), but model\.lora\.targets stands for 2 layers",
    ),
    "no adapter": (
        RANK_2,
        LoRA(),
        rf"SOURCE holds only an adapter of r=2, but all weights are trained here: add model\.lora\.r=2, or {FOLDER}",
    ),
    "all weights": (
        LoRA(),
        RANK_2,
        rf"SOURCE holds all weights, but model\.lora\.r=2 trains .*: leave model\.lora\.r out, or {FOLDER}",
    ),
}


@pytest.mark.parametrize(("saved", "own", "sentence"), MISFITS.values(), ids=MISFITS)
def test_a_checkpoint_that_does_not_fit_is_refused_in_a_sentence(
    tmp_path: Path, model_path: str, saved: LoRA, own: LoRA, sentence: str
) -> None:
    before = adapted(model_path, saved)
    path = save(before, tmp_path / "a.ckpt")
    with pytest.raises(UserError, match=sentence.replace("SOURCE", f"checkpoint {path}")) as raised:
        adapted(model_path, own, init_from=path)
    assert "\n" not in str(raised.value)
    policy = adapted(model_path, own)
    with pytest.raises(UserError, match=sentence.replace("SOURCE", "the checkpoint")):
        policy.load_state_dict(before.state_dict())


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"r": -1}, "r=-1 must be a whole number of at least 0: the adapter's rank, or 0 to train all weights"),
        ({"r": 2, "alpha": 0}, "alpha=0 must be a number above 0: the adapter is weighted by alpha / r"),
        (
            {"r": 2, "targets": "q_proj"},
            "targets='q_proj' must be all-linear or a list of one or more, each text",
        ),
        ({"r": 2, "targets": []}, r"targets=\[\] must be all-linear or"),
        (
            {"r": 2, "targets": ["q_proj", "lm_head"]},
            r"model\.lora\.targets: lm_head is not a linear layer or an expert weight of "
            r"Qwen2ForCausalLM; valid are: all-linear, down_pr",
        ),
    ],
)
def test_an_invalid_setting_of_an_adapter_is_a_user_error(
    model_path: str, settings: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        adapted(model_path, LoRA(**settings))


def test_without_peft_the_error_names_the_package_to_install(model_path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(
        UserError, match=r"model\.lora\.r=2 needs the package peft: pip install .*'\.\[lora\]', or train all"
    ):
        adapted(model_path)
