from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.tensorboard import SummaryWriter

from envtune.errors import UserError
from envtune.training.curriculum.best_checkpoint import BestCheckpoint
from envtune.training.reporting.tensorboard_log import TensorBoardLog
from envtune.training.reporting.trajectory_log import TrajectoryLog
from envtune.training.resume.last_checkpoint import LastCheckpoint
from envtune.training.resume.rollback import roll_back
from envtune.training.run_folder.checkpoint_io import AtomicCheckpointIO, update_of
from envtune.training.run_folder.csv_log import CSVLog, read_rows
from envtune.training.run_folder.run_files import files_written_by


def written_run(folder: Path) -> Path:
    """What a run leaves that was killed in update 4: rows, curves and trajectories of updates 0 to 4, two best ones."""
    csv_log, curves = CSVLog(str(folder / "csv")), SummaryWriter(str(folder / "tensorboard"))
    (folder / "trajectories/train").mkdir(parents=True)
    for update in range(5):
        csv_log.log_metrics({"kl": update / 4}, step=update)
        curves.add_scalar("kl", update / 4, update)
        curves.add_text("trajectory/best", str(update), update)
        for name in (f"update_{update:06d}.jsonl", f"update_{update:06d}.rank_1.jsonl"):
            (folder / "trajectories/train" / name).write_text(name)
    curves.close()
    for update in (2, 4):
        save_best(folder, update)
    for litter in ("trajectories/train/update_000002.jsonl.partial", "checkpoints/last.ckpt.partial"):
        (folder / litter).write_text("half")
    record(folder)
    return folder


def record(folder: Path) -> None:
    """Lists what `written_run` writes, as a run does."""
    parts = [
        CSVLog(str(folder / "csv")),
        TensorBoardLog(str(folder / "tensorboard")),
        TrajectoryLog(str(folder / "trajectories")),
        BestCheckpoint(str(folder / "checkpoints")),
        LastCheckpoint(str(folder / "checkpoints")),
    ]
    (folder / "run.json").write_text(json.dumps({"files": files_written_by(folder, parts)}))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def taken_back(folder: Path) -> dict[str, bytes]:
    """What moved aside, by its path in the run's folder."""
    (aside,) = folder.glob("rewound-*")
    return contents(aside)


def save_best(folder: Path, update: int) -> None:
    weights = {"weight": torch.tensor(float(update))}
    AtomicCheckpointIO().save_checkpoint(
        {"global_step": update, "state_dict": weights}, folder / "checkpoints/best.ckpt"
    )


def steps_of(folder: Path) -> tuple[list[int], list[int]]:
    events = EventAccumulator(str(folder / "tensorboard")).Reload()
    return [s.step for s in events.Scalars("kl")], [t.step for t in events.Tensors("trajectory/best/text_summary")]


def test_what_was_written_after_the_checkpoint_moves_aside_and_the_rest_stays(tmp_path: Path):
    folder = written_run(tmp_path)
    metrics = (folder / "csv/metrics.csv").read_bytes()
    (curves,) = (path.read_bytes() for path in (folder / "tensorboard").iterdir())
    roll_back(folder, 2)
    assert [row["step"] for row in read_rows(folder / "csv/metrics.csv")] == ["0", "1", "2"]
    assert steps_of(folder) == ([0, 1, 2], [0, 1, 2])
    files = {path.name: path.read_text() for path in (folder / "trajectories").rglob("*.jsonl*")}
    kept = [f"update_00000{update}{rank}.jsonl" for update in range(3) for rank in ("", ".rank_1")]
    assert files == {name: name for name in kept}
    assert [path.name for path in (folder / "checkpoints").iterdir()] == ["best.ckpt"]
    assert update_of(folder / "checkpoints/best.ckpt") == 2

    aside = taken_back(folder)
    (events,) = (name for name in aside if "events.out." in name)
    later = {f"trajectories/train/update_00000{update}{rank}.jsonl" for update in (3, 4) for rank in ("", ".rank_1")}
    litter = {"trajectories/train/update_000002.jsonl.partial", "checkpoints/last.ckpt.partial"}
    assert set(aside) == {"csv/metrics.csv", "checkpoints/best.ckpt", events, *later, *litter}
    # Of a file that stays in part, all is kept.
    assert (aside["csv/metrics.csv"], aside[events]) == (metrics, curves)
    # TensorBoard would show a file with that in its name as another run.
    assert "tfevents" not in events


def test_nothing_is_taken_back_from_a_run_that_wrote_nothing_more(tmp_path: Path):
    folder = written_run(tmp_path)
    roll_back(folder, 4)
    assert steps_of(folder) == ([0, 1, 2, 3, 4], [0, 1, 2, 3, 4])
    assert len(list(folder.rglob("*.jsonl"))) == 10
    assert update_of(folder / "checkpoints/best.ckpt") == 4
    assert update_of(folder / "checkpoints/best.previous.ckpt") == 2
    assert len(taken_back(folder)) == 2


def test_a_run_that_begins_anew_keeps_its_record_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    folder = written_run(tmp_path)
    before = {name.replace("tfevents", "rewound"): part for name, part in contents(folder).items()}
    with caplog.at_level(logging.INFO, logger="envtune"):
        roll_back(folder, -1)
    assert [path.name for path in folder.rglob("*") if path.is_file() and "rewound" not in str(path)] == ["run.json"]
    # Nothing is lost.
    assert taken_back(folder) == {name: part for name, part in before.items() if name != "run.json"}
    (aside,) = folder.glob("rewound-*")
    said = f"{folder}: what the run wrote without a checkpoint is now in {aside.name} (16 files)"
    assert caplog.messages == [said]


