"""The protocol of a sampler, with the records of its requests and completions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Protocol, TypeAlias

from pydantic import Field
from transformers import PreTrainedModel

from envtune.errors import UserError

Temperature = Annotated[float, Field(gt=0, description="for the likeliest tokens, sample greedily")]


class BrokenPolicy(UserError):
    """Log-probs of the policy are NaN or infinite."""

    def __init__(self, policy_version: int) -> None:
        super().__init__(
            f"the policy after update {policy_version} gives logits that are NaN or infinite, from which no token can "
            "be sampled: continue from an earlier checkpoint with a lower optimizer.lr, or use model.dtype=float32 if "
            "its weights overflow a smaller type"
        )


@dataclass(frozen=True, slots=True)
class Request:
    """A request for one completion."""

    ids: tuple[int, ...]
    """Prompt token ids, at least one."""
    seed: int
    """The only source of randomness of the completion, 0 or more."""
    max_new_tokens: int
    """Limit on sampled tokens, the end token included."""
    end_ids: tuple[int, ...] = ()
    """Tokens that end the completion, in addition to those of the model's generation config."""

    def __post_init__(self) -> None:
        if not self.ids or self.max_new_tokens < 1 or self.seed < 0:
            raise ValueError(
                f"a request needs at least one id ({len(self.ids)} given), max_new_tokens of 1 or more "
                f"({self.max_new_tokens}) and a seed of 0 or more ({self.seed})"
            )


@dataclass(frozen=True, slots=True)
class Completion:
    """The tokens sampled for one request."""

    ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    """Log-prob of each id in nats, at the sampling temperature."""
    ended: bool
    """True if the last id is an end token (sampled like the others), False at the length limit."""

    def __post_init__(self) -> None:
        if len(self.ids) != len(self.logprobs):
            raise ValueError(f"a completion has {len(self.ids)} ids but {len(self.logprobs)} log-probs")


# (number of a token sequence, completion of its request) -> the sequence's next request, None at its end
Advance: TypeAlias = Callable[[int, Completion], Request | None]


class Generator(Protocol):
    """Samples completions from the weights of the last ``update_weights``."""

    temperature: float
    """The temperature of the recorded log-probs; the trainer must recompute them at this temperature."""
    policy_version: int
    """Number of optimiser updates that the weights have received."""
    fed_tokens: int
    """Tokens that went through the model since construction."""

    def update_weights(self, model: PreTrainedModel, policy_version: int) -> None:
        """Sample from ``model`` from now on. Must be called again after every change of its weights."""

    def run(self, first: Sequence[Request], advance: Advance, greedy: bool = False) -> None:
        """Sample token sequences until all have ended.

        Args:
            first: the first request of each sequence; its index is the sequence's number.
            advance: called as soon as a sequence's request has its completion, while other sequences are sampled;
                returns the next request. Calls do not overlap but may come from another thread. An error in it ends
                the run and is raised here.
            greedy: take the likeliest token at every position.

        Raises:
            BrokenPolicy: a log-prob is NaN or infinite.
        """
