from __future__ import annotations

from typing import Any

from rich.console import Console

from envtune.training.report import config_tree, validation_table


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
