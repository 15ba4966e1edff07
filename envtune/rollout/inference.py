"""What samplers need of a trainer's model: the mode of inference, its end tokens, and full attention."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from transformers import PreTrainedModel
from transformers.cache_utils import get_layer_types_and_kwargs

from envtune.errors import UserError


@contextmanager
def inference(model: PreTrainedModel, attention: str) -> Iterator[None]:
    """Disable gradients, dropout and autocast, and use an attention implementation; restore the model at the end."""
    # private: set_attn_implementation is public but has no public getter, which would replace it.
    training, original = model.training, model.config._attn_implementation
    model.eval()
    model.set_attn_implementation(attention)
    try:
        # Without autocast, keys and values have the dtype of the weights. Without inference mode, in which Lightning
        # validates, buffers that the model replaces in a pass can be used in training.
        with torch.inference_mode(False), torch.no_grad(), torch.autocast(model.device.type, enabled=False):
            yield
    finally:
        model.set_attn_implementation(original)
        model.train(training)


def require_full_attention(model: PreTrainedModel, why: str, alternative: str = "") -> None:
    """Raise UserError unless all layers have full causal attention that can be replaced; the sentence holds ``why``."""
    kinds, _ = get_layer_types_and_kwargs(model.config.get_text_config(decoder=True))
    others = sorted(set(kinds) - {"full_attention"})
    # private: transformers has no public query for it; a trial forward pass, as in policy.py, would replace it.
    if others or not model._supports_attention_backend:
        reason = f"layers of {', '.join(others)}" if others else "an attention outside of AttentionInterface"
        raise UserError(
            f"{type(model).__name__} has {reason}, but {why}, in full causal attention; choose a model such as Qwen or "
            f"Llama{alternative}"
        )


def end_tokens(model: PreTrainedModel) -> frozenset[int]:
    """Return the end tokens of the generation config, or of the model config if it has none."""
    generation = getattr(model, "generation_config", None)
    ids = getattr(generation, "eos_token_id", None)
    if ids is None:
        ids = model.config.get_text_config().eos_token_id
    return frozenset([ids] if isinstance(ids, int) else ids or ())
