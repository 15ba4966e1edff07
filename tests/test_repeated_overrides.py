"""Every setting of conf/ has been decided on: a run's folder repeats it, or it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml

from envtune.command_line.repeated_overrides import may_be_repeated
from envtune.command_line.search_path import CONFIG_FOLDER

# What names code to run, a component, a place to write to, or an address. Put a new setting here if it does one of
# these; if it does not, into `PLAIN_SETTINGS`.
ASKED = {
    "callbacks.best.folder",
    "logger.tensorboard.folder",
    "rollout.generator.key_variable",
    "callbacks.last.folder",
    "callbacks.trajectories.folder",
    "callbacks.transition.best",
    "ckpt_path",
    "curriculum",
    "curriculum.folder",
    "distill",  # of a group, choices are repeated
    "environment.factory",
    "logger.csv.folder",
    "model.attn_implementation",
    "model.trust_remote_code",
    "rollout.augmentation",
    "rollout.environment",
    "rollout.generator.engine",
    "rollout.generator.transfer_folder",
    "rollout.generator.url",
    "rollout.template.protocol",
    "rollout.template.style",
    "rollout.template.tokenizer.path",
    "rollout.template.tokenizer.trust_remote_code",
    "run_folder",
    "scheduler",
    "trainer.default_root_dir",
    "trainer.plugins",
}
# Of the commands whose runs are not continued, and of Hydra.
OTHER = {"check_environment.yaml", "evaluate.yaml", "ood.yaml", "ood", "play.yaml", "hydra"}
UNREAD = ("defaults", "hydra", "module", "datamodule")


def settings() -> Iterator[str]:
    """The name of every setting in conf/ but those that begin with an underscore."""
    for path in sorted(CONFIG_FOLDER.rglob("*.yaml")):
        place, text = path.relative_to(CONFIG_FOLDER), path.read_text(encoding="utf-8")
        if not OTHER & {*place.parts}:
            is_global = len(place.parts) == 1 or text.startswith("# @package _global_")
            yield from leaves(yaml.safe_load(text) or {}, "" if is_global else f"{place.parts[0]}.")


def leaves(config: Mapping[str, Any], above: str) -> Iterator[str]:
    for key, value in config.items():
        if isinstance(value, Mapping) and value and key not in UNREAD:
            yield from leaves(value, f"{above}{key}.")
        elif key not in UNREAD and not key.startswith("_"):
            yield f"{above}{key}"


def test_every_setting_is_repeated_or_asked_for():
    names = set(settings())
    assert len(names) > 100
    assert {name for name in names if not may_be_repeated(f"{name}={'[1]' if name.endswith('stages') else 7}")} == ASKED


@pytest.mark.parametrize("name", ["environment.module", "data.source.module", "environment.factory"])
def test_a_module_is_asked_for_because_importing_it_runs_it(name: str):
    assert not may_be_repeated(f"{name}=library")


@pytest.mark.parametrize(
    "name", ["data._target_", "reward._args_", "augmentation.hints._target_", "optimizer._partial_"]
)
def test_what_hydra_reads_itself_is_asked_for_also_in_a_component_whose_settings_are_repeated(name: str):
    assert not may_be_repeated(f"{name}=x")
