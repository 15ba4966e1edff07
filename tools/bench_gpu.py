"""Times the update on models of random weights with the shapes of Qwen2.5, and how much of the device it uses.

    python tools/bench_gpu.py                                                  # 0.5B, 1.5B and 7B (LoRA) on the GPU
    python tools/bench_gpu.py --shape 1.5B --attention flash --compile mlp     # one choice of each
    python tools/bench_gpu.py --shape tiny --prompt 32 --response 8 16         # seconds, without a GPU

The update is a training run's: bfloat16 arithmetic on a GPU, reference, policy, loss, gradient clipping, AdamW. The
7B model has low-rank adapters on all linear layers of its decoder (package `peft`) and frozen bfloat16 weights; the
others are trained whole, in float32 weights. Each shape runs in a process of its own.

Prints JSON. `mfu` is the share of the device's matrix rate, measured beforehand with one large product, at which the
model's own arithmetic was done: that of the different tokens (a group's prompt once), one forward pass of the
reference, one of the policy and its backward pass. What gradient checkpointing computes again does not count. Seconds
are the median of the updates after the first; `rest` is loss, clipping and optimiser.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import sys
import time
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from datetime import date
from importlib.util import find_spec
from typing import Any

import envtune.process_start

import torch
from operations import update_operations
from random_update import SHAPES, Shape, Work, random_model, random_rollout, run_updates
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import PreTrainedModel

from envtune.grpo.batch import TrainBatch
from envtune.program import run_program
from envtune.training.model.policy import Policy

# Whose kernel PyTorch's attention takes; auto leaves it the choice.
ATTENTIONS = {
    "auto": None,
    "flash": SDPBackend.FLASH_ATTENTION,
    "cudnn": SDPBackend.CUDNN_ATTENTION,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
    "math": SDPBackend.MATH,
}
COMPILED = ("nothing", "mlp", "layer")
LORA_SHAPES = ("7B",)
MATRIX_SIZE = {"cuda": 8192, "cpu": 1024}


@dataclass(frozen=True, slots=True)
class Settings:
    """One run's choices; ``lora_rank`` 0 trains all weights."""

    shape: str
    work: Work
    max_tokens: int
    updates: int
    attention: str
    compiled: str
    checkpointing: bool
    lora_rank: int
    device: str


def main() -> int:
    every = _settings()
    if any(settings.lora_rank for settings in every) and not find_spec("peft"):
        sys.exit("error: low-rank adapters need the package peft: pip install peft, or use --lora-rank 0")
    rows = []
    for settings in every:
        print(f"{settings.shape} on {settings.device}", file=sys.stderr)
        with multiprocessing.get_context("spawn").Pool(1) as process:
            rows.append(process.apply(measure, (settings,)))
    device = torch.cuda.get_device_name() if every[0].device == "cuda" else "cpu"
    print(json.dumps({"date": str(date.today()), "device": device, "torch": torch.__version__, "runs": rows}, indent=2))
    return 0


def measure(settings: Settings) -> dict[str, Any]:
    """One run's figures."""
    shape = SHAPES[settings.shape]
    rate = matrix_rate(settings.device)
    policy = _policy(settings, shape)
    rollout = random_rollout(settings.work, shape.vocabulary)
    kernel = ATTENTIONS[settings.attention]
    with sdpa_kernel(kernel) if kernel is not None else nullcontext():
        updates = run_updates(
            policy,
            rollout,
            settings.updates + 1,
            settings.max_tokens,
            accelerator="gpu" if settings.device == "cuda" else "cpu",
            precision="bf16-mixed" if settings.device == "cuda" else "32-true",
        )
    operations = update_operations(shape, rollout.tensors, frozen=bool(settings.lora_rank))
    return {
        "settings": asdict(settings),
        "parameters": sum(parameter.numel() for parameter in policy.parameters()),
        "trained_parameters": sum(p.numel() for p in policy.parameters() if p.requires_grad),
        "matrix_tflops": round(rate / 1e12, 3),
        **figures(updates[1:], rollout.tensors, operations, rate),
    }


