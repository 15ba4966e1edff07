"""The protocol of an inference engine with its own copy of the weights."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Protocol

import torch
from pydantic import Field
from transformers import PreTrainedModel

from envtune.rollout.vllm.event_loop import Answer

Timeout = Annotated[float, Field(gt=0, description="the time limit for a response of vLLM, in seconds")]


class EngineError(ConnectionError):
    """The engine has ended, does not respond in time, or has weights that differ from the trainer's."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"vLLM {what}; its output may show the reason. Checkpoints are not affected: continue the run with "
            "ckpt_path=RUN_FOLDER"
        )


@dataclass(frozen=True, slots=True)
class EngineCompletion:
    """One completion of the engine."""

    ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    """In nats."""
    finish_reason: str
    """"stop", "length", or a failure."""
    cached_tokens: int
    """Prompt tokens taken from the KV cache."""
    weight_versions: frozenset[str]
    """Versions of the weights that sampled the completion, as set by ``Engine.set_weight_version``."""


class Engine(Protocol):
    """An engine whose methods all return in time or raise EngineError."""

    is_shared: bool
    """True if all ranks use one engine, False if each rank has its own."""

    def prepare_for(self, model: PreTrainedModel) -> torch.dtype:
        """Return the dtype in which the engine loads the weights of ``model``.

        Raises:
            UserError: the engine cannot load this model.
        """

    def load(self, folder: Path, dtype: torch.dtype) -> None:
        """Replace all weights by those in ``folder``. The KV cache of the old weights may remain."""

    def reset_cache(self) -> None:
        """Empty the KV cache. No request may be running."""

    def weight_sums(self) -> list[dict[str, int]]:
        """Return the checksums of each worker's weights by name (see weight_sums.py)."""

    def set_weight_version(self, version: str) -> None:
        """Name the current weights; completions return this name."""

    def sleep(self) -> None:
        """Free memory until ``wake_up``, if the engine supports it."""

    def wake_up(self) -> None:
        """Restore the engine after ``sleep``."""

    async def complete(self, ids: tuple[int, ...], parameters: Mapping[str, Any]) -> EngineCompletion:
        """Sample one completion with ``parameters`` of vLLM's SamplingParams. Await it inside ``run``."""

    def run(self, coroutine: Coroutine[Any, Any, Answer], purpose: str) -> Answer:
        """Run a coroutine, which may await ``complete``; error messages contain ``purpose``, a verb phrase."""

    def close(self) -> None:
        """Release the engine's process or connections."""
