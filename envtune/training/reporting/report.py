"""What a run prints: the composed config as a tree before training, tables and a curve of validation after it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import rich
import yaml
from lightning.pytorch.utilities.rank_zero import rank_zero_only
from rich.bar import Bar
from rich.console import RenderableType
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from envtune.report_text import percent
from envtune.report_text import table as empty_table
from envtune.training.run_folder.run_record import WIRING
from envtune.training.run_folder.stage_record import StageRecord

_BEFORE_AFTER = ("success before", "success after", "progress before", "progress after")
MAX_ROWS, BAR_WIDTH = 20, 50


@rank_zero_only
def show(*parts: RenderableType) -> None:
    """Print on rank 0. Strings are printed as they are, because rich would wrap long paths."""
    for part in parts:
        if isinstance(part, str):
            print(part)
        else:
            rich.print(part)


def config_tree(config: Mapping[str, Any], title: str = "config") -> Tree:
    """Return a tree with a branch for each group of the composed config, except those that only combine the others."""
    tree = Tree(title, guide_style="dim")
    for name, value in config.items():
        if name in WIRING:
            continue
        if isinstance(value, Mapping):
            text = yaml.safe_dump(dict(value), sort_keys=False, allow_unicode=True).strip()
            tree.add(name).add(Syntax(text, "yaml", background_color="default", word_wrap=True))
        else:
            # As Text: rich reads brackets in a string as markup.
            tree.add(Text(f"{name}: {value}"))
    return tree


def changed(config: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of ``config`` that are different or missing in ``base``; null counts as missing."""
    found = {}
    for name, value in config.items():
        other = base.get(name)
        if isinstance(value, Mapping) and isinstance(other, Mapping):
            value = changed(value, other) or other
        if value != other:
            found[name] = value
    return found


def stages_table(records: Sequence[StageRecord]) -> Table:
    """Return a table of finished stages: updates, validation at start and end in percent, best one, checkpoint."""
    title = "the curriculum, % of validation tasks passed (success) and of turns passed (progress)"
    table = empty_table(title, ["stage"], ("updates", *_BEFORE_AFTER, "best"))
    table.add_column("by")
    table.add_column("checkpoint")
    for record in records:
        names = [f"val/{measure}/overall" for measure in ("success", "progress")]
        cells = [percent(side.get(name)) for name in names for side in (record.before, record.after)]
        updates = f"{record.first_update}-{record.last_update}"
        best = "-" if record.best is None else f"{record.best:.3f}"
        metric = (record.metric or "-").removeprefix("val/").removesuffix("/overall")
        table.add_row(Text(record.stage), updates, *cells, best, metric, Path(record.checkpoint).stem)
    return table


def validation_table(before: Mapping[str, float], after: Mapping[str, float]) -> Table:
    """Return a table of success and progress by group of tasks, before and after training, in percent."""
    title = "validation, % of tasks passed (success) and of turns passed (progress)"
    table = empty_table(title, ["category"], _BEFORE_AFTER)
    groups = dict.fromkeys(name.split("/", 2)[2] for name in {**before, **after} if name.startswith("val/success/"))
    for group in sorted(groups, key=lambda group: group != "overall"):
        names = [f"val/{measure}/{group}" for measure in ("success", "progress")]
        cells = [percent(side.get(name)) for name in names for side in (before, after)]
        if any(cell != "-" for cell in cells):
            table.add_row(group, *cells)
    return table


def validation_curve(points: Sequence[tuple[int, float]]) -> Table:
    """Return a table with at most MAX_ROWS validations: update, and overall success as a bar and in percent.

    Of two validations at one update the first is shown, as in the logged curves: a stage validates its start at the
    update at which the previous stage validated its end.
    """
    first: dict[int, float] = {}
    for update, share in points:
        first.setdefault(update, share)
    shown = list(first.items())
    table = Table(title="success over updates, % of validation tasks passed", box=None)
    for column in ("update", "", "success"):
        table.add_column(column, justify="right" if column else "left")
    step = max(1, math.ceil((len(shown) - 1) / (MAX_ROWS - 1)))
    for update, share in [*shown[:-1:step], *shown[-1:]]:
        table.add_row(str(update), Bar(1.0, 0.0, share, width=BAR_WIDTH), percent(share))
    return table
