"""Python code that comes with a model runs only if the command allows it."""

from __future__ import annotations

from envtune.errors import UserError


def require_trust(path: str, error: Exception) -> None:
    """Raise UserError if ``error`` is transformers' refusal to run the code of the model ``path``."""
    # transformers has no exception class of its own for it.
    if isinstance(error, ValueError) and "trust_remote_code" in str(error):
        raise UserError(
            f"model {path} needs Python code that comes with it, which is not run unless you trust it: read it, then "
            "add model.trust_remote_code=true (to tools/serve.py and tools/export_model.py: --trust-remote-code)"
        ) from error
