"""`python train.py stage=curriculum`: two updates in each stage on playground tasks; whole, and killed 20 times."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from watched_curriculum import MOMENTS, run

from envtune.training.run_folder.csv_log import read_rows

# The first test waits for two dozen processes, which a busy machine may take a while for.
pytestmark = pytest.mark.timeout(1500)

STAGES = ("1", "2", "3", "4")
# Depend on the clock and on the machine's memory.
TIMINGS = ("time/", "perf/")


def settings(toy_folder: Path) -> list[str]:
    return [
        "stage=curriculum",
        "model=hf",
        f"model.path={toy_folder}",
        "model.gradient_checkpointing=false",
        "prompt.tool_documents=compact",
        "data=playground",
        "data.toolboxes=[TicketAPI]",
        "data.val_categories=[base]",
        "data.val_size=2",
        "grpo.group_size=2",
        "grpo.tasks_per_update=1",
        "optimizer.lr=0.01",
        "rollout.step_limit=1",
        "rollout.at_step_limit=end",
        "rollout.max_completion_tokens=6",
        "rollout.max_response_tokens=1024",
        "trainer=cpu",
        "trainer.max_steps=3",
        "curriculum.max_updates=2",
        "trainer.val_check_interval=1",
        "logger=both",
    ]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, toy_folder: Path) -> dict[str, Path]:
    home = tmp_path_factory.mktemp("curriculum")
    whole, killed = home / "whole", home / "killed"
    done = run([*settings(toy_folder), f"hydra.run.dir={whole}"], home / "whole.txt")
    assert done == 0, (home / "whole.txt").read_text()[-3000:]
    arguments = [*settings(toy_folder), f"hydra.run.dir={killed}"]
    for moment in MOMENTS:
        assert run(arguments, home / "killed.txt", moment) == -9, (home / "killed.txt").read_text()[-3000:]
        arguments = [f"ckpt_path={killed}"]
    assert run(arguments, home / "killed.txt") == 0, (home / "killed.txt").read_text()[-3000:]
    return {"whole": whole, "killed": killed, "output": home / "whole.txt", "continued": home / "killed.txt"}


def weights_in(path: Path) -> dict[str, torch.Tensor]:
    state = torch.load(path, weights_only=True)["state_dict"]
    return {name.removeprefix("policy.model."): tensor for name, tensor in state.items()}


def scalars_of(folder: Path) -> dict[str, list[tuple[int, float]]]:
    events = EventAccumulator(str(folder / "tensorboard"), {"scalars": 0}).Reload()
    names = [name for name in events.Tags()["scalars"] if not name.startswith(TIMINGS)]
    return {name: [(scalar.step, scalar.value) for scalar in events.Scalars(name)] for name in names}


def records_of(folder: Path) -> list[dict[str, Any]]:
    return json.loads((folder / "stages.json").read_text())


def test_policy_and_reference_of_a_stage_start_as_the_chosen_checkpoint_of_the_stage_before(folders: dict[str, Path]):
    for before, stage in pairwise(STAGES):
        chosen = weights_in(folders["whole"] / f"stage_{before}/checkpoints/best.ckpt")
        start = torch.load(folders["whole"] / f"stage_{stage}/start.pt", weights_only=True)
        assert start["policy"].keys() == chosen.keys()
        for name, tensor in chosen.items():
            assert torch.equal(start["policy"][name], tensor)
            assert torch.equal(start["reference"][name], tensor)


def test_updates_stand_on_one_axis_with_the_stage_of_each(folders: dict[str, Path]):
    scalars = scalars_of(folders["whole"])
    assert [step for step, _ in scalars["reward/mean"]] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert [value for _, value in scalars["curriculum/stage"]] == [1, 1, 2, 2, 3, 3, 4, 4]
    # One validation before the first update, and none twice at a border.
    assert [step for step, _ in scalars["val/progress/overall"]] == [0, 1, 2, 3, 4, 5, 6, 7, 8]
    rows = read_rows(folders["whole"] / "csv/metrics.csv")
    assert [row["step"] for row in rows if row["reward/mean"]] == list("12345678")


def test_the_reference_is_the_policy_at_the_first_update_of_each_stage_and_not_at_the_second(folders: dict[str, Path]):
    divergence = dict(scalars_of(folders["whole"])["kl"])
    assert [divergence[update] for update in (1, 3, 5, 7)] == pytest.approx([0, 0, 0, 0], abs=1e-6)
    assert all(divergence[update] > 1e-6 for update in (2, 4, 6, 8))


def test_each_stage_keeps_its_own_files(folders: dict[str, Path]):
    for place, stage in enumerate(STAGES):
        folder = folders["whole"] / f"stage_{stage}"
        names = sorted(path.name for path in (folder / "trajectories/train").iterdir())
        assert names == [f"update_{2 * place + n:06d}.jsonl" for n in (1, 2)]
        rewards = json.loads((folder / f"trajectories/train/{names[0]}").read_text().splitlines()[0])["reward"]
        assert ("progress" in rewards["parts"]) == (stage != "1")
        assert json.loads((folder / "run.json").read_text())["settings"]["run_folder"] == str(folder)


def test_the_record_holds_the_last_update_and_reason_of_each_stage(folders: dict[str, Path]):
    records = records_of(folders["whole"])
    assert [(r["stage"], r["first_update"], r["last_update"]) for r in records] == [
        ("1", 1, 2),
        ("2", 3, 4),
        ("3", 5, 6),
        ("4", 7, 8),
    ]
    assert {r["reason"] for r in records} == {"2 updates are the most that it may take"}
    assert [r["checkpoint"] for r in records] == [f"stage_{stage}/checkpoints/best.ckpt" for stage in STAGES]


def test_a_person_sees_where_each_stage_starts_and_a_row_for_each(folders: dict[str, Path]):
    text = folders["output"].read_text()
    assert "stage 1: policy and reference start from the bare model" in text
    for before, stage in pairwise(STAGES):
        start = folders["whole"] / f"stage_{before}/checkpoints/best.ckpt"
        assert f"stage {stage}: policy and reference start from {start}" in text
    for row in (r"│ 1 +│ +1-2 │", r"│ 2 +│ +3-4 │", r"│ 3 +│ +5-6 │", r"│ 4 +│ +7-8 │"):
        assert re.search(row, text)


def test_a_curriculum_that_was_killed_at_twenty_moments_is_the_one_that_was_not(folders: dict[str, Path]):
    whole, killed = folders["whole"], folders["killed"]
    assert scalars_of(killed) == scalars_of(whole)
    assert exact_rows(killed) == exact_rows(whole)
    assert records_of(killed) == records_of(whole)
    assert trajectories_of(killed) == trajectories_of(whole)
    for stage in STAGES:
        for name in ("best", "best.previous", "last"):
            path = f"stage_{stage}/checkpoints/{name}.ckpt"
            one, other = weights_in(killed / path), weights_in(whole / path)
            assert one.keys() == other.keys()
            assert all(torch.equal(one[name], tensor) for name, tensor in other.items())


def exact_rows(folder: Path) -> list[dict[str, str]]:
    rows = read_rows(folder / "csv/metrics.csv")
    return [{name: value for name, value in row.items() if not name.startswith(TIMINGS)} for row in rows]


def trajectories_of(folder: Path) -> dict[str, str]:
    paths = sorted(folder.glob("stage_*/trajectories/*/*.jsonl"))
    return {str(path.relative_to(folder)): path.read_text() for path in paths}


def test_finished_stages_are_not_run_again(folders: dict[str, Path]):
    text = folders["continued"].read_text()
    begun = [len(re.findall(f"stage {stage}: policy and reference start from", text)) for stage in STAGES]
    # Anew as long as there is no checkpoint of the stage, and never after it is recorded.
    assert begun == [6, 5, 1, 2]
    assert text.count("stage 1 has finished (updates 1 to 2)") == 12
    assert text.count("stage 2 has finished (updates 3 to 4)") == 5
