"""The overrides that a run's folder may repeat: choices of groups, plain settings, and the project's configs.

A folder may come from elsewhere, and its `.hydra/overrides.yaml` is a command line. Therefore this is an allowlist. It
excludes whatever names code to run (`_target_`, `model.trust_remote_code`, strategies, plugins, engine arguments), a
path to write to, or an address. Files that are only read (weights, tasks) are read without running code of theirs.
Reasons: docs/resume.md.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import OverrideType, ValueType
from hydra.errors import HydraException
from typing_extensions import TypedDict

from envtune.command_line.override_grammar import parse_override, shell_quoted
from envtune.command_line.search_path import groups, options_of
from envtune.errors import UserError
from envtune.files.record_file import read_record

# Settings by name; `*` stands for any name, of any depth, without one that begins with an underscore.
PLAIN_SETTINGS = (
    *("seed", "tags", "init_from", "optimized_metric", "stage_metric"),
    *("data.*", "prompt.*", "reward.*", "augmentation.*", "advantage.*", "distill.*", "sampler.*"),
    *("grpo.*", "optimizer.*", "scheduler.*"),
    *("model.path", "model.dtype", "model.gradient_checkpointing", "model.init_from", "model.lora.*"),
    *("rollout.step_limit", "rollout.at_step_limit", "rollout.max_*", "rollout.template.max_observation_tokens"),
    *("rollout.generator.temperature", "rollout.generator.top_p", "rollout.generator.max_*"),
    *("rollout.generator.path", "module.policy.path"),
    *("rollout.generator.dtype", "rollout.generator.gpu_memory_utilization", "rollout.generator.sleep"),
    *("rollout.generator.timeout", "rollout.generator.probe_tolerance"),
    *("trainer.accelerator", "trainer.devices", "trainer.num_nodes", "trainer.precision"),
    *("trainer.max_epochs", "trainer.max_steps", "trainer.val_check_interval", "trainer.check_val_every_n_epoch"),
    *("trainer.num_sanity_val_steps", "trainer.log_every_n_steps", "trainer.inference_mode"),
    *("trainer.enable_model_summary", "trainer.strategy.broadcast_buffers", "trainer.strategy.timeout.minutes"),
    *("callbacks.trajectories.text_every", "callbacks.trajectories.with_tokens", "callbacks.last.every"),
    *("callbacks.best.monitor", "callbacks.best.mode", "callbacks.hint_dependence.*"),
    *("callbacks.transition.rule.*", "callbacks.transition.guard.*"),
    *("callbacks.transition.metric", "callbacks.transition.on_collapse"),
    *("curriculum.start_from", "curriculum.max_updates"),
    *("environment.isolation", "environment.call_*", "environment.workers"),
)
# Names of modules, which may lie in the run's folder and are run when they are imported.
CODE = ("data.source.module", "environment.module", "environment.factory")
# These may be repeated as `null` or `false`, which disables something.
SWITCHES = ("callbacks.*", "logger.*", "model.trust_remote_code", "model.attn_implementation", "curriculum")
# An attention implementation of transformers itself. One with a slash is downloaded from the hub, including code.
_ATTENTION = re.compile(r"\w+")
_SETTING = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*")
_CHOICE = re.compile(r"\w[\w.-]*")


class HydraRecord(TypedDict, total=False):
    """The part of `.hydra/hydra.yaml` that is read."""

    searchpath: list[str]


class HydraFile(TypedDict, total=False):
    """The content of `.hydra/hydra.yaml`."""

    hydra: HydraRecord


def recorded_overrides(folder: Path) -> list[str]:
    """Return the overrides that Hydra recorded for the run in ``folder``.

    Raises:
        UserError: the record is missing or damaged.
    """
    path = folder / ".hydra" / "overrides.yaml"
    remedy = f"give the run's settings again, with {shell_quoted([f'hydra.run.dir={folder}', 'ckpt_path=last'])}"
    found = read_record(path, list[str], remedy)
    if found is None:
        raise UserError(
            f"ckpt_path={folder} holds no {path.relative_to(folder)}, so it is not the folder of a run: give one, or "
            "a .ckpt file"
        )
    for override in found:
        try:
            parse_override(override)
        except HydraException as error:
            raise UserError(f"{path} cannot be used ({override!a} is not an override): {remedy}") from error
    return found


def recorded_search_path(folder: Path) -> list[Path]:
    """Return the folders of configs that the run in ``folder`` was started with.

    Raises:
        UserError: the record is damaged, or names a folder that the run's folder may not repeat.
    """
    record = read_record(folder / ".hydra" / "hydra.yaml", HydraFile, "give the run's --config-dir again")
    places = [Path(place) for place in ((record or {}).get("hydra") or {}).get("searchpath", ())]
    unknown = [place for place in places if not _is_of_the_project(place, folder.resolve())]
    if unknown:
        asked = shell_quoted(word for place in places for word in ("--config-dir", str(place)))
        raise UserError(
            f"{folder} was started with configs of {unknown[0]}, which may run code: if you trust them, give them "
            f"again: add {asked}"
        )
    return places


def _is_of_the_project(place: Path, run: Path) -> bool:
    """Return True for a folder directly in the working directory that neither holds the run's folder nor is in it."""
    place = place.resolve()
    apart = not run.is_relative_to(place) and not place.is_relative_to(run)
    return apart and place.parent == Path.cwd().resolve()


def may_be_repeated(override: str) -> bool:
    """Return True for a choice that a folder of configs has, or a plain value of a listed setting."""
    read = parse_override(override)
    if read.type is not OverrideType.CHANGE or read.value_type is not ValueType.ELEMENT or read.package is not None:
        return False
    name, value = read.key_or_group, read.value()
    if name in groups():
        return value is None or _is_choice(name, value)
    if not _SETTING.fullmatch(name) or name in CODE:
        return False
    if name == "curriculum.stages":
        return isinstance(value, Sequence) and all(_is_choice("stage", stage) for stage in value)
    if name == "model.attn_implementation" and isinstance(value, str):
        return _ATTENTION.fullmatch(value) is not None
    if value is None or value is False:
        return _is_listed(name, (*PLAIN_SETTINGS, *SWITCHES))
    return _is_listed(name, PLAIN_SETTINGS) and _is_plain(value)


def _is_choice(group: str, value: Any) -> bool:
    """Return True if a folder of configs has this choice."""
    name = str(value)
    # A choice is a file's name: with a slash it could be a file of any folder.
    return _CHOICE.fullmatch(name) is not None and name in options_of(group)


def _is_listed(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return isinstance(value, bool | int | float) or (isinstance(value, str) and "${" not in value)
