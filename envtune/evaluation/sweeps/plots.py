"""Plots of a sweep for tools/compare.py: those whose settings it contains.

    curves.png   validation success and gradient norm over updates, every setting
    hints.png    success by category with and without hints
    reward.png   success by category under the progress and the binary reward
    kl.png       entropy and validation success over updates, by the weight of the KL term

Each of the last three compares settings that differ in one key alone; each set of them has its own row of axes. Lines
are means over seeds, bands reach from the lowest to the highest seed; bars are means of final validations with the 95%
interval. Dotted lines are the ends of stages, one for each seed, in the colour of the setting. Only the functions that
draw import matplotlib, which is an extra.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from envtune.evaluation.sweeps.runs import Setting, groups_of
from envtune.files.atomic_file import atomic_file
from envtune.statistics.seeds import mean_over_seeds

SUCCESS, GRADIENT, ENTROPY = "val/success/overall", "grad_norm", "entropy"
LABELS = {SUCCESS: "validation success, %", GRADIENT: "gradient norm", ENTROPY: "entropy, nats per token"}
_LEGEND_LINE = 0.2  # inches
# Names and paths of a run, which do not change its training.
_NOT_COMPARED = ("seed", "tags", "ckpt_path")


@dataclass(frozen=True, slots=True)
class Curve:
    """Mean, lowest and highest value over seeds, at the updates that all seeds have."""

    updates: tuple[int, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


def draw(settings: Sequence[Setting], folder: Path) -> list[Path]:
    """Write the plots to ``folder`` and return their paths; requires matplotlib."""
    drawn = [_draw_curves([settings], (SUCCESS, GRADIENT), folder / "curves.png")]
    if sets := hint_sets(settings):
        drawn.append(_draw_bars(sets, folder / "hints.png"))
    if sets := reward_sets(settings):
        drawn.append(_draw_bars(sets, folder / "reward.png"))
    if sets := kl_sets(settings):
        drawn.append(_draw_curves(sets, (ENTROPY, SUCCESS), folder / "kl.png"))
    return drawn


def hint_sets(settings: Iterable[Setting]) -> list[list[Setting]]:
    """Return the sets of settings that differ only in their hints, one of them without hints."""
    return _sets(settings, "augmentation", lambda kinds: "NoAugmentation" in kinds and len(kinds) > 1)


def reward_sets(settings: Iterable[Setting]) -> list[list[Setting]]:
    """Return the sets of settings that differ only in their reward, among them progress and binary."""
    return _sets(settings, "reward", lambda kinds: {"ProgressReward", "BinaryReward"} <= kinds)


def kl_sets(settings: Iterable[Setting]) -> list[list[Setting]]:
    """Return the sets of settings that differ only in the weight of the KL term, sorted by that weight."""
    sets = _sets(settings, "grpo.beta", lambda kinds: len(kinds) > 1)
    return [sorted(alike, key=lambda setting: setting.config["grpo"]["beta"]) for alike in sets]


def curve(setting: Setting, name: str) -> Curve:
    """Return the scalar ``name`` over updates."""
    series = [run.scalars.get(name, {}) for run in setting.runs]
    updates = sorted(set.intersection(*(set(values) for values in series)))
    columns = [[values[update] for values in series] for update in updates]
    return Curve(tuple(updates), *(tuple(map(of, columns)) for of in (fmean, min, max)))  # type: ignore[arg-type]


def borders(setting: Setting) -> list[int]:
    """Return the last update of every stage but the last, of every seed."""
    ends = [(end, run) for run in setting.runs for end in run.stage_ends.values()]
    return sorted(end for end, run in ends if end < max(run.scalars.get(GRADIENT, {}), default=0))


def _sets(settings: Iterable[Setting], key: str, wanted: Callable[[set[str]], bool]) -> list[list[Setting]]:
    """Return the sets of settings whose configs differ only in ``key``, where ``wanted`` accepts the kinds under it."""
    alike: dict[str, list[Setting]] = defaultdict(list)
    for setting in settings:
        alike[_without(setting.config, key)].append(setting)
    return [same for same in alike.values() if wanted({_kind(setting.config, key) for setting in same})]


def _without(config: Mapping[str, Any], key: str) -> str:
    group, _, name = key.partition(".")
    rest = {part: value for part, value in config.items() if part not in _NOT_COMPARED and (part != group or name)}
    if name:
        rest[group] = {part: value for part, value in config[group].items() if part != name}
    return json.dumps(rest, sort_keys=True, default=str)


def _kind(config: Mapping[str, Any], key: str) -> str:
    """Return the class of a component without its module, or a plain number as text."""
    value: Any = config
    for part in key.split("."):
        value = value[part]
    return str(value["_target_"]).rpartition(".")[2] if isinstance(value, Mapping) else str(float(value))


def _parts(sets: Sequence[Sequence[Setting]], width: float, path: Path) -> Iterator[tuple[Any, Sequence[Setting]]]:
    """Yield the part of a figure for each set, with the set, and write the figure to ``path`` at the end."""
    from matplotlib.figure import Figure

    height = 4 * len(sets) + _LEGEND_LINE * sum(map(len, sets))
    figure = Figure(figsize=(width, height), layout="constrained")
    yield from zip(figure.subfigures(len(sets), 1, squeeze=False)[:, 0], sets, strict=True)
    with atomic_file(path, "wb") as file:
        figure.savefig(file, format="png", dpi=150)


def _draw_curves(sets: Sequence[Sequence[Setting]], names: Sequence[str], path: Path) -> Path:
    """Draw a row of axes for each set, a column for each name, a line for each setting."""
    for part, settings in _parts(sets, 5.5 * len(names), path):
        axes = part.subplots(1, len(names), squeeze=False)[0]
        for ax, name in zip(axes, names, strict=True):
            scale = 100 if name == SUCCESS else 1
            for setting in settings:
                points = curve(setting, name)
                mean, low, high = ([scale * value for value in side] for side in (points.mean, points.low, points.high))
                (line,) = ax.plot(points.updates, mean, marker=".", label=_label(setting))
                ax.fill_between(points.updates, low, high, color=line.get_color(), alpha=0.2, linewidth=0)
                for border in borders(setting):
                    # Between the last update of a stage and the first of the next.
                    ax.axvline(border + 0.5, color=line.get_color(), linestyle=":", alpha=0.6)
            ax.set(xlabel="update", ylabel=LABELS[name])
            ax.xaxis.get_major_locator().set_params(integer=True)
            if name == SUCCESS:
                _from_zero(ax)
        _legend_below(part, axes[0])
    return path


def _draw_bars(sets: Sequence[Sequence[Setting]], path: Path) -> Path:
    """Draw axes for each set, a cluster of bars for each category, a bar for each setting."""
    groups = groups_of([run for settings in sets for setting in settings for run in setting.runs])
    for part, settings in _parts(sets, 8, path):
        ax = part.subplots()
        width = 0.8 / len(settings)
        for index, setting in enumerate(settings):
            bars = enumerate(setting.validated(f"val/success/{group}") for group in groups)
            shown = {place: mean_over_seeds(list(values.values())) for place, values in bars if values}
            ax.bar(
                [place + index * width for place in shown],
                [100 * value.mean for value in shown.values()],
                width,
                yerr=[100 * (value.half or 0) for value in shown.values()],
                capsize=3,
                label=_label(setting),
            )
        ax.set_xticks([place + 0.4 - width / 2 for place in range(len(groups))], groups)
        ax.set(ylabel="final validation success, %")
        _from_zero(ax)
        _legend_below(part, ax)
    return path


def _legend_below(part: Any, ax: Any) -> None:
    """Put the legend below the axes: names of settings are whole command lines, which would hide the curves."""
    part.legend(*ax.get_legend_handles_labels(), loc="outside lower left", fontsize="small", frameon=False)


def _from_zero(ax: Any) -> None:
    """Start the axis at 0; without the upper bound, shares that are all 0 would get an axis of thousandths."""
    ax.set_ylim(0, max(5, ax.get_ylim()[1]))


def _label(setting: Setting) -> str:
    seeds = len(setting.runs)
    return f"{setting.name} ({seeds} seed{'s' if seeds > 1 else ''})"
