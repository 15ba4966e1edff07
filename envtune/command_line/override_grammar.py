"""Values in Hydra's grammar of overrides: written so that they are read back as they stand, and read.

Hydra's grammar gives quotes, commas, braces and `=` a meaning of their own, and OmegaConf gives one to `${…}`.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, Quote, QuotedString
from hydra.errors import HydraException

from envtune.errors import UserError

# Settings that are paths, which a shell completes without regard to Hydra's grammar.
PATHS = ("ckpt_path", "init_from", "hydra.run.dir", "hydra.sweep.dir", "model.path", "data.path", "data.data_dir")

_INTERPOLATION = re.compile(r"(\\*)\$\{")


def quoted(text: str) -> str:
    """``text`` as the value of an override that Hydra composes to this very text, whatever its characters.

    Raises:
        UserError: the text is `???`, which stands for a missing value however it is quoted.
    """
    if text == "???":
        raise UserError("a value of ??? stands for a missing one: give another, of a path ./???")
    # A backslash is one of many characters, save in front of `${`, where each of them has to be doubled.
    literal = _INTERPOLATION.sub(lambda found: found[1] * 2 + r"\${", text)
    return QuotedString(literal, Quote.single).with_quotes()


def parsed(override: str) -> Override:
    """Raises HydraException for what is not an override."""
    return OverridesParser.create().parse_override(override)


def unquoted(value: str) -> str:
    """The text that Hydra reads in the quotes of ``value``; a value without quotes, or that Hydra refuses, as it is."""
    if value[:1] not in ("'", '"'):
        return value
    try:
        text = parsed(f"value={value}").value()
    except HydraException:
        return value
    return text if isinstance(text, str) else value


def value_of(name: str, arguments: Sequence[str]) -> str:
    """The value in the last argument that gives the setting, the one that counts for Hydra; empty if none does."""
    return next((unquoted(a.removeprefix(f"{name}=")) for a in reversed(arguments) if a.startswith(f"{name}=")), "")


def quote_paths(arguments: Iterable[str]) -> list[str]:
    """`ckpt_path=runs/o'brien` -> `ckpt_path='runs/o\\'brien'`: quotes a path that Hydra's grammar refuses.

    Raises:
        UserError: a path that Hydra cannot hand on: its name is not valid UTF-8, or holds `${`.
    """
    return [_quoted_path(argument) for argument in arguments]


def _quoted_path(argument: str) -> str:
    name, _, value = argument.partition("=")
    if name not in PATHS:
        return argument
    path = unquoted(value)
    if not path.isascii() and path != path.encode(errors="ignore").decode():
        raise UserError(f"{name}={path!a} is not valid UTF-8: rename it")
    # Hydra resolves the folder of a run several times over, so that no number of backslashes helps.
    if "${" in path and Path(path).exists():
        raise UserError(f"{path}: Hydra takes ${{…}} for a reference to a setting, also in a name: rename it")
    try:
        parsed(argument)
    except HydraException:
        # Lightning puts the folder of a run between quotes for the processes that it starts, whatever is in it.
        between = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
        return f"{name}={quoted(value[1:-1] if between else value)}"
    return argument


def pasted(arguments: Iterable[str]) -> str:
    """``arguments`` as they are given to a shell; a character that would steer the terminal is written as its code."""
    return " ".join(shlex.quote(text) if text.isprintable() else _by_codes(text) for text in arguments)


def _by_codes(text: str) -> str:
    """In the quotes of bash and zsh that take escapes: `$'a\\U0000000ab'`."""
    special = {ord(character): "\\" + character for character in "\\'"}
    unprintable = {ord(character): f"\\U{ord(character):08x}" for character in text if not character.isprintable()}
    return f"$'{text.translate(special | unprintable)}'"
