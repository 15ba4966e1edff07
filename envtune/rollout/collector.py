"""Plays episodes side by side, each at its own pace, with completions from a generator. Computes no rewards."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from transformers import PreTrainedModel

from envtune.chat.template import Template
from envtune.checked import Count, checked
from envtune.derived_seed import derived_seed
from envtune.environment.augmentation import Augmentation
from envtune.environment.augmentation.actionable import Actionable
from envtune.environment.augmentation.none import CuesOnly, NoAugmentation
from envtune.environment.episode import AtStepLimit, Episode
from envtune.environment.interface import Environment
from envtune.errors import UserError
from envtune.rollout.generator import Completion, Generator, Request
from envtune.rollout.position_switch import require_constant_positions
from envtune.task import Task
from envtune.trajectory import FinalAnswer, TokenRecord, ToolCalls, Trajectory


@dataclass(frozen=True, slots=True)
class EpisodeRequest:
    """One episode to play."""

    task: Task
    seed: int
    """The only source of randomness of the episode: the other episodes of a batch do not change its result."""
    hints: bool = True
    """False withholds the augmentation's hints, but not its cues in documents."""
    state_digests: bool = False
    """Whether the episode records the digest of the world's state at the start of each turn."""


@checked
@dataclass(eq=False)
class Collector:
    """Plays episodes with a generator and returns their trajectories. Defaults as in conf/rollout/hf.yaml."""

    generator: Generator
    template: Template
    environment: Environment
    augmentation: Augmentation = field(default_factory=Actionable)
    step_limit: Count = 5
    """Steps per turn, as in ``Episode``."""
    max_prompt_tokens: Count = 8192
    """Tokens before the first completion."""
    max_response_tokens: Count = 24576
    """Tokens after the prompt, observations included."""
    max_completion_tokens: Count = 2048
    """Tokens of one completion."""
    max_episodes: Count = 64
    """Episodes in flight."""
    at_step_limit: AtStepLimit = "next_turn"
    """What the step beyond the limit ends."""
    environment_seconds: float = field(default=0.0, init=False)
    """Wall time spent in the environment since construction, in seconds."""

    @property
    def max_tokens(self) -> int:
        """Maximum length of an episode, in tokens."""
        return self.max_prompt_tokens + self.max_response_tokens

    def check_model(self, model: PreTrainedModel) -> None:
        """Raise UserError if the longest episode or the tokenizer's ids do not fit ``model``."""
        config = model.config.get_text_config()
        # Models without position embeddings, such as Bloom, have no window.
        self.check_window(getattr(config, "max_position_embeddings", None))
        require_constant_positions(model, self.max_tokens)
        self.template.check_vocabulary(config.vocab_size)

    def check_window(self, window: int | None) -> None:
        """Raise UserError if the longest episode exceeds the model's context window of ``window`` tokens."""
        if window is not None and self.max_tokens > window:
            raise UserError(
                f"rollout.max_prompt_tokens={self.max_prompt_tokens} and rollout.max_response_tokens="
                f"{self.max_response_tokens} make {self.max_tokens} tokens, but the model's window holds {window}: "
                "lower one of them or choose a model with a longer window"
            )

    def play(
        self,
        requests: Sequence[EpisodeRequest],
        greedy: bool = False,
        hints: bool = True,
        finished: Callable[[Trajectory], None] = lambda trajectory: None,
    ) -> list[Trajectory]:
        """Play one episode per request and return the trajectories in the order of the requests.

        Args:
            greedy: take the likeliest token at every position.
            hints: False plays without augmentation.
            finished: called with each trajectory when its episode ends, possibly from another thread.

        Raises:
            UserError: a task's prompt is longer than ``max_prompt_tokens``.
        """
        augmentation = self.augmentation if hints else NoAugmentation()
        version = self.generator.policy_version
        play = _Play(deque(enumerate(requests)), lambda request: self._start(request, augmentation), finished, version)
        self.generator.run(play.begin(self.max_episodes), play.advance, greedy)
        self.environment_seconds += play.environment_seconds
        return [play.trajectories[index] for index in range(len(requests))]

    def recite(self, request: EpisodeRequest, actions: Iterable[ToolCalls | FinalAnswer]) -> Trajectory:
        """Play one episode with known actions, in the ids that the model would have to sample, with log-probs of 0.

        The limits are those of ``play``: a response that a sampler could not complete is cut off.

        Raises:
            ValueError: the response protocol cannot express an action.
            UserError: as ``play``.
        """
        started = time.perf_counter()
        episode = self._start(request, self.augmentation)
        if not any(episode.advance(episode.recited(action)) for action in actions):
            episode.episode.truncate()
        self.environment_seconds += time.perf_counter() - started
        return episode.finish(self.generator.policy_version)

    def _start(self, request: EpisodeRequest, augmentation: Augmentation) -> _EpisodeInFlight:
        hints = augmentation.for_episode(self.environment, request.task, request.seed)
        if not request.hints:
            hints = CuesOnly(hints)
        at_limit, parse = self.at_step_limit, self.template.protocol.parse
        episode = Episode(
            self.environment, request.task, parse, hints, self.step_limit, at_limit, request.state_digests
        )
        opening = episode.reset()
        prompt = self.template.open(opening.text, opening.new_tools)
        if len(prompt) > self.max_prompt_tokens:
            raise UserError(
                f"the prompt of task {request.task.id} has {len(prompt)} tokens, rollout.max_prompt_tokens="
                f"{self.max_prompt_tokens} allows fewer: raise it if the model's window permits, or use prompt=compact"
            )
        limits = self.max_response_tokens, self.max_completion_tokens
        return _EpisodeInFlight(episode, Transcript(prompt), self.template, request.seed, *limits)


