"""Where a call's arguments depart from the tool's document, a JSON schema or BFCL's variant of it.

Not covered: the keywords ``pattern`` and ``format``, whose dialects differ between validators, ``multipleOf``,
``uniqueItems`` and ``allOf``; ``oneOf`` is read as ``anyOf``. A value that only these exclude has no fault, and neither
has one whose documented type is not in ``_TYPES``, such as BFCL's ``any``.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import NoneType
from typing import Any

from envtune.environment.augmentation.rule import TYPE_NAMES, shown
from envtune.task import TextEnum

MAX_DEPTH = 24
"""The deepest level of values that is compared: a document that refers to itself has no end of its own."""

_TYPES: Mapping[str, type] = {
    **{"string": str, "boolean": bool, "integer": int, "number": float, "float": float, "null": NoneType},
    **{"array": list, "tuple": list, "object": dict, "dict": dict},
}
_BOUNDS: Mapping[str, tuple[Callable[[Any, Any], bool], str]] = {
    "minimum": (operator.ge, "at least {}"),
    "exclusiveMinimum": (operator.gt, "greater than {}"),
    "maximum": (operator.le, "at most {}"),
    "exclusiveMaximum": (operator.lt, "less than {}"),
    "minLength": (operator.ge, "at least {} characters long"),
    "maxLength": (operator.le, "at most {} characters long"),
    "minItems": (operator.ge, "at least {} items long"),
    "maxItems": (operator.le, "at most {} items long"),
}
_NUMBERS = ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum")
_BOUNDS_OF: Mapping[type, tuple[str, ...]] = {
    **{int: _NUMBERS, float: _NUMBERS},
    **{str: ("minLength", "maxLength"), list: ("minItems", "maxItems")},
}


class FaultKind(TextEnum):
    """How arguments depart from a document."""

    UNKNOWN_ARGUMENT = "unknown_argument"
    MISSING_ARGUMENT = "missing_argument"
    WRONG_TYPE = "wrong_type"
    VALUE_NOT_ALLOWED = "value_not_allowed"
    OUT_OF_BOUNDS = "out_of_bounds"


@dataclass(frozen=True, slots=True)
class DocumentFault:
    """One departure from a document."""

    kind: FaultKind
    place: str
    """The argument or a part of it, such as ``orders[2].price``; empty for all arguments together. An unknown or
    missing name is not part of it."""
    given: Any
    """The value at this place; for an unknown argument, its name."""
    documented: tuple[Any, ...]
    """What the document has at this place: the known names, the missing ones, the types or the bound in words, or the
    allowed values."""


def first_fault(parameters: Mapping[str, Any], arguments: Mapping[str, Any]) -> DocumentFault | None:
    """Return the first fault of a call's arguments: an unknown name, then missing ones, then a value's.

    Args:
        parameters: the document's schema of all arguments.
        arguments: values of JSON's types by argument.
    """
    return _Document(parameters).in_object(parameters, arguments, "", 0)


@dataclass(frozen=True, slots=True)
class _Document:
    root: Mapping[str, Any]

    def in_value(self, schema: Any, value: Any, place: str, depth: int) -> DocumentFault | None:
        schema = self._resolved(schema)
        # BFCL writes a missing default as the text "None", and its tools take null for it.
        if depth > MAX_DEPTH or (value is None and "default" in schema and schema["default"] in (None, "None")):
            return None
        if branches := _branches(schema):
            return self._in_union(branches, value, place, depth)
        if allowed := _allowed(schema):
            if any(_equal(value, other) for other in allowed):
                return None
            return DocumentFault(FaultKind.VALUE_NOT_ALLOWED, place, value, tuple(allowed))
        types = self._types(schema)
        if not _fits(value, types):
            return DocumentFault(FaultKind.WRONG_TYPE, place, value, _in_words(types))
        if bound := _broken_bound(schema, value):
            return DocumentFault(FaultKind.OUT_OF_BOUNDS, place, value, (bound,))
        if isinstance(value, Mapping):
            return self.in_object(schema, value, place, depth)
        return self._in_list(schema, value, place, depth) if isinstance(value, list | tuple) else None

    def in_object(
        self, schema: Mapping[str, Any], value: Mapping[str, Any], place: str, depth: int
    ) -> DocumentFault | None:
        properties, others = schema.get("properties", {}), schema.get("additionalProperties", False)
        if "properties" in schema and others is False:
            unknown = next((name for name in value if name not in properties), None)
            if unknown is not None:
                return DocumentFault(FaultKind.UNKNOWN_ARGUMENT, place, unknown, tuple(properties))
        if missing := tuple(name for name in schema.get("required", ()) if name not in value):
            return DocumentFault(FaultKind.MISSING_ARGUMENT, place, value, missing)
        within = f"{place}." if place else ""
        faults = (
            self.in_value(properties.get(name, others), part, f"{within}{shown(name)}", depth + 1)
            for name, part in value.items()
        )
        return next(filter(None, faults), None)

    def _in_list(self, schema: Mapping[str, Any], value: Sequence[Any], place: str, depth: int) -> DocumentFault | None:
        first, others = schema.get("prefixItems", ()), schema.get("items")
        faults = (
            self.in_value(first[index] if index < len(first) else others, part, f"{place}[{index}]", depth + 1)
            for index, part in enumerate(value)
        )
        return next(filter(None, faults), None)

    def _in_union(self, branches: Sequence[Any], value: Any, place: str, depth: int) -> DocumentFault | None:
        faults: list[DocumentFault] = []
        for branch in branches:
            fault = self.in_value(branch, value, place, depth + 1)
            if fault is None:
                return None
            faults.append(fault)
        # The fault in the one branch that was meant is the most precise.
        meant = [fault for branch, fault in zip(branches, faults, strict=True) if self._is_meant(branch, value)]
        if len(meant) == 1:
            return meant[0]
        if meant and all(fault.kind is FaultKind.VALUE_NOT_ALLOWED and fault.place == place for fault in meant):
            allowed = tuple(other for fault in meant for other in fault.documented)
            return DocumentFault(FaultKind.VALUE_NOT_ALLOWED, place, value, allowed)
        return DocumentFault(FaultKind.WRONG_TYPE, place, value, _in_words(self._types({"anyOf": branches})))

    def _is_meant(self, branch: Any, value: Any) -> bool:
        """Return whether a value has the type of a branch and, if it is an object, its constants (a union's tags)."""
        schema = self._resolved(branch)
        parts = schema.get("properties", {}) if isinstance(value, Mapping) else {}
        tags = {name: part["const"] for name, part in parts.items() if isinstance(part, Mapping) and "const" in part}
        return _fits(value, self._types(schema)) and all(_equal(value.get(name), tag) for name, tag in tags.items())

    def _types(self, schema: Any) -> tuple[type, ...]:
        """Return the types that a schema allows, in its order; empty if it allows any.

        Terminates: a union that is its own member has no fault, and only those with one come here.
        """
        schema = self._resolved(schema)
        if branches := _branches(schema):
            of_branches = [self._types(branch) for branch in branches]
            return tuple(kind for types in of_branches for kind in types) if all(of_branches) else ()
        if allowed := _allowed(schema):
            return tuple(map(_type, allowed))
        names = schema.get("type", ())
        names = [names] if isinstance(names, str) else names
        return tuple(_TYPES[name] for name in names) if _TYPES.keys() >= set(names) else ()

    def _resolved(self, schema: Any) -> Mapping[str, Any]:
        """Return a schema, or the one that it refers to; an empty one, which allows any value, for true and false."""
        for _ in range(MAX_DEPTH):
            if not isinstance(schema, Mapping) or "$ref" not in schema:
                break
            path = str(schema["$ref"]).removeprefix("#/").split("/")
            schema = self.root
            for key in path:
                schema = schema.get(key) if isinstance(schema, Mapping) else None
        return schema if isinstance(schema, Mapping) else {}


def _branches(schema: Mapping[str, Any]) -> Sequence[Any]:
    return schema.get("anyOf") or schema.get("oneOf") or ()


def _allowed(schema: Mapping[str, Any]) -> Sequence[Any]:
    return schema.get("enum") or ([schema["const"]] if "const" in schema else ())


def _type(value: Any) -> type:
    if isinstance(value, Mapping):
        return dict
    return list if isinstance(value, tuple) else type(value)


def _fits(value: Any, types: tuple[type, ...]) -> bool:
    # 3 is a number, but 3.0 is not a whole one: tools in Python tell them apart.
    return not types or _type(value) in types or (type(value) is int and float in types)


def _equal(value: Any, other: Any) -> bool:
    return bool(value == other) and isinstance(value, bool) == isinstance(other, bool)


def _in_words(types: tuple[type, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(TYPE_NAMES[kind] for kind in types))


def _broken_bound(schema: Mapping[str, Any], value: Any) -> str | None:
    measure = len(value) if isinstance(value, str | list | tuple) else value
    for keyword in _BOUNDS_OF.get(_type(value), ()):
        holds, words = _BOUNDS[keyword]
        # Draft 4 of JSON schema has true and false for the exclusive bounds.
        if keyword in schema and not isinstance(schema[keyword], bool) and not holds(measure, schema[keyword]):
            return words.format(schema[keyword])
    return None
