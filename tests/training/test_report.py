from __future__ import annotations

from dataclasses import replace
from typing import Any

from rich.console import Console

from envtune.training.reporting.report import changed, config_tree, stages_table, validation_curve, validation_table
from envtune.training.run_folder.stage_record import StageRecord


def printed(renderable: Any) -> str:
    console = Console(width=100, color_system=None)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


def rows_of(text: str) -> dict[str, list[str]]:
    """The cells of each row of a printed table, by its first cell."""
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in text.splitlines() if "│" in line]
    return {name: rest for name, *rest in cells}


def test_validation_is_shown_in_percent_before_and_after():
    before = {"val/success/overall": 0.125, "val/progress/overall": 0.5, "val/success/base": 0.25}
    after = {"val/success/overall": 0.25, "val/progress/overall": 1.0, "val/progress/base": 0.3333}
    assert rows_of(printed(validation_table(before, after))) == {
        "overall": ["12.5", "25.0", "50.0", "100.0"],
        "base": ["25.0", "-", "-", "33.3"],
    }


def test_nothing_played_shows_no_row():
    assert rows_of(printed(validation_table({}, {}))) == {}


def test_the_curve_has_a_bar_for_each_validation_and_thins_out_long_runs():
    lines = printed(validation_curve([(0, 0.25), (5, 0.5)])).splitlines()
    assert [line.split()[0] for line in lines[2:]] == ["0", "5"]
    assert [line.count("█") for line in lines[2:]] == [12, 25]
    assert [line.split()[-1] for line in lines[2:]] == ["25.0", "50.0"]
    long = printed(validation_curve([(update, update / 100) for update in range(101)])).splitlines()[2:]
    assert [line.split()[0] for line in long] == [str(update) for update in (*range(0, 100, 6), 100)]


def test_the_curve_of_a_curriculum_has_the_end_of_a_stage_and_not_the_start_of_the_next():
    lines = printed(validation_curve([(0, 0.25), (5, 0.5), (5, 0.4), (9, 0.6)])).splitlines()[2:]
    assert [(line.split()[0], line.split()[-1]) for line in lines] == [("0", "25.0"), ("5", "50.0"), ("9", "60.0")]


def test_every_group_of_the_config_is_a_branch():
    text = printed(config_tree({"grpo": {"beta": 0.1, "inner": {"x": None}}, "seed": 0, "ckpt_path": None}))
    lines = [line.strip("│├└─ ") for line in text.splitlines()]
    assert [line.strip() for line in lines] == [
        "config",
        "grpo",
        "beta: 0.1",
        "inner:",
        "x: null",
        "seed: 0",
        "ckpt_path: None",
    ]


def test_brackets_in_a_setting_are_shown_as_they_are():
    text = printed(config_tree({"run_folder": "runs/[bold]/x[/]", "data": {"categories": ["[red]base"]}}))
    assert "run_folder: runs/[bold]/x[/]" in text
    assert "[red]base" in text


def test_a_stage_is_a_row_with_overall_validation_and_its_checkpoint():
    before = {"val/success/overall": 0.125, "val/progress/overall": 0.5, "val/success/base": 1.0}
    after = {"val/success/overall": 0.25, "val/progress/overall": 0.75}
    record = StageRecord("2", 21, 60, "it is over", "stage_2/best.ckpt", 1.25, before=before, after=after)
    record = replace(record, metric="val/reward/overall")
    assert rows_of(printed(stages_table([record]))) == {
        "2": ["21-60", "12.5", "25.0", "50.0", "75.0", "1.250", "reward", "best"]
    }


def test_changed_settings_are_new_ones_and_those_with_another_value():
    base = {"a": 1, "inner": {"x": 1, "y": 2}, "same": {"z": [1]}, "was": 0}
    config = {"a": 2, "inner": {"x": 1, "y": 3}, "same": {"z": [1]}, "new": None, "more": {"k": 1}}
    assert changed(config, base) == {"a": 2, "inner": {"y": 3}, "more": {"k": 1}}
