"""Writes what a run has trained as a model folder of Hugging Face's, which transformers loads and `vllm serve` serves.

    python tools/export_model.py runs/<time> exported                        # its best checkpoint
    python tools/export_model.py runs/<time>/checkpoints/last.ckpt exported --dtype bfloat16
    vllm serve exported

A low-rank adapter is added to the weights (docs/lora.md), so that what reads the folder need not know of it. Tokenizer,
chat template and generation config are those of the model that was trained. Works in the memory of the CPU, in float32.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from envtune.chat.tokenizer import load_tokenizer
from envtune.errors import UserError
from envtune.program import run_program
from envtune.training.library_noise import silence_libraries
from envtune.training.starting_point import find_checkpoint
from envtune.training.weights import load_trained
from envtune.whole_file import PARTIAL

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True, slots=True)
class Trained:
    """A checkpoint and what the run that saved it began with."""

    checkpoint: Path
    model: str
    dtype: str
    trust_remote_code: bool


def main() -> int:
    """0 if the folder was written; 1, and a sentence on stderr, if not."""
    given = _options()
    silence_libraries()
    try:
        trained = find_trained(given.trained, given.model)
        export(trained, given.folder, given.dtype)
    except UserError as error:
        print(f"export_model: {error}", file=sys.stderr)
        return 1
    print(f"{given.folder}: {trained.model} with the weights of {trained.checkpoint}, in {given.dtype}")
    return 0


def find_trained(trained: str, model: str | None = None) -> Trained:
    """``trained`` is what `init_from` takes; ``model`` stands in for the path that the run has recorded.

    Raises:
        UserError: there is no checkpoint, or no record of the model beside it and none is given.
    """
    checkpoint = find_checkpoint(trained).resolve()
    settings = _model_settings(checkpoint.parent.parent / "run.json")
    path = model or settings.get("path")
    if path is None:
        raise UserError(
            f"{checkpoint} is in no folder of a run whose run.json says which model it trained: add --model PATH"
        )
    # Of frozen weights that the run rounded, the adapter has learned to correct the rounded ones.
    dtype = settings.get("dtype", "float32")
    return Trained(checkpoint, path, dtype, settings.get("trust_remote_code", False))


def export(trained: Trained, folder: Path, dtype: str) -> None:
    """Writes ``folder``, which appears when it is complete.

    Raises:
        UserError: the folder holds something, or model, tokenizer or checkpoint cannot be used.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} exists and is no empty folder: give another name, or remove it")
    tokenizer = load_tokenizer(trained.model, trained.trust_remote_code)
    model: Any = load_trained(trained.model, str(trained.checkpoint), trained.dtype, trained.trust_remote_code)
    staged = folder.with_name(folder.name + PARTIAL)
    shutil.rmtree(staged, ignore_errors=True)
    model.to(DTYPES[dtype]).save_pretrained(staged)
    tokenizer.save_pretrained(staged)
    for weights in staged.glob("*.safetensors"):
        # They come out readable by their owner alone.
        weights.chmod(0o644)
    staged.rename(folder)


def _model_settings(record: Path) -> Mapping[str, Any]:
    if not record.is_file():
        return {}
    return json.loads(record.read_text(encoding="utf-8")).get("settings", {}).get("model", {})


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Writes what a run has trained as a model folder of Hugging Face's.")
    parser.add_argument("trained", help="the folder of a run or of a stage (its best checkpoint), or a .ckpt file")
    parser.add_argument("folder", type=Path, help="is made")
    parser.add_argument("--dtype", choices=DTYPES, default="float32", help="bfloat16: half the size, rounded")
    parser.add_argument("--model", help="where the model is that was trained, if not where the run found it")
    return parser.parse_args()


if __name__ == "__main__":
    run_program(main)
