"""The mode of a trainer's model during inference."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from transformers import PreTrainedModel


@contextmanager
def inference(model: PreTrainedModel, attention: str) -> Iterator[None]:
    """Disable gradients, dropout and autocast, and use an attention implementation; restore the model at the end."""
    # private: set_attn_implementation is public but has no public getter, which would replace it.
    training, original = model.training, model.config._attn_implementation
    model.eval()
    model.set_attn_implementation(attention)
    try:
        # Without autocast, keys and values have the dtype of the weights.
        with torch.no_grad(), torch.autocast(model.device.type, enabled=False):
            yield
    finally:
        model.set_attn_implementation(original)
        model.train(training)
