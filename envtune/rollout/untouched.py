"""The untouched model: log-probs of short rows by its own attention in evaluation mode, each row alone.

Samplers and updates are measured against them before they are used: in float32 to `TOLERANCE`, in a smaller type to the
effect of its rounding as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import torch
from jaxtyping import Float32
from torch import Tensor
from transformers import PreTrainedModel

from envtune.errors import UserError
from envtune.rollout.inference import inference, own_attention
from envtune.trajectory import TokenRecord

ModelPath = Literal["shared", "plain"]
"""``shared``: prompts computed once, by attention of this project. ``plain``: the model's own attention and cache."""
PathChoice = Literal["auto", "shared", "plain"]
"""``auto``: the shared path if it is equal to the untouched model, else the plain one."""

Result = TypeVar("Result")

# In nats.
TOLERANCE = 1e-3
# Passes that are rounded at random. On small models, the mean effect of this rounding was 1.5 to 2 times that of
# bfloat16 itself, and 4 times the difference of two ways to compute the same. The greatest effect scatters.
_SAMPLES, _GREATEST = 2, 2.0
# The longest window that is crossed, in tokens, so that the passes take some seconds at most.
_LONGEST_WINDOW = {"cpu": 256, "cuda": 1024}


class NotEqual(Exception):
    """A path is not available for a model or not equal to it; the message completes "because …"."""


@dataclass(frozen=True, slots=True, eq=False)
class Untouched:
    """The log-probs in nats of the sampled tokens of ``records`` under a model."""

    records: tuple[TokenRecord, ...]
    logprobs: Float32[Tensor, "T"]
    rounding: Float32[Tensor, "sample T"]
    """Their absolute changes if all modules of a model in less than float32 round at random; otherwise 0."""

    @classmethod
    def of(cls, model: PreTrainedModel, records: Sequence[TokenRecord]) -> Untouched:
        """Compute the log-probs of ``records``, each of them alone.

        Raises:
            UserError: the model fails on rows of token ids, or its logits are NaN or infinite.
        """
        try:
            with attempt(model):
                logprobs = _logprobs(model, records)
        except NotEqual as reason:
            raise UserError(
                f"{type(model).__name__} cannot be used, because {reason} on rows of token ids; choose a causal "
                "language model such as Qwen or Llama"
            ) from reason
        if not logprobs.isfinite().all():
            raise UserError(
                f"the logits of {type(model).__name__} are NaN or infinite: its weights are damaged or overflow "
                f"{model.dtype}; give another model.path or init_from, or use model.dtype=float32"
            )
        rounding = torch.zeros_like(logprobs)[None]
        if torch.finfo(model.dtype).bits < 32:
            with attempt(model), _rounded_at_random(model):
                rounding = torch.stack([_logprobs(model, records) for _ in range(_SAMPLES)]).sub_(logprobs).abs_()
        return cls(tuple(records), logprobs, rounding)

    def require_equal(self, logprobs: Float32[Tensor, "T"], what: str) -> None:
        """Raise NotEqual unless ``logprobs``, those of ``what``, equal the untouched model's."""
        self.require_small(logprobs - self.logprobs, f"{what} differ from those of the untouched model")

    def require_small(self, differences: Float32[Tensor, "T"], what: str) -> None:
        """Raise NotEqual, which begins with ``what``, unless ``differences`` of log-probs are those of rounding."""
        differences = differences.to(self.logprobs).abs()
        greatest = TOLERANCE + _GREATEST * self.rounding.max()
        # Not ">": differences may be NaN.
        if not (differences.max() <= greatest and differences.mean() <= TOLERANCE + self.rounding.mean()):
            raise NotEqual(f"{what} by up to {float(differences.max()):.2g} nats")


class Tokens:
    """A source of token ids that covers the vocabulary, without the special tokens of the model's configuration."""

    def __init__(self, model: PreTrainedModel) -> None:
        config = model.config.get_text_config(decoder=True)
        names = ("pad_token_id", "bos_token_id", "eos_token_id")
        special = {number for name in names for number in _numbers(getattr(config, name, None))}
        size = min(config.vocab_size, getattr(model.get_input_embeddings(), "num_embeddings", config.vocab_size))
        self._ids = [number for number in range(size) if number not in special]
        self._next = 1

    def take(self, count: int) -> tuple[int, ...]:
        """Return the next ``count`` ids."""
        numbers = range(self._next, self._next + count)
        self._next += count
        return tuple(self._ids[number * 7919 % len(self._ids)] for number in numbers)


def crossed_window(model: PreTrainedModel) -> int | None:
    """Return the tokens of the model's sliding window or attention chunk, None without one or if it is too long."""
    config = model.config.get_text_config(decoder=True)
    sizes = [getattr(config, name, None) for name in ("sliding_window", "attention_chunk_size")]
    longest = _LONGEST_WINDOW.get(model.device.type, 0)
    windows = [size for size in sizes if isinstance(size, int) and 0 < size <= longest]
    return min(windows, default=None)


@contextmanager
def attempt(model: PreTrainedModel) -> Iterator[None]:
    """Raise NotEqual for any error of a pass, because a model of any library may fail in any way; keep random states.

    Raises:
        torch.OutOfMemoryError: the memory does not suffice.
        NotEqual: anything else was raised.
    """
    devices = [model.device] if model.device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices):
            yield
    except (torch.OutOfMemoryError, NotEqual):
        raise
    except Exception as error:
        lines = str(error).strip().splitlines() or [""]
        raise NotEqual(f"its pass fails ({type(error).__name__}: {lines[0][:160].rstrip('.')})") from error


def first_equal(attempts: Mapping[str, Callable[[], Result]]) -> tuple[Result | None, dict[str, str]]:
    """Call the named attempts in their order until one does not raise NotEqual.

    Returns:
        Its result, None if all have raised, and why each of those before it was not equal.
    """
    reasons: dict[str, str] = {}
    for name, trial in attempts.items():
        try:
            return trial(), reasons
        except NotEqual as reason:
            reasons[name] = str(reason)
    return None, reasons


def _numbers(ids: Any) -> Sequence[int]:
    return [ids] if isinstance(ids, int) else list(ids or ())


def _logprobs(model: PreTrainedModel, records: Sequence[TokenRecord]) -> Float32[Tensor, "T"]:
    with inference(model, own_attention(model)):
        return torch.cat([_of_row(model, record) for record in records])


def _of_row(model: PreTrainedModel, record: TokenRecord) -> Float32[Tensor, "_"]:
    ids = torch.tensor(record.ids, device=model.device)
    places = torch.tensor(record.completion_mask, device=model.device).nonzero()[:, 0]
    logits = model(input_ids=ids[None]).logits[0, places - 1].float()
    return logits.log_softmax(-1).gather(-1, ids[places, None])[:, 0]


@contextmanager
def _rounded_at_random(model: PreTrainedModel) -> Iterator[None]:
    """Change the outputs of all modules without children by a rounding of their type, at random, up or down."""
    generator = torch.Generator().manual_seed(0)

    def change(module: Any, arguments: Any, output: Any) -> Any:
        if not isinstance(output, Tensor) or not output.is_floating_point():
            return output
        uniform = torch.rand(output.shape, generator=generator).sub_(0.5).to(output.device)
        return (output.float() * (1 + uniform * torch.finfo(output.dtype).eps)).to(output.dtype)

    hooks = [leaf.register_forward_hook(change) for leaf in model.modules() if not list(leaf.children())]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
