"""Score the recorded trajectories of a run with another reward, without a model.

    python tools/replay_reward.py runs/… reward=binary
    python tools/replay_reward.py runs/… reward=mixed reward.format=0.3 --json
    python tools/replay_reward.py runs/… reward=mine --config-dir conf

The reward is composed as by train.py, including your own. Reads trajectories/train of the run, of a
curriculum those of all stages; a group is all episodes of one task at one policy version. Prints, for the recorded and
the other reward:

    mean                over all episodes
    in-group variance   unbiased (n - 1), the mean over groups
    dead groups         share of groups whose rewards are all equal: their advantages are 0
    rank correlation    Spearman's, of recorded and new reward over all episodes; equal rewards share their mean rank

A replay does not show the episodes of a policy trained with the other reward.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import StatisticsError, correlation, fmean, variance
from typing import Any

import envtune.process_start

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hydra.utils import instantiate
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rich.markup import escape
from rich.table import Table

from envtune.command_line.command import require_known_choices
from envtune.command_line.composed_config import require_valid_components
from envtune.command_line.mistakes import sentence
from envtune.command_line.search_path import CONFIG_FOLDER, with_search_path
from envtune.errors import UserError
from envtune.evaluation.recorded_episodes import RecordedEpisode, read_episodes, trajectory_files
from envtune.program import run_program
from envtune.report_text import console, percent
from envtune.report_text import table as empty_table
from envtune.reward import Reward, judge

CONFIG = "train"
# `reward=binary`, `reward.format=0.3`, `+reward.cost=1`, `~reward.cost`.
_OF_THE_REWARD = re.compile(r"[+~]{0,2}reward[.=].*")


@dataclass(frozen=True, slots=True)
class Rescored:
    """Recorded and new reward of one episode."""

    group: tuple[str, int]
    """Task and policy version."""
    recorded: float
    replayed: float


def main() -> None:
    """Print the numbers of the recorded reward and of the other."""
    parser = argparse.ArgumentParser(description="Score the recorded trajectories of a run with another reward.")
    parser.add_argument("run", type=Path, metavar="RUN_DIR", help="the folder of a training run")
    parser.add_argument("reward", nargs="+", metavar="reward=…", help="a choice of reward and its settings")
    parser.add_argument("--config-dir", action="append", default=[], metavar="DIR", help="configs of your own")
    parser.add_argument("--json", action="store_true", help="print the numbers as one JSON object")
    options = parser.parse_args()
    try:
        with_search_path([f"--config-dir={folder}" for folder in options.config_dir])
        numbers = summary(rescore(options.run, compose_reward(options.reward)))
    except (UserError, HydraException, OmegaConfBaseException) as error:
        raise UserError(sentence(error, CONFIG)) from error
    if options.json:
        print(json.dumps({"reward": options.reward, **numbers}, indent=2))
    else:
        console().print(table(numbers, " ".join(options.reward)))


def compose_reward(arguments: Sequence[str]) -> Reward:
    """Return the reward that `python train.py ARGUMENTS` would train with.

    Raises:
        UserError: An argument is not about the reward, or names an unknown choice.
        HydraException, OmegaConfBaseException: A setting is unknown, or a value is not allowed.
    """
    for argument in arguments:
        if not _OF_THE_REWARD.fullmatch(argument):
            raise UserError(f"{argument} is not about the reward: give reward=NAME and, if needed, reward.SETTING=…")
    require_known_choices(arguments)
    GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(str(CONFIG_FOLDER), version_base="1.3"):
        config = hydra.compose(CONFIG, overrides=list(arguments))
    require_valid_components(OmegaConf.masked_copy(config, ["reward"]))
    return instantiate(config.reward, _convert_="all")


def rescore(folder: Path, reward: Reward) -> list[Rescored]:
    """Return both rewards of every training episode of the run in ``folder``.

    Raises:
        UserError: There are no episodes, an episode has no recorded reward, or ``reward`` raises an error.
    """
    files = [file for file in trajectory_files(folder) if file.parent.name == "train"]
    rescored = [_rescored(file, record, reward) for file in files for record in read_episodes(file)]
    if not rescored:
        raise UserError(f"{folder} holds no trajectories/train/*.jsonl: give the folder of a training run")
    return rescored


def _rescored(file: Path, record: RecordedEpisode, reward: Reward) -> Rescored:
    trajectory, place = record.trajectory, f"{file}, line {record.index + 1}"
    if record.reward is None:
        raise UserError(f"{place} has no recorded reward to compare with: give a run of train.py")
    try:
        total = judge(reward, trajectory).total
    except UserError as error:
        raise UserError(f"{place}: {error}") from error
    except RuntimeError as error:
        # A user's own reward may need tokens, which are recorded on request only.
        stored = "" if trajectory.tokens else "; token ids are stored with callbacks.trajectories.with_tokens=true"
        raise UserError(f"{place}: {error}{stored}") from error
    return Rescored((trajectory.task_id, trajectory.policy_version), record.reward, total)


def summary(episodes: Sequence[Rescored]) -> dict[str, Any]:
    """Return all numbers as plain JSON values; None where a number does not exist."""
    groups: dict[tuple[str, int], list[Rescored]] = defaultdict(list)
    for episode in episodes:
        groups[episode.group].append(episode)
    recorded, replayed = [e.recorded for e in episodes], [e.replayed for e in episodes]
    return {
        "episodes": len(episodes),
        "groups": len(groups),
        "recorded": _numbers(recorded, [[e.recorded for e in group] for group in groups.values()]),
        "replayed": _numbers(replayed, [[e.replayed for e in group] for group in groups.values()]),
        "rank_correlation": spearman(recorded, replayed),
    }


def _numbers(rewards: Sequence[float], groups: Sequence[Sequence[float]]) -> dict[str, float | None]:
    """Return mean, in-group variance and dead groups; a group of a single episode is dead and has no variance."""
    variances = [variance(group) for group in groups if len(group) > 1]
    return {
        "mean": fmean(rewards),
        "in_group_variance": fmean(variances) if variances else None,
        "dead_groups": fmean(len(set(group)) == 1 for group in groups),
    }


def spearman(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Return Spearman's rank correlation in [-1, 1]; None if either side is constant or a single number."""
    try:
        return correlation(average_ranks(one), average_ranks(other))
    except StatisticsError:
        return None


def average_ranks(values: Sequence[float]) -> list[float]:
    """Return the ranks of ``values``, from 1; equal values share the mean of their ranks."""
    ranks: dict[float, list[int]] = defaultdict(list)
    for rank, value in enumerate(sorted(values), 1):
        ranks[value].append(rank)
    return [fmean(ranks[value]) for value in values]


def table(numbers: dict[str, Any], name: str) -> Table:
    """Return a table with a column for the recorded reward and one for the reward called ``name``."""
    title = f"{numbers['episodes']} episodes in {numbers['groups']} groups"
    shown = empty_table(title, ["reward"], ["recorded", escape(name)])
    sides = (numbers["recorded"], numbers["replayed"])
    shown.add_row("mean", *(f"{side['mean']:.4f}" for side in sides))
    variances = [side["in_group_variance"] for side in sides]
    shown.add_row("in-group variance", *("-" if value is None else f"{value:.4f}" for value in variances))
    shown.add_row("dead groups, %", *(percent(side["dead_groups"]) for side in sides))
    ranks = numbers["rank_correlation"]
    shown.add_row("rank correlation", "", "-" if ranks is None else f"{ranks:.3f}")
    return shown


if __name__ == "__main__":
    run_program(main)
