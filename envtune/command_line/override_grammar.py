"""Quoting and parsing of values in Hydra's override grammar, where quotes, commas, braces, `=`, `${…}` are special."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, Quote, QuotedString
from hydra.errors import HydraException

from envtune.errors import UserError

# Settings that are paths, which shells complete without quotes for Hydra.
PATHS = ("ckpt_path", "init_from", "hydra.run.dir", "hydra.sweep.dir", "model.path", "data.path", "data.data_dir")

_INTERPOLATION = re.compile(r"(\\*)\$\{")


def quote_value(text: str) -> str:
    """Quote any text as the value of an override, so that Hydra composes exactly this text.

    Raises:
        UserError: the text is `???`, which stands for a missing value even if it is quoted.
    """
    if text == "???":
        raise UserError("a value of ??? stands for a missing one: give another, of a path ./???")
    # A backslash is an ordinary character except before `${`, where each one must be doubled.
    literal = _INTERPOLATION.sub(lambda found: found[1] * 2 + r"\${", text)
    return QuotedString(literal, Quote.single).with_quotes()


def parse_override(override: str) -> Override:
    """Parse an override; raise HydraException if it is not one."""
    return OverridesParser.create().parse_override(override)


def unquote(value: str) -> str:
    """Return the text of a quoted value as Hydra parses it; return any other value, or an invalid one, unchanged."""
    if value[:1] not in ("'", '"'):
        return value
    try:
        text = parse_override(f"value={value}").value()
    except HydraException:
        return value
    return text if isinstance(text, str) else value


def value_of(name: str, arguments: Sequence[str]) -> str:
    """Return the value of the last argument for a setting, which overrides earlier ones; empty if there is none."""
    return next((unquote(a.removeprefix(f"{name}=")) for a in reversed(arguments) if a.startswith(f"{name}=")), "")


def quote_paths(arguments: Iterable[str]) -> list[str]:
    """Quote paths that Hydra's grammar rejects: `ckpt_path=runs/o'brien` -> `ckpt_path='runs/o\\'brien'`.

    Raises:
        UserError: Hydra cannot represent a path: it is not valid UTF-8, or holds `${`.
    """
    return [_quote_path(argument) for argument in arguments]


def _quote_path(argument: str) -> str:
    name, _, value = argument.partition("=")
    if name not in PATHS:
        return argument
    path = unquote(value)
    if not path.isascii() and path != path.encode(errors="ignore").decode():
        raise UserError(f"{name}={path!a} is not valid UTF-8: rename it")
    # Hydra resolves the folder of a run several times, so escaping does not help.
    if "${" in path and Path(path).exists():
        raise UserError(f"{path}: Hydra takes ${{…}} for a reference to a setting, also in a name: rename it")
    try:
        parse_override(argument)
    except HydraException:
        # Lightning quotes the folder of a run for the processes that it starts, but does not escape it.
        between = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
        return f"{name}={quote_value(value[1:-1] if between else value)}"
    return argument


def shell_quoted(arguments: Iterable[str]) -> str:
    """Join arguments as a shell takes them; control characters are escaped, so that they do not reach the terminal."""
    return " ".join(shlex.quote(text) if text.isprintable() else _escaped(text) for text in arguments)


def _escaped(text: str) -> str:
    """Return text in the escaping quotes of bash and zsh: `$'a\\U0000000ab'`."""
    special = {ord(character): "\\" + character for character in "\\'"}
    unprintable = {ord(character): f"\\U{ord(character):08x}" for character in text if not character.isprintable()}
    return f"$'{text.translate(special | unprintable)}'"
