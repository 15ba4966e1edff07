"""API keys of HTTP servers: read from an environment variable, sent and compared as bearer tokens."""

from __future__ import annotations

import hmac
import ipaddress
import os

from envtune.errors import UserError


def key_from(variable: str) -> str | None:
    """Return the key in an environment variable; None if it is not set.

    Raises:
        UserError: the value is empty, which every request would match, or cannot be sent in a header.
    """
    key = os.environ.get(variable)
    if key is not None and not (key.isascii() and key.isprintable() and key and " " not in key):
        raise UserError(
            f"{variable} holds {len(key)} characters that cannot be a key: set it to letters, digits and punctuation, "
            "or unset it"
        )
    return key


def bearer(key: str | None) -> dict[str, str]:
    """Return the Authorization header for ``key``; an empty dict without a key."""
    return {} if key is None else {"Authorization": f"Bearer {key}"}


def carries(authorization: str, key: str) -> bool:
    """Return True if an Authorization header holds ``key``. Compares in constant time."""
    scheme, _, token = authorization.partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(token.strip().encode(), key.encode())


def is_loopback(host: str) -> bool:
    """Return True if a server that listens at ``host`` can be reached from this machine only."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
