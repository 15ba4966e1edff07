"""The protocol of a third-party harness, and the job that it receives."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Protocol

from pydantic import Field

from envtune.bfcl.official.listed_models import NO_KEY, listed_models
from envtune.checked import Count, NotNegative, Positive, checked
from envtune.errors import UserError
from envtune.evaluation.ood.record import Results


@checked
@dataclass(frozen=True, slots=True)
class ChatEndpoint:
    """An OpenAI-compatible chat endpoint.

    Raises:
        UserError: the URL has no scheme, or the variable is not set.
    """

    url: str
    """Up to ``/v1``."""
    model: str
    key_variable: str | None = None
    """The environment variable that holds the API key."""

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            raise UserError(f"url={self.url} must begin with http:// or https://, as http://127.0.0.1:8000/v1")
        if self.key_variable is not None and not os.environ.get(self.key_variable):
            raise UserError(f"key_variable={self.key_variable}: this variable is not set: export the key in it")

    @property
    def key(self) -> str:
        """The API key."""
        return os.environ[self.key_variable] if self.key_variable else NO_KEY

    def require(self) -> None:
        """Request the list of models; an endpoint without a list is accepted.

        Raises:
            UserError: no server responds, the key is refused, or the list does not contain the model.
        """
        listed_models(self.url, self.key, self.model, "name the variable that holds it, key_variable=…")


@checked
@dataclass(frozen=True, slots=True)
class BenchmarkJob:
    """One benchmark to play with one agent."""

    agent: ChatEndpoint
    temperature: NotNegative
    max_tokens: Count | None
    """Tokens of one response; None for the endpoint's default."""
    user: ChatEndpoint | None
    """The endpoint of the simulated user."""
    episodes_per_task: Count
    limit: Count | None
    """Tasks of each part; None for all."""
    concurrency: Count
    """Episodes at a time."""
    timeout: Annotated[Positive | None, Field(description="seconds for an answer")]
    """Seconds for one response; None for the client's default."""
    folder: Path
    """The folder for the harness's files."""

    def __post_init__(self) -> None:
        if self.episodes_per_task > 1 and self.temperature == 0 and self.user is None:
            raise UserError(
                f"episodes_per_task={self.episodes_per_task} would play the same greedy episodes again: add "
                "agent.temperature=… above 0"
            )


class Harness(Protocol):
    """A third-party program that plays and scores a benchmark."""

    benchmark: str
    """The benchmark's name in the columns of tables."""
    user_decoding: Mapping[str, Any] | None
    """The decoding settings of the simulated user's requests; empty if the program chooses them, None without a
    simulated user."""

    @property
    def source(self) -> str:
        """The origin of the tasks, for the record."""

    def version(self) -> str:
        """Return name and version, for the record.

        Raises:
            UserError: the program is not installed.
        """

    def play(self, job: BenchmarkJob) -> Results:
        """Play and score the benchmark; what an earlier call on the folder finished is not played again.

        Raises:
            UserError: the program failed.
        """
