"""Promise 4: the same calls return the same results, in two new processes with other hash seeds and time zones.

Not covered: results that depend on the date in UTC, which is the same in both processes.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator, Sequence
from itertools import zip_longest

from envtune.environment.augmentation.none import NoAugmentation
from envtune.environment.contract.trial import Evidence, Trial, ground_truth, new_trial, without
from envtune.environment.contract.watched_world import Watch, WatchedEnvironment, described
from envtune.environment.contract.wrong_calls import wrong_calls
from envtune.errors import UserError
from envtune.task import Task, ToolCall

PROCESSES = (("1", "AAA-14"), ("2", "BBB+12"))
"""Hash seed and time zone of each process; it is never the same day in both zones."""
_PROGRAM = "import pickle, sys; sys.path[:] = pickle.load(sys.stdin.buffer); "
_PROGRAM += "from envtune.environment.contract.repeated_calls import second_process; second_process()"
_READY = "ready"


def results_repeat(trial: Trial) -> Evidence:
    """Check that two processes get the same results.

    Raises:
        UserError: another process cannot make the environment.
    """
    settings = (trial.make, trial.size, trial.seconds, tuple(trial.tasks), trial.unruly)
    try:
        given = pickle.dumps([path or os.getcwd() for path in sys.path]) + pickle.dumps(settings)
    except Exception as error:
        raise _unmakable(str(error)) from error
    started = []
    for seed, zone in PROCESSES:
        variables = {**os.environ, "PYTHONHASHSEED": seed, "TZ": zone}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        started.append(subprocess.Popen([sys.executable, "-c", _PROGRAM], env=variables, **pipes))  # type: ignore[call-overload]
        started[-1].stdin.write(given)
        started[-1].stdin.close()
        started[-1].stdin = None
    played = []
    for process in started:
        out, complaints = process.communicate()
        head, *lines = out.decode().splitlines() or [""]
        if head != _READY:
            raise _unmakable(complaints.decode().strip().rpartition("\n")[2])
        played.append(lines)
    return Evidence(_first_difference(*played))


def _unmakable(cause: str) -> UserError:
    return UserError(
        f"another process cannot make the environment ({' '.join(cause.split())}): give the name of a module, or a "
        "function at the top of a module"
    )


def _first_difference(one: Sequence[str], other: Sequence[str]) -> str | None:
    """Compare the lines of two processes: in turn, the task with the calls, and their results."""
    pairs = ([lines[place : place + 2] for place in range(0, len(lines), 2)] for lines in (one, other))
    for first, second in zip_longest(*pairs, fillvalue=()):
        if not first or not second or first[0] != second[0]:
            return f"another process gets other tasks or calls: {(first or second)[0]}"
        task, *calls = json.loads(first[0])
        if len(first) < 2 or len(second) < 2:
            return f"{task}: another process ends at {', '.join(calls)}"
        for place, (text, again) in enumerate(zip(json.loads(first[1]), json.loads(second[1]), strict=True)):
            if text != again:
                made = ", ".join(calls[: place + 1])
                return f"{task}: {made} returns {text[:80]!r}, in another process {again[:80]!r}"
    return None


def second_process() -> None:
    """Play what standard input describes, and write the results to standard output as JSON lines."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # tools may print
    make, size, seconds, splits, unruly = pickle.load(sys.stdin.buffer)
    trial = without(new_trial(make, size, seconds, splits, NoAugmentation(), lambda trajectory: None), unruly)
    print(_READY, file=out, flush=True)
    environment = WatchedEnvironment(trial.environment, Watch(seconds))
    for task, calls in _sequences(trial):
        # Before the calls, which may end the process.
        print(json.dumps([task.id, *(described([call]) for call in calls)]), file=out, flush=True)
        world = environment.open(task)
        print(json.dumps([world.call(call).text for call in calls]), file=out, flush=True)


def _sequences(trial: Trial) -> Iterator[tuple[Task, Sequence[ToolCall]]]:
    """Yield each tool's first right call and its wrong forms, each for a new world; then all ground truths."""
    tried = set(trial.unruly)
    for task in trial.distinct:
        calls = ground_truth(task)
        for call in calls:
            if call.name not in tried:
                tried.add(call.name)
                yield from ((task, [attempt]) for attempt in (call, *wrong_calls(call, calls)))
    for task in trial.distinct:
        yield task, ground_truth(task)
