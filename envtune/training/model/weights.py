"""Weights from disk: a transformers model folder, and the Lightning checkpoint of a stage or a run."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Annotated, Any

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING

from envtune.checked import Among, checked
from envtune.errors import UserError
from envtune.prepared_model import require_prepared
from envtune.remote_code import require_trust
from envtune.rollout.merged_weights import merged_weights
from envtune.training.model.adapter_checkpoint import adapter_in, full_state
from envtune.training.model.lora import LoRA, add_adapter, add_reference_adapter
from envtune.training.model.sharding import shard_state_like
from envtune.training.run_folder.checkpoint_io import require_intact
from envtune.training.run_folder.starting_point import find_checkpoint

DTYPES = ("auto", "float32", "bfloat16")
Dtype = Annotated[str, Among(DTYPES)]
# The prefix of the policy in a LightningModule's state dict.
POLICY_PREFIX = "policy."

_HUB_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")


@checked
def load_model(
    path: str,
    dtype: Dtype = "auto",
    attn_implementation: str | None = None,
    gradient_checkpointing: bool = False,
    trust_remote_code: bool = False,
    init_from: str | None = None,
    lora: LoRA | None = None,
) -> PreTrainedModel:
    """Load the model that a run trains.

    Args:
        path: the folder of a causal language model, or its name on the Hugging Face hub.
        dtype: "auto" (the dtype of the weights), "float32" or "bfloat16".
        attn_implementation: the attention of transformers; None for its default.
        gradient_checkpointing: whether the backward pass recomputes activations.
        trust_remote_code: whether Python code that comes with the model may run.
        init_from: the Lightning checkpoint of an earlier stage (`starting_point.find_checkpoint`), whose weights
            replace those of the folder; with an adapter, the checkpoint of such an adapter.
        lora: with a rank above 0, the weights of the folder are frozen and an adapter is trained.

    Raises:
        UserError: the path, configuration, a weight file or the checkpoint cannot be used.
    """
    model = load_causal_lm(path, dtype, attn_implementation, trust_remote_code)
    if lora is not None and lora.r > 0:
        add_adapter(model, lora)
    if init_from is not None:
        load_stage_weights(model, str(find_checkpoint(init_from)))
        add_reference_adapter(model)
    if gradient_checkpointing:
        # Not reentrant: that requires an input with gradient, which the frozen layers before the first adapter lack.
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    return model


@checked
def load_causal_lm(path: str, dtype: Dtype, attention: str | None, trust_remote_code: bool) -> PreTrainedModel:
    """Load the causal language model in the folder (or with the hub name) ``path``, on the CPU.

    Raises:
        UserError: the path, configuration or a weight file cannot be used.
    """
    causal_config(path, trust_remote_code)
    options = {"dtype": dtype, "attn_implementation": attention, "trust_remote_code": trust_remote_code}
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(path, **options, output_loading_info=True)
    except ImportError as error:
        raise UserError(f"attn_implementation {attention!r} cannot be used here: {error}") from error
    except (OSError, RuntimeError, ValueError, SafetensorError, pickle.UnpicklingError) as error:
        require_trust(path, error)
        raise UserError(
            f"the weights in {path} cannot be read ({_first_line(error)}); copy or download the model again"
        ) from error
    model, report = loaded
    # transformers initialises missing weights at random and only warns.
    lacking = sorted([*report["missing_keys"], *(str(key) for key in report["mismatched_keys"])])
    if lacking:
        raise UserError(
            f"the weights in {path} lack {len(lacking)} tensors of {type(model).__name__}, first {lacking[0]}; "
            "copy or download the model again"
        )
    return model


def read_checkpoint(path: str) -> dict[str, torch.Tensor]:
    """Return the state dict of a Lightning checkpoint, without running code that it might hold.

    Raises:
        UserError: the file is missing, damaged or not a checkpoint.
    """
    if not Path(path).is_file():
        raise UserError(f"checkpoint {path} does not exist; give a .ckpt file that a run has saved")
    require_intact(Path(path))
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)["state_dict"]
    except (OSError, RuntimeError, EOFError, KeyError, TypeError, pickle.UnpicklingError) as error:
        raise UserError(
            f"checkpoint {path} cannot be read ({_first_line(error)}); "
            "give a .ckpt file that a run has saved completely"
        ) from error


def load_stage_weights(model: PreTrainedModel, checkpoint: str) -> None:
    """Load the trained weights of ``model``, all or an adapter's, from a Lightning checkpoint.

    Every rank of a sharded model loads its shard.

    Raises:
        UserError: the file is missing, damaged or of another model.
    """
    _load_state(model, read_checkpoint(checkpoint), checkpoint)


def _load_state(model: PreTrainedModel, tensors: dict[str, torch.Tensor], checkpoint: str) -> None:
    state = full_state(model, tensors, POLICY_PREFIX, f"checkpoint {checkpoint}")
    try:
        model.load_state_dict(shard_state_like(model.state_dict(), state))
    except RuntimeError as error:
        raise UserError(
            f"checkpoint {checkpoint} does not fit {type(model).__name__} ({_first_line(error)}); give a checkpoint "
            "of a stage that was trained from the same model"
        ) from error


def load_trained(path: str, checkpoint: str, dtype: str, trust_remote_code: bool) -> PreTrainedModel:
    """Load the model ``path`` with the weights of a checkpoint, in float32; an adapter is merged.

    ``dtype`` is that of the run's frozen or trained weights: "auto", "float32" or "bfloat16".

    Raises:
        UserError: the path, a weight file or the checkpoint cannot be used.
    """
    model = load_causal_lm(path, dtype, None, trust_remote_code)
    tensors = read_checkpoint(checkpoint)
    adapter = adapter_in(tensors, POLICY_PREFIX)
    if adapter:
        add_adapter(model, adapter)
    _load_state(model, tensors, checkpoint)
    if adapter is None:
        return model.float()
    merged = load_causal_lm(path, "float32", None, trust_remote_code)
    state = merged.state_dict()
    for name, weight in merged_weights(model, torch.float32):
        state[name].copy_(weight)
    return merged


def require_model(path: str) -> None:
    """Raise UserError if ``path`` is neither the folder of a model nor a possible name on the Hugging Face hub."""
    require_prepared(path)
    folder = Path(path)
    if not (folder / "config.json").is_file() and (folder.exists() or not _HUB_NAME.fullmatch(path)):
        raise UserError(
            f"model path {path} is not a folder with a config.json; give the folder of a causal language model or its "
            "name on the Hugging Face hub"
        )


def causal_config(path: str, trust_remote_code: bool) -> PreTrainedConfig:
    """Return the configuration of the causal language model in the folder (or with the hub name) ``path``.

    Raises:
        UserError: there is no such model, or its configuration cannot be used.
    """
    require_model(path)
    try:
        config = AutoConfig.from_pretrained(path, trust_remote_code=trust_remote_code)
    except (OSError, ValueError, KeyError) as error:
        require_trust(path, error)
        raise UserError(
            f"model {path} has no configuration that can be read ({_first_line(error)}); give the folder of a causal "
            "language model, or download it first"
        ) from error
    remote = trust_remote_code and "AutoModelForCausalLM" in (getattr(config, "auto_map", None) or {})
    if type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING and not remote:
        raise UserError(
            f"model {path} is a {config.model_type!r} model, not a causal language model; choose one that "
            "AutoModelForCausalLM can load, such as Qwen2 or Llama"
        )
    return config


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    # PyTorch's first line is only a headline.
    if lines[0].startswith("Error(s) in loading") and len(lines) > 1:
        lines = lines[1:]
    return lines[0].strip().rstrip(".:")
