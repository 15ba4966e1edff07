"""Lightning's strategy for a policy sharded over all devices, with the checkpoints of a single device."""

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
from typing_extensions import override

from envtune.errors import UserError
from envtune.training.model.policy import Policy
from envtune.training.model.sharding import full_tensor, shard_like, shard_state_like
from envtune.training.run_folder.checkpoint_io import require_intact

# Dtype of the layers by Lightning's name of the precision; None for the dtype of their weights.
DTYPES = {"32-true": None, "bf16-mixed": torch.bfloat16}
TIMEOUT = timedelta(minutes=120)


class FSDP2Strategy(ModelParallelStrategy):
    """Shard weights, reference, gradients and optimiser states over all devices of all nodes (`sharding.py`).

    A checkpoint is one file with full tensors, gathered and written by rank 0, that every other run and tool can use.
    Every rank reads it itself.

    Args:
        timeout: how long a collective waits for other ranks, which may still be playing episodes.
    """

    def __init__(self, timeout: timedelta = TIMEOUT) -> None:
        super().__init__(save_distributed_checkpoint=False, timeout=timeout)

    def shard(self, policy: Policy) -> None:
        """Shard ``policy``, once, for the arithmetic of `trainer.precision`.

        Raises:
            UserError: the precision is not in ``DTYPES``, or the layers of the model are unknown.
        """
        precision = str(self.precision_plugin.precision)
        if precision not in DTYPES:
            raise UserError(
                f"trainer.precision={precision} does not go with trainer=fsdp; choose {' or '.join(DTYPES)}"
            )
        if not policy.is_sharded:
            policy.shard(init_device_mesh(self.root_device.type, (self.world_size,)), DTYPES[precision])

    @property
    @override
    def lightning_restore_optimizer(self) -> bool:
        return True

    @override
    def lightning_module_state_dict(self) -> dict[str, Any]:
        assert self.lightning_module is not None
        return self._gathered(self.lightning_module.state_dict())

    @override
    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        unwrapped = optimizer.optimizer if isinstance(optimizer, LightningOptimizer) else optimizer
        return self._gathered(unwrapped.state_dict())

    @override
    def load_checkpoint(self, checkpoint_path: Any, weights_only: bool | None = None) -> dict[str, Any]:
        # Memory-mapped: the ranks of a node share its pages, and read what they need.
        require_intact(Path(checkpoint_path))
        return torch.load(checkpoint_path, map_location="cpu", mmap=True, weights_only=True)

    @override
    def load_model_state_dict(self, checkpoint: Mapping[str, Any], strict: bool = True) -> None:
        assert self.lightning_module is not None
        state = shard_state_like(self.lightning_module.state_dict(), checkpoint["state_dict"])
        self.lightning_module.load_state_dict(state, strict=strict)

    @override
    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        for optimizer, state in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            optimizer.load_state_dict(_shard_optimizer_state(optimizer, state))

    def _gathered(self, state: Any) -> Any:
        """Return ``state`` with full tensors on the CPU of rank 0, and with empty ones on all others. A collective."""

        def gather(tensor: DTensor) -> torch.Tensor:
            gathered = full_tensor(tensor)
            return gathered.cpu() if self.is_global_zero else gathered.new_empty(0)

        return apply_to_collection(state, DTensor, gather)


def _shard_optimizer_state(optimizer: Optimizer, state: Mapping[str, Any]) -> dict[str, Any]:
    """Shard every tensor of a saved state that has the shape of its parameter like that parameter."""
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]

    def shard(weight: torch.Tensor, value: Any) -> Any:
        return shard_like(weight, value) if getattr(value, "shape", None) == weight.shape else value

    old = state["state"].items()
    shards = {number: {name: shard(weights[number], value) for name, value in values.items()} for number, values in old}
    return {**state, "state": shards}
