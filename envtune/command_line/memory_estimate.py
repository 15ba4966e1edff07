"""The parts of a training run's memory on one device, from a composed config of train.py.

`python -m tools.memory.estimate` prints them; memory_check.py compares them with the device.

Weights, gradients and states are counted from shapes and dtypes; activations and working memory are measured by
running the update's own code on tensors without data (envtune/training/memory/). Not counted: the CUDA context, gaps
in the allocator, workspaces of kernels, a few numbers per token of the loss, a decoding step's scores.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig
from transformers import AutoModelForCausalLM, PreTrainedModel

from envtune.errors import UserError
from envtune.rollout.hf.hf_generator import HFGenerator
from envtune.rollout.hf.prefix_cache import PASS_TOKENS
from envtune.training.memory import simulated_update as simulated
from envtune.training.memory.sharded_memory import in_dtype, sharded_memory
from envtune.training.model.lora import add_adapter, add_reference_adapter
from envtune.training.model.projection import CPU_CHUNK, GPU_CHUNK
from envtune.training.model.weights import DTYPES, causal_config

GIB = 2**30

SAMPLING, PROJECTION, LAYERS, STEP = PHASES = ("sampling", "projection", "layers", "optimiser step")
UPDATE = (PROJECTION, LAYERS, STEP)
# The name of the KV cache of `rollout=hf`, before its number of slots.
KEYS_AND_VALUES = "keys and values"
# Lightning's names of precisions, and the dtype of autocast in them.
PRECISIONS = {"32-true": None, "32": None, "bf16-mixed": torch.bfloat16}


@dataclass(frozen=True, slots=True)
class MemoryPart:
    """``size`` bytes of one device, held in ``phases``."""

    name: str
    size: int
    phases: Sequence[str] = PHASES


def estimate(config: DictConfig, capacity: int | None = None) -> list[MemoryPart]:
    """Return the parts of a device's memory of ``capacity`` bytes; only vLLM's share depends on the capacity.

    Raises:
        UserError: a setting that cannot be estimated, or vLLM without a capacity or with too small a share.
    """
    with torch.device("meta"):
        model = build_model(config.model)
    kept = kept_parts(config, model)
    divided = sharded_parts(config, model) if sharding(config.trainer) > 1 else []
    with simulated.without_data(model):
        return [*kept, *divided, *update_parts(config, model), *sampler_parts(config, model, capacity)]


def build_model(settings: DictConfig) -> PreTrainedModel:
    """Return the model as `load_model` prepares it, with arbitrary weights.

    Raises:
        UserError: the path has no configuration of a causal language model, or a setting is not allowed.
    """
    if settings.dtype not in DTYPES:
        raise UserError(f"model.dtype={settings.dtype} is unknown; choose one of {', '.join(DTYPES)}")
    config = causal_config(settings.path, settings.trust_remote_code)
    dtype = getattr(config, "dtype", None) if settings.dtype == "auto" else getattr(torch, settings.dtype)
    model: PreTrainedModel = AutoModelForCausalLM.from_config(config, dtype=dtype or torch.float32)
    lora = instantiate(settings.lora, _convert_="all")
    if lora.r > 0:
        add_adapter(model, lora)
        if settings.init_from is not None:
            add_reference_adapter(model)
    if settings.gradient_checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    return model.train()


def kept_parts(config: DictConfig, model: PreTrainedModel) -> list[MemoryPart]:
    """Return the parts that stay on the device during the whole run or the whole update."""
    of_adapter = [weight for name, weight in model.named_parameters() if ".lora_" in name]
    adapter = sum(weight.nbytes for weight in of_adapter)
    weights = sum(weight.nbytes for weight in (*model.parameters(), *model.buffers())) - adapter
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    gradients = sum(weight.nbytes for weight in trained)
    states, working = simulated.optimizer_memory(trained, _optimizer(config))
    numbers = (sum(w.numel() for w in model.parameters()) - sum(w.numel() for w in of_adapter)) / 1e9
    shards = sharding(config.trainer)
    return [
        MemoryPart(f"weights, {numbers:.2f} billion in {_name(model.dtype)}", weights // shards),
        MemoryPart("reference", 0 if adapter else weights // shards),
        *([MemoryPart("adapter (float32)", adapter // shards)] if adapter else []),
        MemoryPart("gradients", gradients // shards, UPDATE),
        MemoryPart("optimiser's states", states // shards),
        MemoryPart("working memory of the step", working // shards, (STEP,)),
    ]


def sharded_parts(config: DictConfig, model: PreTrainedModel) -> list[MemoryPart]:
    """Return the parts of a sharded model that every device holds beside its shard."""
    memory, has_copy = sharded_memory(model, _autocast(config.trainer)), config.model.lora.r == 0
    gathered = "embeddings and projection, gathered"
    return [
        MemoryPart("whole copy to sample from", memory.copy),
        MemoryPart(gathered, memory.outside, (PROJECTION, LAYERS)),
        *([MemoryPart(f"{gathered}, of the reference", memory.outside, (PROJECTION,))] if has_copy else []),
        MemoryPart("two layers, gathered", memory.layers, (PROJECTION, LAYERS)),
        MemoryPart("gradients before they are divided", memory.gradients, (LAYERS,)),
    ]


def update_parts(config: DictConfig, model: PreTrainedModel) -> list[MemoryPart]:
    """Return the parts of the fullest micro-batch."""
    micro, autocast, gpu = micro_batch(config), _autocast(config.trainer), on_gpu(config.trainer)
    projection = simulated.projection_memory(model, micro, autocast, GPU_CHUNK if gpu else CPU_CHUNK)
    if autocast and sharding(config.trainer) > 1:
        # The layers of a sharded model are gathered in that dtype.
        model = in_dtype(model, autocast)
    casts = simulated.cast_bytes(model, autocast)
    layers = simulated.layers_memory(model, micro, autocast, masks=not gpu)
    way = "with" if config.model.gradient_checkpointing else "without"
    return [
        *(
            [MemoryPart(f"weights in {config.trainer.precision}'s dtype, kept by autocast", casts, UPDATE)]
            if casts
            else []
        ),
        MemoryPart(
            f"activations for the backward pass, {way} checkpointing", layers.kept - casts, (PROJECTION, LAYERS)
        ),
        MemoryPart("projection to the vocabulary, in chunks", projection, (PROJECTION,)),
        MemoryPart("working memory of a layer", layers.working, (LAYERS,)),
    ]


def sampler_parts(config: DictConfig, model: PreTrainedModel, capacity: int | None) -> list[MemoryPart]:
    """Return the parts of the generator beside the trainer's weights; a server has a device of its own."""
    target = config.rollout.generator._target_
    if target.endswith("on_server"):
        return []
    tokens = min(config.rollout.max_prompt_tokens, PASS_TOKENS)
    peak, slot = simulated.prompt_pass_memory(model, tokens, masks=not on_gpu(config.trainer))
    if target.endswith("HFGenerator"):
        slots = cache_slots(config)
        if sharding(config.trainer) > 1 and (dtype := _autocast(config.trainer)):
            # The copy to sample from is in the layers' dtype.
            peak, slot = (size * dtype.itemsize // model.dtype.itemsize for size in (peak, slot))
        return [
            MemoryPart(f"{KEYS_AND_VALUES}, {slots:,} slots", slots * slot, (SAMPLING,)),
            MemoryPart(f"working memory of a prompt of {tokens:,} tokens", peak - tokens * slot, (SAMPLING,)),
        ]
    if not target.endswith("colocated"):
        raise UserError(f"rollout.generator={target} is unknown here: estimate rollout=hf, vllm or vllm_server")
    return _vllm_parts(config, model, capacity, slot)


def _vllm_parts(config: DictConfig, model: PreTrainedModel, capacity: int | None, slot: int) -> list[MemoryPart]:
    """Return the parts of vLLM's share; ``slot`` is the bytes of a KV cache slot in the trainer's dtype."""
    generator, gpu = config.rollout.generator, on_gpu(config.trainer)
    if capacity is None:
        raise UserError("rollout=vllm takes a share of the device's memory: add --gpu-memory GIB")
    auto = torch.bfloat16 if gpu else model.dtype
    dtype = auto if generator.dtype == "auto" else getattr(torch, generator.dtype)
    weights = sum(w.numel() for name, w in model.named_parameters() if ".lora_" not in name) * dtype.itemsize
    share = int(generator.gpu_memory_utilization * capacity)
    if share <= weights:
        raise UserError(
            f"rollout.generator.gpu_memory_utilization={generator.gpu_memory_utilization} is {share / GIB:.1f} GiB, "
            f"and vLLM's weights alone take {weights / GIB:.1f} GiB: give it a larger share"
        )
    sleeps = gpu if generator.sleep is None else generator.sleep
    phases = (SAMPLING,) if sleeps else PHASES
    tokens = (share - weights) // (slot // model.dtype.itemsize * dtype.itemsize)
    return [
        MemoryPart(f"vLLM's weights in {_name(dtype)}", weights, phases),
        MemoryPart(f"rest of vLLM's share, at most {tokens:,} tokens' keys and values", share - weights, phases),
    ]


def micro_batch(config: DictConfig) -> simulated.MicroBatch:
    """Return the fullest micro-batch of the config."""
    rollout, grpo = config.rollout, config.grpo
    lengths = rollout.max_prompt_tokens, rollout.max_response_tokens
    return simulated.fullest_micro_batch(grpo.max_tokens_per_batch, *lengths, grpo.group_size, grpo.tasks_per_update)


def cache_slots(config: DictConfig) -> int:
    """Return the KV cache slots of `rollout=hf` if every row has the greatest length."""
    rollout, grpo = config.rollout, config.grpo
    default = inspect.signature(HFGenerator).parameters["max_cache_tokens"].default
    limit = rollout.generator.get("max_cache_tokens", default)
    rows = min(rollout.generator.max_batch_size, rollout.max_episodes, grpo.tasks_per_update * grpo.group_size)
    prompts = -(-rows // grpo.group_size)
    longest = rollout.max_prompt_tokens + rollout.max_response_tokens
    return max(longest, min(limit, prompts * rollout.max_prompt_tokens + rows * rollout.max_response_tokens))


def sharding(trainer: DictConfig) -> int:
    """Return the number of devices that share weights, gradients and optimiser's states: 1 without sharding.

    Raises:
        UserError: the strategy is unknown, or the number of devices is missing.
    """
    strategy = trainer.get("strategy") or "auto"
    name = (strategy if isinstance(strategy, str) else strategy._target_.rpartition(".")[2]).lower()
    if name.startswith(("auto", "ddp", "single")):
        return 1
    if not name.startswith(("fsdp", "modelparallel")):
        raise UserError(f"trainer.strategy={name} is unknown here: estimate auto, ddp, fsdp or a ModelParallelStrategy")
    devices = (trainer.devices == "auto" and torch.cuda.device_count()) or trainer.devices
    if not isinstance(devices, int) or devices < 1:
        raise UserError(
            f"trainer.devices={trainer.devices} is not a number of devices, which a sharded model needs: give one"
        )
    return devices * trainer.get("num_nodes", 1)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _optimizer(config: DictConfig) -> Any:
    """Return the run's optimiser. On a GPU, PyTorch updates all weights at once by default, which needs more memory."""
    make: partial[Any] = instantiate(config.optimizer, _convert_="all")
    at_once = on_gpu(config.trainer) and "foreach" in inspect.signature(make.func).parameters
    return partial(make, **{"foreach": True, **make.keywords}) if at_once else make


def _autocast(trainer: DictConfig) -> torch.dtype | None:
    if str(trainer.precision) not in PRECISIONS:
        raise UserError(f"trainer.precision={trainer.precision} is unknown here; choose one of {', '.join(PRECISIONS)}")
    return PRECISIONS[str(trainer.precision)]


def on_gpu(trainer: DictConfig) -> bool:
    """Return whether a run with these settings of its Trainer uses a GPU."""
    return trainer.accelerator in ("gpu", "cuda") or (trainer.accelerator == "auto" and torch.cuda.is_available())
