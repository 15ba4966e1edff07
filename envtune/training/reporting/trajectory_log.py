"""Trajectories as JSON lines on disk, and a few as text in TensorBoard."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from pydantic import Field
from typing_extensions import override

from envtune import trajectory_file
from envtune.checked import checked
from envtune.reward.breakdown import RewardBreakdown
from envtune.training.rollout_batch import RolloutBatch, ValidationBatch
from envtune.trajectory import Trajectory
from envtune.trajectory_text import as_markdown


@checked
class TrajectoryLog(Callback):
    """Write every trajectory to ``folder``/train/update_N.jsonl or ``folder``/val/update_N.jsonl.

    Args:
        folder: the folder of the files.
        text_every: updates between two logs of the best, the median and the worst trajectory in TensorBoard.
        with_tokens: whether the files hold token ids and log-probs.
    """

    def __init__(
        self, folder: str, text_every: Annotated[int, Field(ge=1, description="updates")] = 5, with_tokens: bool = False
    ) -> None:
        self._folder, self._text_every, self._with_tokens = Path(folder), text_every, with_tokens
        self._validation: list[Trajectory] = []
        self.files = [self._folder / kind / "update_*.jsonl" for kind in ("train", "val")]
        """The files that this callback writes."""

    @override
    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: RolloutBatch, batch_idx: int
    ) -> None:
        rewarded = [pair for group in batch.groups for pair in zip(group.trajectories, group.breakdowns, strict=True)]
        records = [self._record(trajectory) | {"reward": _reward(breakdown)} for trajectory, breakdown in rewarded]
        self._write(trainer, "train", records)
        if trainer.global_step % self._text_every == 0:
            ranked = sorted(rewarded, key=lambda pair: pair[1].total)
            for name, index in (("worst", 0), ("median", len(ranked) // 2), ("best", -1)):
                self._show(trainer, f"trajectory/{name}", *ranked[index])

    @override
    def on_validation_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: ValidationBatch, *_: Any
    ) -> None:
        self._validation.extend(batch.trajectories)

    @override
    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        self._write(trainer, "val", [self._record(trajectory) for trajectory in self._validation])
        self._validation.clear()

    def _record(self, trajectory: Trajectory) -> dict[str, Any]:
        return trajectory_file.to_json(trajectory, self._with_tokens)

    def _write(self, trainer: Trainer, kind: str, records: Sequence[dict[str, Any]]) -> None:
        rank = f".rank_{trainer.global_rank}" if trainer.world_size > 1 else ""
        path = self._folder / kind / f"update_{trainer.global_step:06d}{rank}.jsonl"
        trajectory_file.write(path, records)

    def _show(self, trainer: Trainer, name: str, trajectory: Trajectory, breakdown: RewardBreakdown) -> None:
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                parts = ", ".join(f"{part.name} {part.value:.3f}" for part in breakdown.parts)
                text = as_markdown(trajectory, headline=f"reward {breakdown.total:.3f} ({parts})")
                logger.experiment.add_text(name, text, trainer.global_step)


def _reward(breakdown: RewardBreakdown) -> dict[str, Any]:
    parts = {part.name: {"value": part.value, "weight": part.weight} for part in breakdown.parts}
    return {"total": breakdown.total, "parts": parts}
