"""Promises 1 to 3: right play passes, and no world shares anything with another one."""

from __future__ import annotations

from collections.abc import Sequence

from envtune.environment.augmentation.none import NoAugmentation
from envtune.environment.contract.scripted_episode import ANSWER, play, right_actions
from envtune.environment.contract.trial import Evidence, Trial, ground_truth, smallest
from envtune.environment.contract.watched_world import described
from envtune.environment.fingerprint import fingerprint
from envtune.environment.interface import Environment
from envtune.task import Task, ToolCall


def right_calls_pass(trial: Trial) -> Evidence:
    """Check that an agent that makes the ground-truth calls, and answers, passes every turn of every task.

    A turn with a check of its own may need a certain answer: there, calls that do not pass are only noted.
    """
    notes: list[str] = []
    for task in trial.distinct:
        if task.id in trial.defective:
            continue
        episode = play(trial.environment, task, NoAugmentation(), lambda index: right_actions(task.turns[index]))  # noqa: B023
        for index, turn in enumerate(episode.turns):
            where = f"{task.id}, turn {index}"
            for result in (result for step in turn.steps for result in step.results):
                if not result.ok:
                    return Evidence(f"{where}: {described([result.call])} fails: {result.text[:200]}", tuple(notes))
            if turn.verdict.passed:
                continue
            if task.turns[index].check is None:
                differs = "the results differ" if turn.verdict.state else "the state differs"
                return Evidence(f"{where}: {described(turn.ground_truth)}: {differs} from the twin's", tuple(notes))
            share = f"its check gives {turn.verdict.checked}"
            notes.append(f"{where}: {share} for its ground truth and the answer {ANSWER.text!r}")
    if notes:
        notes.insert(0, f"{len(notes)} turns have a check that their ground truth alone does not pass")
    if left_out := trial.defective.intersection(task.id for task in trial.distinct):
        notes.append(f"{len(left_out)} tasks are left out, as the source lists them as defective")
    return Evidence(notes=tuple(notes))


def worlds_are_separate(trial: Trial) -> Evidence:
    """Check that new worlds of a task are equal, answer alike and do not change each other."""
    for task in trial.distinct:
        found = smallest(ground_truth(task), lambda calls: _effect_on_another(trial.environment, task, calls))  # noqa: B023
        if found:
            return Evidence(f"{task.id}: {found[1]}")
    return Evidence()


def _effect_on_another(environment: Environment, task: Task, calls: Sequence[ToolCall]) -> str | None:
    first, second = environment.open(task), environment.open(task)
    if not (first.same_as(second) and second.same_as(first)):
        return "two new worlds are not equal"
    before = fingerprint(second.view)
    texts = [first.call(call).text for call in calls]
    if fingerprint(second.view) != before:
        return f"{described(calls)} changes another world of the task"
    for world in (second, environment.open(task)):
        for place, call in enumerate(calls):
            if (text := world.call(call).text) != texts[place]:
                return f"{described(calls[: place + 1])} returns {texts[place][:80]!r}, in the next world {text[:80]!r}"
        if not first.same_as(world):
            return f"{described(calls)} leads to another state in another world of the task"
    return None


def copies_are_separate(trial: Trial) -> Evidence:
    """Check that a copy, made at any point, equals its original and does not change with it."""
    for task in trial.distinct:
        calls = ground_truth(task)
        for place in range(len(calls) + 1):
            before, after = calls[:place], calls[place:]
            found = smallest(after, lambda later: _effect_on_copy(trial.environment, task, before, later))  # noqa: B023
            if found:
                made = f", made after {described(before)}" if before else ""
                return Evidence(f"{task.id}: {found[1]}{made}")
    return Evidence()


def _effect_on_copy(
    environment: Environment, task: Task, before: Sequence[ToolCall], after: Sequence[ToolCall]
) -> str | None:
    world = environment.open(task)
    for call in before:
        world.call(call)
    kept = world.copy()
    if not (kept.same_as(world) and world.same_as(kept)):
        return "a copy is not equal to its original"
    held = fingerprint(kept.view, of_classes=False)
    texts = [world.call(call).text for call in after]
    if fingerprint(kept.view, of_classes=False) != held:
        return f"{described(after)} changes a copy of the world"
    for place, call in enumerate(after):
        if (text := kept.call(call).text) != texts[place]:
            return f"{described(after[: place + 1])} returns {texts[place][:80]!r}, in a copy {text[:80]!r}"
    return None if kept.same_as(world) else f"{described(after)} leads to another state in a copy"
