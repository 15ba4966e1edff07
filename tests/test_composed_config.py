"""A composed config is checked as a whole: each wrong setting ends in one sentence, before a folder is made."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hydra
import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict

from envtune.command_line.command import CONFIG_FOLDER, as_in_a_run, command
from envtune.command_line.composed_config import require_valid_components
from envtune.command_line.mistakes import MISTAKES, sentence
from envtune.command_line.run_check import require_valid_run

VALIDATED = "text such as val/success/overall or val/progress/base"
Told = Callable[..., str]


class Own:
    """A reward of a user's: only what is annotated can be checked."""

    def __init__(self, rate: float, anything: Any = None, other=3) -> None:
        raise AssertionError("not made before the run")


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Told:
    """What `train.py ARGUMENTS` ends in before a task begins; nothing else is printed, and there is no folder."""

    def run(*arguments: str) -> str:
        begun: list[DictConfig] = []
        GlobalHydra.instance().clear()
        monkeypatch.setattr(sys, "argv", ["train.py", f"hydra.run.dir={tmp_path}/run", *arguments])
        with pytest.raises(SystemExit) as caught:
            command("train", require_valid_run)(begun.append)()
        assert (begun, list(tmp_path.iterdir()), capsys.readouterr().out) == ([], [], "")
        return str(caught.value).removeprefix("error: ")

    return run


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("++hydra.run.dir={run}", "holds an earlier run, which would be overwritten"),
        ("hydra.run.dir={parent}/g${{grpo.group_size}}", "holds an earlier run, which would be overwritten"),
        ("run_folder={run}", "is where Hydra writes: give hydra.run.dir instead"),
    ],
)
def test_an_earlier_run_is_not_written_over_however_its_folder_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str, said: str
):
    run = tmp_path / "g8"
    run.mkdir()
    (run / "run.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    GlobalHydra.instance().clear()
    monkeypatch.setattr(sys, "argv", ["train.py", named.format(run=run, parent=tmp_path), "grpo.group_size=8"])
    with pytest.raises(SystemExit, match=said):
        command("train", require_valid_run)(lambda config: None)()
    assert [path.name for path in run.iterdir() if path.name != "job.lock"] == ["run.json"]


def refusal(*arguments: str) -> str:
    """The same without Hydra's main function, which takes most of the time."""
    GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(str(CONFIG_FOLDER), version_base="1.3"):
        composed = hydra.compose("train", [*arguments, "hydra.run.dir=runs/test"], return_hydra_config=True)
        try:
            with pytest.raises(MISTAKES) as caught:  # noqa: PT012
                config = as_in_a_run(composed)
                require_valid_components(config)
                require_valid_run(config)
        finally:
            HydraConfig.instance().cfg = None
    return sentence(caught.value, "train", arguments)


def test_a_mistake_is_told_before_a_folder_is_made_and_before_a_config_is_printed(told: Told):
    assert told("optimizer.lr=-1") == "optimizer.lr=-1 must be a number above 0: the learning rate, such as 1e-6"
    assert told("seed=abc") == "seed='abc' must be a whole number of at least 0 and below 4294967296"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("optimizer.lr=fast", "optimizer.lr='fast' must be a number above 0: the learning rate, such as 1e-6"),
        ("optimizer.betas=[0.9]", "optimizer.betas=[0.9] must be a list of 2, each a number of at least 0 and "),
        (
            "callbacks.best.monitor=val/x",
            f"callbacks.best.monitor='val/x' must be {VALIDATED}",
        ),
        ("optimized_metric=val/x", f"optimized_metric='val/x' must be {VALIDATED}"),
        ("+trainer.gradient_clip_val=1.0", "trainer.gradient_clip_val=1.0 must be null: set grpo.gradient_clip"),
        ("+trainer.accumulate_grad_batches=2", "trainer.accumulate_grad_batches=2 must be 1: set grpo.tasks_per_upd"),
        ("ckpt_path=/nowhere.ckpt", "ckpt_path=/nowhere.ckpt does not exist; give a run's folder or a .ckpt file"),
        ("model.path=/nowhere", "model path /nowhere does not exist: give the folder of a causal"),
        ("~logger", "logger cannot be left out; a part of it can be: callbacks.NAME=null, logger.NAME=null"),
        ("reward._target_=3", "reward._target_=3 must be text that names a class or function"),
        ("trainer.precision=16-mixed", "trainer.precision=16-mixed is not supported: use 32-true or bf16-mixed, and"),
        ("trainer.precision=16", "trainer.precision=16 is not supported: use 32-true or bf16-mixed, and model.dtype"),
        ("model.path=runs/no/model", "model path runs/no/model does not exist: give the folder of a causal"),
        ("trainer.max_steps=0", "trainer.max_steps=0 must be a whole number of at least 1 or -1: updates, -1 for no"),
        ("trainer.log_every_n_steps=0", "trainer.log_every_n_steps=0 must be a whole number of at least 1: updates"),
        ("data.val_size=0", "data.val_size=0 must be a whole number of at least 1: the best checkpoint and the"),
        ("data.max_tasks=0", "data.max_tasks=0 must be a whole number of at least 1 or null: null for all"),
        ("data.val_size=1000", "data: data.val_size=1000 asks for 250 tasks of base: choose so that it is 0 to 100"),
        ("tags=x", "tags='x' must be a list, each text or a whole number"),
        ("init_from=nowhere", "init_from=nowhere does not exist; give a .ckpt file or the folder of a run"),
        ("reward._target_=no.Such", "reward: Error loading 'no.Such': ModuleNotFoundError"),
        ("~reward._target_", "reward={'turn_rule': 'method'} has no _target_ that names a class"),
        ("curriculum={a: 1}", "curriculum={'a': 1} has no _target_ that names a class"),
        ("stage_metric=val/x", f"stage_metric='val/x' must be {VALIDATED}"),
        ("~sampler._target_", "sampler={'_partial_': True} has no _target_ that names a class"),
        ("callbacks.best=3", "callbacks.best=3 has no _target_ that names a class"),
        ("rollout.generator=null", "rollout.generator=null has no _target_ that names a class"),
        ("reward.turn_rule=x", "reward: turn_rule=x is unknown: use one of method, official"),
        ("+reward.tool=1", "reward.tool is not a setting of envtune.reward.ProgressReward; valid are: turn_rule"),
    ],
)
def test_a_wrong_setting_is_told_with_what_is_allowed_and_what_to_do(given: str, said: str):
    assert refusal(given).startswith(said)


