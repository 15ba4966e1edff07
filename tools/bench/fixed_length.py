"""The embedded generator, for measurements, with completions that all have the maximal length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from transformers import PreTrainedModel

from envtune.rollout.generator import Advance, Completion, Request
from envtune.rollout.hf.hf_generator import HFGenerator


class FixedLength(HFGenerator):
    """Ends a completion at its maximal length only: end tokens are sampled like all others."""

    def update_weights(self, model: PreTrainedModel, policy_version: int) -> None:
        """Set the weights, and remove the end token from the generation config of ``model``."""
        assert model.generation_config is not None
        # No token has the id -1. None would stand for the default of the model's config.
        model.generation_config.eos_token_id = [-1]
        super().update_weights(model, policy_version)

    def run(self, first: Sequence[Request], advance: Advance, greedy: bool = False) -> None:
        def endless(sequence: int, completion: Completion) -> Request | None:
            request = advance(sequence, completion)
            return replace(request, end_ids=()) if request else None

        super().run([replace(request, end_ids=()) for request in first], endless, greedy)
