"""The tokens that end a completion of a model, whatever a request adds to them."""

from __future__ import annotations

from transformers import PreTrainedModel


def end_tokens(model: PreTrainedModel) -> frozenset[int]:
    """Every end token of the model: its generation config may name one, several or none."""
    generation = getattr(model, "generation_config", None)
    ids = getattr(generation, "eos_token_id", None)
    if ids is None:
        ids = model.config.get_text_config().eos_token_id
    return frozenset([ids] if isinstance(ids, int) else ids or ())
