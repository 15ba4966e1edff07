"""Constraints on the settings of libraries' classes, beside the types that they are annotated with.

Each function is named after its class; its annotations constrain the parameters of that class (`envtune.checked`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from lightning.pytorch.accelerators import AcceleratorRegistry
from lightning.pytorch.strategies import StrategyRegistry
from pydantic import Field

from envtune.checked import Among, Count, NotNegative, Positive
from envtune.training.reporting.metrics import ValidationName

ACCELERATORS = ("auto", "gpu", *AcceleratorRegistry.available_accelerators())
STRATEGIES = ("auto", *StrategyRegistry.available_strategies())
_Momentum = Annotated[float, Field(ge=0, lt=1)]
_Batches = Annotated[Count | Annotated[float, Field(gt=0, le=1)] | None, Field(description="batches, or a share")]


def trainer(
    accelerator: Annotated[str, Among(ACCELERATORS)],
    devices: Annotated[
        Count | Literal[-1] | list[int] | Annotated[str, Field(pattern=r"^(auto|-1|\d+(,\d+)*,?)$")],
        Field(description="how many, -1 or auto for all, or a list of their numbers"),
    ],
    strategy: Annotated[str, Among(STRATEGIES)],
    num_nodes: Count,
    max_epochs: Annotated[Count | Literal[-1] | None, Field(description="-1 for no limit")],
    max_steps: Annotated[
        Count | Literal[-1],
        Field(description="updates, -1 for no limit; to validate without training use envtune-evaluate split=val"),
    ],
    val_check_interval: Annotated[int, Field(ge=1, description="updates between two validations")],
    check_val_every_n_epoch: Annotated[None, Field(description="validation comes every trainer.val_check_interval")],
    num_sanity_val_steps: Annotated[int, Field(ge=-1)] | None,
    log_every_n_steps: Annotated[int, Field(ge=1, description="updates")],
    limit_train_batches: _Batches,
    limit_val_batches: _Batches,
    gradient_clip_val: Annotated[None, Field(description="set grpo.gradient_clip, which clips them by norm")],
    gradient_clip_algorithm: Annotated[None, Field(description="gradients are clipped by norm")],
    accumulate_grad_batches: Annotated[
        Literal[1],
        Field(description="set grpo.tasks_per_update, and grpo.max_tokens_per_batch for a forward pass"),
    ],
    fast_dev_run: Annotated[Literal[False], Field(description="debug=fast is a short run")],
    overfit_batches: Annotated[Literal[0], Field(description="debug=overfit trains on a few tasks")],
    barebones: Annotated[Literal[False], Field(description="a run needs its callbacks and loggers")],
) -> None:
    """Constrain `lightning.Trainer`."""


def checkpoint(
    # The results of validation, and two names that Lightning always has.
    monitor: Annotated[Literal["step", "epoch"] | ValidationName | None, Field(description="a result of validation")],
    mode: Literal["min", "max"],
    save_top_k: Annotated[int, Field(ge=-1, description="-1 keeps all")],
    every_n_train_steps: Count | None,
    every_n_epochs: Count | None,
) -> None:
    """Constrain `lightning.pytorch.callbacks.ModelCheckpoint`."""


def optimizer(
    lr: Annotated[float, Field(gt=0, description="the learning rate, such as 1e-6")],
    betas: tuple[_Momentum, _Momentum],
    momentum: NotNegative,
    eps: Positive,
    weight_decay: NotNegative,
) -> None:
    """Constrain `torch.optim.Optimizer` and its subclasses."""


def strategy(
    timeout: Annotated[None, Field(description="set trainer.strategy.timeout.minutes")], broadcast_buffers: bool
) -> None:
    """Constrain `lightning.pytorch.strategies.Strategy` and its subclasses."""


def duration(
    days: Positive, hours: Positive, minutes: Positive, seconds: Positive, milliseconds: Positive, weeks: Positive
) -> None:
    """Constrain `datetime.timedelta`."""


# By the qualified name of the class; subclasses have the same constraints.
LIBRARY_SETTINGS: Mapping[str, Callable[..., Any]] = {
    "lightning.pytorch.trainer.trainer.Trainer": trainer,
    "lightning.pytorch.callbacks.model_checkpoint.ModelCheckpoint": checkpoint,
    "lightning.pytorch.strategies.strategy.Strategy": strategy,
    "torch.optim.optimizer.Optimizer": optimizer,
    "datetime.timedelta": duration,
}
