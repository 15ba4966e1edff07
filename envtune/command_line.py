"""Makes a command of a function that takes the composed config.

With sweep.py, stage_config.py, override_grammar.py and repeated_overrides.py all of the package that knows Hydra.

Adds to Hydra what the user's commands need: numbers as names of choices (`stage=3`, `stage=1,2`), errors in one
sentence that list what is valid, and an error for a key that nothing uses.
"""

from __future__ import annotations

import functools
import inspect
import os
import re
import sys
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import hydra
import rich
import torch
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, InstantiationException, MissingConfigException, OverrideParseException
from hydra.utils import get_method
from lightning.pytorch.utilities.rank_zero import rank_zero_only
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from envtune import sweep
from envtune.continued_command import continued_command, require_free_folder
from envtune.errors import UserError
from envtune.override_grammar import pasted, quoted, unquoted
from envtune.ranks import arguments_of_rank, launch_is_named, rank_of_this_process, settle
from envtune.repeated_overrides import CONFIG_FOLDER
from envtune.training.devices import processes_of
from envtune.whole_file import FAULTS, WriteError, write_error

# Groups whose choices are named by numbers, which Hydra would read as integers and refuse.
NUMBERED_GROUPS = ("stage",)

# What gives settings to a top-level name that has none of its own and is no group.
CHOSEN_BY = {"curriculum": "stage=curriculum"}
# Launchers of sweeps that are extras of this package.
LAUNCHER_EXTRAS = {"joblib": "sweep", "submitit_slurm": "slurm", "submitit_local": "slurm"}

# `${package:models/tiny}` in a config: a path inside the installed package.
OmegaConf.register_new_resolver("package", lambda path: str(Path(__file__).parent / path), replace=True)
# `${precision:}`: bfloat16 arithmetic on float32 weights where the GPU has it, float32 elsewhere.
OmegaConf.register_new_resolver(
    "precision", lambda: "bf16-mixed" if torch.cuda.is_available() else "32-true", replace=True
)

_NUMBERED = re.compile(rf"({'|'.join(NUMBERED_GROUPS)})=(\d+(?:,\d+)*)")


def command(config_name: str, repeats: bool = False) -> Callable[[Callable[[DictConfig], Any]], Callable[[], None]]:
    """Makes a program of ``task``: composes `conf/<config_name>.yaml` with the command line and hands it over.

    A command that ``repeats`` may be called again with a folder that it has written to before.
    """

    def decorate(task: Callable[[DictConfig], Any]) -> Callable[[], None]:
        @functools.wraps(task)
        def checked(config: DictConfig) -> Any:
            if not sys.stdout.isatty():
                # What is read from a file should not be wrapped at the 80 columns of no terminal.
                rich.reconfigure(width=160)
            require_known_keys(config, config_name)
            require_known_choices(HydraConfig.get().overrides.task)
            _settle_rank(config)
            try:
                return sweep.run(task, config, config_name, lambda error: sentence(error, config_name))
            except (OSError, WriteError) as error:
                # Here, for Hydra forgets the run's folder, which the sentence names, when it passes the error on.
                raise UserError(sentence(error, config_name)) from error

        def run() -> None:
            # Makes Hydra pass errors on instead of printing them itself.
            os.environ.setdefault("HYDRA_FULL_ERROR", "1")
            try:
                arguments = continued_command(quote_numbers(sys.argv[1:]))
                if launch_is_named():
                    _settle_rank_early(config_name, arguments)
                sys.argv[1:] = arguments_of_rank(arguments)
                if rank_of_this_process() == 0 and not repeats:
                    require_free_folder(sys.argv[1:], can_go_on="ckpt_path" in _top_level_keys(config_name))
                hydra.main(version_base="1.3", config_path=str(CONFIG_FOLDER), config_name=config_name)(checked)()
            except sweep.MISTAKES as error:
                sys.exit(f"error: {sentence(error, config_name)}")
            except ValueError as error:
                # Of Python's logging, which Hydra opens the log of the run with.
                if isinstance(error.__cause__, OSError):
                    sys.exit(f"error: {sentence(error.__cause__, config_name)}")
                if not str(error).startswith("Config group override"):
                    raise
                sys.exit("error: a group takes the name of a choice, no null and no number: without one, leave it out")

        return run

    return decorate


