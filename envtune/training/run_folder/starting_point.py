"""The weights from which a run's policy and reference start: the base model, or the checkpoint in `init_from`."""

from __future__ import annotations

from pathlib import Path

from envtune.errors import UserError
from envtune.training.run_folder.checkpoint_names import best_checkpoint_of
from envtune.training.run_folder.stage_record import chosen_checkpoint_of


def find_checkpoint(init_from: str) -> Path:
    """Return the checkpoint that `init_from` stands for.

    That is the file itself, the best checkpoint of a run's or a stage's folder, or the recorded checkpoint of the last
    finished stage in a curriculum's folder.

    Raises:
        UserError: there is no such file or folder, or the folder does not hold a checkpoint.
    """
    path = Path(init_from)
    if path.is_file():
        return path
    if not path.is_dir():
        raise UserError(
            f"init_from={init_from} does not exist; give a .ckpt file or the folder of a run that saved one"
        )
    if (path / "config.json").is_file():
        raise UserError(f"init_from={init_from} is a model and not a run: give model=hf model.path={init_from}")
    found = chosen_checkpoint_of(path) or best_checkpoint_of(path)
    if found.is_file():
        return found
    others = sorted(str(other) for other in path.rglob("*.ckpt") if "rewound-" not in str(other))
    remedy = f"give one of its files: {', '.join(others)}" if others else "give the folder of a run that saved one"
    raise UserError(f"init_from={init_from} holds no checkpoints/best.ckpt; {remedy}")


def describe_start(
    stage: str, model_path: str, init_from: str | None, ckpt_path: str | None, previous_stage: str | None
) -> str:
    """Return a sentence about the start of a stage, whose predecessor in the curriculum is ``previous_stage``."""
    start = f"the bare model {model_path}" if init_from is None else str(find_checkpoint(init_from))
    if ckpt_path is not None:
        return f"stage {stage}: the policy continues from {ckpt_path}; the reference is {start}"
    skipped = init_from is None and previous_stage is not None
    remark = f" (the curriculum would start them from a checkpoint of stage {previous_stage}: init_from=…)"
    return f"stage {stage}: policy and reference start from {start}{remark if skipped else ''}"