@dataclass(slots=True, eq=False)
class _Play:
    """The episodes of one call of ``play``: waiting, in flight and finished, by the index of their request.

    Each token sequence of the generator plays one episode after another.
    """

    waiting: deque[tuple[int, EpisodeRequest]]
    start: Callable[[EpisodeRequest], _EpisodeInFlight]
    finished: Callable[[Trajectory], None]
    policy_version: int
    in_flight: dict[int, tuple[int, _EpisodeInFlight]] = field(default_factory=dict)
    trajectories: dict[int, Trajectory] = field(default_factory=dict)
    environment_seconds: float = 0.0

    def begin(self, max_episodes: int) -> list[Request]:
        """Return the first request of each token sequence."""
        return [self.next_episode(sequence) for sequence in range(min(len(self.waiting), max_episodes))]

    def advance(self, sequence: int, completion: Completion) -> Request | None:
        """Play one step; return the next request of this episode or of a waiting one, None if there is none."""
        started = time.perf_counter()
        try:
            index, episode = self.in_flight[sequence]
            if not episode.advance(completion):
                return episode.request()
            self.trajectories[index] = episode.finish(self.policy_version)
            self.finished(self.trajectories[index])
            del self.in_flight[sequence]
            return self.next_episode(sequence) if self.waiting else None
        finally:
            self.environment_seconds += time.perf_counter() - started

    def next_episode(self, sequence: int) -> Request:
        index, request = self.waiting.popleft()
        self.in_flight[sequence] = index, self.start(request)
        return self.in_flight[sequence][1].request()


@dataclass(slots=True, eq=False)
class _EpisodeInFlight:
    """An episode, its tokens so far and its remaining token budget."""

    episode: Episode
    transcript: Transcript
    template: Template
    seed: int
    max_response_tokens: int
    max_completion_tokens: int
    steps: int = 0

    @property
    def tokens_left(self) -> int:
        return self.max_response_tokens - self.transcript.response_length

    def request(self) -> Request:
        """Return the request of the next completion; its seed depends only on the episode's seed and the step."""
        length = min(self.max_completion_tokens, self.tokens_left)
        return Request(self.transcript.ids, derived_seed(self.seed, self.steps), length, self.template.end_ids)

    def advance(self, completion: Completion) -> bool:
        """Play one step; return True at the end of the episode."""
        self.steps += 1
        self.transcript.sample(completion)
        observation = self.episode.step(self.template.decode(completion.ids), clipped=not completion.ended)
        if observation.done:
            return True
        self.transcript.feed(self.template.close_clipped(completion.ids))
        text, new_tools, results = observation.text, observation.new_tools, observation.results
        self.transcript.feed(self.template.append(text, new_tools, results=results, behind=observation.behind))
        if self.tokens_left > 0:
            return False
        self.episode.truncate()
        return True

    def recited(self, action: ToolCalls | FinalAnswer) -> Completion:
        """Return the completion that writes an action, cut off at the limit of the next request."""
        if isinstance(action, ToolCalls):
            text = self.template.protocol.write_calls(action.thought, action.calls)
        else:
            text = self.template.protocol.write_answer(action.thought, action.text)
        ids = self.template.reply(text)
        kept = tuple(ids[: self.request().max_new_tokens])
        return Completion(kept, (0.0,) * len(kept), ended=len(kept) == len(ids))

    def finish(self, policy_version: int) -> Trajectory:
        return self.episode.finish().with_tokens(self.transcript.record(), self.seed, policy_version)


class Transcript:
    """The token ids of an episode in progress: prompt, completions, environment. Text is never tokenised again."""

    def __init__(self, prompt: Sequence[int]) -> None:
        self._prompt_length = len(prompt)
        self._ids = list(prompt)
        self._mask = [False] * len(prompt)
        self._logprobs = [0.0] * len(prompt)

    @property
    def ids(self) -> tuple[int, ...]:
        """All ids so far."""
        return tuple(self._ids)

    @property
    def response_length(self) -> int:
        """Number of tokens after the prompt, the environment's included."""
        return len(self._ids) - self._prompt_length

    def feed(self, ids: Sequence[int]) -> None:
        """Append ids of the environment."""
        self._ids.extend(ids)
        self._mask.extend([False] * len(ids))
        self._logprobs.extend([0.0] * len(ids))

    def sample(self, completion: Completion) -> None:
        """Append sampled ids with their behaviour log-probs."""
        self._ids.extend(completion.ids)
        self._mask.extend([True] * len(completion.ids))
        self._logprobs.extend(completion.logprobs)

    def record(self) -> TokenRecord:
        """Return the tokens up to the last sampled one. Later tokens do not take part in training."""
        end = len(self._mask) - self._mask[::-1].index(True) if True in self._mask else len(self._mask)
        return TokenRecord(
            tuple(self._ids[:end]), tuple(self._mask[:end]), tuple(self._logprobs[:end]), self._prompt_length
        )
