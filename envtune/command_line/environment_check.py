"""The command that checks an environment: `python tools/check_environment.py environment=module environment.module=…`.

Prints a line per promise, with the smallest counterexample found where it fails, and exits with 1 if one does. The run
folder receives check.json, with all notes.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from textwrap import wrap
from typing import Annotated, Any

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from envtune.checked import Among, Count, EachOnce, Positive, checked
from envtune.command_line.command import command
from envtune.command_line.composed_config import require_component
from envtune.environment.contract import Outcome, outcomes
from envtune.environment.contract.promises import Numbers
from envtune.files.atomic_file import atomic_file
from envtune.report_text import without_control
from envtune.task import Split

WIDTH = 80
SHOWN_NOTES = 5
RECORD = "check.json"
_INDENT = " " * 8


def require_sound_check(config: DictConfig) -> None:
    """Validate the settings of the check itself; components validate their own.

    Raises:
        UserError: a setting is not allowed.
    """
    for name in ("data", "environment", "augmentation", "reward"):
        require_component(config[name], name)
    settings: Any = OmegaConf.to_container(config, resolve=True)
    _require_sound(**{name: settings[name] for name in ("tasks", "seconds", "splits", "promises", "run_folder")})


@checked
def _require_sound(
    tasks: Count,
    seconds: Positive,
    splits: EachOnce[Annotated[str, Among(Split)]],
    promises: Numbers | None,
    run_folder: str,
) -> None: ...


@command("check_environment", require_sound_check)
def main(config: DictConfig) -> None:
    """Check every promise, print and record the outcomes, and exit with 1 if a promise is broken."""
    settings: Any = OmegaConf.to_container(config, resolve=True)
    found = []
    for outcome in outcomes(
        # Plain values, which a second process can read.
        partial(instantiate, [settings["environment"], settings["data"]], _convert_="all"),
        tasks=settings["tasks"],
        seconds=float(settings["seconds"]),
        splits=[Split(name) for name in settings["splits"]],
        promises=settings["promises"],
        augmentation=instantiate(config.augmentation, _convert_="all"),
        reward=instantiate(config.reward, _convert_="all"),
    ):
        found.append(outcome)
        print(*lines_of(outcome), sep="\n", flush=True)
    record = Path(config.run_folder) / RECORD
    with atomic_file(record) as file:
        file.write(json.dumps([asdict(outcome) for outcome in found], indent=2) + "\n")
    kept = sum(outcome.passed for outcome in found)
    print(f"{kept} of {len(found)} promises are kept; all notes are in {record}")
    if kept < len(found):
        sys.exit(1)


def lines_of(outcome: Outcome) -> Iterator[str]:
    """Yield the lines of an outcome, at most ``WIDTH`` columns wide: the promise, the counterexample, some notes."""
    head = f"{'ok' if outcome.passed else 'FAIL':4} {outcome.number:2} {outcome.promise}"
    yield from _wrapped(head if outcome.passed else f"{head}: {outcome.counterexample}", "")
    for note in outcome.notes[:SHOWN_NOTES]:
        yield from _wrapped(note, _INDENT)
    if len(outcome.notes) > SHOWN_NOTES:
        yield f"{_INDENT}and {len(outcome.notes) - SHOWN_NOTES} more"


def _wrapped(text: str, indent: str) -> list[str]:
    return wrap(without_control(text), WIDTH, initial_indent=indent, subsequent_indent=_INDENT + " " * len(indent[:2]))
