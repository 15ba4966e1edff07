from __future__ import annotations

import itertools
import threading
import time
from pathlib import Path

import pytest
from full_disk import files_end_after
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from envtune.files.atomic_file import WriteError
from envtune.training.reporting.tensorboard_log import TensorBoardLog, events_of
from envtune.training.resume.rollback import roll_back

BEGUN = 1_800_000_000.0


class Clock:
    """Stands at ``now`` and goes on by ``tick`` seconds whenever it is read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tick: float = 1.0) -> None:
        self.now, self._tick = BEGUN, tick
        monkeypatch.setattr(time, "time", self.read)

    def read(self) -> float:
        self.now += self._tick
        return self.now


def part_of_run(folder: Path, updates: range) -> None:
    """What one process logs."""
    log = TensorBoardLog(str(folder))
    for update in updates:
        log.log_metrics({"kl": update / 8}, step=update)
    log.finalize("success")


def curve(folder: Path) -> list[tuple[int, float, float]]:
    """Step, value and wall time of every point, in TensorBoard's order."""
    events = EventAccumulator(str(folder)).Reload()
    return [(point.step, point.value, point.wall_time) for point in events.Scalars("kl")]


@pytest.mark.parametrize("jump", [0.0, -0.5, -3.0, -7200.0, -BEGUN + 1000.0, 7200.0])
def test_points_stand_in_the_order_of_updates_wherever_the_clock_jumps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jump: float
):
    clock = Clock(monkeypatch, tick=0.01)
    for updates in (range(4), range(4, 8), range(8, 12)):
        part_of_run(tmp_path, updates)
        clock.now += jump if clock.now + jump > 0 else 0
    points = curve(tmp_path)
    assert [(step, value) for step, value, _ in points] == [(step, step / 8) for step in range(12)]
    times = [at for *_, at in points]
    assert times == sorted(times)
    # The times between updates stay what they were.
    assert all(later - at == pytest.approx(0.01, abs=0.02) for at, later in itertools.pairwise(times[4:8]))


def test_as_many_parts_as_there_may_be_in_one_second_stay_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    Clock(monkeypatch, tick=0.0)
    for update in range(12):
        part_of_run(tmp_path, range(update, update + 1))
    assert [step for step, *_ in curve(tmp_path)] == list(range(12))


def test_a_clock_that_is_put_back_within_a_part_tears_no_curve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    clock = Clock(monkeypatch)
    log = TensorBoardLog(str(tmp_path))
    for update in range(4):
        log.log_metrics({"kl": 0.0}, step=update)
        clock.now -= 3600 if update == 1 else 0
    log.save()
    times = [at for *_, at in curve(tmp_path)]
    assert times == [BEGUN + 3, BEGUN + 4, BEGUN + 4, BEGUN + 5]


def test_a_clock_that_is_right_is_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    clock = Clock(monkeypatch)
    part_of_run(tmp_path, range(2))
    clock.now = BEGUN + 100
    part_of_run(tmp_path, range(2, 4))
    assert [at - BEGUN for *_, at in curve(tmp_path)] == [3, 4, 103, 104]
    names = sorted(path.name for path in tmp_path.iterdir())
    assert [name.split(".")[3] for name in names] == [f"{BEGUN + after:.0f}" for after in (1, 101)]
    # In one process there is one file, whenever Lightning closes it.
    log = TensorBoardLog(str(tmp_path / "other"))
    for update in range(3):
        log.log_metrics({"kl": 0.0}, step=update)
        log.finalize("success")
    assert len(list((tmp_path / "other").iterdir())) == 1
    assert [step for step, *_ in curve(tmp_path / "other")] == [0, 1, 2]


def test_a_full_disk_raises_in_the_writing_call_and_keeps_earlier_events(tmp_path: Path):
    log = TensorBoardLog(str(tmp_path / "tensorboard"))
    log.log_metrics({"kl": 0.5}, step=1)
    log.save()
    (path,) = (tmp_path / "tensorboard").iterdir()
    threads = threading.active_count()
    # Half a record fits.
    with files_end_after(path.stat().st_size + 20):
        for update in range(2, 500):
            log.log_metrics({"kl": 0.25}, step=update)
        with pytest.raises(WriteError, match=f"the size limit of files is reached while writing {path}: raise it"):
            log.save()
    assert threading.active_count() == threads
    log.finalize("failed")
    assert [event.step for event in events_of(path)] == [0, 1]
    roll_back(tmp_path, 1)
    part_of_run(tmp_path / "tensorboard", range(2, 4))
    assert [step for step, *_ in curve(tmp_path / "tensorboard")] == [1, 2, 3]
