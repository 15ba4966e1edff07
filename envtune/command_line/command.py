"""Makes a command of a function that takes the composed config. The package knows Hydra here and in the files beside.

Adds to Hydra what the user's commands need: a config that is checked as a whole before a folder is made of it, numbers
as names of choices (`stage=3`, `stage=1,2`), and errors in one sentence that list what is valid (`mistakes`).
"""

from __future__ import annotations

import functools
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import hydra
import rich
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override, QuotedString
from hydra.errors import HydraException, OverrideParseException
from hydra.experimental.callback import Callback
from lightning.pytorch.utilities.rank_zero import rank_zero_only
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

import envtune
from envtune.command_line import sweep
from envtune.command_line.composed_config import require_sound
from envtune.command_line.continued_command import continued_command, require_free_folder
from envtune.command_line.mistakes import CONFIG_FOLDER, MISTAKES, no_choice, sentence, top_level_keys
from envtune.command_line.override_grammar import unquoted
from envtune.errors import UserError, valid_names
from envtune.files.atomic_file import WriteError
from envtune.processes.ranks import arguments_of_rank, launch_is_named, rank_of_this_process, settle
from envtune.program import on_terminal
from envtune.training.distributed.devices import processes_of

Task = Callable[[DictConfig], Any]


def _precision() -> str:
    import torch

    return "bf16-mixed" if torch.cuda.is_available() else "32-true"


# `${package:models/tiny}` in a config: a path inside the installed package.
OmegaConf.register_new_resolver("package", lambda path: str(Path(envtune.__file__).parent / path), replace=True)
# `${precision:}`: bfloat16 arithmetic on float32 weights where the GPU has it, float32 elsewhere.
OmegaConf.register_new_resolver("precision", _precision, replace=True)


def command(config_name: str, check: Task | None = None, repeats: bool = False) -> Callable[[Task], Callable[[], None]]:
    """Makes a program of ``task``: composes `conf/<config_name>.yaml` with the command line and hands it over.

    ``check`` raises UserError for settings that no component checks, or that do not go together. A command that
    ``repeats`` may be called again with a folder that it has written to before.
    """

    def require(config: DictConfig) -> None:
        require_known_keys(config, config_name)
        require_known_choices(HydraConfig.get().overrides.task)
        require_sound(config)
        if check is not None:
            check(config)

    def decorate(task: Task) -> Callable[[], None]:
        def checked(config: DictConfig) -> Any:
            if sweep.in_sweep():
                # What could not be known before the sweep: of a sweeper that chooses as it goes, or on another machine.
                require(config)
            return task(config)

        @functools.wraps(task)
        def started(config: DictConfig) -> Any:
            if not sys.stdout.isatty():
                # What is read from a file should not be wrapped at the 80 columns of no terminal.
                rich.reconfigure(width=160)
            _settle_rank(config)
            overrides = HydraConfig.get().overrides.task
            try:
                return sweep.run(checked, config, config_name, lambda error: sentence(error, config_name, overrides))
            except (OSError, WriteError) as error:
                # Here, for Hydra forgets the run's folder, which the sentence names, when it passes the error on.
                raise UserError(sentence(error, config_name)) from error

        def run() -> None:
            # Makes Hydra pass errors on instead of printing them itself.
            os.environ.setdefault("HYDRA_FULL_ERROR", "1")
            SettingsCheck.require, SettingsCheck.repeats = staticmethod(require), repeats
            with on_terminal():
                try:
                    arguments = continued_command(quote_numbers(sys.argv[1:]))
                    if launch_is_named():
                        _settle_rank_early(config_name, arguments)
                    sys.argv[1:] = arguments_of_rank(arguments)
                    hydra.main(version_base="1.3", config_path=str(CONFIG_FOLDER), config_name=config_name)(started)()
                except BrokenPipeError:
                    raise
                except MISTAKES as error:
                    sys.exit(f"error: {sentence(error, config_name, sys.argv[1:])}")
                except KeyboardInterrupt:
                    print("interrupted", file=sys.stderr)
                    sys.exit(128 + signal.SIGINT)
                except ValueError as error:
                    # Of Python's logging, which Hydra opens the log of the run with.
                    if not isinstance(error.__cause__, OSError):
                        raise
                    sys.exit(f"error: {sentence(error.__cause__, config_name, sys.argv[1:])}")

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


