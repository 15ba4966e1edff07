"""The chat endpoint that BFCL's own program plays against."""

from __future__ import annotations

import re
from dataclasses import dataclass

from envtune.bfcl.official.listed_models import NO_KEY, listed_models
from envtune.errors import UserError

# The program makes the name part of a Python identifier, in which it replaces only these four signs by "_".
_USABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_./:-]*")


@dataclass(frozen=True, slots=True)
class PolicyEndpoint:
    """An OpenAI-compatible chat endpoint."""

    url: str
    """Up to ``/v1``."""
    model: str | None = None
    """The endpoint's name of the model; None for its only model."""
    key: str = NO_KEY

    def served_model(self) -> str:
        """Return the endpoint's name of the model.

        Raises:
            UserError: the URL is not valid, no server responds, the key is refused, the endpoint does not have the
                model or, without a model, not exactly one, or the program cannot use the name.
        """
        if not self.url.startswith(("http://", "https://")):
            raise UserError(f"endpoint {self.url!r} is not a URL: write it as http://127.0.0.1:8000/v1")
        names = listed_models(self.url, self.key, self.model, "export another OPENAI_API_KEY")
        if self.model is None and len(names) != 1:
            listed = ", ".join(names) or "no list of models"
            raise UserError(f"{self.url} has {listed} instead of one model: choose it with --model")
        served = self.model or names[0]
        if not _USABLE.fullmatch(served):
            raise UserError(f"model {served!r} cannot be used: serve it by a name of letters, digits and _./:-")
        return served
