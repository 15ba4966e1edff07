"""Make a command from a function that takes the composed config. Hydra is used in this package only.

Adds to Hydra: validation of the whole config before a folder is made, numbers as names of choices (`stage=3`,
`stage=1,2`), and errors in one sentence that lists what is valid (`mistakes`).
"""

from __future__ import annotations

import functools
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import hydra
import rich
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import Glob, QuotedString
from hydra.errors import OverrideParseException
from hydra.experimental.callback import Callback
from lightning.pytorch.utilities.rank_zero import rank_zero_only
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from typing_extensions import override

import envtune
from envtune.command_line import sweep
from envtune.command_line.composed_config import require_valid_components
from envtune.command_line.continued_command import continued_command, require_free_folder
from envtune.command_line.mistakes import MISTAKES, sentence, top_level_keys, unknown_choice
from envtune.command_line.override_grammar import parse_override, unquote
from envtune.command_line.search_path import (
    CONFIG_FOLDER,
    add_folders,
    folders_of_this_job,
    is_group,
    options_of,
    with_search_path,
)
from envtune.errors import UserError, valid_names
from envtune.files.atomic_file import WriteError
from envtune.processes.ranks import rank_of_this_process, remove_foreign_ranks, require_common_folder
from envtune.program import invocation, on_terminal
from envtune.training.distributed.devices import processes_of

Task = Callable[[DictConfig], Any]


# `${package:models/tiny}` in a config: a path inside the installed package.
OmegaConf.register_new_resolver("package", lambda path: str(Path(envtune.__file__).parent / path), replace=True)
# `${precision:}`: bfloat16 arithmetic on float32 weights on a GPU, float32 elsewhere.
_PRECISIONS = {True: "bf16-mixed", False: "32-true"}
OmegaConf.register_new_resolver("precision", lambda: _PRECISIONS[torch.cuda.is_available()], replace=True)
# `${invocation:}` in the text of `--help`: `python train.py` or `envtune-train`.
OmegaConf.register_new_resolver("invocation", invocation, replace=True)


def command(
    config_name: str, check: Task | None = None, repeats: bool = False, records: bool = True
) -> Callable[[Task], Callable[[], None]]:
    """Return a decorator that makes a program of a task.

    Args:
        config_name: the stem of the file in `conf/` that is composed with the command line.
        check: raises UserError for settings that no component validates, or that contradict each other.
        repeats: whether the command may be called again with a folder that it has written to before.
        records: whether the command has a run folder; False for one that only prints (conf/hydra/terminal.yaml).
    """

    def require(config: DictConfig) -> None:
        require_known_keys(config, config_name)
        require_known_choices(HydraConfig.get().overrides.task)
        require_valid_components(config)
        if check is not None:
            check(config)

    def decorate(task: Task) -> Callable[[], None]:
        def checked(config: DictConfig) -> Any:
            if sweep.in_sweep():
                # Not known before the sweep if the sweeper chooses adaptively or the job runs on another machine.
                require(config)
            return task(config)

        @functools.wraps(task)
        def started(config: DictConfig) -> Any:
            if not sys.stdout.isatty():
                # Without a terminal rich would wrap at 80 columns.
                rich.reconfigure(width=160)
            if not records:
                return checked(config)
            _resolve_rank(config)
            # A launcher may have started this process for the job alone.
            add_folders(folders_of_this_job())
            overrides = HydraConfig.get().overrides.task
            try:
                return sweep.run(checked, config, config_name, lambda error: sentence(error, config_name, overrides))
            except (OSError, WriteError) as error:
                # Here, because Hydra drops the run folder, which the sentence names, before it re-raises.
                raise UserError(sentence(error, config_name)) from error

        def run() -> None:
            # Makes Hydra raise errors instead of printing them.
            os.environ.setdefault("HYDRA_FULL_ERROR", "1")
            SettingsCheck.require, SettingsCheck.repeats = staticmethod(require), repeats
            SettingsCheck.records = records
            with on_terminal():
                try:
                    sys.argv[1:] = _overrides_first(continued_command(quote_numbers(with_search_path(sys.argv[1:]))))
                    hydra.main(version_base="1.3", config_path=str(CONFIG_FOLDER), config_name=config_name)(started)()
                except BrokenPipeError:
                    raise
                except MISTAKES as error:
                    sys.exit(f"error: {sentence(error, config_name, sys.argv[1:])}")
                except KeyboardInterrupt:
                    print("interrupted", file=sys.stderr)
                    sys.exit(128 + signal.SIGINT)
                except ValueError as error:
                    # Python's logging wraps an OSError when Hydra opens the log of the run.
                    if not isinstance(error.__cause__, OSError):
                        raise
                    sys.exit(f"error: {sentence(error.__cause__, config_name, sys.argv[1:])}")

        return run

    return decorate


def _overrides_first(arguments: Iterable[str]) -> list[str]:
    """Order overrides before options, because Hydra refuses an option between two overrides."""
    return sorted(arguments, key=lambda argument: not re.match(r"[^-].*=|~", argument, flags=re.DOTALL))


def _resolve_rank(config: DictConfig) -> None:
    """Decide the rank of this process, also for Lightning, which has read the environment at import."""
    remove_foreign_ranks(processes_of(config.trainer) if config.get("trainer") else 1)
    rank_zero_only.rank = rank_of_this_process()  # type: ignore[attr-defined]


