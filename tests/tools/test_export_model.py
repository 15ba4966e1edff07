"""What a run has trained as a folder of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from ended_command import status
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, dynamic_module_utils
from transformers.utils import hub

from envtune.chat.prompt import PromptStyle
from envtune.chat.template import Template
from envtune.chat.tokenizer import load_tokenizer
from envtune.errors import UserError
from envtune.serving.model_folder import find_model
from envtune.training.model.export import Trained, export, find_trained
from envtune.training.model.lora import LoRA, adapter_tensors
from envtune.training.model.policy import Policy
from envtune.training.model.weights import load_model
from tools import export_model

ROOT = Path(__file__).parents[2]

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
    "rollout.at_step_limit=end",
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
    record = {"settings": {"model": {"path": str(toy_folder), "dtype": "float32", "trust_remote_code": True}}}
    (folder / "run.json").write_text(json.dumps(record))
    return folder


def test_the_folder_holds_a_plain_model_that_computes_what_the_policy_does(
    tmp_path: Path, run: Path, policy: Policy, toy_folder: Path
) -> None:
    export(find_trained(str(run)), tmp_path / "exported", "float32")
    exported = AutoModelForCausalLM.from_pretrained(tmp_path / "exported")
    lora = LoRA(r=4) if adapter_tensors(policy.model) else None
    same = load_model(str(toy_folder), lora=lora, init_from=str(run))
    torch.testing.assert_close(logprobs_of(exported), logprobs_of(same), atol=1e-5, rtol=1e-5)
    bare = load_model(str(toy_folder))
    assert (logprobs_of(exported) - logprobs_of(bare)).abs().max() > 0.1
    assert type(exported) is type(bare)
    assert set(exported.state_dict()) == set(bare.state_dict())
    assert {path.name for path in (tmp_path / "exported").iterdir()} >= {"config.json", "generation_config.json"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["exported", "run"]


def test_the_folder_is_served_with_the_protocol_of_the_run(tmp_path: Path, run: Path) -> None:
    settings = json.loads((run / "run.json").read_text())["settings"]
    settings |= {"protocol": {"_target_": "envtune.chat.protocol.hermes.Hermes"}}
    (run / "run.json").write_text(json.dumps({"settings": settings}))
    export(find_trained(str(run)), tmp_path / "exported", "float32")
    exported = str(tmp_path / "exported")
    assert find_model(exported, {}, tmp_path, None, "auto", False).prompting.protocol == "hermes"
    chosen = {"protocol": "plain_json"}
    assert find_model(exported, chosen, tmp_path, None, "auto", False).prompting.protocol == "plain_json"
    (tmp_path / "exported/envtune.json").write_text('{"protocol": "mine.Own"}')
    with pytest.raises(UserError, match=r"code of yours: add --protocol mine\.Own"):
        find_model(exported, {}, tmp_path, None, "auto", False)


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
    # Whether its code is run is not the run's to say, though it has recorded that it was.
    recorded = Trained(best, str(toy_folder), "float32", protocol="environment_tuning")
    assert find_trained(str(run)) == recorded
    assert find_trained(str(run), trust_remote_code=True) == replace(recorded, trust_remote_code=True)
    assert find_trained(str(best), "elsewhere").model == "elsewhere"
    (run / "run.json").unlink()
    assert find_trained(str(run), "elsewhere") == Trained(best, "elsewhere", "float32", False)
    with pytest.raises(
        UserError, match=r"best\.ckpt is not in a run.s folder whose run\.json names .*: add --model PATH"
    ):
        find_trained(str(run))


@pytest.mark.parametrize("setting", ["off", False])
def test_the_folder_of_a_run_without_thinking_renders_what_was_trained_and_is_served_without_the_switch(
    tmp_path: Path, run: Path, toy_folder: Path, setting: Any
) -> None:
    model = tmp_path / "model"
    shutil.copytree(toy_folder, model)
    switched = (model / "chat_template.jinja").read_text(encoding="utf-8") + (
        "{% if add_generation_prompt and enable_thinking is false %}<think></think>{% endif %}"
    )
    (model / "chat_template.jinja").write_text(switched, encoding="utf-8")
    record = {"settings": {"model": {"path": str(model), "dtype": "float32"}, "prompt": {"thinking": setting}}}
    record["settings"]["prompt"] |= {"tool_documents": "compact", "instructions": "short"}
    record["settings"]["rollout"] = {"max_completion_tokens": 9, "template": {"max_observation_tokens": None}}
    (run / "run.json").write_text(json.dumps(record))
    assert find_trained(str(run)).thinking == setting
    served = find_model(str(run), {}, tmp_path / "staged", None, "auto", trust_remote_code=False)
    exported, trained = load_tokenizer(served.folder), load_tokenizer(str(model))
    assert exported.chat_template["original"] == switched
    ids = Template(exported, served.prompting.style).open("Hello.", [])
    assert ids == Template(trained, PromptStyle("compact", "short", setting)).open("Hello.", [])
    assert exported.decode(ids).endswith("<|im_start|>assistant\n<think></think>")


CODE = """
import os
from pathlib import Path
from transformers import Qwen2Config, Qwen2ForCausalLM, Qwen2TokenizerFast

