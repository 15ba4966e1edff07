"""A stage of a curriculum is what `stage=N` composes with the same command line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hydra
import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import MissingConfigException
from omegaconf import DictConfig, OmegaConf

from envtune.command_line.command import CONFIG_FOLDER, quote_numbers
from envtune.command_line.stage_config import (
    compose_stages,
    configure_stage,
    is_resumed,
    previous_stage,
    stage_differences,
)
from envtune.errors import UserError
from envtune.training.curriculum.stages import StageStart

STAGES = ("1", "2", "3", "4")


@contextmanager
def command(*arguments: str) -> Iterator[DictConfig]:
    """The config of `python train.py ARGUMENTS`, and what Hydra knows while that runs."""
    GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(str(CONFIG_FOLDER), version_base="1.3"):
        config = hydra.compose("train", quote_numbers(arguments), return_hydra_config=True)
        config.hydra.runtime.output_dir = "runs/test"
        HydraConfig.instance().set_config(config)
        try:
            yield hydra.compose("train", quote_numbers(arguments))
        finally:
            HydraConfig.instance().cfg = None


def stages_of(*arguments: str) -> list[dict[str, Any]]:
    with command(*arguments):
        return [plain(config) for config in compose_stages(STAGES)]


def alone(*arguments: str) -> dict[str, Any]:
    with command(*arguments) as config:
        return plain(config)


def plain(config: DictConfig) -> dict[str, Any]:
    return OmegaConf.to_container(config, resolve=True)


@pytest.mark.parametrize(
    "given",
    [
        (),
        ("model=qwen2.5-7b", "grpo.beta=0.2"),
        (
            "data=playground",
            "debug=fast",
            "augmentation=annealed",
            "prompt.instructions=long",
        ),
        ("experiment=kl_0", "callbacks.transition.rule.window=2"),
        ("experiment=binary_reward", "init_from=runs/a", "tags=[x]"),
    ],
    ids=" ".join,
)
def test_a_stage_is_composed_as_by_itself_with_the_curriculums_callbacks(given: tuple[str, ...]):
    for name, stage in zip(STAGES, stages_of("stage=curriculum", *given), strict=True):
        assert stage == alone(f"stage={name}", "callbacks=transition", *given)


def test_experiment_curriculum_is_stage_curriculum():
    assert stages_of("experiment=curriculum") == stages_of("stage=curriculum")


@pytest.mark.parametrize(
    ("experiment", "setting", "value"),
    [
        ("no_augmentation", "augmentation", {"_target_": "envtune.environment.augmentation.none.NoAugmentation"}),
        ("binary_reward", "reward", {"_target_": "envtune.reward.BinaryReward", "turn_rule": "method"}),
    ],
)
def test_what_an_experiment_takes_away_is_taken_from_every_stage(experiment: str, setting: str, value: dict[str, Any]):
    for stage in stages_of("stage=curriculum", f"experiment={experiment}"):
        assert stage[setting] == value


def test_the_command_line_wins_in_every_stage_and_other_callbacks_stay():
    stages = stages_of("stage=curriculum", "reward=toolrl", "callbacks=default", "data.categories=[base]")
    assert all(stage["reward"]["_target_"].endswith("ToolRLReward") for stage in stages)
    assert all("transition" not in stage["callbacks"] for stage in stages)
    assert all(stage["data"]["categories"] == ["base"] for stage in stages)


def test_stage_1_is_judged_by_its_reward_and_the_others_by_progress():
    for stage, metric in zip(stages_of("stage=curriculum"), ["reward", *["progress"] * 3], strict=True):
        judged = stage["callbacks"]["best"]["monitor"], stage["callbacks"]["transition"]["metric"]
        assert judged == (f"val/{metric}/overall",) * 2
    for stage in stages_of("stage=curriculum", "stage_metric=val/success/base"):
        assert stage["callbacks"]["best"]["monitor"] == "val/success/base"
    assert alone("stage=1", "callbacks.best=null")["callbacks"]["best"] is None


def test_the_references_stage_1_has_75_base_tasks_and_is_stage_1_otherwise():
    with command("stage=curriculum", "curriculum.stages=[1_reference,2,3,4]") as config:
        names = hydra.utils.instantiate(config.curriculum, _convert_="all").stages
        first, *_ = [plain(stage) for stage in compose_stages(names)]
    assert names == ["1_reference", "2", "3", "4"]
    assert (first["data"]["categories"], first["data"]["max_tasks"]) == (["base"], 75)
    assert first == alone("stage=1", "callbacks=transition", "data.categories=[base]")


def test_a_stage_is_placed_in_its_folder_with_its_start_and_its_number_of_updates():
    with command("stage=curriculum"):
        (config,) = compose_stages(["2"])
        start = StageStart("2", 2, Path("run/stage_2"), Path("run/stage_1/best.ckpt"), 20, max_updates=7)
        placed = plain(configure_stage(config, start, "last"))
    assert (placed["run_folder"], placed["init_from"], placed["ckpt_path"]) == (
        "run/stage_2",
        "run/stage_1/best.ckpt",
        "last",
    )
    assert placed["model"]["init_from"] == "run/stage_1/best.ckpt"
    assert placed["callbacks"]["last"]["folder"] == "run/stage_2/checkpoints"
    assert placed["trainer"]["max_steps"] == 7


def test_the_first_stage_keeps_the_start_and_the_length_that_the_command_gave():
    with command("stage=curriculum", "init_from=runs/a", "trainer.max_steps=9"):
        (config,) = compose_stages(["1"])
        placed = configure_stage(config, StageStart("1", 1, Path("run/stage_1")), None)
        assert (placed.init_from, placed.trainer.max_steps) == ("runs/a", 9)


def test_stage_differences_are_the_settings_that_differ_from_the_curriculum():
    with command("stage=curriculum") as config:
        second, third = compose_stages(["2", "3"])
        assert stage_differences(second, config) == {
            "data": {"categories": ["base"]},
            "prompt": {"instructions": "short"},
        }
        assert stage_differences(third, config) == {}


def test_a_stage_without_a_file_is_refused_before_anything_is_trained():
    with command("stage=curriculum"), pytest.raises(MissingConfigException, match="stage/7"):
        compose_stages(["1", "7"])


def test_the_curriculum_is_no_stage_of_itself():
    message = r"curriculum.stages=\['curriculum'\] names curriculum itself"
    with command("stage=curriculum"), pytest.raises(UserError, match=message):
        compose_stages(["curriculum"])


def test_a_checkpoint_of_one_stage_continues_no_curriculum():
    with command("stage=curriculum") as config:
        assert not is_resumed(config)
        config.ckpt_path = "last"
        assert is_resumed(config)
        config.ckpt_path = "runs/a/stage_2/checkpoints/last.ckpt"
        with pytest.raises(UserError, match="is a checkpoint of one stage: continue a curriculum with ckpt_path=<its"):
            is_resumed(config)


def test_the_stage_before_is_that_of_the_papers_curriculum():
    assert [previous_stage(stage) for stage in ("1", "2", "4", "mine")] == [None, "1", "3", None]
