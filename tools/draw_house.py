"""Draw the rooms of the package and the imports between them as SVG.

    python tools/draw_house.py docs/house.svg

Rows are the layers of the import contract in pyproject.toml, from commands down to plain records. An arrow
points from a room to one that it imports. Imports that another path of arrows implies, and those of the ground floor,
which every room may import, are left out.
"""

from __future__ import annotations

import argparse
import ast
import textwrap
from pathlib import Path
from xml.sax.saxutils import escape

import envtune.process_start

import grimp
import networkx
from importlinter.api import read_configuration

import envtune
from envtune.program import run_program

WIDTH, ROW, BOX_HEIGHT, MARGIN = 1240, 118, 74, 26  # pixels
LARGEST_BOX = 330
# The last layer that is not on the ground floor.
RECORDS = "envtune.task"
LINE = 15
STYLE = (
    "text{font-family:sans-serif;font-size:11.5px;fill:#444}.name{font-size:14px;font-weight:bold;fill:#123}"
    ".box{fill:#fff;stroke:#345;rx:7}.hall{fill:#eef3f8;stroke:#9ab;rx:12}.arrow{fill:none;stroke:#7a93ab}"
)

Layers = list[list[str]]


def layers_of_contracts() -> Layers:
    """Return the modules of each layer, top first; the layers inside `training` stand in its place."""
    options = read_configuration(str(Path(envtune.__file__).parents[1] / "pyproject.toml"))
    contracts = {contract["id"]: contract for contract in options["contracts_options"]}
    inner = [[f"envtune.training.{name}" for name in _names(row)] for row in contracts["training"]["layers"]]
    layers: Layers = []
    for row in contracts["rooms"]["layers"]:
        layers += inner if row == "envtune.training" else [_names(row)]
    return layers


def arrows_between(rooms: list[str]) -> list[tuple[str, str]]:
    """Return the pairs (importer, imported) of rooms, without those that other pairs imply."""
    graph = grimp.build_graph("envtune")
    imports = networkx.DiGraph()
    for importer in graph.modules:
        for imported in graph.find_modules_directly_imported_by(importer):
            pair = _room_of(importer, rooms), _room_of(imported, rooms)
            if None not in pair and pair[0] != pair[1]:
                imports.add_edge(*pair)
    return sorted(networkx.transitive_reduction(imports).edges)


def draw(layers: Layers) -> str:
    """Return the picture as SVG."""
    places: dict[str, tuple[float, float, float]] = {}
    for row, rooms in enumerate(layers):
        width = min(LARGEST_BOX, (WIDTH - MARGIN * (len(rooms) + 1)) / len(rooms))
        left = (WIDTH - width * len(rooms) - MARGIN * (len(rooms) - 1)) / 2
        for column, room in enumerate(rooms):
            places[room] = left + column * (width + MARGIN), MARGIN + row * ROW, width
    parts = [_hall(places)]
    upper = [room for room, (_, top, _) in places.items() if top <= places[RECORDS][1]]
    parts += [_arrow(places[importer], places[imported]) for importer, imported in arrows_between(upper)]
    parts += [_box(room, *place) for room, place in places.items()]
    height = len(layers) * ROW + MARGIN
    head = '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    head += '<path d="M0 0L8 4L0 8z" fill="#7a93ab"/></marker></defs>'
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">'
    return "\n".join([svg, f"<style>{STYLE}</style>", head, *parts, "</svg>"]) + "\n"


def _hall(places: dict[str, tuple[float, float, float]]) -> str:
    tops = [top for room, (_, top, _) in places.items() if room.startswith("envtune.training.")]
    top, height = min(tops) - 15, max(tops) - min(tops) + BOX_HEIGHT + 30
    hall = f'<rect class="hall" x="8" y="{top}" width="{WIDTH - 16}" height="{height}"/>'
    return f'{hall}<text class="name" x="20" y="{top + 20}">training</text>'


def _arrow(start: tuple[float, float, float], end: tuple[float, float, float]) -> str:
    x, y = start[0] + start[2] / 2, start[1] + BOX_HEIGHT
    to_x, to_y = end[0] + end[2] / 2, end[1]
    bend = (to_y - y) / 2
    curve = f"M{x:.0f} {y:.0f}C{x:.0f} {y + bend:.0f} {to_x:.0f} {to_y - bend:.0f} {to_x:.0f} {to_y:.0f}"
    return f'<path class="arrow" d="{curve}" marker-end="url(#head)"/>'


def _box(room: str, left: float, top: float, width: float) -> str:
    lines = textwrap.wrap(_purpose_of(room), int(width / 6.7), max_lines=3, placeholder=" …")
    text = f'<rect class="box" x="{left:.0f}" y="{top:.0f}" width="{width:.0f}" height="{BOX_HEIGHT}"/>'
    text += f'<text class="name" x="{left + 10:.0f}" y="{top + 19:.0f}">{room.rsplit(".", 1)[1]}</text>'
    for number, line in enumerate(lines):
        text += f'<text x="{left + 10:.0f}" y="{top + 36 + number * LINE:.0f}">{escape(line)}</text>'
    return text


def _purpose_of(room: str) -> str:
    """Return the first sentence of the room's docstring."""
    path = Path(envtune.__file__).parents[1] / room.replace(".", "/")
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    documentation = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return " ".join(documentation.split("\n\n")[0].split())


def _names(row: str) -> list[str]:
    return row.split(" | ")


def _room_of(module: str, rooms: list[str]) -> str | None:
    return next((room for room in rooms if module == room or module.startswith(f"{room}.")), None)


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("svg", type=Path, help="the file to write")
    parser.parse_args().svg.write_text(draw(layers_of_contracts()), encoding="utf-8")


if __name__ == "__main__":
    run_program(main)
