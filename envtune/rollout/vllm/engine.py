"""What an engine is that samples beside the trainer, with weights of its own: what it is asked and what it answers."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Protocol, TypeVar

import torch
from pydantic import Field
from transformers import PreTrainedModel

Answer = TypeVar("Answer")

Timeout = Annotated[float, Field(gt=0, description="the seconds that vLLM may take for an answer")]


class EngineError(ConnectionError):
    """The engine has ended, does not answer in time, or does not hold the weights that it was given."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"vLLM {what}; what it printed may say why. Checkpoints are not touched: continue the run with "
            "ckpt_path=RUN_FOLDER"
        )


@dataclass(frozen=True, slots=True)
class EngineCompletion:
    """One completion: its ids and their log-probs, and why it ended: "stop", "length" or something that went wrong.

    ``cached_tokens`` of the prompt were not computed again. ``stamps`` name the weights that sampled it.
    """

    ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    finish_reason: str
    cached_tokens: int
    stamps: frozenset[str]


class Engine(Protocol):
    """Every method ends in time, or raises EngineError. ``is_shared``: all training processes use the same one."""

    is_shared: bool

    def prepare_for(self, model: PreTrainedModel) -> torch.dtype:
        """The dtype in which the engine wants the weights of ``model``. Raises UserError if it cannot take them."""
        ...

    def load(self, folder: Path, dtype: torch.dtype) -> None:
        """Replaces all weights by those in ``folder``. What was computed with the old ones may stay cached."""
        ...

    def forget(self) -> None:
        """Empties the cache of what was computed. No request may be running."""
        ...

    def weight_sums(self) -> list[dict[str, int]]:
        """Sums of the weights that the engine computes with, by name, worker by worker (see weight_sums.py)."""
        ...

    def stamp(self, weights: str) -> None:
        """Gives the weights a name, by which completions tell what sampled them."""
        ...

    def rest(self) -> None:
        """Gives memory back until ``wake``, if the engine does so."""
        ...

    def wake(self) -> None: ...

    async def complete(self, ids: tuple[int, ...], parameters: Mapping[str, Any]) -> EngineCompletion:
        """One completion, by names and values of vLLM's SamplingParams. To be awaited in ``run``."""
        ...

    def run(self, coroutine: Coroutine[Any, Any, Answer], purpose: str) -> Answer:
        """The result of ``coroutine``, run where ``complete`` can be awaited; it has to end by itself."""
        ...

    def close(self) -> None: ...
