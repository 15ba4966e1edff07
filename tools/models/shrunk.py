"""Tiny models of any architecture, with random weights at a scale at which attention matters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel

from tools.models.sizes import OVERRIDES, SIZES

LARGEST = 12_000_000
"""Parameters of a model that counts as tiny."""
LOGITS_STD = 2.5
"""Standard deviation of the logits, so that the log-probs of tokens differ by some nats."""


class NotTiny(Exception):
    """The configuration has a size that `sizes.py` does not name."""


def shrunk_config(kind: type[PreTrainedConfig], fields: Mapping[str, Any] = {}) -> PreTrainedConfig:
    """Return a configuration of ``kind`` with the sizes of `sizes.py`; ``fields`` replace some of them."""
    defaults = _defaults(kind)
    nested = {name: shrunk_config(type(sub)) for name, sub in _nested(kind).items()}
    sizes = {name: size for name, size in SIZES.items() if defaults.get(name) is not None}
    aliases = {
        name: SIZES[name] for name in kind.attribute_map if name in SIZES and kind.attribute_map[name] not in SIZES
    }
    lists = _lists(defaults)
    if lists:
        layers = max(2, *(len(values) for values in lists.values()))
        depth = next(name for name in DEPTHS if name in defaults or name in kind.attribute_map)
        sizes |= {name: _repeated(values, layers) for name, values in lists.items()} | {depth: layers}
    chosen = {**aliases, **sizes, **nested, **OVERRIDES.get(kind.model_type, {}), **fields}
    # Multi-head latent attention has one key head a query head.
    if "kv_lora_rank" in chosen:
        chosen["num_key_value_heads"] = chosen["num_attention_heads"]
    return kind(**chosen)


DEPTHS = ("num_hidden_layers", "n_layer", "num_layers", "n_layers")


def _nested(kind: type[PreTrainedConfig]) -> dict[str, PreTrainedConfig]:
    if not kind.sub_configs:
        return {}
    config = kind()
    parts = {name: getattr(config, name, None) for name in kind.sub_configs}
    return {name: part for name, part in parts.items() if isinstance(part, PreTrainedConfig)}


def _defaults(kind: type[PreTrainedConfig]) -> dict[str, Any]:
    try:
        return kind().to_dict()
    # An architecture whose defaults do not validate.
    except Exception:
        return kind.__dict__ | {}


def _lists(defaults: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return the fields with one value a layer, each with its distinct values in order."""
    depth = next((defaults[name] for name in DEPTHS if isinstance(defaults.get(name), int)), 0)
    return {
        name: list(dict.fromkeys(map(_hashable, values)))
        for name, values in defaults.items()
        if isinstance(values, list) and len(values) == depth and depth > 1 and name not in ("id2label",)
    }


def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _repeated(values: list[Any], count: int) -> list[Any]:
    return [values[index % len(values)] for index in range(count)]


def tiny_model(config: PreTrainedConfig, seed: int = 0) -> PreTrainedModel:
    """Build the causal language model of ``config`` with random weights, in evaluation mode.

    Raises:
        NotTiny: it would have more than `LARGEST` parameters.
    """
    with torch.device("meta"):
        planned: Any = AutoModelForCausalLM.from_config(config)
    count = sum(weight.numel() for weight in planned.parameters())
    if count > LARGEST:
        largest = max(planned.named_parameters(), key=lambda pair: pair[1].numel())
        raise NotTiny(f"{count:,} parameters, most in {largest[0]} {list(largest[1].shape)}")
    torch.manual_seed(seed)
    model: Any = AutoModelForCausalLM.from_config(config)
    model.float().eval()
    embeddings = {id(weight) for weight in model.get_input_embeddings().parameters()}
    with torch.no_grad():
        for weight in model.parameters():
            if not weight.is_floating_point():
                continue
            if id(weight) in embeddings:
                weight.normal_(0.0, 1.0)
            elif weight.dim() >= 2:
                # Queries and keys of a normalised input then give scores of order 1 to 5.
                weight.normal_(0.0, 1.4 * weight.shape[-1] ** -0.5)
            else:
                weight.add_(torch.randn_like(weight), alpha=0.2)
        _scale_head(model)
    return model


def _scale_head(model: PreTrainedModel) -> None:
    head = model.get_output_embeddings()
    if head is None or getattr(head, "weight", None) is None:
        return
    ids = torch.arange(8)[None] + 4
    for _ in range(2):
        spread = float(model(input_ids=ids, use_cache=False).logits.float().std())
        if 0 < spread < float("inf"):
            head.weight.mul_(LOGITS_STD / spread)


def weights_of(model: PreTrainedModel) -> dict[str, Tensor]:
    """Return copies of all tensors of a model."""
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}
