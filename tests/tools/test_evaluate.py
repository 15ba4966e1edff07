from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import hydra
import pytest
import torch
from omegaconf import OmegaConf
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from envtune import trajectory_file
from envtune.bfcl.audit.shipped_list import listed_tasks
from envtune.bfcl.benchmark import BFCL
from envtune.bfcl.category import CATEGORIES
from envtune.chat.prompt import PromptStyle
from envtune.command_line.command import CONFIG_FOLDER, require_known_keys
from envtune.commands.evaluate import require_environment_of_the_run
from envtune.diagnosis import Diagnosis
from envtune.errors import UserError
from envtune.task import Split

ROOT = Path(__file__).parents[2]
CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
MODELS = sorted(path.stem for path in (CONFIG_FOLDER / "model").glob("*.yaml"))
# Two steps of at most eight tokens a task: a random model says nothing that is worth more.
SHORT = (
    "rollout.max_prompt_tokens=20000",
    "rollout.max_response_tokens=512",
    "rollout.max_completion_tokens=8",
    "rollout.step_limit=1",
)


@pytest.fixture
def model_path(tmp_path: Path) -> Path:
    """A Qwen2 of one layer with random weights, and a byte-level tokenizer."""
    folder = tmp_path / "model"
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=1500,
        special_tokens=["<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    # Learned from prompts, so that prompts are short.
    tasks = BFCL(CATEGORIES).tasks(Split.TRAIN)
    bpe.train_from_iterator({PromptStyle("compact", "long").system_prompt(task.tools) for task in tasks}, trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token="<|im_end|>", pad_token="<|im_end|>")
    tokenizer.chat_template = CHATML
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        eos_token_id=tokenizer.eos_token_id,
    )
    Qwen2ForCausalLM(config).save_pretrained(folder)
    return folder


def _evaluate(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "tools/evaluate.py", f"hydra.run.dir={folder}", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_an_evaluation_plays_the_split_and_keeps_everything_to_repeat_it(tmp_path: Path, model_path: Path) -> None:
    state = {f"policy.model.{name}": t for name, t in Qwen2ForCausalLM.from_pretrained(model_path).state_dict().items()}
    torch.save({"state_dict": state}, tmp_path / "best.ckpt")
    choices = ("model=hf", f"model.path={model_path}", f"init_from={tmp_path / 'best.ckpt'}", "prompt=compact")
    plan = ("split=val", "data.val_size=4", "greedy=false", "samples=2", "tags=[quick]", "device=cpu")
    done = _evaluate(tmp_path / "run", *choices, *plan, *SHORT)
    assert done.returncode == 0, done.stderr
    assert "8 episodes in" in done.stdout

    validation = BFCL(CATEGORIES, val_size=4).tasks(Split.VAL)
    written = list(trajectory_file.read(tmp_path / "run" / "trajectories.jsonl"))
    assert [record["task_id"] for record in written] == [task.id for task in validation for _ in range(2)]
    assert len({record["seed"] for record in written}) == 8

    record = json.loads((tmp_path / "run" / "scores.json").read_text(encoding="utf-8"))
    assert list(record["scores"]) == ["overall", *CATEGORIES]
    overall = record["scores"]["overall"]
    assert (overall["tasks"], overall["episodes"]) == (4, 8)
    # No task of four passed: Wilson's upper bound is z² / (4 + z²) = 3.841459 / 7.841459.
    high = pytest.approx(0.489891, abs=1e-6)
    assert overall["success"] == {"mean": 0.0, "low": 0.0, "high": high, "method": "wilson"}
    assert list(record["diagnosis"]) == ["overall", *CATEGORIES]
    assert record["diagnosis"]["overall"].keys() == {*Diagnosis, "never_reached"}
    assert sum(record["diagnosis"]["overall"].values()) == pytest.approx(1)
    assert "labels of turns" in done.stdout
    audited = record["audited_scores"]["overall"]["tasks"]
    assert audited == sum(task.id not in listed_tasks() for task in validation)
    assert record["model"]["checkpoint"] == str(tmp_path / "best.ckpt")
    assert (record["split"], record["greedy"], record["samples"], record["seed"]) == ("val", False, 2, 0)

    run = json.loads((tmp_path / "run" / "run.json").read_text(encoding="utf-8"))
    assert (run["tags"], run["tasks"]["validation_tasks"]) == (["quick"], [task.id for task in validation])
    assert OmegaConf.load(tmp_path / "run" / ".hydra" / "config.yaml").samples == 2


def test_a_setting_that_makes_no_plan_is_told_in_one_sentence(tmp_path: Path) -> None:
    done = _evaluate(tmp_path / "run", "samples=4")
    assert done.returncode == 1
    assert (
        "error: samples=4 would play the same greedy episodes 4 times: add greedy=false to sample them\n" in done.stderr
    )
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("model", MODELS)
def test_every_model_composes_without_the_settings_of_training(model: str) -> None:
    with hydra.initialize_config_dir(str(CONFIG_FOLDER), version_base="1.3"):
        config = hydra.compose("evaluate", overrides=[f"model={model}"])
    require_known_keys(config, "evaluate")
    assert config.augmentation._target_ == "envtune.environment.augmentation.none.NoAugmentation"


@pytest.mark.parametrize("rollout", ["hf", "vllm", "vllm_server"])
def test_an_evaluation_has_bfcls_step_limit_and_training_the_methods(rollout: str) -> None:
    with hydra.initialize_config_dir(str(CONFIG_FOLDER), version_base="1.3"):
        evaluated, trained = (
            hydra.compose(name, overrides=[f"rollout={rollout}"]).rollout for name in ("evaluate", "train")
        )
    assert (evaluated.step_limit, evaluated.at_step_limit) == (20, "end")
    assert (trained.step_limit, trained.at_step_limit) == (5, "next_turn")


@pytest.mark.parametrize(("model", "group_size", "lr"), [("tiny", 8, 5e-5), ("qwen2.5-7b", 16, 1e-6)])
def test_training_gets_the_budget_of_its_model_or_the_papers(model: str, group_size: int, lr: float) -> None:
    with hydra.initialize_config_dir(str(CONFIG_FOLDER), version_base="1.3"):
        config = hydra.compose("train", overrides=[f"model={model}"])
    assert (config.grpo.group_size, config.optimizer.lr) == (group_size, lr)
    with hydra.initialize_config_dir(str(CONFIG_FOLDER), version_base="1.3"):
        config = hydra.compose("train", overrides=[f"model={model}", "grpo.group_size=3", "debug=fast"])
    assert (config.grpo.group_size, config.trainer.max_steps) == (3, 2)


def test_a_policy_of_another_environment_is_not_evaluated_on_bfcl_by_default(tmp_path: Path):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "best.ckpt").touch()
    own = {"_target_": "envtune.environment.python_module.environment_of", "module": "library"}
    (tmp_path / "run.json").write_text(json.dumps({"settings": {"environment": own}}))
    bfcl = {"_target_": "envtune.bfcl.environment.BFCLEnvironment"}
    settings = {"init_from": str(tmp_path), "environment": bfcl}
    with pytest.raises(UserError, match=r"another environment: add environment=module environment.module=library"):
        require_environment_of_the_run(settings, ["split=val"])
    require_environment_of_the_run(settings, ["environment=bfcl"])
    require_environment_of_the_run({**settings, "environment": own}, [])
    (tmp_path / "run.json").unlink()
    require_environment_of_the_run(settings, [])
