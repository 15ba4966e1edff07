"""Records of a program on disk, JSON or YAML, validated where they are read.

A run's folder may come from elsewhere, and its files may be truncated or edited: every command that reads a record
reports damage in one sentence.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError
from typing_extensions import is_typeddict

from envtune.errors import UserError
from envtune.files.atomic_file import atomic_file

# Maximum length of a field's name in an error message, in characters.
_NAME_LENGTH = 60


def read_record(path: Path, kind: Any, remedy: str) -> Any:
    """Read a record, JSON unless its name ends in .yaml; None if there is no such file. Runs no code of the file.

    Args:
        path: the file.
        kind: any type that pydantic validates: a dataclass, a TypedDict, `list[str]`. A TypedDict is validated
            strictly, and returned with the keys that it does not list.
        remedy: the end of the error message.

    Raises:
        UserError: the file cannot be read, is truncated, or is not a valid ``kind``.
    """
    text = ""
    try:
        text = path.read_text(encoding="utf-8")
        content = yaml.safe_load(text) if path.suffix == ".yaml" else json.loads(text)
        typed_dict = is_typeddict(kind)
        validated = TypeAdapter(kind).validate_python(content, strict=typed_dict or None)
        return content if typed_dict else validated
    except FileNotFoundError:
        return None
    except OSError as error:
        reason = str(error.strerror)
    except ValidationError as error:
        # Without the value, which may be long: `settings.model.path: Input should be a valid string`.
        fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
        name = ".".join(str(part) for part in fault["loc"])[:_NAME_LENGTH]
        reason = f"{name if name.isprintable() else ascii(name)}: {fault['msg']}" if name else fault["msg"]
    except UnicodeDecodeError:
        reason = "it is not UTF-8"
    except RecursionError:
        reason = "it is nested too deeply"
    except (ValueError, yaml.YAMLError) as error:
        reason = f"cut off or edited? {' '.join(str(error).split())}" if text.strip() else "it is empty"
    raise UserError(f"{path} cannot be used ({reason}): {remedy}")


def write_record(path: Path, record: Any) -> None:
    """Write a record as indented JSON, atomically."""
    with atomic_file(path) as file:
        file.write(json.dumps(record, indent=2) + "\n")


def flatten(record: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the values of nested mappings by dotted name: `{"grpo": {"beta": 0}}` -> `{"grpo.beta": 0}`."""
    flat: dict[str, Any] = {}
    for key, value in record.items():
        name = f"{prefix}{key}"
        flat |= flatten(value, f"{name}.") if isinstance(value, Mapping) else {name: value}
    return flat
