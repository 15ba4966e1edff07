"""Weights from disk: a transformers model folder and the Lightning checkpoint of an earlier stage or a finished run."""

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
from envtune.remote_code import require_trust
from envtune.rollout.merged_weights import merged_weights
from envtune.training.model.adapter_checkpoint import adapter_in, whole_state
from envtune.training.model.lora import LoRA, add_adapter, keep_as_reference
from envtune.training.model.sharding import state_placed_as
from envtune.training.run_folder.checkpoint_io import require_whole
from envtune.training.run_folder.starting_point import find_checkpoint

DTYPES = ("auto", "float32", "bfloat16")
Dtype = Annotated[str, Among(DTYPES)]
# Where the LightningModule keeps the policy.
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
    """Reads a causal language model from a folder (or the Hugging Face cache) in the form of transformers.

    ``dtype`` is "auto" (the weights' own), "float32" or "bfloat16". ``init_from`` names the Lightning checkpoint of an
    earlier stage (`starting_point.find_checkpoint`); its weights replace the folder's. With ``lora`` of a rank above 0
    the folder's weights are frozen and an adapter is trained; ``init_from`` then names a checkpoint of such an adapter.

    Raises:
        UserError: one sentence for a path, configuration, weight file or checkpoint that cannot be used.
    """
    model = load_causal_lm(path, dtype, attn_implementation, trust_remote_code)
    if lora is not None and lora.r > 0:
        add_adapter(model, lora)
    if init_from is not None:
        load_stage_weights(model, str(find_checkpoint(init_from)))
        keep_as_reference(model)
    if gradient_checkpointing:
        # Not reentrant: in that form adapters get no gradient, for nothing before the first of them has one.
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    return model


@checked
def load_causal_lm(
    path: str, dtype: Dtype, attn_implementation: str | None, trust_remote_code: bool
) -> PreTrainedModel:
    """The model in the folder (or Hugging Face name) ``path``, on the CPU.

    Raises:
        UserError: one sentence that names the value, what is allowed and what to do.
    """
    _causal_config(path, trust_remote_code)
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            path,
            dtype=dtype,
            attn_implementation=attn_implementation,
            trust_remote_code=trust_remote_code,
            output_loading_info=True,
        )
    except ImportError as error:
        raise UserError(f"attn_implementation {attn_implementation!r} cannot be used here: {error}") from error
    except (OSError, RuntimeError, ValueError, SafetensorError, pickle.UnpicklingError) as error:
        require_trust(path, error)
        raise UserError(
            f"the weights in {path} cannot be read ({_first_line(error)}); copy or download the model again"
        ) from error
    model, report = loaded
    # transformers fills what is missing with random numbers and only warns.
    lacking = sorted([*report["missing_keys"], *(str(key) for key in report["mismatched_keys"])])
    if lacking:
        raise UserError(
            f"the weights in {path} lack {len(lacking)} tensors of {type(model).__name__}, first {lacking[0]}; "
            "copy or download the model again"
        )
    return model


def read_checkpoint(path: str) -> dict[str, torch.Tensor]:
    """The tensors of a Lightning checkpoint, read without running any code that it might hold.

    Raises:
        UserError: one sentence for a file that is missing, damaged or no checkpoint.
    """
    if not Path(path).is_file():
        raise UserError(f"checkpoint {path} does not exist; give a .ckpt file that a run has saved")
    require_whole(Path(path))
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)["state_dict"]
    except (OSError, RuntimeError, EOFError, KeyError, TypeError, pickle.UnpicklingError) as error:
        raise UserError(
            f"checkpoint {path} cannot be read ({_first_line(error)}); "
            "give a .ckpt file that a run has saved completely"
        ) from error


def load_stage_weights(model: PreTrainedModel, checkpoint: str) -> None:
    """Overwrites what is trained of ``model``, all weights or an adapter, with what a Lightning checkpoint holds.

    Of a sharded model every process overwrites its part.

    Raises:
        UserError: one sentence for a file that is missing, unreadable or of another model.
    """
    _put(model, read_checkpoint(checkpoint), checkpoint)


def _put(model: PreTrainedModel, tensors: dict[str, torch.Tensor], checkpoint: str) -> None:
    state = whole_state(model, tensors, POLICY_PREFIX, f"checkpoint {checkpoint}")
    try:
        model.load_state_dict(state_placed_as(model.state_dict(), state))
    except RuntimeError as error:
        raise UserError(
            f"checkpoint {checkpoint} does not fit {type(model).__name__} ({_first_line(error)}); give a checkpoint "
            "of a stage that was trained from the same model"
        ) from error


def load_trained(path: str, checkpoint: str, dtype: str, trust_remote_code: bool) -> PreTrainedModel:
    """The model ``path`` as a checkpoint of its training left it, in float32; an adapter is added to the weights.

    ``dtype`` is that of the frozen or trained weights in the run, "auto", "float32" or "bfloat16".

    Raises:
        UserError: one sentence for a path, weight file or checkpoint that cannot be used.
    """
    model = load_causal_lm(path, dtype, None, trust_remote_code)
    tensors = read_checkpoint(checkpoint)
    adapter = adapter_in(tensors, POLICY_PREFIX)
    if adapter:
        add_adapter(model, adapter)
    _put(model, tensors, checkpoint)
    if adapter is None:
        return model.float()
    plain = load_causal_lm(path, "float32", None, trust_remote_code)
    places = plain.state_dict()
    for name, weight in merged_weights(model, torch.float32):
        places[name].copy_(weight)
    return plain


def require_model(path: str) -> None:
    """Raises UserError for a ``path`` that is neither the folder of a model nor a name on the Hugging Face hub."""
    folder = Path(path)
    if not (folder / "config.json").is_file() and (folder.exists() or not _HUB_NAME.fullmatch(path)):
        raise UserError(
            f"model path {path} is no folder with a config.json; give the folder of a causal language model or its "
            "name on the Hugging Face hub"
        )


def _causal_config(path: str, trust_remote_code: bool) -> PreTrainedConfig:
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
    # PyTorch's first line only announces the list of what is wrong.
    if lines[0].startswith("Error(s) in loading") and len(lines) > 1:
        lines = lines[1:]
    return lines[0].strip().rstrip(".:")
