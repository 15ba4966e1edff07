"""JSON schemas of type hints, written for an agent: without titles, and with definitions where they are used."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from pydantic import PydanticUserError
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

# Titles repeat the names of classes and parameters. A discriminator maps constants, which the members also hold, to
# definitions, which are gone once they are inlined. Left out as well: whether an object may have unknown keys.
_NOISE = frozenset({"title", "discriminator"})
_BY_NAME = frozenset({"properties", "patternProperties", "$defs"})
_VALUES = frozenset({"default", "const", "enum", "examples", "required"})


class PlainJsonSchema(GenerateJsonSchema):
    """A pydantic schema generator whose schemas hold ``$defs`` only for types that contain themselves."""

    # A default without a JSON text, such as a sentinel, leaves the parameter optional and without a documented default.
    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012  pydantic declares it so

    def generate(self, schema: CoreSchema, mode: JsonSchemaMode = "validation") -> JsonSchemaValue:
        """Return the JSON schema of a core schema."""
        full = super().generate(schema, mode)
        definitions = full.pop("$defs", {})
        recursive = {name for name in definitions if name in _reached_from(name, definitions)}
        inlined = {name: part for name, part in definitions.items() if name not in recursive}
        plain: dict[str, Any] = _plain(full, inlined)
        if recursive:
            plain["$defs"] = {name: _plain(definitions[name], inlined) for name in sorted(recursive)}
        return plain

    def sort(self, value: JsonSchemaValue, parent_key: str | None = None) -> JsonSchemaValue:
        """Keep the order of generation, in which the type comes first."""
        return value

    def generator_schema(self, schema: core_schema.GeneratorSchema) -> JsonSchemaValue:
        """Return the schema of an iterable that a tool returns.

        Raises:
            PydanticUserError: a parameter is an iterable; pydantic would validate its items only inside the tool.
        """
        if self.mode == "validation":
            raise PydanticUserError("An iterable would be validated too late; use list or Sequence", code=None)
        return super().generator_schema(schema)


def _reached_from(name: str, definitions: Mapping[str, Any]) -> set[str]:
    """Return the names of all definitions that a definition refers to, directly or not."""
    reached: set[str] = set()
    ahead = [name]
    while ahead:
        found = set(re.findall(r'"#/\$defs/([^"]+)"', json.dumps(definitions[ahead.pop()]))) & definitions.keys()
        ahead += found - reached
        reached |= found
    return reached


def _plain(schema: Any, inlined: Mapping[str, Any]) -> Any:
    """Return a schema, or a list of schemas, without noise and with references to ``inlined`` definitions resolved."""
    if isinstance(schema, list):
        return [_plain(part, inlined) for part in schema]
    if not isinstance(schema, dict):
        return schema
    definition = inlined.get(str(schema.get("$ref")).removeprefix("#/$defs/"))
    if definition is not None:
        # What stands beside the reference describes this use, and goes before the description of the type.
        schema = {**definition, **{key: part for key, part in schema.items() if key != "$ref"}}
    plain = {}
    for key, part in schema.items():
        if key in _BY_NAME:
            plain[key] = {name: _plain(inner, inlined) for name, inner in part.items()}
        elif key not in _NOISE and not (key == "additionalProperties" and isinstance(part, bool)):
            plain[key] = part if key in _VALUES else _plain(part, inlined)
    return plain
