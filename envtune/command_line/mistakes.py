"""One sentence for each mistake of a user that Hydra or OmegaConf reports: the value, what is allowed, what to do."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, InstantiationException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from envtune.command_line.override_grammar import quote_value, shell_quoted, unquote
from envtune.command_line.search_path import CONFIG_FOLDER, is_group, options_of
from envtune.errors import UserError, valid_names
from envtune.files.atomic_file import FAULTS, WriteError, write_error

# Errors for which one sentence is enough; any other needs its traceback.
MISTAKES = (HydraException, OmegaConfBaseException, UserError, OSError)

# The override that sets a top-level name which is null by default and not a group.
CHOSEN_BY = {"curriculum": "stage=curriculum"}
# The extra of this package that installs a launcher of sweeps.
LAUNCHER_EXTRAS = {"joblib": "sweep", "submitit_slurm": "slurm", "submitit_local": "slurm"}


def sentence(error: Exception, config_name: str, overrides: Iterable[str] = ()) -> str:
    """Return one sentence for a mistake of the user: the value, what is allowed, what to do; else the error's class.

    Args:
        error: the exception.
        config_name: the stem of the command's file in `conf/`.
        overrides: those that the config was composed with.
    """
    # A value that is too long to have been typed is shortened.
    text = _sentence(error, config_name, overrides)
    return re.sub(r"\S{1000,}", lambda word: f"{word[0][:50]}…{word[0][-50:]}", text)


def _sentence(error: Exception, config_name: str, overrides: Iterable[str]) -> str:
    if not isinstance(error, MISTAKES):
        return f"{type(error).__name__}: {' '.join(str(error).split())}"
    if isinstance(error, MissingConfigException) and error.options is not None:
        group, _, choice = str(error.missing_cfg_file).rpartition("/")
        extra = LAUNCHER_EXTRAS.get(choice)
        install = f"; {choice} comes with pip install 'envtune[{extra}]'" if extra else ""
        return unknown_choice(group, choice, error.options) + install
    if isinstance(error, InstantiationException):
        place = re.search(r"full_key: (\S+)", str(error))
        return f"{place[1] if place else 'the config'}: {' '.join(str(error.__cause__ or error).split())}"
    if isinstance(error, OSError) and error.errno in FAULTS:
        error = write_error(error)
    if isinstance(error, WriteError):
        if "ckpt_path" not in top_level_keys(config_name):
            return str(error)
        # `--help` composes Hydra's config without a folder.
        known = HydraConfig.initialized() and not OmegaConf.is_missing(HydraConfig.get().runtime, "output_dir")
        folder = HydraConfig.get().runtime.output_dir if known else "RUN_FOLDER"
        return f"{error}, then continue the run with ckpt_path={folder}"
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}: check the path, and that it may be read and written"
    if isinstance(error, OverrideParseException):
        return _override_sentence(error.override)
    missing = re.search(r"[Mm]issing mandatory value: ([\w.]+)", str(error))
    if missing:
        return f"{missing[1]} has no value: give one on the command line ({missing[1]}=…)"
    unknown = re.match(r"Could not override '([^']+)'", str(error))
    if unknown:
        return _unknown_key_sentence(unknown[1], config_name, overrides)
    text = " ".join(str(error).split())
    refused = re.match(r"([\w.]+) is not a setting of", text)
    if refused and (setting := _override_that_sets(refused[1], overrides)):
        text += f"; {setting} sets it: leave that out, or choose another {refused[1].partition('.')[0]}"
    return text


def _override_that_sets(key: str, overrides: Iterable[str]) -> str:
    """Return the choice among ``overrides`` whose file in `conf/` sets ``key``; empty if there is none."""
    for override in overrides:
        group, _, choice = override.partition("=")
        file = CONFIG_FOLDER / group / f"{unquote(choice)}.yaml"
        if is_group(group) and file.is_file() and OmegaConf.select(OmegaConf.load(file), key) is not None:
            return override
    return ""


def _override_sentence(override: str) -> str:
    """Return how to write an argument that Hydra's grammar rejects."""
    name, equals, value = override.partition("=")
    if not equals or not re.fullmatch(r"[+~]*[\w.@/]+", name):
        return f"{override} is not an override: give group=choice or setting=value"
    if value.startswith("[") and value.endswith("]"):
        example = shell_quoted([f"{name}=['a b','ü']"])
        return f"{override} cannot be read: quote each text in the list, as in {example}"
    return (
        f"{override} cannot be read, for quotes, commas, brackets, braces, spaces and = have a meaning in a value: if "
        f"it is a text, give it as {shell_quoted([f'{name}={quote_value(unquote(value))}'])}"
    )


