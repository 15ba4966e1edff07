"""Samples from the trainer's transformers model on any device, with all episodes in one running batch.

Every token is fed once: sequences with equal prompts share the prompt's KV cache, and a sequence's next request feeds
only its new tokens. The cache is dropped after a run. Sliding-window and linear attention are not supported.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field
from transformers import PreTrainedModel
from transformers.cache_utils import get_layer_types_and_kwargs
from typing_extensions import override

from envtune.checked import Count, checked
from envtune.errors import UserError
from envtune.rollout.end_tokens import end_tokens
from envtune.rollout.generator import Advance, BrokenPolicy, Generator, Request, Temperature
from envtune.rollout.hf.environment_thread import EnvironmentThread
from envtune.rollout.hf.kv_attention import ATTENTION
from envtune.rollout.hf.running_batch import BatchLimits, RunningBatch
from envtune.rollout.hf.sampling import NonFiniteLogits, Sampling
from envtune.rollout.inference import inference


@checked
class HFGenerator(Generator):
    """The embedded generator. Call ``update_weights`` first, and after every change of the weights.

    Tokens are sampled by inverting the cumulative distribution at uniform numbers from the request's seed, so an
    episode does not depend on the rest of the batch (up to rounding in larger matrix products). Log-probs cover the
    whole vocabulary at ``temperature``, before the ``top_p`` cut, as the trainer recomputes them.

    Args:
        max_batch_size: sequences in the batch.
        max_cache_tokens: size of the KV cache in tokens; a single sequence may exceed it. If the cache is full,
            sequences are preempted when they continue, and recomputed later.
    """

    def __init__(
        self,
        temperature: Temperature = 1.0,
        top_p: Annotated[float, Field(gt=0, le=1, description="1 samples from the whole vocabulary")] = 1.0,
        max_batch_size: Annotated[int, Field(ge=1, description="completions decoded together")] = 64,
        max_cache_tokens: Count = 262_144,
    ) -> None:
        self.temperature = temperature
        self.top_p = top_p
        self.policy_version = -1
        self.fed_tokens = 0
        self.waiting_seconds = 0.0
        """Time for which sampling waited for ``advance``, in seconds."""
        self._limits = BatchLimits(max_batch_size, max_cache_tokens)
        self._model: PreTrainedModel | None = None
        self._stop_ids: frozenset[int] = frozenset()

    @override
    def update_weights(self, model: PreTrainedModel, policy_version: int) -> None:
        """Share ``model`` without a copy.

        Raises:
            UserError: the model's attention is not supported.
        """
        if model is not self._model:
            _require_fitting_attention(model)
        self._model = model
        self._stop_ids = end_tokens(model)
        self.policy_version = policy_version

    @override
    def run(self, first: Sequence[Request], advance: Advance, greedy: bool = False) -> None:
        if self._model is None:
            raise RuntimeError("the generator has no weights; call update_weights first")
        batch = RunningBatch(self._model, Sampling(self.temperature, self.top_p, greedy), self._limits, self._stop_ids)
        for number, request in enumerate(first):
            batch.enter(number, request)
        with inference(self._model, ATTENTION), EnvironmentThread(advance) as environment:
            try:
                while batch.busy or environment.busy:
                    for slot, following in environment.submit(batch.step()):
                        batch.resume(slot, following)
            except NonFiniteLogits as error:
                raise BrokenPolicy(self.policy_version) from error
        self.fed_tokens += batch.fed_tokens
        self.waiting_seconds += environment.waiting_seconds


def _require_fitting_attention(model: PreTrainedModel) -> None:
    kinds, _ = get_layer_types_and_kwargs(model.config.get_text_config(decoder=True))
    others = sorted(set(kinds) - {"full_attention"})
    if others:
        raise UserError(
            f"{type(model).__name__} has layers of {', '.join(others)}, but the embedded generator samples only models "
            "with full attention in every layer; choose such a model or the vLLM generator"
        )
    # private: transformers has no public flag; a trial forward pass, as in training.policy, would replace it.
    if not model._supports_attention_backend:
        raise UserError(
            f"{type(model).__name__} does not take its attention from transformers' AttentionInterface, which the "
            "embedded generator needs; choose a model such as Qwen or Llama, or the vLLM generator"
        )
