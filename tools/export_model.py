"""Export the weights of a run as a model folder for transformers and `vllm serve`.

    python tools/export_model.py runs/<time> exported                        # its best checkpoint
    python tools/export_model.py runs/<time>/checkpoints/last.ckpt exported --dtype bfloat16
    vllm serve exported

A low-rank adapter is merged into the weights (docs/lora.md), so that peft is not needed to load them. Tokenizer and
generation config are those of the trained model, and so is the chat template if it renders conversations as they were
trained (docs/templates.md). The export runs on the CPU, in float32.
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
    parser = argparse.ArgumentParser(description="Export the weights of a run in Hugging Face's format.")
    parser.add_argument("trained", help="the folder of a run or stage, for its best checkpoint, or a .ckpt file")
    parser.add_argument("folder", type=Path, help="the folder to create")
    parser.add_argument("--dtype", choices=DTYPES, default="float32", help="bfloat16 halves the size")
    parser.add_argument("--model", help="the path of the trained model, if it has moved since the run")
    parser.add_argument("--trust-remote-code", action="store_true", help="run the model's own Python code")
    given = parser.parse_args()
    silence_libraries()
    trained = find_trained(given.trained, given.model, given.trust_remote_code)
    export(trained, given.folder, given.dtype)
    print(f"{given.folder}: {trained.model} with the weights of {trained.checkpoint}, in {given.dtype}")


if __name__ == "__main__":
    run_program(main)
