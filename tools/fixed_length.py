"""The embedded generator, for measurements: every completion has the length that was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from transformers import PreTrainedModel

from envtune.rollout.generator import Advance, Completion, Request
from envtune.rollout.hf.hf_generator import HFGenerator

# No token has it.
NO_TOKEN = -1


class FixedLength(HFGenerator):
    """Nothing ends a completion but its length: end tokens are sampled like any other."""

    def update_weights(self, model: PreTrainedModel, policy_version: int) -> None:
        """Also tells ``model`` that it has no end token."""
        assert model.generation_config is not None
        model.generation_config.eos_token_id = [NO_TOKEN]
        super().update_weights(model, policy_version)

    def run(self, first: Sequence[Request], advance: Advance, greedy: bool = False) -> None:
        def endless(chain: int, completion: Completion) -> Request | None:
            request = advance(chain, completion)
            return replace(request, end_ids=()) if request else None

        super().run([replace(request, end_ids=()) for request in first], endless, greedy)
