"""A run that is killed, or asked to end, and continued is the run that was not."""

from __future__ import annotations

import csv
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from interrupted_run import MOMENTS, run
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

# The first test waits for a dozen processes, which a busy machine may take a while for.
pytestmark = pytest.mark.timeout(900)

# Depend on the clock and on the machine's memory; perf/prompt_sharing and perf/fed_ratio count tokens.
TIMINGS = ("time/", "perf/")
COUNTS = ("perf/prompt_sharing", "perf/fed_ratio")
# A reward of one's own, which a run's folder does not repeat by itself.
COIN = "reward._target_=interrupted_run.CoinReward"


def settings(toy_folder: Path) -> list[str]:
    """Small, with all that has a state: refills, draws by variance and age, annealed hints, a rule that ends the stage
    after update 6.
    """
    return [
        "model=hf",
        f"model.path={toy_folder}",
        "model.gradient_checkpointing=false",
        "prompt=compact",
        "prompt.instructions=short",
        "data=playground",
        "data.toolboxes=[MathAPI]",
        "data.categories=[base]",
        "data.val_categories=[base]",
        "data.val_size=2",
        "data.max_tasks=8",
        "sampler=variance",
        "sampler.max_age=2",
        "reward=format",
        COIN,
        "augmentation=annealed",
        "augmentation.window=6",
        "grpo.group_size=2",
        "grpo.tasks_per_update=2",
        "grpo.filter_zero_variance=true",
        "optimizer.lr=0.01",
        "rollout.step_limit=1",
        "rollout.at_step_limit=end",
        "rollout.max_completion_tokens=6",
        "rollout.max_response_tokens=1024",
        "rollout.max_episodes=2",
        "trainer=cpu",
        "trainer.max_steps=8",
        "trainer.val_check_interval=2",
        "callbacks=transition",
        "callbacks.transition.rule.min_updates=6",
        "callbacks.transition.rule.max_updates=6",
        "callbacks.last.every=3",
        "callbacks.trajectories.with_tokens=true",
        "logger=both",
    ]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, toy_folder: Path) -> dict[str, Path]:
    """An uninterrupted run, one that was killed at every moment, and a copy of it after it was killed in update 6."""
    home = tmp_path_factory.mktemp("resume")
    whole, killed, stopped = home / "whole", home / "killed", home / "stopped"
    assert run([*settings(toy_folder), f"hydra.run.dir={whole}"], home / "whole.txt") == 0
    again = [*settings(toy_folder), f"hydra.run.dir={killed}", "ckpt_path=last"]
    for moment in MOMENTS:
        code = {"asked": 143, "interrupted": 130, "on": 1}.get(moment.split()[0], -9)
        assert run(again, home / "killed.txt", moment) == code, (home / "killed.txt").read_text()[-3000:]
        again = [f"ckpt_path={killed}", COIN]
        if moment == "right after the optimiser step of update 6":
            shutil.copytree(killed, stopped)
    assert run(again, home / "killed.txt") == 0, (home / "killed.txt").read_text()[-3000:]
    return {"whole": whole, "killed": killed, "stopped": stopped, "output": home / "killed.txt"}


def metrics_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "csv/metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    return [{name: value for name, value in row.items() if _is_exact(name)} for row in rows]


def scalars_of(folder: Path) -> dict[str, list[tuple[int, float]]]:
    events = EventAccumulator(str(folder / "tensorboard"), {"scalars": 0}).Reload()
    names = filter(_is_exact, events.Tags()["scalars"])
    return {name: [(scalar.step, scalar.value) for scalar in events.Scalars(name)] for name in names}


def texts_of(folder: Path) -> dict[str, list[tuple[int, bytes]]]:
    events = EventAccumulator(str(folder / "tensorboard"), {"tensors": 0}).Reload()
    names = [name for name in events.Tags()["tensors"] if name.startswith("trajectory/")]
    return {name: [(t.step, t.tensor_proto.string_val[0]) for t in events.Tensors(name)] for name in names}


def trajectories_of(folder: Path) -> dict[str, str]:
    home = folder / "trajectories"
    return {str(path.relative_to(home)): path.read_text() for path in sorted(home.rglob("*")) if path.is_file()}


def checkpoint_of(folder: Path, name: str) -> Any:
    """With the folder's own name taken out."""
    return _without(torch.load(folder / f"checkpoints/{name}.ckpt", weights_only=True), str(folder.resolve()))


def _without(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        return {_without(key, name): _without(part, name) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_without(part, name) for part in value]
    return value.replace(name, "") if isinstance(value, str) else value


def _is_exact(name: str) -> bool:
    return not name.startswith(TIMINGS) or name in COUNTS


def assert_same(one: Any, other: Any, place: str = "checkpoint") -> None:
    """Equal bit for bit, tensors included; names the place of the first difference."""
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other), place
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), place
        for key, part in one.items():
            assert_same(part, other[key], f"{place}.{key}")
    elif isinstance(one, list):
        assert len(one) == len(other), place
        for number, (part, its) in enumerate(zip(one, other, strict=True)):
            assert_same(part, its, f"{place}[{number}]")
    else:
        assert one == other, place


