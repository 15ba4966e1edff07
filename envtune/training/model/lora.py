"""Low-rank adapters beside frozen weights (LoRA, Hu et al., https://arxiv.org/abs/2106.09685), by the package peft.

Adapted are linear layers and the stacked weights of experts [expert, …, …], with matrices of their own for each expert.

A model has a trained adapter and, if training did not start at the base model, a frozen reference adapter with the
weights of its start. Their checkpoints: adapter_checkpoint.py.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Annotated, Any, Literal

from pydantic import Field
from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from envtune.checked import checked
from envtune.errors import UserError
from envtune.rollout.merged_weights import plain_name

ALL_LINEAR: Literal["all-linear"] = "all-linear"
# Names of the two adapters in peft's layers.
_TRAINED, _REFERENCE = "policy", "reference"
# Where less has an adapter, its weights are of kinds that are not adapted, or the user chose few targets.
_USUAL_SHARE = 0.9
log = logging.getLogger(__name__)


@checked
@dataclass(frozen=True, slots=True)
class LoRA:
    """The settings `model.lora`: weights W [out, in] of a layer become W + alpha / r * B A with A [r, in], B [out, r].

    A is initialised at random and B to 0, so that training starts at the base model. There is no dropout, because the
    log-probs of sampling and training must agree.

    Args:
        r: the rank; 0 trains all weights without an adapter.
        alpha: the scale; if it is fixed, one learning rate suits all ranks.
        targets: "all-linear" (experts included), or suffixes of names of linear layers and of weights of experts, such
            as "q_proj", "mlp.up_proj" or "experts.down_proj".

    Raises:
        UserError: a value is out of range.
    """

    r: Annotated[int, Field(ge=0, description="the adapter's rank, or 0 to train all weights")] = 0
    alpha: Annotated[float, Field(gt=0, description="the adapter is weighted by alpha / r")] = 32.0
    targets: Literal["all-linear"] | Annotated[Sequence[str], Field(min_length=1)] = ALL_LINEAR


def add_adapter(model: PreTrainedModel, lora: LoRA) -> None:
    """Freeze ``model`` and add a float32 adapter, which at first does not change its output.

    Raises:
        UserError: a target does not match a layer, or peft is not installed.
    """
    peft, linear, experts = _peft(lora), _linear_layers(model), _expert_weights(model)
    names = _chosen([*linear, *experts], lora.targets, type(model).__name__)
    config: Any = peft.LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=0.0,
        target_modules=[name for name in linear if name in names],
        target_parameters=[name for name in experts if name in names],
    )
    try:
        peft.inject_adapter_in_model(config, model, adapter_name=_TRAINED)
    # Such as the projections of Mamba, whose kernels read the weights of a layer past the adapter.
    except ValueError as error:
        raise UserError(
            f"the package peft cannot adapt {type(model).__name__} ({error}): list layers that it can adapt in "
            "model.lora.targets, or train all weights with model.lora.r=0"
        ) from error
    _in_float32(model)
    _report_share(model, names)


def add_reference_adapter(model: PreTrainedModel) -> None:
    """Copy the trained adapter to a frozen one, with which ``model`` is the reference."""
    for _, layer in adapted_layers(model):
        config = model.peft_config[_TRAINED]
        layer.update_layer(_REFERENCE, layer.r[_TRAINED], layer.lora_alpha[_TRAINED], config=config)
        for matrices in (layer.lora_A, layer.lora_B):
            matrices[_REFERENCE].load_state_dict(matrices[_TRAINED].state_dict())
    _in_float32(model)


def adapted_layers(model: nn.Module) -> list[tuple[str, Any]]:
    """Return peft's layers with their names; none in a model without adapter."""
    return [(name, module) for name, module in model.named_modules() if _TRAINED in getattr(module, "lora_A", ())]


def adapter_tensors(model: nn.Module) -> set[str]:
    """Return the names of the trained matrices."""
    return {f"{name}.lora_{matrix}.{_TRAINED}.weight" for name, _ in adapted_layers(model) for matrix in "AB"}


