"""The trained language model and its frozen reference: log-probs and entropies of sampled tokens.

How they are computed is measured when a policy is made (`equality.py`). Where the model permits it, the shared prompt
of a group is computed once, and the [T, V] logits are never materialised (`update_pass.py`).
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from jaxtyping import Float32, Int
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import register_fsdp_forward_method
from transformers import PreTrainedModel
from typing_extensions import override

from envtune.checked import checked
from envtune.grpo.batch import TrainBatch
from envtune.rollout.untouched import ModelPath, PathChoice
from envtune.training.model.adapter_checkpoint import register_state_hooks
from envtune.training.model.equality import begin_training, choose_pass
from envtune.training.model.lora import adapter_of, reference_weights
from envtune.training.model.sharding import SamplingCopy, reset_after_forward, shard_model
from envtune.training.model.update_pass import TokenStatistics, UpdatePass


@checked
class Policy(nn.Module):
    """The trained ``model``, and as the reference its weights at construction (paper, section 3.2).

    If all weights are trained, the reference is a frozen copy, which moves with the module but is not among its
    parameters. If an adapter is trained (`lora.add_adapter`), it is the model without the adapter or with the reference
    adapter (`lora.add_reference_adapter`). The ``state_dict`` holds only trained weights.

    Args:
        model: a causal language model as it was loaded; its attention may be replaced.
        path: "shared" or "plain" passes, or "auto" for the first of them that is equal to ``model`` (`equality.py`).

    Raises:
        UserError: no such pass is equal to ``model``, or it is not a causal language model.
    """

    def __init__(self, model: PreTrainedModel, path: PathChoice = "auto") -> None:
        super().__init__()
        self._update = choose_pass(model, path)
        begin_training(model)
        self.model = model
        register_state_hooks(self, model)
        self._trains_adapter = adapter_of(model) is not None
        # A list hides the reference from nn.Module; `_apply` moves it.
        copies = [] if self._trains_adapter else [copy.deepcopy(model).requires_grad_(False).eval()]
        self._copies = [_Reference(model, self._update) for model in copies]
        self._sampled: SamplingCopy | None = None

    @property
    def reference(self) -> PreTrainedModel:
        """The frozen copy. A policy with an adapter does not have one."""
        return self._copies[0].model

    @property
    def path(self) -> ModelPath:
        """The path that was taken."""
        return self._update.path

    def forward(self, batch: TrainBatch) -> TokenStatistics:
        """Return the statistics of the trained model, with gradient."""
        return self._update.statistics(self.model, batch)

    def micro_batches(self, batch: TrainBatch, max_tokens: int) -> list[Int[Tensor, "_"]]:
        """Partition the trajectories of ``batch`` into passes of at most ``max_tokens`` tokens each, padding included.

        A longer trajectory has a pass of its own.
        """
        return batch.micro_batches(max_tokens) if self.path == "shared" else batch.padded_micro_batches(max_tokens)

    @override
    def train(self, mode: bool = True) -> Policy:
        super().train(mode)
        if mode:
            begin_training(self.model)
        return self

    @torch.no_grad()
    def reference_logprobs(self, batch: TrainBatch) -> Float32[Tensor, "T"]:
        """Return log-probs of the frozen reference, without gradient."""
        if self._trains_adapter:
            with reference_weights(self.model):
                return self._update.statistics(self.model, batch).logprobs
        return self._copies[0](batch).logprobs

    @property
    def is_sharded(self) -> bool:
        """Whether ``shard`` was called."""
        return self._sampled is not None

    def shard(self, mesh: DeviceMesh, dtype: torch.dtype | None) -> None:
        """Shard trained and reference model over the devices of ``mesh``; forward passes are collectives from then on.

        ``dtype`` is that of the layers' arithmetic and of the sampling copy; None keeps that of the weights.
        """
        self._sampled = SamplingCopy(self.model, torch.device(mesh.device_type), dtype)
        shard_model(self, self.model, mesh, dtype)
        # With an adapter the reference is the trained model, so its passes must gather the weights as well.
        if self._trains_adapter:
            register_fsdp_forward_method(self, "reference_logprobs")
        for reference in self._copies:
            shard_model(reference, reference.model, mesh, dtype)
            reset_after_forward(reference)

    def model_to_sample(self) -> PreTrainedModel:
        """Return the trained model; if it is sharded, a full copy with the current weights. A collective."""
        return self._sampled.updated() if self._sampled else self.model

    @override
    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Policy:
        for reference in self._copies:
            reference._apply(fn, recurse)
        return super()._apply(fn, recurse)


class _Reference(nn.Module):
    """A module around the reference, so that FSDP gathers a sharded ``model`` for its forward pass."""

    def __init__(self, model: PreTrainedModel, update: UpdatePass) -> None:
        super().__init__()
        self.model, self._update = model, update

    def forward(self, batch: TrainBatch) -> TokenStatistics:
        return self._update.statistics(self.model, batch)
