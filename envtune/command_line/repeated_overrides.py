"""What a run's folder may repeat of the command that started the run: choices of groups, and plain settings.

A folder may come from somebody else, and its `.hydra/overrides.yaml` is a command line. So what it may say is listed
here, and nothing else is obeyed: not what names code to run (`_target_`, `model.trust_remote_code`, strategies,
plugins, arguments of an engine), nor a place to write to, nor an address. What is only read, as weights or as tasks, is
read without running any of it. Reasons: docs/resume.md.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import OverrideType, ValueType
from hydra.errors import HydraException

from envtune.command_line.mistakes import CONFIG_FOLDER
from envtune.command_line.override_grammar import parsed, pasted
from envtune.errors import UserError
from envtune.files.record_file import read_record

# Settings by name; `*` stands for any name, of any depth, without one that begins with an underscore.
PLAIN_SETTINGS = (
    *("seed", "tags", "init_from", "optimized_metric"),
    *("data.*", "prompt.*", "reward.*", "augmentation.*", "grpo.*", "optimizer.*"),
    *("model.path", "model.dtype", "model.gradient_checkpointing", "model.init_from", "model.lora.*"),
    *("rollout.step_limit", "rollout.max_*", "rollout.template.max_observation_tokens"),
    *("rollout.generator.temperature", "rollout.generator.top_p", "rollout.generator.max_*"),
    *("rollout.generator.dtype", "rollout.generator.gpu_memory_utilization", "rollout.generator.sleep"),
    *("rollout.generator.timeout", "rollout.generator.probe_tolerance"),
    *("trainer.accelerator", "trainer.devices", "trainer.num_nodes", "trainer.precision"),
    *("trainer.max_epochs", "trainer.max_steps", "trainer.val_check_interval", "trainer.check_val_every_n_epoch"),
    *("trainer.num_sanity_val_steps", "trainer.log_every_n_steps", "trainer.inference_mode"),
    *("trainer.enable_model_summary", "trainer.strategy.broadcast_buffers", "trainer.strategy.timeout.minutes"),
    *("callbacks.trajectories.text_every", "callbacks.trajectories.with_tokens", "callbacks.last.every"),
    *("callbacks.best.monitor", "callbacks.best.mode"),
    *("callbacks.transition.rule.*", "callbacks.transition.guard.*"),
    *("callbacks.transition.metric", "callbacks.transition.on_collapse"),
    *("curriculum.start_from", "curriculum.max_updates"),
)
# These may be repeated as `null` or `false`, which switches something off.
SWITCHES = ("callbacks.*", "logger.*", "model.trust_remote_code", "model.attn_implementation", "curriculum")
# An implementation of attention that transformers itself has. One with a slash is fetched from the hub, code and all.
_ATTENTION = re.compile(r"\w+")
_SETTING = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*")
_CHOICE = re.compile(r"\w[\w.-]*")


def recorded_overrides(folder: Path) -> list[str]:
    """What Hydra noted of the command that started the run in ``folder``.

    Raises:
        UserError: the folder has no such record, or it is broken.
    """
    path = folder / ".hydra" / "overrides.yaml"
    remedy = f"give the run's settings again, with {pasted([f'hydra.run.dir={folder}', 'ckpt_path=last'])}"
    found = read_record(path, list[str], remedy)
    if found is None:
        raise UserError(
            f"ckpt_path={folder} holds no {path.relative_to(folder)}, so it is not the folder of a run: give one, or "
            "a .ckpt file"
        )
    for override in found:
        try:
            parsed(override)
        except HydraException as error:
            raise UserError(f"{path} cannot be used ({override!a} is not an override): {remedy}") from error
    return found


def may_be_repeated(override: str) -> bool:
    """Whether a run's folder may give ``override``: a choice that conf/ has, or a plain value of a listed setting."""
    read = parsed(override)
    if read.type is not OverrideType.CHANGE or read.value_type is not ValueType.ELEMENT or read.package is not None:
        return False
    name, value = read.key_or_group, read.value()
    if name in _groups():
        return value is None or _is_choice(name, value)
    if not _SETTING.fullmatch(name):
        return False
    if name == "curriculum.stages":
        return isinstance(value, Sequence) and all(_is_choice("stage", stage) for stage in value)
    if name == "model.attn_implementation" and isinstance(value, str):
        return _ATTENTION.fullmatch(value) is not None
    if value is None or value is False:
        return _is_listed(name, (*PLAIN_SETTINGS, *SWITCHES))
    return _is_listed(name, PLAIN_SETTINGS) and _is_plain(value)


def _groups() -> frozenset[str]:
    return frozenset(path.name for path in CONFIG_FOLDER.iterdir() if path.is_dir() and path.name != "hydra")


def _is_choice(group: str, value: Any) -> bool:
    """Whether conf/ has this choice. A choice is a file's name: with a slash it could be a file of any folder."""
    name = str(value)
    return _CHOICE.fullmatch(name) is not None and (CONFIG_FOLDER / group / f"{name}.yaml").is_file()


def _is_listed(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return isinstance(value, bool | int | float) or (isinstance(value, str) and "${" not in value)
