"""Export of a run's weights as a Hugging Face model folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from envtune.chat.exported_template import template_to_export
from envtune.chat.prompt import PromptStyle
from envtune.chat.protocol import PAPERS
from envtune.chat.protocol.named import protocol_named
from envtune.chat.template import Template
from envtune.chat.tokenizer import load_tokenizer
from envtune.errors import UserError
from envtune.files.atomic_file import atomic_folder
from envtune.training.model.weights import load_trained
from envtune.training.run_folder.run_record import Settings, read_run_record
from envtune.training.run_folder.starting_point import find_checkpoint
from envtune.training.run_folder.trained_protocol import protocol_of_settings, write_protocol

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True, slots=True)
class Trained:
    """A checkpoint, and the model from which its run started."""

    checkpoint: Path
    model: str
    """Path or hub name of the model that was trained."""
    dtype: str
    """Name of the run's dtype, to which frozen weights were rounded."""
    trust_remote_code: bool = False
    """Set by the user's command only, not by the record of the run, which may come from elsewhere."""
    thinking: Literal["on", "off"] | bool | None = None
    """The run's ``prompt.thinking``."""
    protocol: str | None = None
    """The response protocol of the run; None without a record of it."""


def find_trained(trained: str, model: str | None = None, trust_remote_code: bool = False) -> Trained:
    """Return the checkpoint of a run, and the model from which it was trained.

    Args:
        trained: The folder of a run or of a stage (its best checkpoint), or a .ckpt file, as `init_from` takes it.
        model: Replaces the path of the model that the run recorded.
        trust_remote_code: Whether Python code that comes with the model may run.

    Raises:
        UserError: There is no checkpoint; or no ``model`` is given and the run's record lacks it or is broken.
    """
    checkpoint = find_checkpoint(trained).resolve()
    recorded = run_settings(checkpoint)
    settings, thinking = recorded.get("model", {}), recorded.get("prompt", {}).get("thinking")
    path = model or settings.get("path")
    if path is None:
        raise UserError(
            f"{checkpoint} is not in a run's folder whose run.json names the trained model: add --model PATH"
        )
    # The adapter of a run whose frozen weights were rounded was trained on the rounded weights.
    dtype = settings.get("dtype", "float32")
    protocol = protocol_of_settings(recorded) if recorded else None
    return Trained(checkpoint, path, dtype, trust_remote_code, thinking, protocol)


def run_settings(checkpoint: Path) -> Settings:
    """Return the recorded settings of the run that saved ``checkpoint``; empty without a record.

    Raises:
        UserError: The record is broken.
    """
    remedy = "restore it from a copy, or move the checkpoint elsewhere and add --model PATH"
    return (read_run_record(checkpoint.parent.parent, remedy) or {}).get("settings", {})


def export(trained: Trained, folder: Path, dtype: str) -> None:
    """Write weights and tokenizer to ``folder``, atomically.

    Weights of a low-rank adapter are merged (docs/lora.md). The chat template is the model's own, or one that renders
    conversations as they were trained (docs/templates.md).

    Args:
        trained: The checkpoint, and its model.
        folder: A new or empty folder.
        dtype: One of `DTYPES`.

    Raises:
        UserError: The folder is not empty or cannot be written, or model, tokenizer or checkpoint cannot be used.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} exists and is not an empty folder: give another name, or remove it")
    tokenizer = load_tokenizer(trained.model, trained.trust_remote_code)
    protocol = protocol_named(trained.protocol) if trained.protocol else PAPERS
    template = Template(tokenizer, PromptStyle(thinking=trained.thinking), protocol=protocol)
    tokenizer.chat_template = template_to_export(template)
    model: Any = load_trained(trained.model, str(trained.checkpoint), trained.dtype, trained.trust_remote_code)
    with atomic_folder(folder) as staged:
        model.to(DTYPES[dtype]).save_pretrained(staged)
        tokenizer.save_pretrained(staged)
        if trained.protocol is not None:
            write_protocol(staged, trained.protocol)
        for weights in staged.glob("*.safetensors"):
            # safetensors creates files that only their owner can read.
            weights.chmod(0o644)
