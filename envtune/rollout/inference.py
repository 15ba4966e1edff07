"""What samplers need of a trainer's model: the mode of inference, its own attention, its end tokens, obstacles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from transformers import PreTrainedModel
from transformers.cache_utils import get_layer_types_and_kwargs

# The attribute of a model with the name of its own attention, while another one is installed. Copies have it as well.
_OWN_ATTENTION = "envtune_own_attention"
# Arguments of transformers' attention functions, besides the mask, that change the weights of attention.
_CHANGES_ATTENTION = ("softcap", "s_aux", "sliding_window", "position_bias", "alibi")


def own_attention(model: PreTrainedModel) -> str:
    """Return the attention implementation with which ``model`` was loaded."""
    # private: set_attn_implementation is public but has no public getter, which would replace it.
    return getattr(model, _OWN_ATTENTION, model.config._attn_implementation)


def replace_attention(model: PreTrainedModel, attention: str) -> None:
    """Install an attention implementation; `own_attention` remains that with which ``model`` was loaded."""
    setattr(model, _OWN_ATTENTION, own_attention(model))
    model.set_attn_implementation(attention)


@contextmanager
def inference(model: PreTrainedModel, attention: str) -> Iterator[None]:
    """Disable gradients, dropout and autocast, and use an attention implementation; restore the model at the end."""
    # private: set_attn_implementation is public but has no public getter, which would replace it.
    original = model.config._attn_implementation
    # Of every module: a policy may train some of them in evaluation mode.
    training = [module for module in model.modules() if module.training]
    model.eval()
    model.set_attn_implementation(attention)
    try:
        # Without autocast, keys and values have the dtype of the weights. Without inference mode, in which Lightning
        # validates, buffers that the model replaces in a pass can be used in training.
        with torch.inference_mode(False), torch.no_grad(), torch.autocast(model.device.type, enabled=False):
            yield
    finally:
        model.set_attn_implementation(original)
        for module in training:
            module.training = True


def attention_obstacle(model: PreTrainedModel) -> str | None:
    """Return why the attention of ``model`` cannot be replaced by a full causal one, None if no reason is known."""
    kinds, _ = get_layer_types_and_kwargs(model.config.get_text_config(decoder=True))
    others = sorted(set(kinds) - {"full_attention"})
    if others:
        return f"it has layers of {', '.join(others)}"
    # private: transformers has no public query for it; a trial pass would compute the model's own attention.
    return None if model._supports_attention_backend else "it has an attention outside of AttentionInterface"


def require_known_arguments(arguments: Mapping[str, Any]) -> None:
    """Raise TypeError if a model's call of its attention holds an argument that full causal attention ignores."""
    ignored = sorted(name for name in _CHANGES_ATTENTION if arguments.get(name) is not None)
    if ignored:
        raise TypeError(f"its attention depends on {', '.join(ignored)}")


def end_tokens(model: PreTrainedModel) -> frozenset[int]:
    """Return the end tokens of the generation config, or of the model config if it has none."""
    generation = getattr(model, "generation_config", None)
    ids = getattr(generation, "eos_token_id", None)
    if ids is None:
        ids = model.config.get_text_config().eos_token_id
    return frozenset([ids] if isinstance(ids, int) else ids or ())
