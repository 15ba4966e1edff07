"""Promises 7 to 9: hints change nothing, give nothing away, and few failures are left without one."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from envtune.environment.augmentation import Hints
from envtune.environment.augmentation.none import NoAugmentation
from envtune.environment.contract.attempts import attempts
from envtune.environment.contract.scripted_episode import play, right_actions
from envtune.environment.contract.trial import Evidence, Trial, ground_truth, smallest
from envtune.environment.contract.watched_world import described
from envtune.environment.contract.wrong_calls import wrong_calls
from envtune.task import Task, ToolCall, leaves
from envtune.trajectory import Action, Trajectory

SHORTEST = 3
"""The fewest characters of a value that counts as given away: shorter ones occur in any text."""
SHOWN = 80


def hints_change_nothing(trial: Trial) -> Evidence:
    """Check that results, verdicts and rewards of the same calls are equal with and without hints."""
    given, tried = 0, set(trial.unruly)
    for task in trial.distinct:
        calls = ground_truth(task)
        new = [call for call in calls if call.name not in tried]
        tried.update(call.name for call in new)
        wrong = [attempt for call in new for attempt in wrong_calls(call, calls)]
        if found := smallest(wrong, lambda some: _difference(trial, task, some)):  # noqa: B023
            return Evidence(f"{task.id}: {found[1]}")
        given += sum(result.hint is not None for result in _episode(trial, task, wrong, hinted=True).results)
    return Evidence(notes=(f"{given} hints were given",))


def _difference(trial: Trial, task: Task, wrong: Sequence[ToolCall]) -> str | None:
    bare, hinted = (_facts(trial, _episode(trial, task, wrong, hinted)) for hinted in (False, True))
    for name, value in bare.items():
        if hinted[name] != value:
            return f"with the hints after {described(wrong)} before the ground truth, the {name} differ"
    return None


def _episode(trial: Trial, task: Task, wrong: Sequence[ToolCall], hinted: bool) -> Trajectory:
    augmentation = trial.augmentation if hinted else NoAugmentation()
    hints: Hints = augmentation.for_episode(trial.environment, task, seed=0)

    def actions(index: int) -> list[Action]:
        return right_actions(task.turns[index], wrong if index == 0 else ())

    return play(trial.environment, task, hints, actions)


def _facts(trial: Trial, trajectory: Trajectory) -> Mapping[str, Any]:
    """Return what hints must not change."""
    return {
        "results": [(result.call.name, result.ok, result.text) for result in trajectory.results],
        "verdicts": [(turn.end, turn.verdict) for turn in trajectory.turns],
        "rewards": trial.reward(trajectory),
    }


def hints_give_nothing_away(trial: Trial) -> Evidence:
    """Check that no hint holds a value of the ground truth that the agent has neither read nor written."""
    checked = 0
    for task in trial.distinct:
        values = {str(value) for call in ground_truth(task) for value in leaves(call.arguments)}
        secrets = [value for value in values if len(value) >= SHORTEST]
        for attempt in attempts(trial, task):
            if attempt.hint is None:
                continue
            checked += 1
            text = attempt.hint.text
            told = [value for value in secrets if value in text and _word(value).search(text)]
            known = attempt.known if told else ""
            for value in told:
                if not _word(value).search(known):
                    call = described([attempt.result.call])
                    return Evidence(f"{task.id}: after {call} the hint {text[:200]!r} holds {value!r}")
    return Evidence(notes=(f"{checked} hints were read",))


@cache
def _word(text: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(text)}(?!\w)")


def failures_get_hints(trial: Trial) -> Evidence:
    """List the failing calls that get no hint, by tool with the most frequent result; none of them is a failure."""
    failed = 0
    silent: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for task in trial.distinct:
        for attempt in attempts(trial, task):
            if not attempt.result.ok:
                failed += 1
                if attempt.hint is None:
                    silent[attempt.result.call.name][" ".join(attempt.result.text.split())[:SHOWN]] += 1
    count = sum(texts.total() for texts in silent.values())
    return Evidence(notes=(f"{count} of {failed} failing calls get no hint", *_lines(silent)))


def _lines(silent: Mapping[str, Counter[str]]) -> Iterator[str]:
    for tool, texts in sorted(silent.items(), key=lambda item: (-item[1].total(), item[0])):
        yield f"{tool}: {texts.total()}, such as {texts.most_common(1)[0][0]}"
