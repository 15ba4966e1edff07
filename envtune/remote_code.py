"""Python code that comes with a model: run only where this command says so."""

from __future__ import annotations

from envtune.errors import UserError


def require_trust(path: str, error: Exception) -> None:
    """Tells how to trust the model ``path``, if ``error`` is transformers' refusal to run its code.

    Raises:
        UserError: it is.
    """
    # There is no class of its own for it.
    if isinstance(error, ValueError) and "trust_remote_code" in str(error):
        raise UserError(
            f"model {path} needs Python code that comes with it, which is not run unless you trust it: read it, then "
            "add model.trust_remote_code=true (to tools/serve.py and tools/export_model.py: --trust-remote-code)"
        ) from error