def adapter_of(model: nn.Module) -> LoRA | None:
    """Return the trained adapter, with the full names of what it adapts; None in a model without adapter."""
    layers = adapted_layers(model)
    if not layers:
        return None
    _, first = layers[0]
    experts = adapted_experts(model)
    return LoRA(first.r[_TRAINED], first.lora_alpha[_TRAINED], [experts.get(name, name) for name, _ in layers])


def adapted_experts(model: nn.Module) -> dict[str, str]:
    """Return for the name of each peft layer around experts the name that the weight had without adapter."""
    return {
        name: f"{plain_name(name)}.{layer.parameter_name}"
        for name, layer in adapted_layers(model)
        if hasattr(layer, "parameter_name")
    }


@contextmanager
def reference_weights(model: PreTrainedModel) -> Iterator[None]:
    """Make ``model`` the reference within the block: without adapter, or with the reference adapter.

    For passes without gradient, because peft freezes the trained adapter meanwhile.
    """
    layers = [layer for _, layer in adapted_layers(model)]
    for layer in layers:
        if _REFERENCE in layer.lora_A:
            layer.set_adapter(_REFERENCE, inference_mode=True)
        else:
            layer.enable_adapters(False)
    try:
        yield
    finally:
        for layer in layers:
            layer.set_adapter(_TRAINED)
            layer.enable_adapters(True)


def _linear_layers(model: PreTrainedModel) -> list[str]:
    """Return the names of the linear layers without the output embedding.

    Routers that derive from a linear layer and return more than its output are not among them.
    """
    head = model.get_output_embeddings()
    forwards = (nn.Linear.forward, Conv1D.forward)
    return [
        name
        for name, module in model.named_modules()
        if isinstance(module, (nn.Linear, Conv1D)) and type(module).forward in forwards and module is not head
    ]


def _expert_weights(model: PreTrainedModel) -> list[str]:
    """Return the names of three-dimensional weights that do not belong to a layer of PyTorch, such as a convolution."""
    return [
        f"{name}.{weight_name}"
        for name, module in model.named_modules()
        if not type(module).__module__.startswith("torch.")
        for weight_name, weight in module.named_parameters(recurse=False)
        if weight.dim() == 3
    ]


def _chosen(names: Sequence[str], targets: str | Sequence[str], model: str) -> set[str]:
    """Return those of ``names`` that ``targets`` match."""
    if isinstance(targets, str):
        return set(names)
    chosen = {target: [name for name in names if f".{name}".endswith(f".{target}")] for target in targets}
    for target, fitting in chosen.items():
        if not fitting:
            valid = sorted({name.rpartition(".")[2] for name in names})
            raise UserError(
                f"model.lora.targets: {target} is not a linear layer or an expert weight of {model}; valid are: "
                f"{', '.join([ALL_LINEAR, *valid])}"
            )
    return {name for fitting in chosen.values() for name in fitting}


def _report_share(model: PreTrainedModel, names: set[str]) -> None:
    """Log which share of the weights has an adapter, embeddings left out."""
    embeddings = {id(weight) for part in _embeddings(model) for weight in part.parameters()}
    weights = {
        plain_name(name): weight.numel()
        for name, weight in model.named_parameters()
        if ".lora_" not in name and id(weight) not in embeddings
    }
    adapted = sum(size for name, size in weights.items() if name in names or name.removesuffix(".weight") in names)
    share = adapted / sum(weights.values())
    log.log(
        logging.INFO if share >= _USUAL_SHARE else logging.WARNING,
        "the adapter is on layers with %.0f%% of the weights of %s (without embeddings); the others stay frozen",
        100 * share,
        type(model).__name__,
    )


def _embeddings(model: PreTrainedModel) -> list[nn.Module]:
    parts = (model.get_input_embeddings(), model.get_output_embeddings())
    return [part for part in parts if part is not None]


def _in_float32(model: PreTrainedModel) -> None:
    """Convert the adapters to float32: in the bfloat16 of frozen weights, small steps would be rounded away."""
    for _, layer in adapted_layers(model):
        layer.lora_A.float()
        layer.lora_B.float()


def _peft(lora: LoRA) -> ModuleType:
    try:
        import peft
    except ImportError as error:
        raise UserError(
            f"model.lora.r={lora.r} needs the package peft: pip install -c constraints.txt -e '.[lora]', or train all "
            "weights with model.lora.r=0"
        ) from error
    return peft