class SettingsCheck(Callback):
    """Ends the command in a sentence before a folder is made, if a config of this run or sweep is not sound."""

    # Of the command that runs in this process.
    require: ClassVar[Callable[[DictConfig], None]]
    repeats: ClassVar[bool]

    def on_run_start(self, config: DictConfig, **given: Any) -> None:
        with _ending_in_a_sentence(given["config_name"], config.hydra.overrides.task):
            composed = as_in_a_run(config)
            SettingsCheck.require(composed)
            # As Hydra resolves it: the command line may name it in several ways.
            folder = str(HydraConfig.get().runtime.output_dir)
            if composed.run_folder != folder:
                raise UserError(f"run_folder={composed.run_folder} is where Hydra writes: give hydra.run.dir instead")
            if rank_of_this_process() == 0 and not SettingsCheck.repeats:
                require_free_folder(folder, composed.get("ckpt_path"), can_go_on="ckpt_path" in composed)

    def on_multirun_start(self, config: DictConfig, **given: Any) -> None:
        with _ending_in_a_sentence(given["config_name"], ()):
            jobs = sweep.overrides_of_jobs(config)
        for job in jobs:
            with _ending_in_a_sentence(given["config_name"], job):
                composed = hydra.compose(given["config_name"], job, return_hydra_config=True)
                SettingsCheck.require(as_in_a_run(composed))


@contextmanager
def _ending_in_a_sentence(config_name: str, overrides: Sequence[str]) -> Iterator[None]:
    """Exits here, for of any error in a callback Hydra makes a warning."""
    before = HydraConfig.instance().cfg
    try:
        yield
    except MISTAKES as error:
        sys.exit(f"error: {sentence(error, config_name, overrides)}")
    except Exception:
        traceback.print_exc()
        sys.exit(1)
    finally:
        HydraConfig.instance().cfg = before


def as_in_a_run(config: DictConfig) -> DictConfig:
    """The config that a task would get, with Hydra's own as it would be known then."""
    config = config.copy()
    with read_write(config), open_dict(config):
        config.hydra.runtime.output_dir = config.hydra.run.dir
        HydraConfig.instance().set_config(config)
        del config["hydra"]
    return config


def settings_of_this_run() -> dict[str, str]:
    """The choice of every group, and every setting that the command line gave, by name."""
    hydra = HydraConfig.get()
    choices = {group: str(choice) for group, choice in hydra.runtime.choices.items() if not group.startswith("hydra")}
    given = (override.lstrip("+").partition("=") for override in hydra.overrides.task)
    return choices | {key: unquoted(value) for key, _, value in given}


def quote_numbers(arguments: Iterable[str]) -> list[str]:
    """`stage=3` -> `stage='3'`, also in the lists, ranges and globs of a sweep: Hydra takes an unquoted number for an
    integer, which names no choice.

    Raises:
        UserError: a group is given null.
    """
    return [_quoted(argument) for argument in arguments]


def _quoted(argument: str) -> str:
    group, _, given = argument.partition("=")
    if not (group and given and (CONFIG_FOLDER / group).is_dir()):
        return argument
    try:
        override = OverridesParser.create().parse_override(argument)
    except OverrideParseException:
        return argument
    value: Any = override.value()
    if isinstance(value, dict) or override.is_interval_sweep():
        return argument
    options = sorted(path.stem for path in (CONFIG_FOLDER / group).glob("*.yaml"))
    if isinstance(value, list):
        several = ",".join(map(str, value))
        raise UserError(
            f"{argument} is a list, and {group} takes one of: {', '.join(options)}; to sweep over several, give -m "
            f"{group}={several}"
        )
    if isinstance(value, Glob):
        choices: list[Any] = value.filter(options)
    else:
        choices = list(override.sweep_iterator()) if override.is_sweep_override() else [value]
    if None in choices or not choices:
        raise UserError(f"{argument} is no choice; leave {group} out, or choose one of: {', '.join(options)}")
    if not isinstance(value, Glob) and all(isinstance(choice, (str, QuotedString)) for choice in choices):
        return argument
    names = (choice.text if isinstance(choice, QuotedString) else str(choice) for choice in choices)
    return f"{group}={','.join(repr(name) for name in names)}"


def require_known_keys(config: DictConfig, config_name: str) -> None:
    """Raises UserError for a key beside the command's groups and settings (`+typo=1`): nothing would read it."""
    valid = top_level_keys(config_name)
    for key in map(str, config):
        if key not in valid:
            raise UserError(f"{key} is used by nothing; {valid_names(key, valid)}")


def require_known_choices(overrides: Iterable[str]) -> None:
    """Raises UserError for a choice without a file, which Hydra overlooks in an optional group (`budget=typo`)."""
    for override in overrides:
        group, _, choice = override.partition("=")
        choice = unquoted(choice)
        options = sorted(path.stem for path in (CONFIG_FOLDER / group).glob("*.yaml")) if group.isidentifier() else []
        if options and choice not in options:
            raise UserError(no_choice(group, choice, options))