def test_files_that_the_record_does_not_list_are_not_touched(tmp_path: Path):
    """Of another run in the folder, of one whose folder this one is in, and of other programs."""
    folder = written_run(tmp_path / "runs/a")
    written_run(tmp_path / "runs/a/inside")
    written_run(tmp_path / "runs/b")
    for name in (
        "checkpoints/best-epoch3.ckpt",
        "checkpoints/mine.ckpt.partial",
        "trajectories/mine.partial",
        "kept.ckpt",
    ):
        (folder / name).write_text("of another program")
    others = {name: part for name, part in contents(tmp_path).items() if "runs/a/" not in name or "inside" in name}
    roll_back(folder, -1)
    after = contents(tmp_path)
    assert others.items() <= after.items()
    assert [name for name, part in after.items() if part == b"of another program"] == [
        name for name in after if name.endswith(("best-epoch3.ckpt", "mine.ckpt.partial", "mine.partial", "kept.ckpt"))
    ]
    assert not [name for name in after if "rewound" in name and name.endswith(("mine.partial", "kept.ckpt"))]


def test_a_folder_without_a_record_is_not_touched_and_an_old_record_is_refused(tmp_path: Path):
    folder = written_run(tmp_path)
    (folder / "run.json").unlink()
    before = contents(folder)
    roll_back(folder, -1)
    assert contents(folder) == before
    (folder / "run.json").write_text("{}")
    with pytest.raises(UserError, match=r"run.json does not list the run's files, since an earlier version of envtune"):
        roll_back(folder, -1)


def test_a_record_from_elsewhere_cannot_name_files_outside_of_the_folder(tmp_path: Path):
    victim = written_run(tmp_path / "victim")
    before = contents(victim)
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "link").symlink_to(victim)
    listed = [
        "",
        "../victim/run.json",
        str(victim / "csv/metrics.csv"),
        "**/*",
        "link/trajectories/train/update_*.jsonl",
    ]
    (folder / "run.json").write_text(json.dumps({"files": listed}))
    roll_back(folder, -1)
    assert contents(victim) == before
    assert not list(folder.glob("rewound-*"))


def test_the_checkpoint_that_is_resumed_stays_and_a_damaged_or_later_one_beside_it_moves_aside(tmp_path: Path):
    folder = written_run(tmp_path)
    last, previous = folder / "checkpoints/last.ckpt", folder / "checkpoints/last.previous.ckpt"
    AtomicCheckpointIO().save_checkpoint({"global_step": 3}, previous)
    for damaged in (b"half", None):
        if damaged:
            last.write_bytes(damaged)
        else:
            AtomicCheckpointIO().save_checkpoint({"global_step": 4}, last)
        roll_back(folder, 3, previous)
        assert not last.exists()
        assert update_of(previous) == 3
    assert len([path for aside in folder.glob("rewound-*") for path in aside.rglob("last.ckpt")]) == 2


@pytest.mark.parametrize(
    "text", ["kl,step\n0.5,1.0\n", "kl;step\n0.5;1\n", "kl,step\n0.5,\n", "\ufeffstep,kl\n1,0.5\n"]
)
def test_metrics_of_another_program_are_a_user_error_and_are_kept(tmp_path: Path, text: str):
    folder = written_run(tmp_path)
    (folder / "csv/metrics.csv").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=r"csv/metrics\.csv is not as the run wrote it \(.*\): restore it, or move"):
        roll_back(folder, 2)
    assert (folder / "csv/metrics.csv").read_text(encoding="utf-8") == text


def test_a_damaged_event_file_is_kept_aside_as_it_was(tmp_path: Path):
    folder = written_run(tmp_path)
    (events,) = (folder / "tensorboard").iterdir()
    damaged = bytearray(events.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    events.write_bytes(damaged)
    roll_back(folder, 4)
    assert bytes(damaged) in taken_back(folder).values()


def test_events_that_were_cut_off_end_where_they_were(tmp_path: Path):
    folder = written_run(tmp_path)
    (events,) = (folder / "tensorboard").iterdir()
    events.write_bytes(events.read_bytes()[:-7])
    roll_back(folder, 4)
    # The last record is the text of update 4.
    assert steps_of(folder) == ([0, 1, 2, 3, 4], [0, 1, 2, 3])


def test_a_best_checkpoint_without_an_earlier_one_moves_aside_and_a_warning_names_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    save_best(tmp_path, 4)
    record(tmp_path)
    with caplog.at_level(logging.WARNING, logger="envtune"):
        roll_back(tmp_path, 2)
    assert set(taken_back(tmp_path)) == {"checkpoints/best.ckpt"}
    assert not list(tmp_path.glob("checkpoints/*"))
    assert f"{tmp_path}/checkpoints/best.ckpt was damaged or of a later update; the run writes it" in caplog.text


def test_a_best_checkpoint_that_was_being_replaced_is_the_one_before(tmp_path: Path):
    save_best(tmp_path, 2)
    record(tmp_path)
    best = tmp_path / "checkpoints/best.ckpt"
    best.rename(tmp_path / "checkpoints/best.previous.ckpt")
    roll_back(tmp_path, 2)
    assert update_of(best) == 2


def test_the_record_of_settings_and_outcome_is_not_written_twice(tmp_path: Path):
    curves = SummaryWriter(str(tmp_path / "tensorboard"))
    curves.add_scalar("hp/success", 0.5, 4)
    curves.add_scalar("val/success", 0.5, 4)
    curves.close()
    record(tmp_path)
    roll_back(tmp_path, 4)
    assert EventAccumulator(str(tmp_path / "tensorboard")).Reload().Tags()["scalars"] == ["val/success"]
