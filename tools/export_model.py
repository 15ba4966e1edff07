"""Writes a run's weights as a model folder of Hugging Face's, which transformers loads and `vllm serve` serves.

    python tools/export_model.py runs/<time> exported                        # its best checkpoint
    python tools/export_model.py runs/<time>/checkpoints/last.ckpt exported --dtype bfloat16
    vllm serve exported

A low-rank adapter is merged into the weights (docs/lora.md), so that the folder can be read without peft. Tokenizer,
chat template and generation config are those of the model that was trained. Works in CPU memory, in float32.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import envtune.process_start

from envtune.program import run_program
from envtune.training.model.export import DTYPES, export, find_trained
from envtune.training.reporting.library_logging import silence_libraries


def main() -> None:
    """Write the model folder."""
    given = _options()
    silence_libraries()
    trained = find_trained(given.trained, given.model, given.trust_remote_code)
    export(trained, given.folder, given.dtype)
    print(f"{given.folder}: {trained.model} with the weights of {trained.checkpoint}, in {given.dtype}")


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
