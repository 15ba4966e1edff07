"""A warning before a run on a GPU whose estimated memory exceeds the card's, with the nearest setting that fits."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from envtune.command_line.memory_estimate import (
    GIB,
    KEYS_AND_VALUES,
    PHASES,
    SAMPLING,
    UPDATE,
    MemoryPart,
    cache_slots,
    estimate,
    on_gpu,
)
from envtune.errors import UserError

log = logging.getLogger(__name__)

# An adapter on bfloat16 weights, at a learning rate of its own: docs/lora.md.
ADAPTER = ("model.lora.r=16", "model.dtype=bfloat16", "optimizer.lr=1e-5")
# What is suggested leaves this share of the device to what is not counted: the CUDA context, gaps in the allocator.
USABLE = 0.9
# The smallest micro-batch that is suggested, in tokens. A longer row gets a micro-batch of its own in any case.
SMALLEST = 8192


def warn_of_memory(config: DictConfig) -> None:
    """Log a warning if the estimated memory of a run on this machine's GPU exceeds that of the GPU."""
    if not (on_gpu(config.trainer) and torch.cuda.is_available()):
        return
    try:
        warning = memory_warning(config, torch.cuda.get_device_properties(0).total_memory)
    # The model's own code is run on tensors without data, and code of others may refuse that in any way.
    except Exception as error:
        warning = f"the memory of this run cannot be estimated ({type(error).__name__}: {error})"
    if warning:
        log.warning("%s", warning)


def memory_warning(config: DictConfig, capacity: int) -> str | None:
    """Return a warning if a run needs more than ``capacity`` bytes on a device by the estimate; None if it fits.

    Settings that cannot be estimated (another strategy or generator, vLLM's share below its weights) give none.
    """
    try:
        totals = _totals(estimate(config, capacity))
    except UserError as error:
        log.info("the memory is not estimated: %s", error)
        return None
    phase = max(totals, key=totals.__getitem__)
    if totals[phase] <= capacity:
        return None
    settings = nearest_that_fits(config, capacity)
    remedy = (
        f"add {' '.join(settings)}"
        if settings
        else "no smaller micro-batch or adapter fits, so use more GPUs with trainer=fsdp, or a smaller model"
    )
    return (
        f"the estimated peak of this run ({phase}) is {totals[phase] / GIB:.0f} GiB and the GPU has "
        f"{capacity / GIB:.0f} GiB: {remedy} (docs/scale.md)"
    )


def nearest_that_fits(config: DictConfig, capacity: int) -> tuple[str, ...]:
    """Return the settings, as on the command line, with which a run fits ``capacity`` bytes; empty if none does.

    In this order: a smaller micro-batch and KV cache of `rollout=hf`; frozen weights in bfloat16; an adapter.
    """
    ways: list[tuple[str, ...]] = [()]
    if config.model.lora.r == 0:
        ways.append(ADAPTER)
    elif config.model.dtype == "float32":
        ways.append(("model.dtype=bfloat16",))
    for way in ways:
        best: tuple[str, ...] | None = None
        # From the smallest one: if that does not fit, no other does.
        for tokens in _micro_batches(config.grpo.max_tokens_per_batch):
            smaller = tokens < config.grpo.max_tokens_per_batch
            settings = (*way, f"grpo.max_tokens_per_batch={tokens}") if smaller else way
            fitting = _fitting(config, settings, int(USABLE * capacity))
            if fitting is None:
                break
            best = fitting
        if best:
            return best
    return ()


def _micro_batches(most: int) -> list[int]:
    """Return ``most`` and its halves of at least ``SMALLEST``, ascending."""
    sizes = [most]
    while sizes[0] // 2 >= SMALLEST:
        sizes.insert(0, sizes[0] // 2)
    return sizes


def _fitting(config: DictConfig, settings: tuple[str, ...], capacity: int) -> tuple[str, ...] | None:
    """Return ``settings``, with a limit on the KV cache if it is needed, if they fit; else None."""
    changed: Any = OmegaConf.merge(config, OmegaConf.from_dotlist(list(settings)))
    parts = estimate(changed, capacity)
    sampling = sum(part.size for part in parts if SAMPLING in part.phases)
    if max(_totals(parts)[phase] for phase in UPDATE) > capacity:
        return None
    if sampling <= capacity:
        return settings
    cache = next((part.size for part in parts if part.name.startswith(KEYS_AND_VALUES)), 0)
    free = capacity - sampling + cache
    # Of `rollout=hf` only: vLLM's share is a setting of its own.
    longest = changed.rollout.max_prompt_tokens + changed.rollout.max_response_tokens
    slots = free * cache_slots(changed) // cache // 1024 * 1024 if cache else 0
    return (*settings, f"+rollout.generator.max_cache_tokens={slots}") if slots >= longest else None


def _totals(parts: Sequence[MemoryPart]) -> dict[str, int]:
    return {phase: sum(part.size for part in parts if phase in part.phases) for phase in PHASES}
