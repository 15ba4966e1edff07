"""The models of an OpenAI-compatible endpoint, requested before hundreds of tasks are played there."""

from __future__ import annotations

import json
import urllib.error
import urllib.request

from envtune.errors import UserError

# The key for an endpoint without keys: clients require one.
NO_KEY = "EMPTY"
TIMEOUT = 20  # seconds


def listed_models(url: str, key: str, model: str | None, remedy: str) -> list[str]:
    """Return the models that an endpoint lists; empty if it has no list.

    Args:
        url: the endpoint's URL, up to ``/v1``.
        key: its API key.
        model: a model that the list must contain, if there is a list.
        remedy: ends the error message for a key that is refused.

    Raises:
        UserError: no server responds, the key is refused, or the list does not contain ``model``.
    """
    request = urllib.request.Request(f"{url}/models", headers={"Authorization": f"Bearer {key}"})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
            names = [str(entry["id"]) for entry in json.load(response)["data"]]
    except urllib.error.HTTPError as error:
        if error.code in (401, 403):
            raise UserError(f"{url} refuses the key: {remedy}") from None
        return []
    except OSError as error:
        raise UserError(f"{url} does not respond ({error}): start the endpoint first") from None
    except (ValueError, KeyError, TypeError):
        return []
    if model is not None and names and model not in names:
        raise UserError(f"{url} has no model {model!r}: it serves {', '.join(names)}")
    return names
