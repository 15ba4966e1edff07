"""The policy's part of a checkpoint: all weights, or only the adapter and its settings.

An adapter can only be loaded into a model with the same kind of adapter; anything else raises UserError before weights
are changed.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel

from envtune.errors import UserError
from envtune.training.model.lora import LoRA, adapted_experts, adapter_of, adapter_tensors

log = logging.getLogger(__name__)

# The key beside the adapter's tensors: settings that their names do not imply, the path of the frozen weights, and, if
# experts are adapted, the name of each one's weight by the name of its layer.
RECORD, _EXPERTS = "adapter", "experts"
_MODEL = "model."
_FIRST_MATRIX = ".lora_A.policy.weight"


def register_state_hooks(policy: nn.Module, model: PreTrainedModel) -> None:
    """Reduce the state dict of ``policy``, whose `model` is ``model``, to the adapter if there is one.

    Loading a state of another kind then raises UserError.
    """
    policy.register_load_state_dict_pre_hook(_before_loading)
    if adapter_of(model):
        policy.register_state_dict_post_hook(_after_saving)


def full_state(model: PreTrainedModel, state: Mapping[str, Any], prefix: str, source: str) -> dict[str, Tensor]:
    """Return all weights of ``model``: the trained ones from a checkpoint, the frozen ones its own.

    Args:
        model: the model, maybe with an adapter.
        state: the state dict of the checkpoint.
        prefix: the prefix of the policy's keys in it.
        source: the name of the checkpoint in errors.

    Raises:
        UserError: the adapters of checkpoint and model differ, or only one of them has an adapter.
    """
    saved_adapter = adapter_in(state, prefix)
    _require_same(saved_adapter, adapter_of(model), source)
    if saved_adapter and state[prefix + RECORD]["beside"] != model.name_or_path:
        log.warning(
            "the adapter in %s was trained beside the weights of %s and is now loaded beside those of %s: they must be "
            "identical",
            source,
            state[prefix + RECORD]["beside"],
            model.name_or_path,
        )
    start = prefix + _MODEL
    saved = {name.removeprefix(start): tensor for name, tensor in state.items() if name.startswith(start)}
    return _frozen(model) | saved


def adapter_in(state: Mapping[str, Any], prefix: str) -> LoRA | None:
    """Return the adapter in the state dict of a checkpoint, whose policy has ``prefix``; None if it has all weights."""
    record = state.get(prefix + RECORD)
    if record is None:
        return None
    start = prefix + _MODEL
    names = [name.removeprefix(start).removesuffix(_FIRST_MATRIX) for name in state if name.endswith(_FIRST_MATRIX)]
    experts = record.get(_EXPERTS, {})
    return LoRA(record["r"], record["alpha"], [experts.get(name, name) for name in names])


def _after_saving(policy: Any, state: dict[str, Any], prefix: str, metadata: Any) -> None:
    for name in _frozen(policy.model):
        del state[prefix + _MODEL + name]
    adapter = adapter_of(policy.model)
    assert adapter is not None
    experts = adapted_experts(policy.model)
    record = {"r": adapter.r, "alpha": adapter.alpha, "beside": policy.model.name_or_path}
    state[prefix + RECORD] = record | ({_EXPERTS: experts} if experts else {})


def _before_loading(policy: Any, state: dict[str, Any], prefix: str, *_: Any) -> None:
    weights = full_state(policy.model, state, prefix, "the checkpoint")
    state.pop(prefix + RECORD, None)
    state.update({prefix + _MODEL + name: tensor for name, tensor in weights.items()})


def _frozen(model: nn.Module) -> dict[str, Tensor]:
    """Return the weights that are not in a checkpoint; none in a model without adapter."""
    trained = adapter_tensors(model)
    return {name: tensor for name, tensor in model.state_dict().items() if name not in trained} if trained else {}


def _require_same(saved: LoRA | None, own: LoRA | None, source: str) -> None:
    if saved is None and own is None:
        return
    if own is None:
        assert saved is not None
        raise UserError(
            f"{source} holds only an adapter of r={saved.r}, but all weights are trained here: add "
            f"model.lora.r={saved.r}, or give the folder that tools/export_model.py makes of it as model.path"
        )
    if saved is None:
        raise UserError(
            f"{source} holds all weights, but model.lora.r={own.r} trains an adapter beside those of model.path: "
            "leave model.lora.r out, or give the folder that tools/export_model.py makes of it as model.path"
        )
    for name in ("r", "alpha"):
        if getattr(saved, name) != getattr(own, name):
            raise UserError(
                f"the adapter in {source} has {name}={getattr(saved, name)}, but model.lora.{name} is "
                f"{getattr(own, name)}: give model.lora.{name}={getattr(saved, name)}"
            )
    if set(saved.targets) != set(own.targets):
        raise UserError(
            f"the adapter in {source} is on {_described(saved.targets)}, but model.lora.targets stands for "
            f"{_described(own.targets)}: give the targets that it was trained with"
        )


def _described(names: str | Sequence[str]) -> str:
    """Return the layers in words: `28 layers (q_proj, v_proj)`."""
    kinds = sorted({name.rpartition(".")[2] for name in names})
    return f"{len(names)} layers ({', '.join(kinds)})"
