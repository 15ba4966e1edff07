"""Keys of HTTP servers: read from an environment variable, sent and compared as bearer tokens."""

from __future__ import annotations

import hmac
import ipaddress
import os

from envtune.errors import UserError


def key_from(variable: str) -> str | None:
    """The key that the environment variable holds; None if it is not set.

    Raises:
        UserError: the value cannot be sent in a header. An empty one, which every request would carry, is among these.
    """
    key = os.environ.get(variable)
    if key is not None and not (key.isascii() and key.isprintable() and key and " " not in key):
        raise UserError(
            f"{variable} holds {len(key)} characters that cannot be a key: set it to letters, digits and punctuation, "
            "or unset it"
        )
    return key


def bearer(key: str | None) -> dict[str, str]:
    """The header of a request that carries ``key``; none without a key."""
    return {} if key is None else {"Authorization": f"Bearer {key}"}


def carries(authorization: str, key: str) -> bool:
    """Whether an Authorization header carries ``key``. Takes the same time whatever the two have in common."""
    scheme, _, token = authorization.partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(token.strip().encode(), key.encode())


def is_loopback(host: str) -> bool:
    """Whether only programs of this machine reach a server that listens at ``host``, an address or a name."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
