"""What a client is told when its request is not answered: an HTTP status and OpenAI's error object."""

from __future__ import annotations

from typing import Any


class Refusal(Exception):
    """A request that is not answered. ``message`` says in one sentence what is wrong and what is allowed.

    ``param`` names the parameter at fault and ``code`` the kind of fault, as in OpenAI's error object.
    """

    def __init__(self, status: int, message: str, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.code = status, code
        # They may quote half of a surrogate pair, which no answer can carry.
        self.message, self.param = _encodable(message), param and _encodable(param)

    @property
    def body(self) -> dict[str, Any]:
        """https://platform.openai.com/docs/guides/error-codes"""
        kind = "server_error" if self.status >= 500 else "invalid_request_error"
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")
