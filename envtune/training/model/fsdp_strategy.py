"""Lightning's strategy for a policy that is divided over all devices; its checkpoints are those of a single device."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.strategies import ModelParallelStrategy
from lightning_utilities.core.apply_func import apply_to_collection
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor
from torch.optim import Optimizer

from envtune.errors import UserError
from envtune.training.model.policy import Policy
from envtune.training.model.sharding import placed_as, state_placed_as, whole
from envtune.training.run_folder.checkpoint_io import require_whole

# Of the layers, by Lightning's names; None: the dtype of their weights.
DTYPES = {"32-true": None, "bf16-mixed": torch.bfloat16}
TIMEOUT = timedelta(minutes=120)


class FSDP2Strategy(ModelParallelStrategy):
    """Divides weights, reference, gradients and the optimiser's states over all devices of all nodes (`sharding.py`).

    A checkpoint is one file with whole tensors, gathered by the first device's process and written by its
    ``CheckpointIO``: whole or not at all, and of use to every other run and tool. Every process reads it by itself.

    Args:
        timeout: how long a device waits for the others, which may still be playing episodes.
    """

    def __init__(self, timeout: timedelta = TIMEOUT) -> None:
        super().__init__(save_distributed_checkpoint=False, timeout=timeout)

    def shard(self, policy: Policy) -> None:
        """Divides ``policy``, once, for the arithmetic of `trainer.precision`.

        Raises:
            UserError: a precision that is none of ``DTYPES``, or a model whose layers are not known.
        """
        precision = str(self.precision_plugin.precision)
        if precision not in DTYPES:
            raise UserError(
                f"trainer.precision={precision} does not go with trainer=fsdp; choose {' or '.join(DTYPES)}"
            )
        if not policy.is_sharded:
            policy.shard(init_device_mesh(self.root_device.type, (self.world_size,)), DTYPES[precision])

    @property
    def lightning_restore_optimizer(self) -> bool:
        return True

    def lightning_module_state_dict(self) -> dict[str, Any]:
        assert self.lightning_module is not None
        return self._gathered(self.lightning_module.state_dict())

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        plain = optimizer.optimizer if isinstance(optimizer, LightningOptimizer) else optimizer
        return self._gathered(plain.state_dict())

    def load_checkpoint(self, checkpoint_path: Any, weights_only: bool | None = None) -> dict[str, Any]:
        """Maps the file into memory: the processes of a node share its pages, and read what they need.

        Raises:
            UserError: the file is damaged.
        """
        require_whole(Path(checkpoint_path))
        return torch.load(checkpoint_path, map_location="cpu", mmap=True, weights_only=True)

    def load_model_state_dict(self, checkpoint: Mapping[str, Any], strict: bool = True) -> None:
        assert self.lightning_module is not None
        state = state_placed_as(self.lightning_module.state_dict(), checkpoint["state_dict"])
        self.lightning_module.load_state_dict(state, strict=strict)

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        for optimizer, state in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            optimizer.load_state_dict(_placed(optimizer, state))

    def _gathered(self, state: Any) -> Any:
        """``state`` with whole tensors on the CPU; on all processes but the first with empty ones in their place."""

        def gather(tensor: DTensor) -> torch.Tensor:
            gathered = whole(tensor)
            return gathered.cpu() if self.is_global_zero else gathered.new_empty(0)

        return apply_to_collection(state, DTensor, gather)


def _placed(optimizer: Optimizer, state: Mapping[str, Any]) -> dict[str, Any]:
    """An optimiser's saved ``state`` with what has a parameter's shape divided as that parameter is."""
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]

    def place(weight: torch.Tensor, value: Any) -> Any:
        return placed_as(weight, value) if getattr(value, "shape", None) == weight.shape else value

    placed = {
        number: {name: place(weights[number], value) for name, value in values.items()}
        for number, values in state["state"].items()
    }
    return {**state, "state": placed}
