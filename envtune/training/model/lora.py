"""Low-rank adapters beside frozen weights (LoRA, Hu et al., https://arxiv.org/abs/2106.09685), by the package peft.

A model has the adapter that is trained and, if it did not begin at the bare model, a frozen second one: where it began.
What checkpoints hold of them stands in adapter_checkpoint.py.
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
# Names of the two adapters within peft's layers.
_TRAINED, _REFERENCE = "policy", "reference"


@checked
@dataclass(frozen=True, slots=True)
class LoRA:
    """The settings `model.lora`: weights W [out, in] of a layer become W + alpha / r * B A with A [r, in], B [out, r].

    A begins at random and B at 0, so that training begins at the bare model. There is no dropout: a token's log-prob
    must be the same when it is sampled and when it is trained on.

    Args:
        r: the rank; 0 trains all weights and no adapter.
        alpha: with a fixed one, ranks get along with the same learning rate.
        targets: "all-linear", or ends of names of linear layers such as "q_proj" or "mlp.up_proj".

    Raises:
        UserError: a value out of range.
    """

    r: Annotated[int, Field(ge=0, description="the adapter's rank, or 0 to train all weights")] = 0
    alpha: Annotated[float, Field(gt=0, description="the adapter is weighted by alpha / r")] = 32.0
    targets: Literal["all-linear"] | Annotated[Sequence[str], Field(min_length=1)] = ALL_LINEAR


def add_adapter(model: PreTrainedModel, lora: LoRA) -> None:
    """Freezes ``model`` and puts an adapter in float32 beside its layers, which changes nothing of what it computes.

    Raises:
        UserError: a target fits no layer, or peft is not installed.
    """
    peft, names = _peft(lora), _layer_names(model, lora.targets)
    config: Any = peft.LoraConfig(r=lora.r, lora_alpha=lora.alpha, lora_dropout=0.0, target_modules=names)
    peft.inject_adapter_in_model(config, model, adapter_name=_TRAINED)
    _in_float32(model)


def keep_as_reference(model: PreTrainedModel) -> None:
    """From now on the reference is ``model`` with its adapter as it is here, of which a frozen copy is made."""
    for _, layer in adapted_layers(model):
        layer.update_layer(
            _REFERENCE, layer.r[_TRAINED], layer.lora_alpha[_TRAINED], config=model.peft_config[_TRAINED]
        )
        for matrices in (layer.lora_A, layer.lora_B):
            matrices[_REFERENCE].load_state_dict(matrices[_TRAINED].state_dict())
    _in_float32(model)


def adapted_layers(model: nn.Module) -> list[tuple[str, Any]]:
    """Names and peft's layers; none in a model that is trained as a whole."""
    return [(name, module) for name, module in model.named_modules() if _TRAINED in getattr(module, "lora_A", ())]


def adapter_tensors(model: nn.Module) -> set[str]:
    """Names of the matrices that are trained."""
    return {f"{name}.lora_{matrix}.{_TRAINED}.weight" for name, _ in adapted_layers(model) for matrix in "AB"}


def adapter_of(model: nn.Module) -> LoRA | None:
    """The adapter that is trained, with the full names of its layers; None in a model that is trained as a whole."""
    layers = adapted_layers(model)
    if not layers:
        return None
    _, first = layers[0]
    return LoRA(first.r[_TRAINED], first.lora_alpha[_TRAINED], [name for name, _ in layers])


@contextmanager
def reference_weights(model: PreTrainedModel) -> Iterator[None]:
    """Within, ``model`` computes what it did where its training began: without adapter, or with the one it had.

    For passes without gradient: peft freezes the adapter meanwhile.
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
    """The linear layers that ``targets`` stand for; the projection to the vocabulary is none of them."""
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
                f"model.lora.targets: {target} is no linear layer of {type(model).__name__}; valid are: {ALL_LINEAR}, "
                f"{', '.join(valid)}"
            )
    wanted = {name for fitting in chosen.values() for name in fitting}
    return [name for name in names if name in wanted]


def _in_float32(model: PreTrainedModel) -> None:
    """Small steps would be lost in the bfloat16 that frozen weights may have."""
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
