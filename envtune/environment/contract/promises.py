"""The eleven promises of an environment, and their check."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from pydantic import Field

from envtune.checked import Count, EachOnce, Positive, checked
from envtune.environment.augmentation import Augmentation
from envtune.environment.augmentation.actionable import Actionable
from envtune.environment.contract.call_promises import calls_are_bounded, tools_are_documented
from envtune.environment.contract.hint_promises import failures_get_hints, hints_change_nothing, hints_give_nothing_away
from envtune.environment.contract.repeated_calls import results_repeat
from envtune.environment.contract.source_promises import idleness_does_not_pay, splits_are_separate
from envtune.environment.contract.trial import Evidence, Make, Trial, new_trial, without
from envtune.environment.contract.watched_child import Promise, in_child
from envtune.environment.contract.world_promises import copies_are_separate, right_calls_pass, worlds_are_separate
from envtune.environment.interface import Environment, TaskSource
from envtune.environment.python_module import ModuleTasks, environment_of
from envtune.environment.selected_tasks import SelectedTasks
from envtune.task import Split
from envtune.trajectory import Trajectory

PROMISES: tuple[tuple[str, Promise], ...] = (
    ("every ground truth passes its own twin", right_calls_pass),
    ("two worlds of a task are equal and share nothing", worlds_are_separate),
    ("a copy does not change when the original does", copies_are_separate),
    ("the same calls return the same results in another process", results_repeat),
    ("no call raises, hangs or exceeds a limit", calls_are_bounded),
    ("every tool has a document, every argument a type and a description", tools_are_documented),
    ("verdicts and rewards are equal with and without hints", hints_change_nothing),
    ("no hint holds a right value that the agent has not seen", hints_give_nothing_away),
    ("failing calls get a hint, or are listed", failures_get_hints),
    ("train and held-out tasks share no id", splits_are_separate),
    ("nothing is earned without a call", idleness_does_not_pay),
)
Numbers = EachOnce[Annotated[int, Field(ge=1, le=len(PROMISES))]]
"""The type of a setting that chooses promises."""
MAX_UNRULY = 4
"""The largest number of tools out of hand that are searched for."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of the check of one promise."""

    number: int
    """From 1."""
    promise: str
    counterexample: str | None
    """The smallest case found that breaks the promise; None if it holds."""
    notes: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """True if no counterexample was found."""
        return self.counterexample is None


def check_environment(make: Make | str, **settings: Any) -> list[Outcome]:
    """Check all promises of an environment; the arguments are those of ``outcomes``."""
    return list(outcomes(make, **settings))


def assert_environment(make: Make | str, **settings: Any) -> None:
    """Raise AssertionError with the counterexamples if a promise is broken; the arguments are those of ``outcomes``."""
    broken = [outcome for outcome in outcomes(make, **settings) if not outcome.passed]
    lines = [f"{outcome.number} {outcome.promise}: {outcome.counterexample}" for outcome in broken]
    assert not broken, "\n".join(["the environment breaks promises", *lines])


@checked
def outcomes(
    make: Make | str,
    tasks: Count = 50,
    seconds: Annotated[Positive, Field(description="the time that one call may take")] = 10.0,
    splits: Sequence[Split] = tuple(Split),
    promises: Numbers | None = None,
    augmentation: Augmentation | None = None,
    reward: Callable[[Trajectory], Any] = lambda trajectory: None,
) -> Iterator[Outcome]:
    """Yield the outcome of each promise, in their order.

    Args:
        make: the name of a module with ``environment`` and ``tasks``. Or a function that returns an environment and a
            source of its tasks; other processes call it too, so it is at the top of a module, or a
            ``functools.partial`` of one that is.
        tasks: the largest number of tasks that are played of each split.
        seconds: the time that one call may take.
        splits: the splits.
        promises: the numbers of the promises to check, from 1; None for all.
        augmentation: the hints; None for those of the environment's tables.
        reward: a reward that hints must not change, beside the verdicts.

    Raises:
        UserError: the module, a task or the class cannot be used at all.
    """
    made = partial(parts_of_module, make) if isinstance(make, str) else make
    trial = new_trial(made, tasks, seconds, splits, augmentation or Actionable(), reward)
    bounded, trial = _bounded(trial)
    for number, (sentence, promise) in enumerate(PROMISES, start=1):
        if promises is not None and number not in promises:
            continue
        if promise is calls_are_bounded:
            evidence = bounded
        else:
            # What starts processes of its own is not checked in one.
            evidence = promise(trial) if promise is results_repeat else in_child(promise, trial)
        yield Outcome(number, sentence, evidence.counterexample, evidence.notes)


def parts_of_module(module: str) -> tuple[Environment, TaskSource]:
    """Return environment and tasks of a module.

    Raises:
        UserError: the module cannot be imported, or lacks one of them.
    """
    environment = environment_of(module)
    return environment, SelectedTasks(ModuleTasks(module), environment)


def _bounded(trial: Trial) -> tuple[Evidence, Trial]:
    """Return what is found of calls out of hand, and the trial that leaves out those of the tools found."""
    found = [in_child(calls_are_bounded, trial)]
    # A tool is found again if even its right calls are out of hand.
    while found[-1].tool not in {"", *trial.unruly} and len(trial.unruly) < MAX_UNRULY:
        trial = without(trial, [found[-1].tool])
        found.append(in_child(calls_are_bounded, trial))
    others = {evidence.tool: f"also {evidence.counterexample}" for evidence in found if evidence.counterexample}
    others.pop(found[0].tool, None)
    return Evidence(found[0].counterexample, tuple(others.values())), trial
