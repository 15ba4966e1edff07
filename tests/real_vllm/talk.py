"""Episodes of three steps as requests, and the difference of their log-probs to the trainer's."""

from __future__ import annotations

from small_engine import trainer_logprobs
from transformers import PreTrainedModel

from envtune.rollout.generator import Completion, Request
from envtune.rollout.vllm.vllm_generator import VLLMGenerator

LONG = tuple(range(10, 150))
PROMPTS = (LONG, (5, 6, 7), LONG, (*LONG[:70], 300, 301))


class Talk:
    """Token sequences of three steps, with an observation after each completion."""

    def __init__(self) -> None:
        self.requests = [[Request(prompt, seed, 12)] for seed, prompt in enumerate(PROMPTS)]
        self.found: list[list[Completion]] = [[] for _ in PROMPTS]
        self.order: list[int] = []

    def play(self, generator: VLLMGenerator) -> Talk:
        generator.run([requests[0] for requests in self.requests], self.advance)
        return self

    def advance(self, number: int, completion: Completion) -> Request | None:
        self.order.append(number)
        self.found[number].append(completion)
        last = self.requests[number][-1]
        if len(self.found[number]) == 3:
            return None
        self.requests[number].append(Request(last.ids + completion.ids + (50, 51, 52), last.seed + 100, 12))
        return self.requests[number][-1]

    def largest_difference(self, model: PreTrainedModel) -> float:
        """Return the largest difference of log-probs to those of ``model``, in nats."""
        differences = [
            abs(ours - theirs)
            for requests, found in zip(self.requests, self.found, strict=True)
            for request, completion in zip(requests, found, strict=True)
            for ours, theirs in zip(trainer_logprobs(model, request, completion), completion.logprobs, strict=True)
        ]
        assert len(differences) == 4 * 3 * 12
        return max(differences)