Path(os.environ["WAS_RUN"]).touch()

class Config(Qwen2Config):
    model_type = "with_code"

class Model(Qwen2ForCausalLM):
    config_class = Config
"""


@pytest.fixture
def model_with_code(tmp_path: Path, toy_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The toy model as one whose classes come with it; they touch `was_run` when they are imported."""
    folder = tmp_path / "with_code"
    shutil.copytree(toy_folder, folder)
    config = json.loads((folder / "config.json").read_text())
    classes = {"AutoConfig": "code_of_it.Config", "AutoModelForCausalLM": "code_of_it.Model"}
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "with_code", "auto_map": classes}))
    (folder / "code_of_it.py").write_text(CODE)
    monkeypatch.setenv("WAS_RUN", str(tmp_path / "was_run"))
    for module in (dynamic_module_utils, hub):
        monkeypatch.setattr(module, "HF_MODULES_CACHE", str(tmp_path / "modules"), raising=False)
    return folder


def test_code_that_comes_with_a_model_is_run_only_where_the_command_says_so(
    tmp_path: Path, run: Path, model_with_code: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    record = {"settings": {"model": {"path": str(model_with_code), "trust_remote_code": True}}}
    (run / "run.json").write_text(json.dumps(record))
    command = ["export_model.py", str(run), str(tmp_path / "exported")]
    monkeypatch.setattr(sys, "argv", command)
    assert status(export_model.main) == 1
    said = capsys.readouterr().err
    assert said == (
        f"export_model: model {model_with_code} needs Python code that comes with it, which is not run unless you "
        "trust it: read it, then add model.trust_remote_code=true (to tools/serve.py and tools/export_model.py: "
        "--trust-remote-code)\n"
    )
    with pytest.raises(UserError, match="needs Python code that comes with it"):
        find_model(str(run), {}, tmp_path / "staged", None, "auto", trust_remote_code=False)
    with pytest.raises(UserError, match="needs Python code that comes with it"):
        find_model(str(model_with_code), {}, tmp_path / "staged", None, "auto", trust_remote_code=False)
    assert not (tmp_path / "was_run").exists()
    monkeypatch.setattr(sys, "argv", [*command, "--trust-remote-code"])
    assert status(export_model.main) == 0
    assert (tmp_path / "was_run").exists()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"settings": 3}', '{"settings": {"model": {"path": ["x"]}}}', "\0"])
def test_a_broken_record_is_told_in_a_sentence(run: Path, text: str) -> None:
    (run / "run.json").write_text(text)
    with pytest.raises(
        UserError, match=r"^[^\n]+run\.json cannot be used \([^\n]+\): restore it from a copy, or move the"
    ):
        find_trained(str(run), "elsewhere")


def test_a_folder_that_cannot_be_written_is_told_in_a_sentence(tmp_path: Path, run: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"file/exported cannot be written \(File exists\): choose another place"):
        export(find_trained(str(run)), tmp_path / "file/exported", "float32")


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path, run: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").touch()
    with pytest.raises(UserError, match="full exists and is not an empty folder: give another name, or remove it"):
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
    torch.testing.assert_close(logprobs_of(merged), logprobs_of(adapted), atol=1e-5, rtol=1e-5)
