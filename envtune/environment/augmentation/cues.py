"""Cues: a tool's document with required arguments marked and allowed values repeated in the descriptions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from envtune.environment.identity_cache import cached_by_identity
from envtune.task import REQUIRED_CUE, ToolDocument

MAX_DOCUMENTS = 2_000
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_PARTS = ("items", "additionalProperties")


@cached_by_identity(MAX_DOCUMENTS)
def cued(tool: ToolDocument) -> ToolDocument:
    """Return a copy of a document with cues in the descriptions of its arguments, also inside objects and lists."""
    return replace(tool, parameters=_cued(tool.parameters))


def _cued(schema: Any, required: bool = False) -> Any:
    if not isinstance(schema, Mapping):  # true and false are schemas as well
        return schema
    marked = dict(schema)
    for key, part in schema.items():
        if key == "properties":
            names = schema.get("required", ())
            marked[key] = {name: _cued(inner, name in names) for name, inner in part.items()}
        elif key == "$defs":
            marked[key] = {name: _cued(inner) for name, inner in part.items()}
        elif key in _LISTS:
            marked[key] = [_cued(inner) for inner in part]
        elif key in _PARTS:
            marked[key] = _cued(part)
    values = ", ".join(json.dumps(value, ensure_ascii=False) for value in schema.get("enum", ()))
    allowed = f"Allowed values: {values}." if values else ""
    words = (REQUIRED_CUE if required else "", str(schema.get("description", "")), allowed)
    if description := " ".join(filter(None, words)):
        marked["description"] = description
    return marked
