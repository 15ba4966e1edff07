"""Numbers worked out on paper, of a sweep's folders made by hand."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ended_command import status
from torch.utils.tensorboard import SummaryWriter

from envtune.evaluation.sweeps import plots, runs
from envtune.evaluation.sweeps.runs import read_sweep
from tools import compare

PLAIN = {
    "seed": 0,
    "tags": [],
    "grpo": {"beta": 0.1},
    "reward": {"_target_": "envtune.reward.ProgressReward"},
    "augmentation": {"_target_": "envtune.environment.augmentation.actionable.Actionable"},
}
NO_HINTS = {"augmentation": {"_target_": "envtune.environment.augmentation.none.NoAugmentation"}}
BINARY = {"reward": {"_target_": "envtune.reward.BinaryReward"}}
# update -> (success, progress)
Validations = dict[int, tuple[float, float]]


def write_run(
    folder: Path, seed: int, overrides: list[str], validations: Validations, changes: dict[str, Any] | None = None
) -> Path:
    """A run validated on one category, so that overall and base are the same; its gradient norm is 1 + seed."""
    (folder / ".hydra").mkdir(parents=True)
    (folder / ".hydra/overrides.yaml").write_text(yaml.safe_dump([*overrides, f"seed={seed}"]))
    (folder / ".hydra/config.yaml").write_text(yaml.safe_dump(PLAIN | {"seed": seed} | (changes or {})))
    (folder / "run.json").write_text(json.dumps({"tasks": {"validation_tasks": ["a", "b"]}}))
    (folder / "finished.json").write_text(json.dumps({"result": 0.5}))
    with SummaryWriter(str(folder / "tensorboard")) as events:
        for update, values in validations.items():
            for measure, value in zip(("success", "progress"), values, strict=True):
                for group in ("overall", "base"):
                    events.add_scalar(f"val/{measure}/{group}", value, update)
            if update:
                events.add_scalar("grad_norm", 1.0 + seed, update)
                events.add_scalar("entropy", 0.5, update)
    return folder


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """Hints on and off with seeds 0 and 1, and the binary reward with seed 1."""
    on, off, binary = ["stage=3", "augmentation=actionable"], ["stage=3", "augmentation=none"], ["stage=3", "reward=b"]
    write_run(tmp_path / "0", 0, on, {0: (0.9, 0.9), 5: (0.5, 0.75), 10: (0.25, 0.5)})
    write_run(tmp_path / "1", 1, on, {0: (0.0, 0.0), 5: (0.25, 0.5), 10: (0.5, 0.5)})
    write_run(tmp_path / "2", 0, off, {0: (0.0, 0.0), 5: (0.125, 0.25), 10: (0.125, 0.25)}, NO_HINTS)
    write_run(tmp_path / "3", 1, off, {0: (0.0, 0.0), 5: (0.125, 0.25), 10: (0.25, 0.5)}, NO_HINTS)
    write_run(tmp_path / "4", 1, binary, {0: (0.0, 0.0), 10: (0.75, 0.75)}, BINARY)
    return tmp_path


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["compare.py", *arguments])
    return status(compare.main)


def without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare, "find_spec", lambda name: None)


def lines(path: Path) -> dict[tuple[str, ...], dict[str, str]]:
    """By setting, measure, validation and category."""
    with path.open() as file:
        rows = list(csv.DictReader(file))
    return {(row["setting"], row["measure"], row["validation"], row["category"]): row for row in rows}


def numbers(row: dict[str, str], *names: str) -> list[float | None]:
    return [float(row[name]) if row[name] else None for name in names]


def test_a_setting_is_the_overrides_without_the_seed_and_without_what_all_share(sweep: Path):
    read = read_sweep(sweep)
    assert [(setting.name, [run.seed for run in setting.runs]) for setting in read.settings] == [
        ("augmentation=actionable", [0, 1]),
        ("augmentation=none", [0, 1]),
        ("reward=b", [1]),
    ]
    assert read.common == ("stage=3",)


def test_settings_of_two_sweeps_are_named_by_what_is_given_with_different_values(tmp_path: Path):
    write_run(tmp_path / "0", 0, ["experiment=none", "stage=curriculum"], {10: (0.5, 0.5)})
    write_run(tmp_path / "1", 0, ["experiment=kl_0", "stage=curriculum"], {10: (0.5, 0.5)})
    write_run(tmp_path / "2", 0, ["experiment=direct_grpo", "trainer.max_steps=12"], {10: (0.5, 0.5)})
    found = read_sweep(tmp_path)
    assert [(setting.name, setting.unnamed) for setting in found.settings] == [
        ("experiment=none", ("stage=curriculum",)),
        ("experiment=kl_0", ("stage=curriculum",)),
        ("experiment=direct_grpo", ("trainer.max_steps=12",)),
    ]
    assert "experiment=kl_0: with stage=curriculum." in compare.notes(found)


def test_settings_that_would_have_the_same_name_are_named_by_all_that_differs(tmp_path: Path):
    write_run(tmp_path / "0", 0, ["experiment=none", "stage=3"], {10: (0.5, 0.5)})
    write_run(tmp_path / "1", 0, ["experiment=none"], {10: (0.5, 0.5)})
    write_run(tmp_path / "2", 0, ["experiment=kl_0"], {10: (0.5, 0.5)})
    assert [setting.name for setting in read_sweep(tmp_path).settings] == [
        "experiment=none stage=3",
        "experiment=none",
        "experiment=kl_0",
    ]


def test_the_best_validation_is_the_earliest_with_the_highest_progress_after_training_began(sweep: Path):
    # The first was best before the first update; the second has equal progress at 5 and 10, and more success at 10.
    assert [(run.best, run.final) for run in read_sweep(sweep).runs] == [(5, 10), (5, 10), (5, 10), (10, 10), (10, 10)]


def test_means_and_intervals_over_seeds_and_paired_differences(sweep: Path, monkeypatch: pytest.MonkeyPatch):
    without_matplotlib(monkeypatch)
    assert run(monkeypatch, str(sweep), "--baseline", "augmentation=none") == 0
    rows = lines(sweep / "comparison/compare.csv")
    assert next(iter(rows))[0] == "augmentation=none"
    on = rows["augmentation=actionable", "success", "final", "overall"]
    # Two numbers that differ by d: s / sqrt 2 = d / 2, and t = 12.70620. 1/4 and 1/2: 3/8 ± 12.7062 / 8.
    assert numbers(on, "seeds", "mean", "low", "high") == pytest.approx([2, 0.375, -1.2132756, 1.9632756])
    # 1/4 - 1/8 and 1/2 - 1/4: 3/16 ± 12.7062 / 16, narrower than unpaired.
    assert numbers(on, "paired_seeds", "difference", "difference_low", "difference_high") == pytest.approx(
        [2, 0.1875, -0.6066378, 0.9816378]
    )
    best = rows["augmentation=actionable", "progress", "best", "base"]
    # 3/4 and 1/2, against 1/4 and 1/2.
    assert numbers(best, "mean", "difference") == [0.625, 0.25]
    binary = rows["reward=b", "success", "final", "overall"]
    # Seed 1 alone: 3/4, and 3/4 - 1/4.
    assert numbers(binary, "seeds", "mean", "low", "paired_seeds", "difference", "difference_low") == [
        *(1, 0.75, None),
        *(1, 0.5, None),
    ]
    assert rows["augmentation=none", "success", "final", "overall"]["difference"] == ""
    assert {key[3] for key in rows} == {"overall", "base"}


def test_the_tables_are_printed_and_kept_as_markdown(
    sweep: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    without_matplotlib(monkeypatch)
    output = tmp_path / "elsewhere"
    assert run(monkeypatch, str(sweep), "--baseline", "reward=b", "--output", str(output)) == 0
    printed = capsys.readouterr()
    text = (output / "compare.md").read_text()
    assert "| setting | validation | seeds | update | overall | base |" in text
    cell = "37.5 ± 158.8"
    assert f"| augmentation=actionable | final | 2 | 10 | {cell} | {cell} |" in text
    assert "| augmentation=none | best | 2 | 5 to 10 | 18.8 ± 79.4 |" in text
    # Differences to a baseline of one seed: 1/2 - 3/4.
    assert "| augmentation=actionable | final | 1 | 10 | -25.0 | -25.0 |" in text
    assert "All settings: stage=3." in text
    assert cell in printed.out
    assert printed.err.count("\n") == 1
    assert "matplotlib" in printed.err
    assert sorted(path.name for path in output.iterdir()) == ["compare.csv", "compare.md"]


def test_what_makes_a_comparison_doubtful_is_noted(sweep: Path):
    write_run(sweep / "5", 0, ["stage=3", "reward=b"], {5: (0.5, 0.5)}, BINARY)
    (sweep / "5/run.json").write_text(json.dumps({"tasks": {"validation_tasks": ["c"]}}))
    write_run(sweep / "6", 2, ["stage=3", "reward=b"], {0: (0.5, 0.5)}, BINARY)
    (write_run(sweep / "7", 3, ["stage=3", "reward=b"], {5: (0.5, 0.5)}, BINARY) / "run.json").unlink()
    noted = "\n".join(compare.notes(read_sweep(sweep)))
    assert "Not all runs were validated last at the same update: they have not had the same training." in noted
    assert "Not all runs were validated on the same tasks" in noted
    assert "Left out: 6: it has no validation after an update." in noted
    assert "Left out: 7: run.json cannot be read" in noted


def test_runs_that_did_not_finish_are_named_and_left_out_unless_asked_for(sweep: Path):
    binary = ["stage=3", "reward=b"]
    for name in ("5", "6", "7"):
        validations = {5: (1.0, 1.0)} if name != "7" else {}
        (write_run(sweep / name, int(name), binary, validations, BINARY) / "finished.json").unlink()
    (sweep / "6/failed.json").write_text(json.dumps({"error": "the disk is full"}))
    (sweep / "7/failed.json").write_text(json.dumps({"error": "reward=x is no choice"}))
    (sweep / "7/run.json").unlink()
    read = read_sweep(sweep)
    assert [run.seed for run in read.settings[2].runs] == [1]
    assert read.left_out == (
        "5: it is unfinished, at update 5",
        "6: it failed after update 5 (the disk is full)",
        "7: it failed after update 0 (reward=x is no choice)",
    )
    every = read_sweep(sweep, unfinished=True)
    assert [run.seed for run in every.settings[2].runs] == [1, 5, 6]
    assert "Not finished: 5: it is unfinished, at update 5." in compare.notes(every)
    assert [reason[0] for reason in every.left_out] == ["7"]


def test_borders_are_where_a_stage_gave_way_to_the_next_in_every_seed(sweep: Path):
    for folder, ends in (("0", [4, 10]), ("1", [5, 10])):
        stages = [
            {"stage": str(i), "first_update": 1, "last_update": end, "reason": "", "checkpoint": "", "best": None}
            for i, end in enumerate(ends)
        ]
        (sweep / folder / "stages.json").write_text(json.dumps(stages))
    # The newest update is 10: after it there was no further stage.
    assert plots.borders(read_sweep(sweep).settings[0]) == [4, 5]
    assert plots.borders(read_sweep(sweep).settings[1]) == []


def test_settings_are_set_side_by_side_only_if_nothing_else_differs(sweep: Path):
    both = NO_HINTS | BINARY
    write_run(sweep / "5", 0, ["both"], {5: (0.5, 0.5)}, both)
    write_run(sweep / "6", 0, ["kl"], {5: (0.5, 0.5)}, {"grpo": {"beta": 0.0}})
    settings = read_sweep(sweep).settings

    def names(sets: list[list[runs.Setting]]) -> list[list[str]]:
        return [[setting.overrides[-1] for setting in alike] for alike in sets]

    on, off = "augmentation=actionable", "augmentation=none"
    assert names(plots.hint_sets(settings)) == [[on, off], ["reward=b", "both"]]
    assert names(plots.reward_sets(settings)) == [[on, "reward=b"], [off, "both"]]
    assert names(plots.kl_sets(settings)) == [["kl", on]]


def test_a_curve_is_the_mean_of_the_seeds_at_updates_that_all_have(sweep: Path):
    write_run(sweep / "5", 2, ["stage=3", "augmentation=none"], {10: (0.75, 0.5)}, NO_HINTS)
    off = read_sweep(sweep).settings[1]
    assert plots.curve(off, "val/success/overall") == plots.Curve((10,), (0.375,), (0.125,), (0.75,))
    assert plots.curve(off, "grad_norm") == plots.Curve((10,), (2.0,), (1.0,), (3.0,))
    assert plots.curve(off, "kl").updates == ()


def test_plots_are_drawn_for_which_there_are_settings(sweep: Path, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("matplotlib")
    assert run(monkeypatch, str(sweep)) == 0
    drawn = sorted((sweep / "comparison").glob("*.png"))
    assert [path.name for path in drawn] == ["curves.png", "hints.png", "reward.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in drawn)


def test_an_empty_folder_is_told_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    assert run(monkeypatch, str(tmp_path)) == 1
    printed = capsys.readouterr()
    told = "holds no run that was validated: give the folder of a sweep, runs/sweep_<time>"
    assert printed.err == f"compare: {tmp_path} {told}\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("run.json", '{"tasks": {'),
        ("run.json", '{"tasks": []}'),
        ("run.json", '{"tasks": {"validation_tasks": 3}}'),
        (".hydra/config.yaml", ""),
        (".hydra/config.yaml", "seed: [0"),
        (".hydra/config.yaml", "seed: one"),
        (".hydra/overrides.yaml", "reward: b"),
        ("finished.json", '{"result"'),
        ("stages.json", "[{}]"),
    ],
)
def test_a_run_with_a_broken_record_is_left_out_and_told(sweep: Path, name: str, text: str):
    (sweep / "4" / name).write_text(text)
    read = read_sweep(sweep)
    assert len(read.runs) == 4
    (reason,) = read.left_out
    assert reason.startswith("4: ")
    assert f"4/{name} cannot be used (" in reason
    assert "\n" not in reason


def test_a_sweep_that_cannot_be_written_to_is_compared_elsewhere(
    sweep: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, capsys: Any
):
    without_matplotlib(monkeypatch)
    (sweep / "comparison").touch()
    assert run(monkeypatch, str(sweep)) == 1
    said = capsys.readouterr().err
    assert said.endswith("cannot be written (File exists): choose another place, e.g. with --output\n")
    assert said.count("\n") == 1
    output = tmp_path_factory.mktemp("elsewhere")
    assert run(monkeypatch, str(sweep), "--output", str(output)) == 0
    assert (output / "compare.csv").is_file()


def test_an_unknown_baseline_lists_the_settings(sweep: Path):
    with pytest.raises(compare.UserError) as caught:
        compare.find_baseline(read_sweep(sweep), "direct")
    assert str(caught.value) == (
        "--baseline direct is not a setting of this sweep; choose one of: augmentation=actionable, augmentation=none, "
        "reward=b"
    )


def test_two_runs_of_one_setting_and_seed_are_refused(sweep: Path):
    write_run(sweep / "5", 1, ["reward=b", "stage=3"], {5: (0.5, 0.5)}, BINARY)
    with pytest.raises(compare.UserError, match="have the same setting and seed 1: move one of them away"):
        read_sweep(sweep)
