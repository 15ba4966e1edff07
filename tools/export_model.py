"""Writes what a run has trained as a model folder of Hugging Face's, which transformers loads and `vllm serve` serves.

    python tools/export_model.py runs/<time> exported                        # its best checkpoint
    python tools/export_model.py runs/<time>/checkpoints/last.ckpt exported --dtype bfloat16
    vllm serve exported

A low-rank adapter is added to the weights (docs/lora.md), so that what reads the folder need not know of it. Tokenizer,
chat template and generation config are those of the model that was trained. Works in the memory of the CPU, in float32.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import envtune.process_start

import torch

from envtune.chat.tokenizer import load_tokenizer
from envtune.errors import UserError
from envtune.files.atomic_file import atomic_folder
from envtune.program import run_program
from envtune.training.model.weights import load_trained
from envtune.training.reporting.library_logging import silence_libraries
from envtune.training.run_folder.run_record import Settings, read_run_record
from envtune.training.run_folder.starting_point import find_checkpoint

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True, slots=True)
class Trained:
    """A checkpoint and what the run that saved it began with.

    ``trust_remote_code`` is what this command says: the run's folder, which may come from somebody else, has no say in
    it.
    """

    checkpoint: Path
    model: str
    dtype: str
    trust_remote_code: bool = False


def main() -> int:
    """0 if the folder was written; 1, and a sentence on stderr, if not."""
    given = _options()
    silence_libraries()
    try:
        trained = find_trained(given.trained, given.model, given.trust_remote_code)
        export(trained, given.folder, given.dtype)
    except UserError as error:
        print(f"export_model: {error}", file=sys.stderr)
        return 1
    print(f"{given.folder}: {trained.model} with the weights of {trained.checkpoint}, in {given.dtype}")
    return 0


def find_trained(trained: str, model: str | None = None, trust_remote_code: bool = False) -> Trained:
    """``trained`` is what `init_from` takes; ``model`` stands in for the path that the run has recorded.

    Raises:
        UserError: there is no checkpoint, or no record of the model beside it and none is given, or a broken one.
    """
    checkpoint = find_checkpoint(trained).resolve()
    settings = run_settings(checkpoint).get("model", {})
    path = model or settings.get("path")
    if path is None:
        raise UserError(
            f"{checkpoint} is in no folder of a run whose run.json says which model it trained: add --model PATH"
        )
    # Of frozen weights that the run rounded, the adapter has learned to correct the rounded ones.
    dtype = settings.get("dtype", "float32")
    return Trained(checkpoint, path, dtype, trust_remote_code)


def run_settings(checkpoint: Path) -> Settings:
    """What the run that saved ``checkpoint`` recorded of its settings; nothing where it recorded none.

    Raises:
        UserError: the record is broken.
    """
    remedy = "restore it from a copy, or move the checkpoint elsewhere and add --model PATH"
    record = read_run_record(checkpoint.parent.parent, remedy)
    return record.get("settings", {}) if record is not None else {}


def export(trained: Trained, folder: Path, dtype: str) -> None:
    """Writes ``folder``, which appears when it is complete.

    Raises:
        UserError: the folder holds something or cannot be written, or model, tokenizer or checkpoint cannot be used.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} exists and is no empty folder: give another name, or remove it")
    tokenizer = load_tokenizer(trained.model, trained.trust_remote_code)
    model: Any = load_trained(trained.model, str(trained.checkpoint), trained.dtype, trained.trust_remote_code)
    with atomic_folder(folder) as staged:
        model.to(DTYPES[dtype]).save_pretrained(staged)
        tokenizer.save_pretrained(staged)
        for weights in staged.glob("*.safetensors"):
            # They come out readable by their owner alone.
            weights.chmod(0o644)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Writes what a run has trained as a model folder of Hugging Face's.")
    parser.add_argument("trained", help="the folder of a run or of a stage (its best checkpoint), or a .ckpt file")
    parser.add_argument("folder", type=Path, help="is made")
    parser.add_argument("--dtype", choices=DTYPES, default="float32", help="bfloat16: half the size, rounded")
    parser.add_argument("--model", help="where the model is that was trained, if not where the run found it")
    parser.add_argument("--trust-remote-code", action="store_true", help="run Python code that comes with the model")
    return parser.parse_args()


if __name__ == "__main__":
    run_program(main)