def assert_same_run(one: Path, other: Path) -> None:
    assert trajectories_of(one) == trajectories_of(other)
    assert metrics_of(one) == metrics_of(other)
    assert scalars_of(one) == scalars_of(other)
    assert texts_of(one) == texts_of(other)
    for name in ("best", "last"):
        first, second = checkpoint_of(one, name), checkpoint_of(other, name)
        # Counts the validation before the first update, which is not repeated.
        del first["loops"]["validate_loop"], second["loops"]["validate_loop"]
        assert_same(first, second)


def test_the_run_has_everything_that_must_be_restored(folders: dict[str, Path]):
    rows = metrics_of(folders["whole"])
    assert [row["step"] for row in rows if row["reward/mean"]] == ["1", "2", "3", "4", "5", "6"]
    assert len({row["env/hint_probability"] for row in rows} - {""}) >= 3
    assert len({row["reward/refills"] for row in rows} - {""}) > 1
    assert len({row["grad_norm"] for row in rows} - {""}) == 6
    for name in ("new", "aged", "variance"):
        assert len({row[f"sampler/{name}"] for row in rows} - {""}) > 1
    assert set(trajectories_of(folders["whole"])) == {
        *(f"train/update_00000{update}.jsonl" for update in range(1, 7)),
        *(f"val/update_00000{update}.jsonl" for update in (0, 2, 4, 6)),
    }


def test_a_run_that_was_killed_at_every_moment_is_the_one_that_was_not(folders: dict[str, Path]):
    assert_same_run(folders["killed"], folders["whole"])
    files = [path for path in folders["killed"].rglob("*") if "rewound-" not in str(path)]
    assert not [path.name for path in files if path.name.endswith((".partial", ".new"))]


def test_each_resume_reports_its_checkpoint(folders: dict[str, Path]):
    text = " ".join(folders["output"].read_text().split())
    said = re.findall(
        r"killed (has no checkpoint yet: starting from the beginning|continues after update \S+ from \S+)", text
    )
    assert said == [
        *["has no checkpoint yet: starting from the beginning"] * 3,
        *["continues after update 2, from last.ckpt"] * 2,
        *["continues after update 3, from last.ckpt"] * 5,
        "continues after update 3, from last.previous.ckpt",
        *["continues after update 4, from last.ckpt"] * 2,
        "continues after update 6, from last.ckpt",
    ]


def test_a_run_that_a_signal_ended_prints_how_to_continue_it(folders: dict[str, Path]):
    text = " ".join(folders["output"].read_text().split())
    for name in ("SIGTERM", "SIGINT"):
        command = f"python train.py ckpt_path={folders['killed']} continues from the newest checkpoint"
        assert text.count(f"ended by {name}: {command}") == 1


def test_a_full_disk_ends_the_run_in_one_sentence(folders: dict[str, Path]):
    lines = folders["output"].read_text().splitlines()
    assert not [line for line in lines if line.startswith("Traceback")]
    (sentence,) = [line for line in lines if line.startswith("error: ")]
    assert sentence == (
        f"error: the size limit of files is reached while writing {folders['killed']}/checkpoints/last.ckpt: raise it "
        f"(ulimit -f), then continue the run with ckpt_path={folders['killed']}"
    )


@pytest.mark.parametrize("damage", ["truncated", "garbage"])
def test_a_damaged_checkpoint_is_noticed_and_the_one_before_it_used(
    folders: dict[str, Path], tmp_path: Path, damage: str
):
    folder, output = tmp_path / damage, tmp_path / "output.txt"
    shutil.copytree(folders["stopped"], folder)
    last = folder / "checkpoints/last.ckpt"
    last.write_bytes(last.read_bytes()[:-1000] if damage == "truncated" else b"\0garbage\0" * 1000)
    assert run([f"ckpt_path={folder}", COIN], output) == 0, output.read_text()[-3000:]
    text = " ".join(output.read_text().split())
    assert f"{last} is damaged (it is cut off, or no checkpoint): continuing from the checkpoint before it" in text
    assert_same_run(folder, folders["whole"])


def test_a_run_without_a_whole_checkpoint_ends_in_a_sentence(folders: dict[str, Path], tmp_path: Path):
    folder, output = tmp_path / "run", tmp_path / "output.txt"
    shutil.copytree(folders["stopped"], folder)
    for name in ("last", "last.previous"):
        (folder / f"checkpoints/{name}.ckpt").write_bytes(b"")
    assert run([f"ckpt_path={folder}", COIN], output) == 1
    error = output.read_text().splitlines()[-1]
    assert error.startswith(f"error: {folder}/checkpoints/last.ckpt is damaged (it is cut off, or no checkpoint); ")
    assert error.endswith(": no other checkpoint of this run is left, start anew in another folder")
