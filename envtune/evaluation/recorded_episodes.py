"""The episodes that a run has recorded: its files of trajectories, and the records in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from envtune import trajectory_file
from envtune.errors import UserError
from envtune.trajectory import Trajectory


@dataclass(frozen=True, slots=True)
class RecordedEpisode:
    """One line of a file of trajectories."""

    index: int
    """Number of the line, counted from 0."""
    trajectory: Trajectory
    reward: float | None
    """Total reward; None where none was given, as in a validation."""
    parts: Mapping[str, float]
    """Value of each part of the reward, by name."""

    @property
    def rank(self) -> tuple[float, float, bool]:
        """Sort key: reward (progress where there is none), then progress, then success."""
        progress = self.trajectory.progress
        return progress if self.reward is None else self.reward, progress, self.trajectory.success

    @property
    def headline(self) -> str:
        """The reward with its parts in one line; empty where no reward was given."""
        if self.reward is None:
            return ""
        parts = ", ".join(f"{name} {value:.3f}" for name, value in self.parts.items())
        return f"reward {self.reward:.3f} ({parts})"


def newest_file(path: Path) -> Path:
    """Return ``path`` if it is a file, or the file of trajectories in the run folder ``path`` that was written last.

    Raises:
        UserError: The folder holds no trajectories.
    """
    if not path.is_dir():
        return path
    files = [*path.glob("*.jsonl"), *trajectory_files(path)]
    if not files:
        raise UserError(f"{path} holds no trajectories: give a run's folder or one of its .jsonl files")
    return max(files, key=lambda file: (file.stat().st_mtime_ns, str(file)))


def trajectory_files(folder: Path) -> list[Path]:
    """Return the files that a training run wrote into ``folder``; of a curriculum, those of all its stages."""
    stages = sorted(folder.glob("stage_*"))
    return [file for place in (folder, *stages) for file in sorted(place.glob("trajectories/**/*.jsonl"))]


def read_episodes(path: Path) -> list[RecordedEpisode]:
    """Return all records of the file ``path``.

    Raises:
        UserError: The file cannot be read, is empty, or has a line that is not a trajectory; names the line.
    """
    episodes = []
    for index, line in enumerate(trajectory_file.read(path)):
        try:
            episodes.append(_episode(index, line))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            reason = f"{error} is missing" if isinstance(error, KeyError) else error
            raise UserError(f"{path}, line {index + 1} is no trajectory ({reason}): was it edited?") from error
    if not episodes:
        raise UserError(f"{path} is empty: give a file with at least one trajectory")
    return episodes


def _episode(index: int, line: Mapping[str, Any]) -> RecordedEpisode:
    reward = line.get("reward")
    parts = {name: float(part["value"]) for name, part in reward["parts"].items()} if reward else {}
    return RecordedEpisode(index, trajectory_file.from_json(line), float(reward["total"]) if reward else None, parts)
