"""Check the promises of an environment: `envtune-check-environment environment=module environment.module=library`.

Prints a line per promise, with the smallest counterexample found where it is broken, and exits with 1 if one is.

In a clone `python tools/check_environment.py` is the same command.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from textwrap import wrap
from typing import Annotated, Any

import envtune.process_start

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from pydantic import Field

from envtune.checked import Among, Count, EachOnce, Positive, checked
from envtune.command_line.command import command
from envtune.command_line.composed_config import require_component
from envtune.environment.contract import Outcome, outcomes
from envtune.environment.contract.promises import Numbers
from envtune.report_text import without_control
from envtune.task import Split

WIDTH = 80
_INDENT = " " * 8


def require_sound_check(config: DictConfig) -> None:
    """Validate the settings of the check itself; components validate their own.

    Raises:
        UserError: a setting is not allowed.
    """
    for name in ("data", "environment", "augmentation", "reward"):
        require_component(config[name], name)
    settings: Any = OmegaConf.to_container(config, resolve=True)
    _require_sound(**{name: settings[name] for name in ("tasks", "seconds", "splits", "promises", "notes")})


@checked
def _require_sound(
    tasks: Count,
    seconds: Positive,
    splits: EachOnce[Annotated[str, Among(Split)]],
    promises: Numbers | None,
    notes: Annotated[int, Field(ge=0)] | None,
) -> None: ...


@command("check_environment", require_sound_check, records=False)
def check_environment(config: DictConfig) -> None:
    """Check the promises, print the outcomes, and exit with 1 if a promise is broken."""
    settings: Any = OmegaConf.to_container(config, resolve=True)
    kept = []
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
        kept.append(outcome.passed)
        print(*lines_of(outcome, settings["notes"]), sep="\n", flush=True)
    print(f"{sum(kept)} of {len(kept)} promises are kept")
    if not all(kept):
        sys.exit(1)


def lines_of(outcome: Outcome, notes: int | None) -> Iterator[str]:
    """Yield the lines of an outcome, at most ``WIDTH`` columns wide.

    Args:
        outcome: the outcome.
        notes: the largest number of notes that are shown; None for all.
    """
    head = f"{'ok' if outcome.passed else 'FAIL':4} {outcome.number:2} {outcome.promise}"
    yield from _wrapped(head if outcome.passed else f"{head}: {outcome.counterexample}", "")
    shown = outcome.notes[:notes]
    for note in shown:
        yield from _wrapped(note, _INDENT)
    if left := len(outcome.notes) - len(shown):
        yield f"{_INDENT}and {left} more"


def _wrapped(text: str, indent: str) -> list[str]:
    return wrap(without_control(text), WIDTH, initial_indent=indent, subsequent_indent=_INDENT + " " * len(indent[:2]))