def _unknown_key_sentence(key: str, config_name: str, overrides: Iterable[str]) -> str:
    """Return the keys that exist at the level of ``key``, in the config that the other choices compose."""
    node: Any = _compose_choices(config_name, overrides)
    *parents, last = key.split("@")[0].replace("/", ".").split(".")
    known: list[str] = []
    for parent in parents:
        if not OmegaConf.is_dict(node) or parent not in node:
            last = parent
            break
        known.append(parent)
        node = node[parent]
    if node is None and known:
        others = _choices_with(last, known[0], config_name, overrides)
        choose = CHOSEN_BY.get(known[0]) or " or ".join(others) or f"{known[0]}=…"
        return f"{key} cannot be set, for {'.'.join(known)} is null without another choice: add {choose}"
    keys = [str(name) for name in node if not str(name).startswith("_")] if OmegaConf.is_dict(node) else []
    if not known:
        keys = top_level_keys(config_name)
    where = f"a setting of {'.'.join(known)}" if known else "a group or setting"
    others = _choices_with(last, known[0], config_name, overrides) if len(known) == 1 else []
    name = "it" if key.endswith(f".{last}") else last
    elsewhere = f"; {name} is one of {' and '.join(others)}" if others else ""
    valid = f"; {valid_names(last, keys)}" if keys else ", which has none"
    return f"{key} is not {where}{valid}{elsewhere}"


def _choices_with(setting: str, group: str, config_name: str, overrides: Iterable[str]) -> list[str]:
    """Return the choices of ``group``, as overrides, that have this setting."""
    chosen = [override for override in overrides if not override.startswith(f"{group}=")]
    having = []
    for option in options_of(group) if is_group(group) and group != "hydra" else []:
        # Another choice that cannot be composed, a user's perhaps, is not this mistake.
        with suppress(*MISTAKES):
            node = _compose_choices(config_name, [*chosen, f"{group}={option}"]).get(group)
            having += [f"{group}={option}"] if OmegaConf.is_dict(node) and setting in node else []
    return having


def _compose_choices(config_name: str, arguments: Iterable[str]) -> DictConfig:
    """Compose the config of this command with its choices of groups, but without its settings."""
    groups = top_level_keys(config_name)
    choices = [a for a in arguments if re.fullmatch(r"\w+=[\w.'-]+", a) and a.split("=")[0] in groups]
    choices = [choice for choice in choices if is_group(choice.split("=")[0])]
    GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(str(CONFIG_FOLDER), version_base="1.3"):
        return hydra.compose(config_name, overrides=choices, return_hydra_config=True)


def top_level_keys(config_name: str) -> list[str]:
    """Return the settings of the primary config file and the groups in its defaults list."""
    primary = OmegaConf.load(CONFIG_FOLDER / f"{config_name}.yaml")
    assert isinstance(primary, DictConfig)
    groups = [
        str(group).split()[-1].lstrip("/") for entry in primary.defaults if OmegaConf.is_dict(entry) for group in entry
    ]
    return [*groups, *(str(key) for key in primary if key != "defaults")]


def unknown_choice(group: str, choice: str, options: Iterable[str]) -> str:
    """Return the error message for a choice that a group does not have."""
    return f"{group}={choice} is not a choice; choose one of: {', '.join(sorted(options))}"
