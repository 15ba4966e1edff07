"""Low-rank adapters beside frozen weights (LoRA, Hu et al., https://arxiv.org/abs/2106.09685), by the package peft.

A model has a trained adapter and, if training did not start at the base model, a frozen reference adapter with the
weights of its start. Their checkpoints: adapter_checkpoint.py.
"""

from __future__ import annotations

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

ALL_LINEAR: Literal["all-linear"] = "all-linear"
# Names of the two adapters in peft's layers.
_TRAINED, _REFERENCE = "policy", "reference"


@checked
@dataclass(frozen=True, slots=True)
class LoRA:
    """The settings `model.lora`: weights W [out, in] of a layer become W + alpha / r * B A with A [r, in], B [out, r].

    A is initialised at random and B to 0, so that training starts at the base model. There is no dropout, because the
    log-probs of sampling and training must agree.

    Args:
        r: the rank; 0 trains all weights without an adapter.
        alpha: the scale; if it is fixed, one learning rate suits all ranks.
        targets: "all-linear", or suffixes of names of linear layers such as "q_proj" or "mlp.up_proj".

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
    peft, names = _peft(lora), _layer_names(model, lora.targets)
    config: Any = peft.LoraConfig(r=lora.r, lora_alpha=lora.alpha, lora_dropout=0.0, target_modules=names)
    peft.inject_adapter_in_model(config, model, adapter_name=_TRAINED)
    _in_float32(model)


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
    """Return the trained adapter, with the full names of its layers; None in a model without adapter."""
    layers = adapted_layers(model)
    if not layers:
        return None
    _, first = layers[0]
    return LoRA(first.r[_TRAINED], first.lora_alpha[_TRAINED], [name for name, _ in layers])


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


def _layer_names(model: PreTrainedModel, targets: str | Sequence[str]) -> list[str]:
    """Return the names of the linear layers that ``targets`` match, without the output embedding."""
    head = model.get_output_embeddings()
    kinds = (nn.Linear, Conv1D)
    names = [name for name, module in model.named_modules() if isinstance(module, kinds) and module is not head]
    if isinstance(targets, str):
        return names
    chosen = {target: [name for name in names if f".{name}".endswith(f".{target}")] for target in targets}
    for target, fitting in chosen.items():
        if not fitting:
            valid = sorted({name.rpartition(".")[2] for name in names})
            raise UserError(
                f"model.lora.targets: {target} is not a linear layer of {type(model).__name__}; valid are: "
                f"{', '.join([ALL_LINEAR, *valid])}"
            )
    matched = {name for fitting in chosen.values() for name in fitting}
    return [name for name in names if name in matched]


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
