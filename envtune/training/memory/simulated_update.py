"""Measurement of an update's memory by running its own code on tensors without data.

PyTorch's FakeTensorMode runs forward and backward passes without arithmetic, in the dtypes that autocast chooses, and
`LiveBytes` counts the bytes that are alive at the same time. Fake tensors are on the CPU, also for runs on other
devices: only the kernels of attention differ, which `kernel_without_scores` replaces.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

# private: the only place of FakeTensorMode, which https://docs.pytorch.org/docs/stable/torch.compiler_fake_tensor.html
# documents. Tensors on `meta`, which are public, are not a substitute: autocast does not cast them.
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.optim import Optimizer

# private: the only place of TorchDispatchMode. Public modes intercept neither backward passes nor kernels.
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import PreTrainedModel

from envtune.grpo.packing import Branches
from envtune.rollout.hf.kv_attention import ATTENTION, PromptPass
from envtune.rollout.hf.kv_rows import KvRows
from envtune.training.model import prompt_attention
from envtune.training.model.projection import project


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """``prompts`` prompts of ``prompt`` tokens, each followed by ``rows`` times ``completion`` sampled tokens."""

    prompts: int
    prompt: int
    rows: int
    completion: int

    @property
    def tokens(self) -> int:
        """Tokens of the micro-batch, each prompt once."""
        return self.prompts * self.prompt + self.sampled

    @property
    def sampled(self) -> int:
        """Sampled tokens."""
        return self.prompts * self.rows * self.completion

    @property
    def branches(self) -> tuple[Branches, ...]:
        """The positions at which `envtune.grpo.packing.pack` puts such rows."""
        branches, end = [], 0
        for _ in range(self.prompts):
            prompt = slice(end, end + self.prompt)
            ends = [prompt.stop + row * self.completion for row in range(self.rows + 1)]
            branches.append(Branches(prompt, tuple(map(slice, ends[:-1], ends[1:]))))
            end = ends[-1]
        return tuple(branches)


@dataclass(frozen=True, slots=True)
class LayersMemory:
    """Bytes of one micro-batch in the model's layers, beside weights and gradients."""

    kept: int
    """Kept between forward and backward pass, including weights that autocast has cast."""
    working: int
    """The peak in one of the passes beyond ``kept``."""


