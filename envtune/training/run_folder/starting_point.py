"""Where a run's policy and its reference start from: the bare model, or the checkpoint that `init_from` names."""

from __future__ import annotations

from pathlib import Path

from envtune.errors import UserError
from envtune.training.run_folder.stage_record import chosen_checkpoint_of


def find_checkpoint(init_from: str) -> Path:
    """The checkpoint file itself, the best one of a run's or a stage's folder, or what a curriculum's folder records as
    the checkpoint of its last finished stage.

    Raises:
        UserError: there is nothing of this name, or the folder holds none of these.
    """
    path = Path(init_from)
    if path.is_file():
        return path
    if not path.is_dir():
        raise UserError(
            f"init_from={init_from} does not exist; give a .ckpt file or the folder of a run that saved one"
        )
    found = chosen_checkpoint_of(path) or path / "checkpoints" / "best.ckpt"
    if found.is_file():
        return found
    others = sorted(str(other) for other in path.rglob("*.ckpt") if "rewound-" not in str(other))
    remedy = f"give one of its files: {', '.join(others)}" if others else "give the folder of a run that saved one"
    raise UserError(f"init_from={init_from} holds no checkpoints/best.ckpt; {remedy}")


def describe_start(
    stage: str, model_path: str, init_from: str | None, ckpt_path: str | None, stage_before: str | None
) -> str:
    """A sentence for the terminal. ``stage_before`` is the one whose checkpoint the curriculum would start from."""
    start = f"the bare model {model_path}" if init_from is None else str(find_checkpoint(init_from))
    if ckpt_path is not None:
        return f"stage {stage}: the policy goes on from {ckpt_path}; the reference is {start}"
    skipped = init_from is None and stage_before is not None
    remark = f" (the curriculum would start them from a checkpoint of stage {stage_before}: init_from=…)"
    return f"stage {stage}: policy and reference start from {start}{remark if skipped else ''}"
