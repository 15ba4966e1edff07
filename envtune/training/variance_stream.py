"""A stream that prefers tasks whose groups' rewards varied when they were last played.

After RODS (arXiv 2606.19047), which samples tasks by the variance of their rewards, and prime-rl's difficulty pools,
which keep apart the tasks that are always or never solved: a group whose rewards are all equal has no advantage and so
gives no gradient. Here a task without variance is not dropped, because a better policy may begin to solve it, or forget
it: every task comes again after a bounded time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, count, islice
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from envtune.checked import checked
from envtune.errors import UserError
from envtune.processes.collectives import gather
from envtune.task import Task
from envtune.training.task_stream import Draw, require_tasks, shuffled

NEVER = -1


@checked
class VarianceStream:
    """Every ``world_size``-th element, from ``rank`` on, of a sequence that is drawn anew for each update.

    Within an update no task comes twice before all have come. The sequence of an update has, in this order:

    1. *aged* tasks, the oldest first: those last played ``max_age`` - 1 passes ago or earlier, where a pass is as many
       groups as there are tasks, and a task that was never played counts as played at the beginning. At most one pass
       later they have all been drawn, so that every task is drawn at least once in ``max_age`` passes, up to the one or
       two updates that the drawing in whole updates costs.
    2. until both have run out, with probability ``new_share`` a *new* task, which was never played, in the order of the
       uniform stream's first pass; otherwise one to *replay*, drawn without replacement with a probability proportional
       to the variance of the rewards of its last group. Those without variance come last, in random order.

    Random choices derive from the seed and the number of groups that all ranks have played. Only tasks that were played
    have a record in the state. In memory a task costs 24 bytes, and an update a few operations of numpy over all tasks.

    Args:
        tasks: the training tasks.
        seed: the seed of all random choices.
        rank: the rank that draws.
        world_size: the number of ranks.
        max_age: the number of passes in which every task is drawn at least once.
        new_share: the probability of a new task.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        max_age: Annotated[int, Field(ge=2, description="passes")] = 4,
        new_share: Annotated[float, Field(ge=0, le=1)] = 0.5,
    ) -> None:
        self._tasks, self._seed, self._rank, self._world_size = require_tasks(tasks), seed, rank, world_size
        self._due, self._new_share = (max_age - 1) * len(tasks), new_share
        self._first_pass = shuffled(len(tasks), seed, 0)
        self.drawn = 0
        self._samples = _no_samples()
        self._queue: Iterator[tuple[int, bool]] | None = None
        self.load_state_dict({})

    def draw(self, count: int) -> tuple[Draw, ...]:
        """Draw the next ``count`` tasks of this rank."""
        return tuple(self._draw() for _ in range(count))

    def observe(self, variances: Sequence[tuple[int, float]]) -> Mapping[str, Sequence[float]]:
        """Record the variances of all ranks, which so have equal records; see ``Stream``.

        The samples are, of each draw, whether the task was aged and whether it was new, and the variance on record.
        """
        ranks = gather(list(variances))
        self._played += sum(map(len, ranks))
        for index, variance in chain.from_iterable(ranks):
            self._variance[index], self._last[index] = variance, self._played
        samples, self._samples, self._queue = self._samples, _no_samples(), None
        return samples

    def state_dict(self) -> dict[str, Any]:
        """Return the records of the tasks that were played, the number of tasks, and that of the groups played."""
        seen = np.flatnonzero(self._last != NEVER)
        return {
            "tasks": len(self._tasks),
            "played": self._played,
            "seen": seen.tolist(),
            "variance": self._variance[seen].tolist(),
            "last": self._last[seen].tolist(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the records from a checkpoint; an empty state has none.

        Raises:
            UserError: the records are of another number of tasks.
        """
        size = len(self._tasks)
        if state_dict and state_dict["tasks"] != size:
            raise UserError(
                f"the checkpoint has the sampler's records of {state_dict['tasks']} tasks, but this run has {size}: "
                "give the data of that run, or start a new one from its weights with init_from"
            )
        self._played: int = state_dict.get("played", 0)
        self._variance = np.zeros(size)
        # Groups of all ranks played until the end of the rollout that played the task.
        self._last = np.full(size, NEVER)
        seen = state_dict.get("seen", [])
        self._variance[seen], self._last[seen] = state_dict.get("variance", []), state_dict.get("last", [])
        self._samples, self._queue = _no_samples(), None

    def _draw(self) -> Draw:
        if self._queue is None:
            laps = chain.from_iterable(map(self._lap, count()))
            self._queue = islice(laps, self._rank, None, self._world_size)
        index, aged = next(self._queue)
        new = self._last[index] == NEVER
        self._samples["sampler/aged"].append(float(aged))
        self._samples["sampler/new"].append(float(new))
        self._samples["sampler/variance"].extend([] if new else [float(self._variance[index])])
        position = self.drawn * self._world_size + self._rank
        self.drawn += 1
        return Draw(self._tasks[index], position, index)

    def _lap(self, number: int) -> Iterator[tuple[int, bool]]:
        """Yield every task once, and whether it is aged. Equal on all ranks, however many tasks each of them takes."""
        rng = np.random.default_rng([self._seed, self._played, number])
        new = self._first_pass[self._last[self._first_pass] == NEVER]
        seen = np.flatnonzero(self._last != NEVER)
        is_aged = self._played - self._last[seen] >= self._due
        aged, others = seen[is_aged], seen[~is_aged]
        aged = aged[np.argsort(self._last[aged], kind="stable")]
        if self._played >= self._due:
            aged, new = np.concatenate([new, aged]), new[:0]
        yield from ((int(index), True) for index in aged)
        sources = iter(new), iter(_by_weight(others, self._variance[others], rng))
        while True:
            first, second = sources if rng.random() < self._new_share else sources[::-1]
            index = next(first, None)
            index = next(second, None) if index is None else index
            if index is None:
                return
            yield int(index), False


def _by_weight(items: np.ndarray, weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return ``items`` in a random order, each place drawn with probabilities proportional to the weights of the rest.

    The place of an item is that of an exponential variable with its weight as rate (Efraimidis and Spirakis 2006).
    """
    times = rng.exponential(size=len(items))
    return items[np.lexsort((times / np.where(weights > 0, weights, 1.0), weights == 0))]


def _no_samples() -> dict[str, list[float]]:
    return {"sampler/aged": [], "sampler/new": [], "sampler/variance": []}
