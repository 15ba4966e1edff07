"""Damage a checkpoint in the ways of a failing disk, and count the damages that are detected.

    python -m tools.fuzz.checkpoint                # every bit outside the tensors, and 20,000 other damages
    python -m tools.fuzz.checkpoint --every 50     # one in 50 of the bits

A damage is noticed if resuming from the file and loading its weights both raise `UserError`, and harmless if the loaded
contents equal the saved ones bit for bit. Every other outcome is a failure of the program.
"""

from __future__ import annotations

import argparse
import logging
import random
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import envtune.process_start

import torch

from envtune.errors import UserError
from envtune.program import run_program
from envtune.training.model.weights import read_checkpoint
from envtune.training.run_folder.checkpoint_io import AtomicCheckpointIO, damage_of

SHAPE = (64, 64)
BLOCKS = (1, 16, 64, 512, 4096)

Damage = tuple[str, bytes]


def main() -> int:
    """Print the counts and return 0 if every damage was noticed or harmless, else 1."""
    parser = argparse.ArgumentParser(description="Damage a checkpoint in many ways and count the detected damages.")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="flip one in N of the bits beside tensors")
    parser.add_argument("--others", type=int, default=20_000, metavar="N", help="number of other damages")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    logging.disable()
    with tempfile.TemporaryDirectory() as folder:
        counts = fuzz(Path(folder) / "last.ckpt", given.every, given.others, given.seed)
    for kind, outcome in sorted(counts):
        print(f"{kind}, {outcome}: {counts[kind, outcome]:,}")
    passed = sum(count for (_, outcome), count in counts.items() if outcome not in ("noticed", "harmless"))
    print(f"{sum(counts.values()):,} damaged checkpoints, {passed:,} passed as whole with other contents")
    return 1 if passed else 0


def fuzz(path: Path, every: int = 1, others: int = 20_000, seed: int = 0) -> Counter[tuple[str, str]]:
    """Write damaged checkpoints to ``path`` and count the pairs of kind and outcome."""
    saved = checkpoint()
    AtomicCheckpointIO().save_checkpoint(saved, path)
    contents = path.read_bytes()
    counts: Counter[tuple[str, str]] = Counter()
    for kind, damaged in damages(contents, every, others, random.Random(seed)):
        path.write_bytes(damaged)
        counts[kind, outcome_of(path, saved)] += 1
    return counts


def checkpoint() -> dict[str, Any]:
    """Return a small checkpoint: weights of two dtypes, a tied one, optimiser states, counters, text."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(SHAPE, generator=generator)
    state = {"policy.model.a": weight, "policy.model.tied": weight, "policy.model.b": weight.bfloat16()}
    adam = {"step": torch.tensor(3.0), "exp_avg": weight / 10, "exp_avg_sq": weight**2, "empty": torch.empty(0)}
    run = {"random_states": [{"torch": torch.arange(100, dtype=torch.uint8)}], "should_stop": False}
    return {"global_step": 3, "state_dict": state, "optimizer_states": [{"state": {0: adam}}], "run": run}


def damages(contents: bytes, every: int, others: int, rng: random.Random) -> Iterator[Damage]:
    """Yield the kind and the contents of each damaged checkpoint."""
    saved = checkpoint()
    values = (*saved["state_dict"].values(), *saved["optimizer_states"][0]["state"][0].values())
    tensors = [_place_of(value, contents) for value in values if value.dim() > 1]
    beside = [place for place in range(len(contents)) if not any(place in tensor for tensor in tensors)]
    for number in range(0, 8 * len(beside), every):
        yield "a bit beside the tensors", _flipped(contents, beside[number // 8], 1 << number % 8)
    for number in range(others):
        kind = list(KINDS)[number % len(KINDS)]
        damaged = KINDS[kind](contents, rng.randrange(len(contents)), rng)
        if damaged != contents:
            yield kind, damaged


def _with(contents: bytes, place: int, block: bytes) -> bytes:
    return contents[:place] + block[: len(contents) - place] + contents[place + len(block) :]


def _flipped(contents: bytes, place: int, bits: int) -> bytes:
    return _with(contents, place, bytes([contents[place] ^ bits]))


KINDS: dict[str, Callable[[bytes, int, random.Random], bytes]] = {
    "a bit anywhere": lambda contents, place, rng: _flipped(contents, place, 1 << rng.randrange(8)),
    "a byte anywhere": lambda contents, place, rng: _flipped(contents, place, rng.randrange(1, 256)),
    "a block of zeros": lambda contents, place, rng: _with(contents, place, bytes(rng.choice(BLOCKS))),
    "a block of noise": lambda contents, place, rng: _with(contents, place, rng.randbytes(rng.choice(BLOCKS))),
    "a block lost": lambda contents, place, rng: contents[:place] + contents[place + rng.choice(BLOCKS) :],
    "cut": lambda contents, place, rng: contents[:place],
    "zeros to the end": lambda contents, place, rng: contents[:place] + bytes(len(contents) - place),
}


def outcome_of(path: Path, saved: Any) -> str:
    """Return `noticed`, `harmless`, or a description of the failure."""
    readers: dict[Callable[[], Any], Any] = {
        lambda: AtomicCheckpointIO().load_checkpoint(path, weights_only=True): saved,
        lambda: read_checkpoint(str(path)): saved["state_dict"],
    }
    try:
        damage = damage_of(path)
    except Exception as error:
        return f"damage_of raised {type(error).__name__}"
    outcomes = {_read(read, expected) for read, expected in readers.items()}
    expected = "harmless" if damage is None else "noticed"
    return expected if outcomes == {expected} else f"{expected} at first, then {', '.join(sorted(outcomes))}"


def _read(read: Callable[[], Any], expected: Any) -> str:
    try:
        return "harmless" if _equal(read(), expected) else "other contents"
    except UserError:
        return "noticed"
    except Exception as error:
        return f"raised {type(error).__name__}"


def _place_of(tensor: torch.Tensor, contents: bytes) -> range:
    raw = _parts(tensor)[-1]
    start = contents.index(raw)
    return range(start, start + len(raw))


def _parts(tensor: torch.Tensor) -> tuple[torch.dtype, torch.Size, bytes]:
    """Return dtype, shape and bytes, which compare NaN as equal."""
    return tensor.dtype, tensor.shape, tensor.contiguous().view(-1).view(torch.uint8).numpy().tobytes()


def _equal(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, torch.Tensor):
        return _parts(one) == _parts(other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_equal, one, other))
    return bool(one == other)


if __name__ == "__main__":
    run_program(main)
