"""The protocols of this package by the names that ``protocol=`` gives them, and those of a user by their class."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

from envtune.chat.protocol.environment_tuning import EnvironmentTuning
from envtune.chat.protocol.hermes import Hermes
from envtune.chat.protocol.llama3_json import Llama3Json
from envtune.chat.protocol.plain_json import PlainJson
from envtune.chat.protocol.response_protocol import ResponseProtocol
from envtune.errors import UserError

PROTOCOLS: Mapping[str, type[ResponseProtocol]] = {
    "environment_tuning": EnvironmentTuning,
    "hermes": Hermes,
    "llama3_json": Llama3Json,
    "plain_json": PlainJson,
}


def name_of(target: str) -> str:
    """Return the name of the class ``target``; the target itself for a class of a user."""
    named = (name for name, kind in PROTOCOLS.items() if f"{kind.__module__}.{kind.__qualname__}" == target)
    return next(named, target)


def protocol_named(name: str) -> ResponseProtocol:
    """Return a protocol of this package by its name, or of any package by its class: ``my_package.formats.Mine``.

    Raises:
        UserError: there is no such protocol.
    """
    if name in PROTOCOLS:
        return PROTOCOLS[name]()
    module, _, kind = name.rpartition(".")
    try:
        found = getattr(import_module(module), kind)() if module else None
    except (ImportError, AttributeError, TypeError):
        found = None
    if not isinstance(found, ResponseProtocol):
        raise UserError(
            f"the protocol {name!r} does not exist: use one of {', '.join(PROTOCOLS)}, or a class of your own, such as "
            "my_package.formats.Mine, that is a ResponseProtocol"
        )
    return found