def fullest_micro_batch(max_tokens: int, prompt: int, response: int, rows: int, tasks: int) -> MicroBatch:
    """Return the fullest micro-batch that `TrainBatch.micro_batches` makes of whole groups of equal rows.

    Args:
        max_tokens: the limit of a micro-batch; a longer row is a micro-batch of its own.
        prompt: the greatest number of tokens before the first completion.
        response: the greatest number of tokens after it begins.
        rows: the rows of a group.
        tasks: the number of groups.
    """
    if prompt + response > max_tokens:
        return MicroBatch(1, prompt, 1, response)
    completion = min(response, max(1, (max_tokens - prompt) // rows))
    prompts = min(tasks, max(1, max_tokens // (prompt + rows * completion)))
    return MicroBatch(prompts, prompt, rows, completion)


class LiveBytes(TorchDispatchMode):
    """Count the bytes of tensors that are created within the context and alive: ``now``, and the maximum, ``peak``."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        # Arguments from outside are marked as known, so that an operation in place does not count them.
        for storage in _storages([args, kwargs]):
            self._know(storage)
        result = func(*args, **(kwargs or {}))
        for storage in _storages(result):
            if self._know(storage):
                self.now += storage.nbytes()
                self.peak = max(self.peak, self.now)
                weakref.finalize(storage, self._forget, storage.nbytes())
        return result

    def _know(self, storage: torch.UntypedStorage) -> bool:
        """Return True for a new storage. A storage is one Python object as long as it lives."""
        number = id(storage)
        if number in self._known:
            return False
        self._known.add(number)
        weakref.finalize(storage, self._known.discard, number)
        return True

    def _forget(self, size: int) -> None:
        self.now -= size


def kernel_without_scores(masks: bool, query: Tensor, key: Tensor, value: Tensor, **settings: Any) -> Tensor:
    """Allocate the memory of PyTorch's attention kernels without a score matrix (flash, memory-efficient) only.

    They keep queries, keys, values, the output and one float32 per query and head (FlashAttention, Dao et al.,
    https://arxiv.org/abs/2205.14135, algorithm 1 and appendix B). On a CPU, ``masks``, a mask other than a plain causal
    one is a matrix in the dtype of the queries (`torch.nn.attention.bias.CausalBias`); on a GPU there is none.
    """
    if torch.is_autocast_enabled("cpu"):
        query, key, value = (states.to(torch.get_autocast_dtype("cpu")) for states in (query, key, value))
    return _Kernel.apply(query, key, value, masks and settings.get("attn_mask") is not None)


class _Kernel(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, masked: bool) -> Tensor:
        out = torch.empty_like(query)
        sums = query.new_empty(query.shape[:-1], dtype=torch.float32)
        mask = query.new_empty(query.shape[2], key.shape[2]) if masked else None
        ctx.save_for_backward(query, key, value, out, sums, mask)
        return out

    @staticmethod
    def backward(ctx: Any, d_out: Tensor) -> tuple[Any, ...]:
        return *map(torch.empty_like, ctx.saved_tensors[:3]), None


def layers_memory(model: PreTrainedModel, micro: MicroBatch, autocast: torch.dtype | None, masks: bool) -> LayersMemory:
    """Return the memory of the forward and backward pass of `token_statistics`, without the projection.

    ``model`` is in training mode and has fake weights; ``masks`` as in `kernel_without_scores`. Gradients exist
    already, as in every micro-batch after the first.
    """
    prompt_attention.share_prompts(model)
    _allocate_gradients(model.parameters())
    ids = torch.zeros(1, micro.tokens, dtype=torch.int64)
    with _passes(autocast, masks), LiveBytes() as live:
        hidden = model.get_decoder()(
            input_ids=ids, position_ids=ids, use_cache=False, branches=micro.branches
        ).last_hidden_state
        kept = live.now
        hidden.backward(torch.empty_like(hidden))
        working = live.peak - kept
    return LayersMemory(kept, working)


def projection_memory(model: PreTrainedModel, micro: MicroBatch, autocast: torch.dtype | None, chunk: int) -> int:
    """Return the peak in bytes of log-probs and entropies of the sampled tokens and of their gradients.

    ``chunk`` is the number of logits per chunk.
    """
    head: Any = model.get_output_embeddings()
    _allocate_gradients(head.parameters())
    # Final norms end in the dtype of their weights.
    hidden = torch.empty(micro.tokens, head.in_features, dtype=head.weight.dtype, requires_grad=True)
    predictors = targets = torch.zeros(micro.sampled, dtype=torch.int64)
    with _passes(autocast, masks=False), LiveBytes() as live:
        logprobs, entropy = project(head, hidden[predictors], targets, 1.0, chunk)
        (logprobs + entropy).sum().backward()
    return live.peak


def prompt_pass_memory(model: PreTrainedModel, tokens: int, masks: bool) -> tuple[int, int]:
    """Return the peak in bytes of a prompt of ``tokens`` tokens in `rollout=hf`, and the bytes of one KV cache slot.

    The peak includes the KV cache of the whole prompt.
    """
    rows = KvRows()
    rows.reserve(1, tokens, tokens)
    rows.append()
    model.eval()
    model.set_attn_implementation(ATTENTION)
    with torch.no_grad(), _passes(None, masks), LiveBytes() as live:
        model(**PromptPass(rows, 0, (0,) * tokens, torch.device("cpu")).arguments)
    return live.peak, sum(buffer.nbytes for buffer in (*rows.keys, *rows.values)) // tokens


def optimizer_memory(
    parameters: Iterable[nn.Parameter], make: Callable[[list[nn.Parameter]], Optimizer]
) -> tuple[int, int]:
    """Return the bytes of an optimiser's states, and the peak beyond them during a step."""
    # On `meta`, because an optimiser cannot read its number of steps in FakeTensorMode.
    meta = [nn.Parameter(torch.empty(weight.shape, dtype=weight.dtype, device="meta")) for weight in parameters]
    optimizer = make(meta)
    _allocate_gradients(meta)
    # The first step allocates the states.
    optimizer.step()
    states = sum(storage.nbytes() for state in optimizer.state.values() for storage in _storages(list(state.values())))
    with LiveBytes() as live:
        optimizer.step()
    return states, live.peak


def cast_bytes(model: PreTrainedModel, autocast: torch.dtype | None) -> int:
    """Return the bytes of the weights that autocast keeps in its dtype during an update: trained linear layers.

    The output projection casts its weights in chunks and keeps none. Frozen weights are cast again in every layer
    (https://docs.pytorch.org/docs/stable/amp.html, `cache_enabled`; aten/src/ATen/autocast_mode.cpp, `cached_cast`).
    """
    if autocast is None:
        return 0
    linear = (module for module in model.get_decoder().modules() if isinstance(module, nn.Linear))
    weights = {id(weight): weight for layer in linear for weight in layer.parameters(recurse=False)}
    cast = (weight for weight in weights.values() if weight.requires_grad and weight.dtype == torch.float32)
    return sum(weight.numel() * autocast.itemsize for weight in cast)


@contextmanager
def without_data(model: PreTrainedModel) -> Iterator[None]:
    """Replace the weights of ``model``, which are on `meta`, by fake ones on the CPU, and compute nothing within."""
    with FakeTensorMode():
        made: dict[int, Tensor] = {}
        for module in model.modules():
            for name, weight in (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)):
                # Tied weights stay tied.
                fake = torch.empty(weight.shape, dtype=weight.dtype, device="cpu")
                if isinstance(weight, nn.Parameter):
                    fake = nn.Parameter(fake, requires_grad=weight.requires_grad)
                setattr(module, name, made.setdefault(id(weight), fake))
        yield


@contextmanager
def _passes(autocast: torch.dtype | None, masks: bool) -> Iterator[None]:
    kernel = partial(kernel_without_scores, masks)
    # Names are replaced because a TorchFunctionMode is off in recomputations of checkpointing. A CausalBias cannot be
    # made of a fake tensor.
    with (
        torch.autocast("cpu", autocast, enabled=autocast is not None),
        _replaced(prompt_attention, "scaled_dot_product_attention", kernel),
        _replaced(prompt_attention, "causal_lower_right", lambda queries, keys: torch.empty(0)),
        _replaced(torch.nn.functional, "scaled_dot_product_attention", kernel),
    ):
        yield


@contextmanager
def _replaced(module: ModuleType, name: str, value: Any) -> Iterator[None]:
    original = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, original)


def _allocate_gradients(parameters: Iterable[nn.Parameter]) -> None:
    for parameter in parameters:
        if parameter.requires_grad:
            parameter.grad = torch.empty_like(parameter)


def _storages(value: Any) -> Iterator[torch.UntypedStorage]:
    """Yield the storages of all tensors in nested tuples, lists and dictionaries."""
    if isinstance(value, Tensor):
        yield value.untyped_storage()
    elif isinstance(value, dict):
        yield from _storages(list(value.values()))
    elif isinstance(value, (tuple, list)):
        for part in value:
            yield from _storages(part)