def figures(updates: list[dict[str, float]], batch: TrainBatch, operations: float, rate: float) -> dict[str, Any]:
    """Medians over the updates, each one of ``batch`` and ``operations``; the device does ``rate`` a second."""

    def median(name: str) -> float:
        return statistics.median(update[name] for update in updates)

    seconds = median("time/update")
    forward = {"reference": median("time/reference"), "policy": median("time/logprob") - median("time/reference")}
    phases = {**forward, "backward": median("time/backward")}
    return {
        "seconds_per_update": round(seconds, 4),
        "seconds": {name: round(s, 4) for name, s in (phases | {"rest": seconds - sum(phases.values())}).items()},
        "tokens": int(batch.lengths.sum()),
        "different_tokens": batch.unique_tokens,
        "tokens_per_second": round(int(batch.lengths.sum()) / seconds, 1),
        "different_tokens_per_second": round(batch.unique_tokens / seconds, 1),
        "mfu": round(operations / seconds / rate, 4),
        "peak_memory_gib": round(max(update["perf/peak_memory"] for update in updates), 2),
    }


def matrix_rate(device: str, repeats: int = 10) -> float:
    """Operations a second of one large product, bfloat16 on a GPU and float32 elsewhere; the best of a few."""
    size, dtype = MATRIX_SIZE[device], torch.bfloat16 if device == "cuda" else torch.float32
    left, right = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    best = float("inf")
    for _ in range(repeats):
        _wait(device)
        started = time.perf_counter()
        left @ right
        _wait(device)
        best = min(best, time.perf_counter() - started)
    return 2.0 * size**3 / best


def _policy(settings: Settings, shape: Shape) -> Policy:
    dtype = torch.bfloat16 if settings.lora_rank else torch.float32
    model = random_model(shape, settings.device, dtype, settings.checkpointing)
    if settings.lora_rank:
        from peft import LoraConfig, inject_adapter_in_model

        names = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
        inject_adapter_in_model(LoraConfig(r=settings.lora_rank, target_modules=names), model)
        # Small steps would be lost in bfloat16.
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.data = parameter.data.float()
        if settings.checkpointing:
            model.enable_input_require_grads()
    policy = Policy(model)
    for part in (policy.model, policy.reference):
        _compile(part, settings.compiled)
    return policy


def _compile(model: PreTrainedModel, compiled: str) -> None:
    for layer in model.get_decoder().layers if compiled != "nothing" else ():
        (layer if compiled == "layer" else layer.mlp).compile(dynamic=True)


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def _settings() -> list[Settings]:
    parser = argparse.ArgumentParser(description="Times the update on random models with the shapes of Qwen2.5.")
    parser.add_argument("--shape", nargs="+", choices=SHAPES, default=["0.5B", "1.5B", "7B"])
    parser.add_argument("--tasks", type=int, default=2, help="groups, each with a prompt of its own")
    parser.add_argument("--group-size", type=int, default=8)
    parser.add_argument("--prompt", type=int, default=2048, help="tokens of the prompt")
    parser.add_argument("--response", type=int, nargs=2, default=(512, 1024), metavar=("MIN", "MAX"))
    parser.add_argument("--max-tokens", type=int, default=8192, help="different tokens of a micro-batch")
    parser.add_argument("--updates", type=int, default=5, help="updates that count, after one that warms up")
    parser.add_argument("--attention", choices=ATTENTIONS, default="auto", help="kernel of PyTorch's attention")
    parser.add_argument("--compile", choices=COMPILED, default="nothing", help="what torch.compile is given")
    parser.add_argument("--no-checkpointing", action="store_true", help="keep all activations for the backward pass")
    parser.add_argument("--lora-rank", type=int, help="0 trains all weights; default 16 for 7B, 0 for the others")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    work = Work(options.tasks, options.group_size, options.prompt, tuple(options.response))
    return [
        Settings(
            shape=shape,
            work=work,
            max_tokens=options.max_tokens,
            updates=options.updates,
            attention=options.attention,
            compiled=options.compile,
            checkpointing=not options.no_checkpointing,
            lora_rank=_rank(shape, options.lora_rank),
            device=options.device,
        )
        for shape in options.shape
    ]


def _rank(shape: str, asked: int | None) -> int:
    if asked is not None:
        return asked
    return 16 if shape in LORA_SHAPES else 0


if __name__ == "__main__":
    run_program(main)
