"""What a sampler of completions is: the records that go in and come out, and the protocol between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Protocol, TypeAlias

from pydantic import Field
from transformers import PreTrainedModel

from envtune.errors import UserError

Temperature = Annotated[float, Field(gt=0, description="the likeliest tokens come of generating greedily")]


class BrokenPolicy(UserError):
    """The policy gives log-probs that are not finite numbers, after ``policy_version`` updates."""

    def __init__(self, policy_version: int) -> None:
        super().__init__(
            f"the policy after update {policy_version} gives logits that are NaN or infinite, from which nothing can "
            "be sampled: continue from an earlier checkpoint with a lower optimizer.lr, or use model.dtype=float32 if "
            "its weights overflow a smaller type"
        )


@dataclass(frozen=True, slots=True)
class Request:
    """Asks for one completion of ``ids``.

    All noise of the completion comes from ``seed`` (0 or more), whatever else is sampled beside it.
    ``max_new_tokens`` counts sampled tokens, the end token included. ``end_ids`` end a completion, beside those that
    the model's own generation config names.
    """

    ids: tuple[int, ...]
    seed: int
    max_new_tokens: int
    end_ids: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not self.ids or self.max_new_tokens < 1 or self.seed < 0:
            raise ValueError(
                f"a request needs at least one id ({len(self.ids)} given), max_new_tokens of 1 or more "
                f"({self.max_new_tokens}) and a seed of 0 or more ({self.seed})"
            )


@dataclass(frozen=True, slots=True)
class Completion:
    """The sampled ids and the log-prob (natural log, at the sampling temperature) of each.

    ``ended``: the last id is an end token, sampled like the others; otherwise the length limit stopped the completion.
    """

    ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    ended: bool

    def __post_init__(self) -> None:
        if len(self.ids) != len(self.logprobs):
            raise ValueError(f"{len(self.ids)} ids and {len(self.logprobs)} log-probs of a completion must be as many")


# Takes the number of a chain and the completion of its request; returns the chain's next request, None at its end.
Advance: TypeAlias = Callable[[int, Completion], Request | None]


class Generator(Protocol):
    """Samples completions from the weights it was last given.

    ``temperature`` is the one at which log-probs are recorded and must be recomputed. ``policy_version`` counts the
    updates that the weights had received. ``fed_tokens`` counts the tokens that went through the model since the start.
    """

    temperature: float
    policy_version: int
    fed_tokens: int

    def update_weights(self, model: PreTrainedModel, policy_version: int) -> None:
        """Sample from ``model`` from now on. Must be called again after every change of its weights."""
        ...

    def run(self, first: Sequence[Request], advance: Advance, greedy: bool = False) -> None:
        """Samples chains of requests until all have ended; chain ``i`` begins with ``first[i]``.

        As soon as a request of chain ``i`` has its completion, ``advance(i, completion)`` says what follows, while
        other chains are sampled. ``advance`` is never called twice at the same time, but maybe from another thread; an
        error in it ends the run and is raised here. ``greedy`` takes the likeliest token each time.

        Raises:
            BrokenPolicy: a log-prob is not a finite number.
        """
        ...
