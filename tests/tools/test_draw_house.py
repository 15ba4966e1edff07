from __future__ import annotations

from pathlib import Path

from tools.draw_house import arrows_between, draw, layers_of_contracts

ROOT = Path(__file__).parents[2]


def test_the_committed_picture_is_the_one_that_today_s_imports_give():
    assert (ROOT / "docs" / "house.svg").read_text() == draw(layers_of_contracts())


def test_arrows_that_others_imply_are_left_out():
    # command_line imports training, training imports grpo, and command_line does not import grpo but for training.
    arrows = arrows_between(["envtune.command_line", "envtune.training", "envtune.grpo", "envtune.errors"])
    assert ("envtune.command_line", "envtune.training") in arrows
    assert ("envtune.training", "envtune.grpo") in arrows
    # Imported by command_line too, and by training, which command_line imports.
    assert ("envtune.command_line", "envtune.errors") not in arrows


def test_every_room_of_the_package_is_in_the_picture():
    rooms = {room.split(".")[1] for layer in layers_of_contracts() for room in layer}
    inside = {
        path.stem for path in (ROOT / "envtune").iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()
    }
    assert inside - {"__init__"} == rooms