class SettingsCheck(Callback):
    """Exit with a sentence before a folder is made, if a config of this run or sweep is not valid.

    Only rank 0 records the settings; every other rank logs to a file of its own.
    """

    # Set by the command that runs in this process.
    require: ClassVar[Callable[[DictConfig], None]]
    repeats: ClassVar[bool]
    records: ClassVar[bool]

    @override
    def on_run_start(self, config: DictConfig, **given: Any) -> None:
        with _exiting_with_a_sentence(given["config_name"], config.hydra.overrides.task):
            composed = as_in_a_run(config)
            SettingsCheck.require(composed)
            if not SettingsCheck.records:
                return
            _resolve_rank(composed)
            require_common_folder(config.hydra.overrides.hydra)
            # As Hydra resolves it: the command line may name it in several ways.
            folder = str(HydraConfig.get().runtime.output_dir)
            if composed.run_folder != folder:
                raise UserError(f"run_folder={composed.run_folder} is where Hydra writes: give hydra.run.dir instead")
            if rank := rank_of_this_process():
                with read_write(config), open_dict(config):
                    config.hydra.output_subdir, config.hydra.job.name = None, f"rank_{rank}"
            elif not SettingsCheck.repeats:
                require_free_folder(folder, composed.get("ckpt_path"), resumable="ckpt_path" in composed)

    @override
    def on_multirun_start(self, config: DictConfig, **given: Any) -> None:
        with _exiting_with_a_sentence(given["config_name"], ()):
            jobs = sweep.overrides_of_jobs(config)
        for number, job in enumerate(jobs):
            with _exiting_with_a_sentence(given["config_name"], job):
                composed = as_in_a_run(hydra.compose(given["config_name"], job, return_hydra_config=True))
                SettingsCheck.require(composed)
                if number == 0:
                    # The first job decides for all.
                    _resolve_rank(composed)
        if rank := rank_of_this_process():
            with read_write(config), open_dict(config):
                config.hydra.overrides.hydra += ["hydra.output_subdir=null", f"hydra.job.name=rank_{rank}"]


@contextmanager
def _exiting_with_a_sentence(config_name: str, overrides: Sequence[str]) -> Iterator[None]:
    """Exit on an error, because Hydra turns any error in a callback into a warning."""
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
    """Return the config that a task would get, and set Hydra's own config as it would be then."""
    config = config.copy()
    with read_write(config), open_dict(config):
        config.hydra.runtime.output_dir = config.hydra.run.dir
        HydraConfig.instance().set_config(config)
        del config["hydra"]
    return config


def settings_of_this_run() -> dict[str, str]:
    """Return the choice of every group, and every setting of the command line, by name."""
    hydra = HydraConfig.get()
    choices = {group: str(choice) for group, choice in hydra.runtime.choices.items() if not group.startswith("hydra")}
    given = (argument.lstrip("+").partition("=") for argument in hydra.overrides.task)
    return choices | {key: unquote(value) for key, _, value in given}


def quote_numbers(arguments: Iterable[str]) -> list[str]:
    """Quote numbers that name choices, also in the lists, ranges and globs of a sweep: `stage=3` -> `stage='3'`.

    Hydra reads an unquoted number as an integer, which is not the name of a choice.

    Raises:
        UserError: a group is given null or a list.
    """
    return [_quote_numbers(argument) for argument in arguments]


def _quote_numbers(argument: str) -> str:
    group, _, given = argument.partition("=")
    if not (group and given and is_group(group)):
        return argument
    try:
        parsed = parse_override(argument)
    except OverrideParseException:
        return argument
    value: Any = parsed.value()
    if isinstance(value, dict) or parsed.is_interval_sweep():
        return argument
    options = options_of(group)
    if isinstance(value, list):
        several = ",".join(map(str, value))
        raise UserError(
            f"{argument} is a list, and {group} takes one of: {', '.join(options)}; to sweep over several, give -m "
            f"{group}={several}"
        )
    if isinstance(value, Glob):
        choices: list[Any] = value.filter(options)
    else:
        choices = list(parsed.sweep_iterator()) if parsed.is_sweep_override() else [value]
    if None in choices or not choices:
        raise UserError(f"{argument} is not a choice; leave {group} out, or choose one of: {', '.join(options)}")
    if not isinstance(value, Glob) and all(isinstance(choice, (str, QuotedString)) for choice in choices):
        return argument
    names = (choice.text if isinstance(choice, QuotedString) else str(choice) for choice in choices)
    return f"{group}={','.join(repr(name) for name in names)}"


def require_known_keys(config: DictConfig, config_name: str) -> None:
    """Raise UserError for a key that is not a group or setting of the command (`+typo=1`): nothing would read it."""
    valid = top_level_keys(config_name)
    for key in map(str, config):
        if key not in valid:
            raise UserError(f"{key} is not used; {valid_names(key, valid)}")


def require_known_choices(overrides: Iterable[str]) -> None:
    """Raise UserError for a choice without a file, which Hydra ignores in an optional group (`budget=typo`)."""
    for argument in overrides:
        group, _, choice = argument.partition("=")
        choice = unquote(choice)
        options = options_of(group) if group.isidentifier() else []
        if options and choice not in options:
            raise UserError(unknown_choice(group, choice, options))
