"""The recorded episodes of a run: its trajectory files and their records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from envtune import trajectory_file
from envtune.errors import UserError
from envtune.trajectory import Trajectory


@dataclass(frozen=True, slots=True)
class RecordedEpisode:
    """One line of a trajectory file."""

    index: int
    """Number of the line, from 0."""
    trajectory: Trajectory
    reward: float | None
    """Total reward; None for an episode without a reward, such as one of a validation."""
    parts: Mapping[str, float]
    """Value of each part of the reward, by name."""

    @property
    def rank(self) -> tuple[float, float, bool]:
        """The sort key: reward (without one, progress), then progress, then success."""
        progress = self.trajectory.progress
        return progress if self.reward is None else self.reward, progress, self.trajectory.success

    @property
    def headline(self) -> str:
        """The reward with its parts in one line; empty without a reward."""
        if self.reward is None:
            return ""
        parts = ", ".join(f"{name} {value:.3f}" for name, value in self.parts.items())
        return f"reward {self.reward:.3f} ({parts})"


def newest_file(path: Path) -> Path:
    """Return ``path`` if it is a file, or the newest trajectory file of the run folder ``path``.

    Raises:
        UserError: The folder has no trajectory file.
    """
    if not path.is_dir():
        return path
    files = [*path.glob("*.jsonl"), *trajectory_files(path)]
    if not files:
        raise UserError(f"{path} holds no trajectories: give a run's folder or one of its .jsonl files")
    return max(files, key=lambda file: (file.stat().st_mtime_ns, str(file)))


def trajectory_files(folder: Path) -> list[Path]:
    """Return the trajectory files of a training run's folder; of a curriculum, those of all stages."""
    stages = sorted(folder.glob("stage_*"))
    return [file for place in (folder, *stages) for file in sorted(place.glob("trajectories/**/*.jsonl"))]


def read_episodes(path: Path) -> list[RecordedEpisode]:
    """Return all records of the file ``path``.

    Raises:
        UserError: The file cannot be read, is empty, or has a line that is not a trajectory.
    """
    episodes = []
    for index, line in enumerate(trajectory_file.read(path)):
        try:
            trajectory, reward = trajectory_file.from_json(line), line.get("reward")
            parts = {name: float(part["value"]) for name, part in reward["parts"].items()} if reward else {}
            total = float(reward["total"]) if reward else None
            episodes.append(RecordedEpisode(index, trajectory, total, parts))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            reason = f"{error} is missing" if isinstance(error, KeyError) else error
            raise UserError(f"{path}, line {index + 1} is not a trajectory ({reason}): was it edited?") from error
    if not episodes:
        raise UserError(f"{path} is empty: give a file with at least one trajectory")
    return episodes