def _settle_rank(config: DictConfig) -> None:
    """Decides which process of its run this one is, also for Lightning, which has decided when it was imported."""
    settle(processes_of(config.trainer) if config.get("trainer") else 1)
    rank_zero_only.rank = rank_of_this_process()  # type: ignore[attr-defined]


def _settle_rank_early(config_name: str, arguments: Iterable[str]) -> None:
    """Decides it before Hydra writes down the settings, which only the first process should do.

    The first job of a sweep decides for all. Arguments that Hydra will refuse decide nothing.
    """
    GlobalHydra.instance().clear()
    try:
        overrides = OverridesParser.create().parse_overrides([a for a in arguments if not a.startswith("-")])
        with hydra.initialize_config_dir(str(CONFIG_FOLDER), version_base="1.3"):
            config = hydra.compose(config_name, [_first_job(override) for override in overrides])
        _settle_rank(config)
    except (HydraException, OmegaConfBaseException):
        return


def _first_job(override: Override) -> str:
    """`seed=0,1` -> `seed=0`"""
    if override.is_choice_sweep() or override.is_range_sweep():
        return f"{override.get_key_element()}={next(override.sweep_string_iterator())}"
    return str(override.input_line)


def settings_of_this_run() -> dict[str, str]:
    """The choice of every group, and every setting that the command line gave, by name."""
    hydra = HydraConfig.get()
    choices = {group: str(choice) for group, choice in hydra.runtime.choices.items() if not group.startswith("hydra")}
    given = (override.lstrip("+").partition("=") for override in hydra.overrides.task)
    return choices | {key: unquoted(value) for key, _, value in given}


def quote_numbers(arguments: Iterable[str]) -> list[str]:
    """`stage=3` -> `stage='3'`, also in lists: Hydra takes an unquoted number for an integer, which names no choice."""
    quoted = []
    for argument in arguments:
        match = _NUMBERED.fullmatch(argument)
        if match:
            choices = ",".join(f"'{number}'" for number in match[2].split(","))
            argument = f"{match[1]}={choices}"
        quoted.append(argument)
    return quoted


def require_known_keys(config: DictConfig, config_name: str) -> None:
    """Raises UserError for a key beside the command's groups and settings (`+typo=1`): nothing would read it."""
    valid = _top_level_keys(config_name)
    for key in map(str, config):
        if key not in valid:
            raise UserError(f"{key} is used by nothing; {_valid(key, valid)}")


def require_known_choices(overrides: Iterable[str]) -> None:
    """Raises UserError for a choice without a file, which Hydra overlooks in an optional group (`budget=typo`)."""
    for override in overrides:
        group, _, choice = override.partition("=")
        choice = unquoted(choice)
        options = sorted(path.stem for path in (CONFIG_FOLDER / group).glob("*.yaml")) if group.isidentifier() else []
        if options and choice not in (*options, "null"):
            raise UserError(_no_choice(group, choice, options))


def sentence(error: Exception, config_name: str) -> str:
    """One sentence for a mistake of the user's: the value, what is allowed, what to do. Of another error, its kind."""
    if not isinstance(error, sweep.MISTAKES):
        return f"{type(error).__name__}: {' '.join(str(error).split())}"
    if isinstance(error, MissingConfigException) and error.options is not None:
        group, _, choice = str(error.missing_cfg_file).rpartition("/")
        return _no_choice(group, choice, error.options) + _extra_of(choice)
    if isinstance(error, InstantiationException):
        return _instantiation_sentence(error)
    if isinstance(error, OSError) and error.errno in FAULTS:
        error = write_error(error)
    if isinstance(error, WriteError):
        goes_on = f", then continue the run with ckpt_path={_run_folder()}"
        return f"{error}{goes_on if 'ckpt_path' in _top_level_keys(config_name) else ''}"
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}: check the path, and that it may be read and written"
    if isinstance(error, OverrideParseException):
        return _override_sentence(error.override)
    missing = re.search(r"[Mm]issing mandatory value: ([\w.]+)", str(error))
    if missing:
        return f"{missing[1]} has no value: give one on the command line ({missing[1]}=…)"
    unknown = re.match(r"Could not override '([^']+)'", str(error))
    if unknown:
        return _unknown_key_sentence(unknown[1], config_name)
    return " ".join(str(error).split())


