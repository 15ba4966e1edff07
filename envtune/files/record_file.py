"""Records that a program left on the disk, JSON or YAML, checked where they are read.

A run's folder may come from somewhere else, and its files may be cut off or edited: whatever is wrong with a record
ends in one sentence, in every command that reads it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError
from typing_extensions import is_typeddict

from envtune.errors import UserError

# Of a name from the file in a sentence, in characters.
_SHOWN = 60


def read_record(path: Path, kind: Any, remedy: str) -> Any:
    """The content of ``path``, JSON unless its name ends in .yaml, as a ``kind``; None if there is no such file.

    ``kind`` is any type that pydantic can check: a dataclass, a TypedDict, `list[str]`. Runs nothing of the file's.

    Raises:
        UserError: the file cannot be read, is cut off, or holds something else than a ``kind``; ends in ``remedy``.
    """
    text = ""
    try:
        text = path.read_text(encoding="utf-8")
        content = yaml.safe_load(text) if path.suffix == ".yaml" else json.loads(text)
        checked = TypeAdapter(kind).validate_python(content)
        # As it stands in the file, in its order and with all that is not read.
        return content if is_typeddict(kind) else checked
    except FileNotFoundError:
        return None
    except OSError as error:
        reason = str(error.strerror)
    except ValidationError as error:
        reason = _first_fault(error)
    except UnicodeDecodeError:
        reason = "it is not UTF-8"
    except RecursionError:
        reason = "it is nested too deeply"
    except (ValueError, yaml.YAMLError) as error:
        reason = f"cut off or edited? {' '.join(str(error).split())}" if text.strip() else "it is empty"
    raise UserError(f"{path} cannot be used ({reason}): {remedy}")


def _first_fault(error: ValidationError) -> str:
    """`settings.model.path: Input should be a valid string`; nothing of the value, which may be long."""
    fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(str(part) for part in fault["loc"])[:_SHOWN]
    shown = place if place.isprintable() else ascii(place)
    return f"{shown}: {fault['msg']}" if place else fault["msg"]
