"""Ways in which the second of two processes goes while the first is still at work."""

from __future__ import annotations

import logging
import os
import signal
import time
from types import SimpleNamespace
from typing import Any

import pytest
from lightning.fabric.strategies.launchers.subprocess_script import _ChildProcessObserver
from lightning.pytorch.plugins.environments import LightningEnvironment
from lightning.pytorch.strategies import DDPStrategy
from sharded_run import together
from torch import distributed

from envtune.training.distributed.rank_watch import RankWatch, _slow_down_lightnings_observer

pytestmark = pytest.mark.timeout(900)


def work(way: str) -> None:
    """The first process works on for some seconds; it is over at once if nothing holds it."""
    logging.basicConfig(force=True)
    rank = int(os.environ["RANK"])
    distributed.init_process_group("gloo", rank=rank, world_size=2)
    strategy = DDPStrategy(cluster_environment=LightningEnvironment())
    trainer: Any = SimpleNamespace(global_rank=rank, world_size=2, num_nodes=1, strategy=strategy)
    with RankWatch() as rank_watch:
        rank_watch.setup(trainer, None, "fit")  # type: ignore[arg-type]
        if rank == 1 and way == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if way == "both failed" or (rank == 1 and way == "failed"):
            raise ValueError(f"no such task in rank {rank}")
        if way == "noticed late":
            _end_late(rank_watch) if rank == 0 else _be_killed_soon()
        if rank == 0:
            time.sleep(4)
    print(f"rank {rank} has done its work", flush=True)


def _be_killed_soon() -> None:
    time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGKILL)


def _end_late(rank_watch: RankWatch) -> None:
    """As on a machine that has no time for the thread: the error of an operation is there first."""
    end = rank_watch._exit

    def late(lost: int, reported: bool) -> None:
        time.sleep(2)
        end(lost, reported)

    rank_watch._exit = late  # type: ignore[method-assign]
    time.sleep(1)
    raise RuntimeError("an operation with the other failed")


@pytest.mark.parametrize(("way", "code"), [("killed", -9), ("noticed late", -9), ("failed", 1)])
def test_rank_0_exits_at_once_and_names_the_lost_rank(way: str, code: int):
    codes, output = together(work, way)
    assert codes == [1, code]
    assert "rank 1 of 2 (process " in output
    assert "rank 0 has done its work" not in output
    assert ("no such task" in output) == (way == "failed")


def test_ranks_that_fail_with_one_error_each_report_it():
    codes, output = together(work, "both failed")
    assert codes == [1, 1]
    assert "no such task in rank 0" in output
    assert "no such task in rank 1" in output
    assert "has ended too early" not in output


def test_a_rank_that_finishes_does_not_end_the_others():
    codes, output = together(work, "done")
    assert codes == [0, 0]
    assert sorted(output.splitlines()[-2:]) == ["rank 0 has done its work", "rank 1 has done its work"]


def test_lightnings_observer_is_slower_than_the_rank_watch(monkeypatch: pytest.MonkeyPatch):
    ended: list[Any] = []
    monkeypatch.setattr(_ChildProcessObserver, "_terminate_all", lambda watch: ended.append(watch))
    child: Any = SimpleNamespace(pid=1, returncode=None, poll=lambda: None)
    _ChildProcessObserver(os.getpid(), [child], sleep_period=0.05).start()  # type: ignore[arg-type]
    _slow_down_lightnings_observer()
    time.sleep(0.5)  # The look that was already due finds the child alive.
    child.returncode = -9
    time.sleep(0.5)
    # Before its next look: by then it would end the tests.
    child.returncode = 0
    assert not ended
