"""Time the update on models of random weights with the shapes of Qwen2.5, and measure the use of the device.

    python -m tools.bench.gpu                                                  # 0.5B, 1.5B and 7B (LoRA) on the GPU
    python -m tools.bench.gpu --shape 1.5B --attention flash --compile mlp     # one choice of each
    python -m tools.bench.gpu --shape tiny --prompt 32 --response 8 16         # seconds, without a GPU

The update is that of a training run: bfloat16 arithmetic on a GPU, reference, policy, loss, gradient clipping, AdamW.
The 7B model has low-rank adapters on all linear layers of its decoder (package `peft`) and frozen bfloat16 weights; all
weights of the others are trained, in float32. Each shape runs in a process of its own.

Prints JSON. `mfu` is the operations that the model needs per second, as a share of the device's matrix rate, which one
large product measures beforehand. The operations are those on the different tokens (a group's prompt once): one forward
pass of the reference, one of the policy and its backward pass. What gradient checkpointing computes again does not
count. Seconds are medians of the updates after the first; `rest` is loss, clipping and optimiser.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import nullcontext
from datetime import date
from typing import Any

import envtune.process_start

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from envtune.grpo.batch import TrainBatch
from envtune.program import run_program
from envtune.training.model.policy import Policy
from tools.bench.measuring import at_least, command_line, in_a_process, medians, print_figures, require, timed
from tools.bench.random_update import SHAPES, BatchSize, random_model, random_rollout, run_updates, update_operations

ATTENTIONS = {
    # PyTorch chooses the kernel.
    "auto": None,
    "flash": SDPBackend.FLASH_ATTENTION,
    "cudnn": SDPBackend.CUDNN_ATTENTION,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
    "math": SDPBackend.MATH,
}
COMPILED = ("nothing", "mlp", "layer")
LORA_RANKS = {"7B": 16}
LORA_LAYERS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
# Large enough for the full matrix rate, small enough for a second.
MATRIX_SIZE = {"cuda": 8192, "cpu": 1024}


def main() -> None:
    """Print the figures of each shape."""
    every = _options()
    if any(options.lora_rank for options in every):
        require("peft", "low-rank adapters need the package peft: pip install peft, or use --lora-rank 0")
    rows = []
    for options in every:
        print(f"{options.shape} on {options.device}", file=sys.stderr)
        rows.append(in_a_process(measure, options))
    device = torch.cuda.get_device_name() if every[0].device == "cuda" else "cpu"
    print_figures({"date": str(date.today()), "device": device, "torch": torch.__version__, "runs": rows})


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Run the updates of one shape, ``options.shape``, and return its figures."""
    shape = SHAPES[options.shape]
    rate = matrix_rate(options.device)
    policy = _policy(options)
    size = BatchSize(options.tasks, options.group_size, options.prompt, tuple(options.response))
    rollout = random_rollout(size, shape.vocab_size)
    kernel = ATTENTIONS[options.attention]
    on = {"accelerator": "gpu", "precision": "bf16-mixed"} if options.device == "cuda" else {}
    with sdpa_kernel(kernel) if kernel is not None else nullcontext():
        updates = run_updates(policy, rollout, options.updates + 1, options.max_tokens, **on)
    operations = update_operations(shape, rollout.tensors, frozen=bool(options.lora_rank))
    return {
        "settings": vars(options),
        "parameters": sum(parameter.numel() for parameter in policy.parameters()),
        "trained_parameters": sum(p.numel() for p in policy.parameters() if p.requires_grad),
        "matrix_tflops": round(rate / 1e12, 3),
        **figures(updates[1:], rollout.tensors, operations, rate),
    }


def figures(updates: list[dict[str, float]], batch: TrainBatch, operations: float, rate: float) -> dict[str, Any]:
    """Return medians over the updates.

    Args:
        updates: the metrics of each update.
        batch: the batch of each update.
        operations: floating-point operations of one update.
        rate: operations per second of the device.
    """
    median = medians(updates, digits=9)
    seconds = median["time/update"]
    reference, backward = median["time/reference"], median["time/backward"]
    phases = {"reference": reference, "policy": median["time/logprob"] - reference, "backward": backward}
    phases["rest"] = seconds - sum(phases.values())
    return {
        "seconds_per_update": round(seconds, 4),
        "seconds": {name: round(phase, 4) for name, phase in phases.items()},
        "tokens": int(batch.lengths.sum()),
        "different_tokens": batch.unique_tokens,
        "tokens_per_second": round(int(batch.lengths.sum()) / seconds, 1),
        "different_tokens_per_second": round(batch.unique_tokens / seconds, 1),
        "mfu": round(operations / seconds / rate, 4),
        "peak_memory_gib": round(max(update["perf/peak_memory"] for update in updates), 2),
    }


def matrix_rate(device: str, repeats: int = 10) -> float:
    """Return the operations per second of the fastest of ``repeats`` products, in bfloat16 on a GPU, else float32."""
    size, dtype = MATRIX_SIZE[device], torch.bfloat16 if device == "cuda" else torch.float32
    left, right = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    return 2.0 * size**3 / min(timed(lambda: left @ right, device)[1] for _ in range(repeats))


def _policy(options: argparse.Namespace) -> Policy:
    dtype = torch.bfloat16 if options.lora_rank else torch.float32
    model = random_model(SHAPES[options.shape], options.device, dtype, not options.no_checkpointing)
    if options.lora_rank:
        from peft import LoraConfig, inject_adapter_in_model

        inject_adapter_in_model(LoraConfig(r=options.lora_rank, target_modules=LORA_LAYERS), model)
        # Small steps would be lost in bfloat16.
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.data = parameter.data.float()
        if not options.no_checkpointing:
            # Checkpointing needs an input that requires gradients, and the frozen embedding yields none.
            model.enable_input_require_grads()
    policy = Policy(model)
    if options.compile != "nothing":
        for part in (policy.model, policy.reference):
            for layer in part.get_decoder().layers:
                (layer if options.compile == "layer" else layer.mlp).compile(dynamic=True)
    return policy


def _options() -> list[argparse.Namespace]:
    """Return the options of each shape."""
    parser = command_line(
        __doc__,
        tasks=(2, "groups, each with a prompt of its own"),
        group_size=8,
        prompt=(2048, "tokens of the prompt"),
        max_tokens=(8192, "different tokens of a micro-batch"),
        updates=(5, "updates that count, after one that warms up"),
    )
    parser.add_argument("--shape", nargs="+", choices=SHAPES, default=["0.5B", "1.5B", "7B"])
    parser.add_argument("--response", type=int, nargs=2, default=(512, 1024), metavar=("MIN", "MAX"))
    parser.add_argument("--attention", choices=ATTENTIONS, default="auto", help="kernel of PyTorch's attention")
    parser.add_argument("--compile", choices=COMPILED, default="nothing", help="what torch.compile compiles")
    parser.add_argument("--no-checkpointing", action="store_true", help="keep all activations for the backward pass")
    parser.add_argument("--lora-rank", type=at_least(0), help="0 trains all weights; default 16 for 7B, 0 for others")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda" if torch.cuda.is_available() else "cpu")
    given = vars(parser.parse_args())
    every = [argparse.Namespace(**given | {"shape": shape}) for shape in given["shape"]]
    for options in every:
        if options.lora_rank is None:
            options.lora_rank = LORA_RANKS.get(options.shape, 0)
    return every


if __name__ == "__main__":
    run_program(main)
