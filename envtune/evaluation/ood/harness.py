"""What every harness is told, and what it gives back."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Protocol

from pydantic import Field

from envtune.checked import Count, NotNegative, Positive, checked
from envtune.errors import UserError
from envtune.evaluation.ood.record import Results

# What is sent as a key where none is needed: clients refuse to have none.
NO_KEY = "EMPTY"
PROBE_SECONDS = 20


@checked
@dataclass(frozen=True, slots=True)
class ChatEndpoint:
    """Where an OpenAI-compatible chat endpoint answers. ``key_variable`` names the variable that holds its key.

    Raises:
        UserError: the URL has no scheme, or the variable is not set.
    """

    url: str
    model: str
    key_variable: str | None = None

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            raise UserError(f"url={self.url} must begin with http:// or https://, as http://127.0.0.1:8000/v1")
        if self.key_variable is not None and not os.environ.get(self.key_variable):
            raise UserError(
                f"key_variable={self.key_variable}: no such variable is set: export the endpoint's key in it"
            )

    @property
    def key(self) -> str:
        return os.environ[self.key_variable] if self.key_variable else NO_KEY

    def require(self) -> None:
        """Asks for the list of models. An endpoint that has none is taken at its word.

        Raises:
            UserError: nobody answers, the key is refused, or the list does not have the model.
        """
        request = urllib.request.Request(f"{self.url}/models", headers={"Authorization": f"Bearer {self.key}"})
        try:
            with urllib.request.urlopen(request, timeout=PROBE_SECONDS) as answer:
                names = [str(entry["id"]) for entry in json.load(answer)["data"]]
        except urllib.error.HTTPError as error:
            if error.code in (401, 403):
                raise UserError(
                    f"{self.url} refuses the key: name the variable that holds it, key_variable=…"
                ) from None
            return
        except OSError as error:
            raise UserError(f"{self.url} does not answer ({error}): start the endpoint first") from None
        except (ValueError, KeyError, TypeError):
            return
        if names and self.model not in names:
            raise UserError(f"{self.url} has no model {self.model!r}: it serves {', '.join(names)}")


@checked
@dataclass(frozen=True, slots=True)
class BenchmarkJob:
    """One benchmark to play with one agent. ``folder`` keeps what the harness writes.

    ``limit``: only so many tasks of each part, None for all. ``concurrency``: episodes at a time. ``max_tokens`` of one
    answer and ``timeout`` for it in seconds: None leaves them to the endpoint and the client.
    """

    agent: ChatEndpoint
    temperature: NotNegative
    max_tokens: Count | None
    user: ChatEndpoint | None
    episodes_per_task: Count
    limit: Count | None
    concurrency: Count
    timeout: Annotated[Positive | None, Field(description="seconds for an answer")]
    folder: Path

    def __post_init__(self) -> None:
        if self.episodes_per_task > 1 and self.temperature == 0 and self.user is None:
            raise UserError(
                f"episodes_per_task={self.episodes_per_task} would play the same greedy episodes again: add "
                "agent.temperature=… above 0"
            )


class Harness(Protocol):
    """Plays a benchmark by somebody else's program."""

    benchmark: str  # of the columns in the table
    # What the simulated user's requests name; empty if that is the program's own affair, None if there is no such user.
    user_decoding: Mapping[str, Any] | None

    @property
    def source(self) -> str:
        """Where the tasks come from, for the record."""
        ...

    def version(self) -> str:
        """Name and version, for the record. Raises UserError, with what to install, if it is not there."""
        ...

    def play(self, job: BenchmarkJob) -> Results:
        """Plays and scores. Raises UserError if the program fails."""
        ...
