"""Error responses: an HTTP status and OpenAI's error object."""

from __future__ import annotations

from typing import Any, NoReturn


class Refusal(Exception):
    """A refused request: HTTP status, one sentence with the error and the allowed values, and OpenAI's error fields."""

    def __init__(self, status: int, message: str, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.code = status, code
        # They may quote unpaired surrogates, which cannot be encoded.
        self.message, self.param = _encodable(message), param and _encodable(param)

    @property
    def body(self) -> dict[str, Any]:
        """OpenAI's error object: https://platform.openai.com/docs/guides/error-codes."""
        kind = "server_error" if self.status >= 500 else "invalid_request_error"
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}


def refuse(what: str, param: str, code: str | None = None) -> NoReturn:
    """Raise a Refusal with status 400 and a message that begins with the parameter."""
    raise Refusal(400, f"{param} {what}", param, code)


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")
