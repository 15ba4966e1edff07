"""The end tokens of a model."""

from __future__ import annotations

from transformers import PreTrainedModel


def end_tokens(model: PreTrainedModel) -> frozenset[int]:
    """Return the end tokens of the generation config, or of the model config if it has none."""
    generation = getattr(model, "generation_config", None)
    ids = getattr(generation, "eos_token_id", None)
    if ids is None:
        ids = model.config.get_text_config().eos_token_id
    return frozenset([ids] if isinstance(ids, int) else ids or ())