@pytest.mark.parametrize("augmentation", ["annealed", "mixed"])
def test_the_hints_that_are_withheld_must_be_an_augmentation(augmentation: str):
    said = refusal(f"augmentation={augmentation}", "augmentation.hints=none")
    assert said.startswith("augmentation.hints='none' has no _target_ that names a class")


def test_the_stages_of_a_curriculum_are_checked_at_its_beginning():
    assert refusal("stage=curriculum", "curriculum.stages=[1,7]").startswith("stage=7 is not a choice")
    assert refusal("stage=curriculum", "curriculum.max_updates=[1]").startswith(
        "curriculum: curriculum.max_updates=[1]"
    )


def test_a_gpu_that_is_not_there_is_told_with_what_to_use(monkeypatch: pytest.MonkeyPatch):
    for kind in ("CUDAAccelerator", "MPSAccelerator"):
        monkeypatch.setattr(f"lightning.pytorch.accelerators.{kind}.is_available", lambda: False)
    assert refusal("trainer=gpu") == (
        "trainer.accelerator=gpu is not available: PyTorch finds no such device on this machine; use trainer=default, "
        "which uses what is available, or trainer=cpu"
    )


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"rate": 1, "other": "x", "anything": [1]}, None),
        ({"rate": "fast"}, "reward.rate='fast' must be a number"),
        ({"other": 1}, "reward.rate has no value: give one on the command line (+reward.rate=…)"),
        ({"rate": 1, "othr": 1}, "did you mean other?"),
    ],
)
def test_a_users_own_class_is_checked_as_far_as_it_is_annotated(settings: dict[str, Any], said: str | None):
    config = OmegaConf.create({"reward": {"_target_": f"{__name__}.Own", **settings}})
    if said is None:
        require_valid_components(config)
    else:
        with pytest.raises(MISTAKES) as caught:
            require_valid_components(config)
        assert said in str(caught.value)


def test_a_value_is_named_by_the_setting_that_it_comes_from():
    made = {"_target_": "envtune.rollout.hf.hf_generator.HFGenerator", "temperature": "${heat}"}
    with pytest.raises(MISTAKES, match=r"^heat=-1 must be a number above 0"):
        require_valid_components(OmegaConf.create({"heat": -1, "generator": made}))


WRONG = ("wrong", -1, 0, math.nan, math.inf, "", "x" * 100_000, None, [], {"a": 1}, True)
# Without grpo, whose types the tests check in another way (conftest.py).
PARTS = (
    "optimizer",
    "data",
    "reward",
    "augmentation",
    "prompt",
    "curriculum",
    "callbacks",
    "logger",
    "trainer",
)


def leaves(node: DictConfig, key: str) -> list[str]:
    keys = [key]
    for name, value in node.items():
        below = f"{key}.{name}"
        keys += leaves(value, below) if isinstance(value, DictConfig) else [below]
    return keys


@pytest.mark.parametrize("choices", [["stage='curriculum'"], ["data=playground", "augmentation=annealed"]], ids=str)
def test_any_value_in_any_place_is_accepted_or_told_in_a_sentence(choices: list[str]):
    GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(str(CONFIG_FOLDER), version_base="1.3"):
        config = hydra.compose("train", choices)
    config.run_folder = "runs/test"
    parts = [part for part in PARTS if OmegaConf.is_config(config[part])]
    for key in (key for part in parts for key in leaves(config[part], part) if not key.endswith("_target_")):
        for value in WRONG:
            # Only what it is part of: the others have no other value than before.
            wrong = OmegaConf.create({part: config[part] for part in (key.split(".")[0], "run_folder")})
            with open_dict(wrong):
                OmegaConf.update(wrong, key, value, merge=False)
            try:
                require_valid_components(wrong)
            except MISTAKES as error:
                said = sentence(error, "train")
                assert "\n" not in said
                assert len(said) < 1_500
