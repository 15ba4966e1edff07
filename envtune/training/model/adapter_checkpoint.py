"""What checkpoints hold of a policy: all of its weights, or its adapter alone with what is needed to use it again.

An adapter fits the run that trained it; every other use ends in a sentence, and never in weights that are half of one
and half of the other.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel

from envtune.errors import UserError
from envtune.training.model.lora import LoRA, adapter_of, adapter_tensors

log = logging.getLogger(__name__)

# Beside the adapter's tensors: the settings that do not follow from their names, and the path of the frozen weights.
RECORD = "adapter"
_MODEL = "model."
_FIRST_MATRIX = ".lora_A.policy.weight"


def save_what_is_trained(policy: nn.Module, model: PreTrainedModel) -> None:
    """From now on the state of ``policy``, which has ``model`` as `model`, is the adapter alone if there is one.

    Loading a state of another kind raises UserError.
    """
    policy.register_load_state_dict_pre_hook(_before_loading)
    if adapter_of(model):
        policy.register_state_dict_post_hook(_after_saving)


def whole_state(model: PreTrainedModel, state: Mapping[str, Any], prefix: str, source: str) -> dict[str, Tensor]:
    """All weights of ``model``: those that training changes from the ``state`` of a checkpoint, the others its own.

    ``prefix`` is where the policy stands in ``state``, ``source`` what errors call the checkpoint.

    Raises:
        UserError: the checkpoint holds an adapter and ``model`` has none, or another, or the other way round.
    """
    saved_adapter = adapter_in(state, prefix)
    _require_same(saved_adapter, adapter_of(model), source)
    if saved_adapter and state[prefix + RECORD]["beside"] != model.name_or_path:
        log.warning(
            "the adapter in %s was trained beside the weights of %s and is now put beside those of %s: they must be "
            "the same",
            source,
            state[prefix + RECORD]["beside"],
            model.name_or_path,
        )
    start = prefix + _MODEL
    saved = {name.removeprefix(start): tensor for name, tensor in state.items() if name.startswith(start)}
    return _frozen(model) | saved


def adapter_in(state: Mapping[str, Any], prefix: str) -> LoRA | None:
    """The adapter in a checkpoint's ``state`` of the policy at ``prefix``; None if it holds all weights."""
    record = state.get(prefix + RECORD)
    if record is None:
        return None
    start = prefix + _MODEL
    names = [name.removeprefix(start).removesuffix(_FIRST_MATRIX) for name in state if name.endswith(_FIRST_MATRIX)]
    return LoRA(record["r"], record["alpha"], names)


def _after_saving(policy: Any, state: dict[str, Any], prefix: str, metadata: Any) -> None:
    for name in _frozen(policy.model):
        del state[prefix + _MODEL + name]
    adapter = adapter_of(policy.model)
    assert adapter is not None
    state[prefix + RECORD] = {"r": adapter.r, "alpha": adapter.alpha, "beside": policy.model.name_or_path}


def _before_loading(policy: Any, state: dict[str, Any], prefix: str, *_: Any) -> None:
    weights = whole_state(policy.model, state, prefix, "the checkpoint")
    state.pop(prefix + RECORD, None)
    state.update({prefix + _MODEL + name: tensor for name, tensor in weights.items()})


def _frozen(model: nn.Module) -> dict[str, Tensor]:
    """The weights that are no part of a checkpoint; none in a model that is trained as a whole."""
    trained = adapter_tensors(model)
    return {name: tensor for name, tensor in model.state_dict().items() if name not in trained} if trained else {}


def _require_same(saved: LoRA | None, own: LoRA | None, source: str) -> None:
    if saved is None and own is None:
        return
    if own is None:
        assert saved is not None
        raise UserError(
            f"{source} holds an adapter of r={saved.r} alone, but all weights are trained here: add "
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
    """`28 layers (q_proj, v_proj)`."""
    kinds = sorted({name.rpartition(".")[2] for name in names})
    return f"{len(names)} layers ({', '.join(kinds)})"
