"""Promises 10 and 11: held-out tasks are not trained on, and nothing is earned without work."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from envtune.environment.augmentation.none import NoAugmentation
from envtune.environment.contract.scripted_episode import ANSWER, NOTHING, play
from envtune.environment.contract.trial import Evidence, Trial
from envtune.task import Split, Task
from envtune.trajectory import Action

NEAR = 0.9
"""The share of common words from which the messages of two tasks are near-duplicates."""
MAX_REFUSED = 0.5
"""The largest share of tasks that may succeed by answers alone."""


def splits_are_separate(trial: Trial) -> Evidence:
    """Check that no held-out task is a training task by its id; list the drawn ones with almost the same messages."""
    trained = trial.ids.get(Split.TRAIN, ())
    for split in trial.ids:
        if split is not Split.TRAIN and (shared := sorted({*trained} & {*trial.ids[split]})):
            return Evidence(f"the {split} task {shared[0]} is a train task too, one of {len(shared)}")
    near = [*_near_duplicates(trial)]
    count = f"{len(near)} drawn held-out tasks have messages almost as those of a drawn train task"
    return Evidence(notes=(count, *near) if near else ())


def _near_duplicates(trial: Trial) -> Iterator[str]:
    trained = [(task.id, _words(task)) for task in trial.tasks.get(Split.TRAIN, ())]
    held_out = {task.id: task for split, tasks in trial.tasks.items() if split is not Split.TRAIN for task in tasks}
    for task in held_out.values():
        words = _words(task)
        for name, others in trained:
            if len(words & others) >= NEAR * max(1, len(words | others)):
                yield f"{task.id} and {name}"
                break


def _words(task: Task) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", " ".join(turn.message for turn in task.turns).lower()))


def idleness_does_not_pay(trial: Trial) -> Evidence:
    """Check two policies that make no call.

    The one that does nothing at all must pass no turn. The one that answers every turn at once may succeed on at most
    ``MAX_REFUSED`` of the tasks of a split, or training would find refusal first.
    """
    notes: list[str] = []
    for split, tasks in trial.tasks.items():
        if not tasks:
            continue
        idle = [*_scores(trial, tasks, NOTHING)]
        for task, (_, progress) in zip(tasks, idle, strict=True):
            if progress > 0:
                return Evidence(f"{task.id}: doing nothing at all gets a progress of {progress:.2f}", tuple(notes))
        answers = [*_scores(trial, tasks, ANSWER)]
        success, progress = (sum(column) / len(tasks) for column in zip(*answers, strict=True))
        notes.append(f"{split}: answers alone get a success of {success:.2f} and a progress of {progress:.2f}")
        if success > MAX_REFUSED:
            example = next(task for task, score in zip(tasks, answers, strict=True) if score[0])
            return Evidence(
                f"answers without a call succeed on {success:.0%} of the {split} tasks, such as {example.id}; at most "
                f"{MAX_REFUSED:.0%} may",
                tuple(notes),
            )
    return Evidence(notes=tuple(notes))


def _scores(trial: Trial, tasks: Sequence[Task], action: Action) -> Iterator[tuple[bool, float]]:
    for task in tasks:
        episode = play(trial.environment, task, NoAugmentation(), lambda index: [action])
        yield episode.success, episode.progress
