"""Weight sync: whatever plays the episodes gets the policy's weights."""

from __future__ import annotations

import time
from typing import Protocol, runtime_checkable

import torch
from transformers import PreTrainedModel

from envtune.training.model.policy import Policy


@runtime_checkable
class PolicyPlayer(Protocol):
    """The datamodule of a `GRPOModule`: it plays the episodes of every batch with the policy's weights."""

    def check_model(self, model: PreTrainedModel) -> None:
        """Raise UserError if episodes cannot be played with ``model``."""

    def update_weights(self, model: PreTrainedModel, policy_version: int) -> None:
        """Play with the weights of ``model`` from now on. A collective."""

    def domain_of(self, tool: str) -> str | None:
        """Return the domain that a tool's failures are reported under; None for an unknown tool."""


def sync_weights(policy: Policy, player: PolicyPlayer, policy_version: int) -> float:
    """Update the player's weights to those of the policy, and return the time in seconds. A collective."""
    started = time.perf_counter()
    # Lightning validates in inference mode, and what is created in it cannot be updated in place during training.
    with torch.inference_mode(False), torch.no_grad():
        player.update_weights(policy.model_to_sample(), policy_version)
    return time.perf_counter() - started
