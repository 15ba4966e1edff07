"""Plays many episodes together, each at its own pace, and returns their trajectories.

Does not judge (rewards do), and does not know where the policy runs (the generator does).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from envtune.chat.protocol import parse
from envtune.chat.template import Template
from envtune.checked import Count, checked
from envtune.environment.augmentation import Augmentation
from envtune.environment.augmentation.none import NoAugmentation
from envtune.environment.episode import Episode, Observation
from envtune.errors import UserError
from envtune.rollout.generator import Completion, Generator, Request
from envtune.rollout.transcript import Transcript
from envtune.task import Task
from envtune.trajectory import Trajectory


@dataclass(frozen=True, slots=True)
class EpisodeRequest:
    """One episode to play. All its chance comes from ``seed``, whatever else is played beside it."""

    task: Task
    seed: int


@checked
class Collector:
    """Plays episodes with at most ``max_episodes`` of them in flight.

    A turn runs at most ``step_limit`` steps. In tokens: a prompt (everything before the first completion) holds at most
    ``max_prompt_tokens``, all that follows at most ``max_response_tokens``, one completion at most
    ``max_completion_tokens``. ``environment_seconds`` adds up the wall time spent in the environment since the start.
    """

    def __init__(
        self,
        generator: Generator,
        template: Template,
        augmentation: Augmentation,
        step_limit: Count,
        max_prompt_tokens: Count,
        max_response_tokens: Count,
        max_completion_tokens: Count,
        max_episodes: Count = 64,
    ) -> None:
        self.generator = generator
        self.environment_seconds = 0.0
        self.template = template
        self.augmentation = augmentation
        self._step_limit = step_limit
        self._max_prompt_tokens = max_prompt_tokens
        self._max_response_tokens = max_response_tokens
        self._max_completion_tokens = max_completion_tokens
        self.max_episodes = max_episodes

    @property
    def max_tokens(self) -> int:
        """The longest episode in tokens."""
        return self._max_prompt_tokens + self._max_response_tokens

    def check_window(self, window: int | None) -> None:
        """Raises UserError if the longest episode does not fit ``window``, the model's context in tokens."""
        if window is not None and self.max_tokens > window:
            raise UserError(
                f"rollout.max_prompt_tokens={self._max_prompt_tokens} and rollout.max_response_tokens="
                f"{self._max_response_tokens} make {self.max_tokens} tokens, but the model's window holds {window}: "
                "lower one of them or choose a model with a longer window"
            )

    def play(
        self,
        requests: Sequence[EpisodeRequest],
        greedy: bool = False,
        hints: bool = True,
        finished: Callable[[Trajectory], None] = lambda trajectory: None,
    ) -> list[Trajectory]:
        """One trajectory per request, in the order of the requests; without ``hints``, nothing is augmented.

        ``finished`` gets each trajectory as soon as its episode is over, maybe in another thread.

        Raises:
            UserError: a task's prompt is longer than ``max_prompt_tokens``.
        """
        augmentation = self.augmentation if hints else NoAugmentation()
        version = self.generator.policy_version
        play = _Play(requests, lambda request: self._start(request, augmentation), finished, version)
        self.generator.run(play.begin(self.max_episodes), play.advance, greedy)
        self.environment_seconds += play.environment_seconds
        return [play.trajectories[place] for place in range(len(requests))]

    def _start(self, request: EpisodeRequest, augmentation: Augmentation) -> _EpisodeInFlight:
        episode = Episode(request.task, parse, augmentation.for_episode(request.seed), self._step_limit)
        opening = episode.reset()
        prompt = self.template.open(opening.text, opening.new_tools)
        if len(prompt) > self._max_prompt_tokens:
            raise UserError(
                f"the prompt of task {request.task.id} has {len(prompt)} tokens, rollout.max_prompt_tokens="
                f"{self._max_prompt_tokens} allows fewer: raise it if the model's window permits, or use prompt=compact"
            )
        return _EpisodeInFlight(
            episode,
            Transcript(prompt),
            self.template,
            request.seed,
            self._max_response_tokens,
            self._max_completion_tokens,
        )


class _Play:
    """The episodes of one call of ``play``: those that wait, those in flight, and ``trajectories`` by their places.

    A chain of the generator's plays one episode after the other.
    """

    def __init__(
        self,
        requests: Sequence[EpisodeRequest],
        start: Callable[[EpisodeRequest], _EpisodeInFlight],
        finished: Callable[[Trajectory], None],
        policy_version: int,
    ) -> None:
        self.trajectories: dict[int, Trajectory] = {}
        self.environment_seconds = 0.0
        self._waiting = deque(enumerate(requests))
        self._flying: dict[int, tuple[int, _EpisodeInFlight]] = {}
        self._start, self._finished, self._policy_version = start, finished, policy_version

    def begin(self, max_episodes: int) -> list[Request]:
        """The first request of each chain."""
        return [self._next_episode(chain) for chain in range(min(len(self._waiting), max_episodes))]

    def advance(self, chain: int, completion: Completion) -> Request | None:
        """Plays one step of the chain's episode; returns what to sample next for it or for a waiting one."""
        started = time.perf_counter()
        try:
            place, episode = self._flying[chain]
            if not episode.advance(completion):
                return episode.request()
            self.trajectories[place] = episode.finish(self._policy_version)
            self._finished(self.trajectories[place])
            del self._flying[chain]
            return self._next_episode(chain) if self._waiting else None
        finally:
            self.environment_seconds += time.perf_counter() - started

    def _next_episode(self, chain: int) -> Request:
        place, request = self._waiting.popleft()
        self._flying[chain] = place, self._start(request)
        return self._flying[chain][1].request()


class _EpisodeInFlight:
    """An episode, its tokens so far and what is left of its token budget."""

    def __init__(
        self,
        episode: Episode,
        transcript: Transcript,
        template: Template,
        seed: int,
        max_response_tokens: int,
        max_completion_tokens: int,
    ) -> None:
        self._episode = episode
        self._transcript = transcript
        self._template = template
        self._seed = seed
        self._max_response_tokens = max_response_tokens
        self._max_completion_tokens = max_completion_tokens
        self._steps = 0

    @property
    def _tokens_left(self) -> int:
        return self._max_response_tokens - self._transcript.response_length

    def request(self) -> Request:
        """The next completion's request; its seed depends on the episode's and on the step alone."""
        seed = int(np.random.SeedSequence([self._seed, self._steps]).generate_state(1, np.uint64)[0] >> 1)
        length = min(self._max_completion_tokens, self._tokens_left)
        return Request(self._transcript.ids, seed, length, self._template.end_ids)

    def advance(self, completion: Completion) -> bool:
        """Plays one step; returns whether the episode is over."""
        self._steps += 1
        self._transcript.sample(completion)
        observation = self._episode.step(self._template.decode(completion.ids), clipped=not completion.ended)
        if observation.done:
            return True
        self._observe(completion, observation)
        if self._tokens_left > 0:
            return False
        self._episode.truncate()
        return True

    def _observe(self, completion: Completion, observation: Observation) -> None:
        self._transcript.feed(self._template.close_clipped(completion.ids))
        self._transcript.feed(self._template.append(observation.text, observation.new_tools))

    def finish(self, policy_version: int) -> Trajectory:
        return self._episode.finish().with_tokens(self._transcript.record(), self._seed, policy_version)
