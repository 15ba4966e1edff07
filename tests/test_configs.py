"""Every file under conf/ composes, and what it composes can be built."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import hydra
import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from envtune.command_line.command import CONFIG_FOLDER, quote_numbers, require_known_keys

# The benchmarks of tools/ood.py are no choices of train.py: tests/tools/test_ood.py composes them.
CHOICES = sorted(
    f"{path.parent.name}={path.stem}"
    for path in CONFIG_FOLDER.glob("*/*.yaml")
    if path.parent.name not in ("hydra", "ood")
)


def compose(*arguments: str) -> DictConfig:
    GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(str(CONFIG_FOLDER), version_base="1.3"):
        config = hydra.compose("train", overrides=quote_numbers(arguments))
    # What Hydra fills in when a program runs.
    config.run_folder = "runs/test"
    return config


def resolved(*arguments: str) -> dict:
    config = compose(*arguments)
    return OmegaConf.to_container(config, resolve=True)


# What a choice leaves to the user.
MODULE = ["environment=module", "environment.module=library"]
REQUIRED = {
    "model=hf": ["model.path=somewhere"],
    "environment=module": MODULE[1:],
    "data=module": MODULE,
    "data=jsonl": [*MODULE, "data.source.path=tasks"],
    "environment=trl": ["environment.factory=trl_counter.Counter", "data.source.path=rows"],
}


TRL_CLASS = """
class Counter:
    def reset(self, **row) -> None:
        self.total = 0

    def add(self, amount: int) -> int:
        "Add.\\n\\nArgs:\\n    amount: A number."
        self.total += amount
        return self.total

    def get_reward(self) -> float:
        return float(self.total == 1)
