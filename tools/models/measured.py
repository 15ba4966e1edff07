"""The measurement of one model: the untouched model, the sampler and the update over one short group of ragged rows."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel

from envtune.grpo.batch import TrainBatch
from envtune.rollout.generator import Completion, Request
from envtune.rollout.hf.hf_generator import HFGenerator
from envtune.rollout.position_switch import require_constant_positions
from envtune.rollout.untouched import ModelPath
from envtune.training.model.policy import Policy
from envtune.trajectory import TokenRecord

TOLERANCE = 1e-3
"""Largest difference in nats that counts as equal, in float32."""
_TEMPERATURE = 0.8
_NEW_TOKENS = (6, 5)
"""Limits of the completions of a sequence; an observation of some tokens lies between them."""
_LONGEST = 20 + sum(_NEW_TOKENS) + 4
"""Tokens of the longest row."""


@dataclass(frozen=True, slots=True)
class Differences:
    """Largest differences of log-probs in nats."""

    path: ModelPath
    """The path of the update."""
    way: str
    """How the sampler plays."""
    sampler: float
    """Between the sampler and the untouched model in evaluation mode."""
    update: float
    """Between the update's pass in training mode and the untouched model in evaluation mode."""
    repeated: float
    """Between two passes of the update."""

    @property
    def values(self) -> tuple[float, float, float]:
        """The three differences."""
        return self.sampler, self.update, self.repeated

    @property
    def equal(self) -> bool:
        """Whether all are within `TOLERANCE`; NaN is not."""
        return all(value <= TOLERANCE for value in self.values)


def measure(model: PreTrainedModel) -> Differences:
    """Sample a group from ``model`` and compare its log-probs.

    Raises:
        UserError: the model is refused.
    """
    untouched = copy.deepcopy(model).eval()
    require_constant_positions(model, _LONGEST)
    policy = Policy(model)
    generator = HFGenerator(_TEMPERATURE)
    generator.update_weights(policy.model_to_sample(), 0)
    records = play(generator, model.config.get_text_config().vocab_size)
    batch = TrainBatch.from_records(records, _TEMPERATURE)
    policy.train()
    first, second = (policy(batch).logprobs.detach() for _ in range(2))
    expected = torch.cat([_untouched_logprobs(untouched, record) for record in records])
    return Differences(
        path=policy.path,
        way=generator.way,
        sampler=_largest(batch.behaviour_logprobs, expected),
        update=_largest(first, expected),
        repeated=_largest(first, second),
    )


def play(generator: HFGenerator, vocabulary: int) -> list[TokenRecord]:
    """Sample three sequences that share a prompt and one with a longer prompt, each of two completions.

    Returns:
        Rows of 18 to 35 tokens, longer than the windows, chunks and RoPE lengths of the tiny models.
    """
    prompts = [_tokens(7, 12, vocabulary)] * 3 + [_tokens(11, 20, vocabulary)]
    ids = [list(prompt) for prompt in prompts]
    masks = [[False] * len(prompt) for prompt in prompts]
    logprobs = [[0.0] * len(prompt) for prompt in prompts]
    rounds = [0] * len(prompts)

    def advance(number: int, completion: Completion) -> Request | None:
        ids[number] += completion.ids
        masks[number] += [True] * len(completion.ids)
        logprobs[number] += completion.logprobs
        rounds[number] += 1
        if rounds[number] == len(_NEW_TOKENS):
            return None
        observation = _tokens(number, 1 + number, vocabulary)
        ids[number] += observation
        masks[number] += [False] * len(observation)
        logprobs[number] += [0.0] * len(observation)
        return Request(tuple(ids[number]), 100 + number, _NEW_TOKENS[1])

    generator.run([Request(prompt, number, _NEW_TOKENS[0]) for number, prompt in enumerate(prompts)], advance)
    rows = zip(ids, masks, logprobs, prompts, strict=True)
    return [TokenRecord(tuple(row), tuple(mask), tuple(logs), len(prompt)) for row, mask, logs, prompt in rows]


def _tokens(seed: int, count: int, vocabulary: int) -> tuple[int, ...]:
    # Above the special tokens of the tiny models.
    return tuple(4 + (seed * 31 + index * 17) % (vocabulary - 4) for index in range(count))


@torch.no_grad()
def _untouched_logprobs(model: PreTrainedModel, record: TokenRecord) -> Tensor:
    """Return the log-probs of a row's sampled tokens, from a pass over this row alone."""
    # A copy, because some RoPE variants keep the frequencies of the longest row so far.
    logits = copy.deepcopy(model)(input_ids=torch.tensor([record.ids]), use_cache=False).logits[0].float()
    sampled = [place for place, mask in enumerate(record.completion_mask) if mask]
    scores = (logits[torch.tensor(sampled) - 1] / _TEMPERATURE).log_softmax(-1)
    return scores.gather(-1, torch.tensor([record.ids[place] for place in sampled])[:, None])[:, 0]


def _largest(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).abs().max())
