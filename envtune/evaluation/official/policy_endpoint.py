"""The chat endpoint that BFCL's own program asks, and what to know of it before hundreds of tasks are played."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from dataclasses import dataclass

from envtune.errors import UserError

NO_KEY = "none"  # OpenAI's client refuses to have none
PROBE_SECONDS = 20
# The program makes it part of a Python identifier: these four characters become "_" there, and no others.
_USABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_./:-]*")


@dataclass(frozen=True, slots=True)
class PolicyEndpoint:
    """OpenAI-compatible: its URL up to ``/v1``, what it calls the model (None: the only one that it has), its key."""

    url: str
    model: str | None = None
    key: str = NO_KEY

    def served_model(self) -> str:
        """What the endpoint calls the model, after asking it for the names of its models.

        Raises:
            UserError: nobody answers, the key is refused, or there is no such model or no one model.
        """
        names = self._names()
        if self.model is not None and names and self.model not in names:
            raise UserError(f"endpoint {self.url} has no model {self.model!r}: it serves {', '.join(names)}")
        if self.model is None and len(names) != 1:
            found = ", ".join(names) or "none that it names"
            raise UserError(f"endpoint {self.url} has not one model but {found}: name one with --model")
        served = self.model or names[0]
        if not _USABLE.fullmatch(served):
            raise UserError(f"model {served!r} cannot be used: serve it by a name of letters, digits and _./:-")
        return served

    def _names(self) -> list[str]:
        """Empty if the endpoint has no list of models."""
        if not self.url.startswith(("http://", "https://")):
            raise UserError(f"endpoint {self.url!r} is no URL: write it as http://127.0.0.1:8000/v1")
        request = urllib.request.Request(f"{self.url}/models", headers={"Authorization": f"Bearer {self.key}"})
        try:
            with urllib.request.urlopen(request, timeout=PROBE_SECONDS) as answer:
                return [str(entry["id"]) for entry in json.load(answer)["data"]]
        except urllib.error.HTTPError as error:
            if error.code in (401, 403):
                raise UserError(f"endpoint {self.url} refuses the key: export another OPENAI_API_KEY") from None
            return []
        except OSError as error:
            raise UserError(f"endpoint {self.url} does not answer ({error}): start it first") from None
        except (ValueError, KeyError, TypeError):
            return []
