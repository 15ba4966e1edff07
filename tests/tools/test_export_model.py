"""What a run has trained as a folder of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from envtune.errors import UserError
from envtune.training.lora import LoRA, adapter_tensors
from envtune.training.policy import Policy
from envtune.training.weights import load_model

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))

from export_model import Trained, export, find_trained  # noqa: E402

IDS = torch.arange(3, 60)[None]
# Two updates on two episodes of one short step each.
SMALL_RUN = (
    "model=hf",
    "model.lora.r=4",
    "prompt=compact",
    "prompt.instructions=short",
    "data=playground",
    "data.toolboxes=[MathAPI]",
    "data.categories=[base]",
    "data.val_categories=[base]",
    "data.val_size=2",
    "grpo.group_size=2",
    "grpo.tasks_per_update=1",
    "optimizer.lr=0.05",
    "rollout.step_limit=1",
    "rollout.max_completion_tokens=6",
    "rollout.max_response_tokens=1024",
    "trainer=cpu",
    "trainer.max_steps=2",
    "trainer.val_check_interval=2",
)


@torch.no_grad()
def logprobs_of(model: PreTrainedModel) -> torch.Tensor:
    return model.eval()(input_ids=IDS).logits.log_softmax(-1)


@pytest.fixture(scope="module", params=[LoRA(), LoRA(r=4)], ids=["all weights", "adapter"])
def policy(request: pytest.FixtureRequest, toy_folder: Path) -> Policy:
    """With other weights than the model's, of which no two are alike."""
    policy = Policy(load_model(str(toy_folder), lora=request.param))
    torch.manual_seed(1)
    for parameter in policy.parameters():
        if parameter.requires_grad:
            parameter.data += 0.1 * torch.randn_like(parameter)
    return policy


@pytest.fixture
def run(tmp_path: Path, policy: Policy, toy_folder: Path) -> Path:
    """The folder of a run, as far as an export reads it."""
    folder = tmp_path / "run"
    (folder / "checkpoints").mkdir(parents=True)
    state = {f"policy.{name}": value for name, value in policy.state_dict().items()}
    torch.save({"state_dict": state, "global_step": 2}, folder / "checkpoints/best.ckpt")
    record = {"settings": {"model": {"path": str(toy_folder), "dtype": "float32", "trust_remote_code": False}}}
    (folder / "run.json").write_text(json.dumps(record))
    return folder


def test_the_folder_holds_a_plain_model_that_computes_what_the_policy_does(
    tmp_path: Path, run: Path, policy: Policy, toy_folder: Path
) -> None:
    export(find_trained(str(run)), tmp_path / "exported", "float32")
    exported = AutoModelForCausalLM.from_pretrained(tmp_path / "exported")
    lora = LoRA(r=4) if adapter_tensors(policy.model) else None
    same = load_model(str(toy_folder), lora=lora, init_from=str(run))
    torch.testing.assert_close(logprobs_of(exported), logprobs_of(same), atol=1e-5, rtol=0)
    bare = load_model(str(toy_folder))
    assert (logprobs_of(exported) - logprobs_of(bare)).abs().max() > 0.1
    assert type(exported) is type(bare)
    assert set(exported.state_dict()) == set(bare.state_dict())
    assert {path.name for path in (tmp_path / "exported").iterdir()} >= {"config.json", "generation_config.json"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["exported", "run"]


def test_the_folder_speaks_as_the_model_that_was_trained(tmp_path: Path, run: Path, toy_folder: Path) -> None:
    export(find_trained(str(run)), tmp_path / "exported", "bfloat16")
    ours, theirs = (AutoTokenizer.from_pretrained(folder) for folder in (tmp_path / "exported", toy_folder))
    messages = [{"role": "user", "content": "Make a."}]
    assert ours.apply_chat_template(messages, tokenize=False) == "<|im_start|>user\nMake a.<|im_end|>\n"
    assert ours("Make a.")["input_ids"] == theirs("Make a.")["input_ids"]
    config: dict[str, Any] = json.loads((tmp_path / "exported/config.json").read_text())
    assert (config["architectures"], config["dtype"]) == (["Qwen2ForCausalLM"], "bfloat16")
    assert json.loads((tmp_path / "exported/generation_config.json").read_text())["eos_token_id"] == 1
    # Others may read it too.
    assert (tmp_path / "exported/model.safetensors").stat().st_mode & 0o777 == 0o644


def test_the_model_is_where_the_run_found_it_unless_told_otherwise(run: Path, toy_folder: Path) -> None:
    best = run / "checkpoints/best.ckpt"
    assert find_trained(str(run)) == Trained(best, str(toy_folder), "float32", False)
    assert find_trained(str(best), "elsewhere") == Trained(best, "elsewhere", "float32", False)
    (run / "run.json").unlink()
    assert find_trained(str(run), "elsewhere") == Trained(best, "elsewhere", "float32", False)
    with pytest.raises(
        UserError, match=r"best\.ckpt is in no folder of a run whose run\.json says .*: add --model PATH"
    ):
        find_trained(str(run))


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path, run: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").touch()
    with pytest.raises(UserError, match="full exists and is no empty folder: give another name, or remove it"):
        export(find_trained(str(run)), tmp_path / "full", "float32")
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["file"]


@pytest.mark.timeout(900)
def test_a_run_with_an_adapter_is_trained_and_exported_by_command(tmp_path: Path, toy_folder: Path) -> None:
    def python(*arguments: str) -> str:
        done = subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-1500:] + done.stderr[-1500:]
        return done.stdout

    python("train.py", *SMALL_RUN, f"model.path={toy_folder}", f"hydra.run.dir={tmp_path / 'run'}")
    last, exported = tmp_path / "run/checkpoints/last.ckpt", tmp_path / "exported"
    said = python("tools/export_model.py", str(last), str(exported))
    assert said == f"{exported}: {toy_folder} with the weights of {last}, in float32\n"
    names = torch.load(last, weights_only=True)["state_dict"]
    assert all(".lora_" in name or name == "policy.adapter" for name in names)
    adapted = load_model(str(toy_folder), lora=LoRA(r=4), init_from=str(last))
    merged = AutoModelForCausalLM.from_pretrained(exported)
    torch.testing.assert_close(logprobs_of(merged), logprobs_of(adapted), atol=1e-5, rtol=0)
