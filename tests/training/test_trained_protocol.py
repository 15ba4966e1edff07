"""A policy is not used with another protocol than its own, unless it is asked for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import hydra
import pytest
from hydra.utils import instantiate

from envtune.chat.protocol import PAPERS
from envtune.chat.protocol.hermes import Hermes
from envtune.chat.protocol.named import PROTOCOLS, name_of, protocol_named
from envtune.command_line.search_path import CONFIG_FOLDER
from envtune.errors import UserError
from envtune.training.run_folder.trained_protocol import (
    protocol_of_folder,
    protocol_of_settings,
    require_protocol_of_the_policy,
    write_protocol,
)

HERMES = {"_target_": "envtune.chat.protocol.hermes.Hermes"}
PAPER = {"_target_": "envtune.chat.protocol.environment_tuning.EnvironmentTuning"}


def run_with(folder: Path, settings: dict[str, Any]) -> str:
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "best.ckpt").touch()
    (folder / "run.json").write_text(json.dumps({"settings": settings}))
    return str(folder)


def test_a_policy_of_another_protocol_is_refused_unless_one_is_chosen(tmp_path: Path):
    settings = {"init_from": run_with(tmp_path, {"protocol": HERMES}), "model": {"path": "x"}, "protocol": PAPER}
    with pytest.raises(UserError, match=r"another protocol: add protocol=hermes, or protocol=environment_tuning to"):
        require_protocol_of_the_policy(settings, ["stage=3"])
    require_protocol_of_the_policy(settings, ["protocol=environment_tuning"])
    require_protocol_of_the_policy({**settings, "protocol": HERMES}, [])


def test_a_record_of_an_earlier_version_means_the_papers_protocol(tmp_path: Path):
    settings = {"init_from": run_with(tmp_path, {"model": {"path": "x"}}), "model": {"path": "x"}, "protocol": PAPER}
    require_protocol_of_the_policy(settings, [])
    with pytest.raises(UserError, match="add protocol=environment_tuning, or protocol=hermes"):
        require_protocol_of_the_policy({**settings, "protocol": HERMES}, [])


def test_a_model_without_a_record_may_have_any_protocol(tmp_path: Path):
    settings = {"init_from": None, "model": {"path": str(tmp_path)}, "protocol": HERMES}
    require_protocol_of_the_policy(settings, [])
    write_protocol(tmp_path, "environment_tuning")
    with pytest.raises(UserError, match=r"^model\.path=.* was trained with another protocol"):
        require_protocol_of_the_policy(settings, [])


def test_an_exported_folder_keeps_the_name_of_its_protocol(tmp_path: Path):
    assert protocol_of_folder(str(tmp_path)) is None
    write_protocol(tmp_path, protocol_of_settings({"protocol": HERMES}))
    assert protocol_of_folder(str(tmp_path)) == "hermes"
    (tmp_path / "envtune.json").write_text('{"protocol": 3}')
    with pytest.raises(UserError, match=r"envtune\.json cannot be used"):
        protocol_of_folder(str(tmp_path))


def test_a_protocol_of_ones_own_is_named_by_its_class():
    assert name_of("test_trained_protocol.Mine") == "test_trained_protocol.Mine"
    assert type(protocol_named(f"{__name__}.Mine")) is Mine
    for wrong in ("herms", "os.path", f"{__name__}.HERMES", "nowhere.Mine"):
        with pytest.raises(UserError, match="does not exist: use one of environment_tuning, hermes"):
            protocol_named(wrong)


class Mine(Hermes):
    """Of a user."""


@pytest.mark.parametrize("name", PROTOCOLS)
def test_each_choice_of_the_group_is_the_class_of_its_name(name: str):
    with hydra.initialize_config_dir(str(CONFIG_FOLDER), version_base="1.3"):
        config = hydra.compose("train", overrides=[f"protocol={name}"])
    assert type(instantiate(config.rollout.template.protocol)) is PROTOCOLS[name]
    assert name_of(config.protocol._target_) == name


def test_the_papers_protocol_is_the_default():
    for command in ("train", "evaluate"):
        with hydra.initialize_config_dir(str(CONFIG_FOLDER), version_base="1.3"):
            config = hydra.compose(command)
        assert type(instantiate(config.protocol)) is type(PAPERS)