def _override_sentence(override: str) -> str:
    """How an argument is written that Hydra's grammar refuses."""
    name, equals, value = override.partition("=")
    if not equals or not re.fullmatch(r"[+~]*[\w.@/]+", name):
        return f"{override} is not an override: give group=choice or setting=value"
    return (
        f"{override} cannot be read, for quotes, commas, brackets, braces, spaces and = have a meaning in a value: if "
        f"it is a text, give it as {pasted([f'{name}={quoted(unquoted(value))}'])}"
    )


def _run_folder() -> str:
    return str(HydraConfig.get().runtime.output_dir) if HydraConfig.initialized() else "RUN_FOLDER"


def _instantiation_sentence(error: InstantiationException) -> str:
    """What the component said, behind the name of the setting."""
    place = re.search(r"full_key: (\S+)", str(error))
    target = re.search(r"target '([^']+)'", str(error))
    cause = error.__cause__
    key = place[1] if place else "the config"
    unexpected = re.search(r"unexpected keyword argument '([^']+)'", str(cause))
    if unexpected and target:
        takes = [name for name in inspect.signature(get_method(target[1])).parameters if name != "self"]
        return f"{key}.{unexpected[1]} is no setting of {target[1]}; {_valid(unexpected[1], takes)}"
    return f"{key}: {' '.join(str(cause or error).split())}"


def _unknown_key_sentence(key: str, config_name: str) -> str:
    """The keys that stand where ``key`` was looked for, in the config that the other choices compose."""
    node: Any = _compose_choices(config_name, sys.argv[1:])
    *parents, last = key.split("@")[0].replace("/", ".").split(".")
    known: list[str] = []
    for parent in parents:
        if not OmegaConf.is_dict(node) or parent not in node:
            last = parent
            break
        known.append(parent)
        node = node[parent]
    if node is None and known:
        choose = CHOSEN_BY.get(known[0], f"{known[0]}=…")
        return f"{key} cannot be set, for {'.'.join(known)} is null without another choice: add {choose}"
    keys = [str(name) for name in node if name != "_target_"] if OmegaConf.is_dict(node) else []
    where = f"a setting of {'.'.join(known)}" if known else "a group or setting"
    return f"{key} is not {where}; {_valid(last, keys)}"


def _compose_choices(config_name: str, arguments: Iterable[str]) -> DictConfig:
    """The config of this command with its choices of groups, and without its settings."""
    groups = _top_level_keys(config_name)
    choices = [a for a in arguments if re.fullmatch(r"\w+=[\w.'-]+", a) and a.split("=")[0] in groups]
    choices = [choice for choice in choices if (CONFIG_FOLDER / choice.split("=")[0]).is_dir()]
    GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(str(CONFIG_FOLDER), version_base="1.3"):
        return hydra.compose(config_name, overrides=choices)


def _top_level_keys(config_name: str) -> list[str]:
    """The settings of the primary config file and the groups in its defaults list."""
    primary = OmegaConf.load(CONFIG_FOLDER / f"{config_name}.yaml")
    assert isinstance(primary, DictConfig)
    groups = [
        str(group).split()[-1].lstrip("/") for entry in primary.defaults if OmegaConf.is_dict(entry) for group in entry
    ]
    return [*groups, *(str(key) for key in primary if key != "defaults")]


def _no_choice(group: str, choice: str, options: Iterable[str]) -> str:
    return f"{group}={choice} is no choice; choose one of: {', '.join(sorted(options))}"


def _extra_of(choice: str) -> str:
    """What to install for a launcher that is not there."""
    extra = LAUNCHER_EXTRAS.get(choice)
    return f"; {choice} comes with pip install -c constraints.txt -e '.[{extra}]'" if extra else ""


def _valid(given: str, valid: Iterable[str]) -> str:
    names = sorted(valid)
    close = get_close_matches(given, names, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    return f"{hint}valid are: {', '.join(names)}"