"""


@pytest.mark.parametrize("choice", CHOICES)
def test_every_choice_composes_and_uses_only_known_keys(choice: str):
    arguments = [choice, *REQUIRED.get(choice, [])]
    require_known_keys(compose(*arguments), "train")
    assert resolved(*arguments)["datamodule"]["_target_"]


@pytest.mark.parametrize("choice", [c for c in CHOICES if c.split("=")[0] not in ("model", "rollout")])
def test_every_choice_builds_what_needs_no_weights(choice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(CONFIG_FOLDER.parent / "examples" / "library")
    (tmp_path / "trl_counter.py").write_text(TRL_CLASS)
    monkeypatch.syspath_prepend(tmp_path)
    config = compose(choice, *REQUIRED.get(choice, []), "model.path=${package:models/tiny}", "trainer.accelerator=cpu")
    config.run_folder = str(tmp_path)
    OmegaConf.update(config, "trainer.logger", False, force_add=True)
    for name in ("datamodule", "optimizer", "trainer", "grpo", "augmentation", "reward"):
        assert instantiate(config[name], _convert_="all") is not None
    for group in (config.callbacks, config.logger):
        for component in group.values():
            assert instantiate(component, _convert_="all") is not None


@pytest.mark.parametrize(
    ("stage", "reward", "augmentation", "groups", "instructions"),
    [
        ("1", "FormatReward", "NoAugmentation", None, "short"),
        ("2", "ProgressReward", "Actionable", ["base"], "short"),
        ("3", "ProgressReward", "Actionable", None, "long"),
        ("4", "ProgressReward", "NoAugmentation", None, "long"),
    ],
)
def test_a_stage_chooses_as_the_paper_does(
    stage: str, reward: str, augmentation: str, groups: list[str] | None, instructions: str
):
    config = resolved(f"stage={stage}")
    assert config["reward"]["_target_"].endswith(reward)
    assert config["augmentation"]["_target_"].endswith(augmentation)
    assert config["data"]["categories"] == groups
    assert config["prompt"]["instructions"] == instructions


def test_the_command_line_wins_over_the_stage():
    config = resolved("stage=1", "reward=progress", "augmentation=actionable", "prompt.instructions=long")
    assert config["reward"]["_target_"].endswith("ProgressReward")
    assert config["augmentation"]["_target_"].endswith("Actionable")
    assert config["prompt"]["instructions"] == "long"


def test_stage_4_is_stage_3_without_hints():
    third, fourth = resolved("stage=3"), resolved("stage=4")
    assert fourth.pop("augmentation") != third.pop("augmentation")
    for config in (third, fourth):
        del config["datamodule"]["collector"]["augmentation"], config["rollout"]["augmentation"]
    assert third == fourth


def test_a_large_model_keeps_the_stages_lengths_and_the_tiny_one_shortens_them():
    assert resolved("model=qwen2.5-7b", "stage=2")["rollout"]["max_response_tokens"] == 10000
    assert resolved("model=qwen2.5-7b", "stage=3")["rollout"]["max_response_tokens"] == 24576
    assert resolved("model=tiny", "stage=3")["rollout"]["max_response_tokens"] == 2048
    assert resolved("model=tiny")["prompt"]["tool_documents"] == "compact"


def test_cloning_has_a_rate_of_its_own_in_place_of_that_of_model_and_budget():
    rates = {
        words: resolved(*words)["optimizer"]["lr"]
        for words in [
            ("stage=clone", "budget=playground"),
            ("stage=clone", "model=qwen2.5-7b"),
            ("stage=clone", "optimizer.lr=0.5"),
            ("stage=1",),
        ]
    }
    assert list(rates.values()) == [3e-4, 1e-5, 0.5, 5e-5]


def test_supervised_fine_tuning_clones_the_tasks_of_stage_4_with_its_prompt():
    cloned, usual = resolved("experiment=sft", "model=qwen2.5-7b"), resolved("stage=4", "model=qwen2.5-7b")
    assert cloned["module"]["_target_"].endswith(".CloneModule")
    for name in ("data", "prompt", "rollout", "augmentation", "reward"):
        assert cloned[name] == usual[name]


@pytest.mark.parametrize(
    ("experiment", "reward", "augmentation", "beta"),
    [
        ("direct_grpo", "MixedReward", "NoAugmentation", 0.1),
        ("toolrl", "ToolRLReward", "NoAugmentation", 0.1),
        ("no_augmentation", "ProgressReward", "NoAugmentation", 0.1),
        ("binary_reward", "BinaryReward", "Actionable", 0.1),
        ("kl_0", "ProgressReward", "Actionable", 0.0),
        ("kl_0.001", "ProgressReward", "Actionable", 0.001),
    ],
)
def test_an_experiment_changes_what_its_name_says_and_nothing_else(
    experiment: str, reward: str, augmentation: str, beta: float
):
    config, usual = resolved(f"experiment={experiment}"), resolved()
    assert config["reward"]["_target_"].endswith(f".{reward}")
    assert config["augmentation"]["_target_"].endswith(f".{augmentation}")
    assert config["grpo"]["beta"] == beta
    for each in (config, usual):
        del each["reward"], each["augmentation"], each["grpo"]["beta"], each["rollout"]["augmentation"]
        # Only puts the groups together again.
        del each["module"], each["datamodule"]
    assert config == usual


def test_vllm_weights_tokens_and_has_room_for_the_longest_episode():
    assert resolved("rollout=hf")["grpo"]["importance"] == "none"
    config = resolved("rollout=vllm", "stage=2", "model=qwen2.5-7b")
    assert config["grpo"]["importance"] == "token"
    generator = config["rollout"]["generator"]
    assert (generator["max_prompt_tokens"], generator["max_response_tokens"]) == (8192, 10000)
    assert resolved("rollout=vllm", "grpo.importance=mask")["grpo"]["importance"] == "mask"


@pytest.mark.parametrize(("rollout", "shared"), [("vllm", False), ("vllm_server", True)])
def test_vllm_takes_every_setting_of_its_config(monkeypatch: pytest.MonkeyPatch, rollout: str, shared: bool):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    config = compose(f"rollout={rollout}")
    assert config.grpo.importance == "token"
    assert instantiate(config.rollout.generator).engine.is_shared == shared


def test_quickstart_is_stage_4_on_generated_tasks_within_its_budget():
    config, usual = resolved("experiment=quickstart"), resolved("stage=4", "data=playground", "budget=playground")
    assert config == usual
    assert config["data"]["_target_"].endswith("Playground")
    assert (config["grpo"]["group_size"], config["grpo"]["tasks_per_update"]) == (8, 8)
    assert config["trainer"]["max_steps"] == 16


@pytest.mark.parametrize("data", ["bfcl", "parquet"])
def test_quickstart_on_bfcls_tasks_learns_more_slowly(data: str):
    config, usual = resolved("experiment=quickstart", f"data={data}"), resolved("experiment=quickstart")
    assert (config["optimizer"]["lr"], config["grpo"]["beta"]) == (5e-5, 0.05)
    assert config["trainer"]["max_steps"] == usual["trainer"]["max_steps"] == 16
    assert config["trainer"]["precision"] == "32-true"
    assert config["data"]["val_size"] == 48
    assert resolved("experiment=quickstart", "data=bfcl", "optimizer.lr=1e-4")["optimizer"]["lr"] == 1e-4


def test_an_experiment_wins_over_the_stage_and_the_command_line_over_both():
    assert resolved("stage=1", "experiment=binary_reward")["reward"]["_target_"].endswith("BinaryReward")
    assert resolved("stage=1", "experiment=direct_grpo", "reward=toolrl")["reward"]["_target_"].endswith("ToolRLReward")
    assert resolved("experiment=kl_0", "grpo.beta=0.2")["grpo"]["beta"] == 0.2
