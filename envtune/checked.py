"""Validation of arguments against the annotations of their parameters.

`Annotated[int, Field(ge=2, description="an advantage is relative to the rest of the group")]` defines type and range;
the description ends the error message as reason or remedy. ``checked`` validates the arguments of constructors and
functions; `composed_config` validates settings by the same annotations before any object is built. Values are not
converted: 2.0, true and "2" are not counts.
"""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import NoneType, SimpleNamespace, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    TypeAdapter,
    ValidationError,
)

from envtune.errors import UserError

Target = TypeVar("Target", bound=Callable[..., Any])
Item = TypeVar("Item")

Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]

# Maximum length of a value in an error message, in characters.
SHOWN = 100
_SCALARS: dict[Any, Any] = {int: StrictInt, float: StrictFloat, bool: StrictBool, str: StrictStr}
_AS_THEY_ARE = (NoneType, Path, Any, list, tuple, dict)
_CONTAINERS = (list, tuple, dict, Sequence, Mapping)
_KINDS = {
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "boolean": "true or false",
    "null": "null",
    "object": "a mapping",
}
_BOUNDS = {
    "minimum": "of at least",
    "exclusiveMinimum": "above",
    "maximum": "of at most",
    "exclusiveMaximum": "below",
}


class Among:
    """Annotation of a string that must be one of ``names``; unlike in a Literal, the names can be computed."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = [str(name) for name in names]

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        return handler.generate_schema(Literal[tuple(self._names)])


def _each_once(items: Sequence[Any]) -> Sequence[Any]:
    if len(set(items)) < len(items):
        raise ValueError("repeated")
    return items


# One or more items, all different.
EachOnce = Annotated[
    Sequence[Item], Field(min_length=1, json_schema_extra={"uniqueItems": True}), AfterValidator(_each_once)
]


class Allowed:
    """The values that the annotation of one parameter allows."""

    def __init__(self, annotation: Any) -> None:
        self._type: TypeAdapter[Any] = TypeAdapter(annotation, config=ConfigDict(allow_inf_nan=False))

    def refusal(self, name: str, value: Any) -> str | None:
        """Return the error message for a value that is not allowed, or None.

        The message holds the value, what is allowed, and the reason or remedy.
        """
        try:
            self._type.validate_python(value)
        except ValidationError as error:
            schema = self._type.json_schema()
            finite = "finite " if any(fault["type"] == "finite_number" for fault in error.errors()) else ""
            words = _words(schema).replace("a number", f"a {finite}number")
            why = f": {schema['description']}" if "description" in schema else ""
            return f"{name}={shown(value)} must be {words}{why}"
        return None


def checked(target: Target) -> Target:
    """Wrap a class or function so that it raises UserError for an argument that its annotation does not allow.

    Only plain values are validated; objects are passed on.
    """
    made = _function_of(target)
    signature = inspect.signature(made)

    @functools.wraps(made)
    def refuse_or_make(*positional: Any, **named: Any) -> Any:
        allowed = allowed_of(target)
        for name, value in signature.bind(*positional, **named).arguments.items():
            if name in allowed and (refusal := _plain_value(value) and allowed[name].refusal(name, value)):
                raise UserError(refusal)
        return made(*positional, **named)

    if isinstance(target, type):
        target.__init__ = refuse_or_make  # type: ignore[misc]
        return target
    return refuse_or_make  # type: ignore[return-value]


@functools.cache
def allowed_of(target: Callable[..., Any]) -> Mapping[str, Allowed]:
    """Return the parameters of ``target`` that take plain values: strings, numbers, booleans, lists and mappings.

    Only the plain members of a union count. A parameter whose annotation cannot be resolved is left out.
    """
    allowed = {}
    for parameter in (parameters_of(target) or {}).values():
        annotation = _plain_type(resolved(parameter.annotation, target))
        if annotation is not None:
            allowed[parameter.name] = Allowed(annotation)
    return allowed


def parameters_of(target: Callable[..., Any]) -> Mapping[str, inspect.Parameter] | None:
    """Return the parameters of a function, or of a constructor without ``self``; None for C code."""
    try:
        return inspect.signature(target).parameters
    except (ValueError, TypeError):
        return None


def is_own_class(annotation: Any) -> bool:
    """Return True for a class of this package."""
    return isinstance(annotation, type) and annotation.__module__.startswith("envtune.")


def shown(value: Any) -> str:
    """Return a value as error messages show it: on one line, shortened in the middle."""
    words = {None: "null", True: "true", False: "false"}
    text = words[value] if value is None or isinstance(value, bool) else repr(value)
    half = SHOWN // 2
    return text if len(text) <= SHOWN else f"{text[:half]} … {text[-half:]}"


def _function_of(target: Callable[..., Any]) -> Callable[..., Any]:
    return target.__init__ if isinstance(target, type) else target  # type: ignore[misc]


def resolved(annotation: Any, target: Callable[..., Any]) -> Any:
    """Return the type that an annotation of ``target`` evaluates to; None if it cannot be resolved."""
    names = getattr(inspect.unwrap(_function_of(target)), "__globals__", {})
    try:
        return get_type_hints(SimpleNamespace(__annotations__={"it": annotation}), names, include_extras=True)["it"]
    except (NameError, TypeError, SyntaxError, AttributeError):
        return None


def _plain_type(annotation: Any) -> Any:
    """Return the plain part of an annotation, with strict scalars; None if it has none."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        inner = _plain_type(arguments[0])
        return None if inner is None else Annotated[(inner, *arguments[1:])]
    if origin in (Union, UnionType):
        members = [member for member in map(_plain_type, arguments) if member is not None]
        return functools.reduce(operator.or_, members) if members else None
    if origin is Literal or annotation in _AS_THEY_ARE:
        return annotation
    if origin in _CONTAINERS:
        parts = [part if part is Ellipsis else _plain_type(part) for part in arguments]
        return origin[tuple(Any if part is None else part for part in parts)]
    return _SCALARS.get(annotation) if isinstance(annotation, type) else None


def _plain_value(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_plain_value, value))
    if isinstance(value, Mapping):
        return all(map(_plain_value, value.values()))
    return value is None or type(value) in _SCALARS


def _words(schema: Mapping[str, Any]) -> str:
    """Return a JSON schema in words."""
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(map(_words, schema["anyOf"])))
    if "enum" in schema:
        return f"one of {', '.join(map(_name, schema['enum']))}"
    if "examples" in schema:
        return f"text such as {' or '.join(schema['examples'])}"
    if "const" in schema:
        return _name(schema["const"])
    if schema.get("type") == "array":
        return _list_words(schema)
    bounds = [f"{words} {schema[name]}" for name, words in _BOUNDS.items() if name in schema]
    return " ".join([_KINDS.get(schema.get("type", ""), "anything"), *[" and ".join(bounds)] * bool(bounds)])


def _list_words(schema: Mapping[str, Any]) -> str:
    places = schema.get("prefixItems", ())
    count = f" of {len(places)}" if places else " of one or more" if schema.get("minItems") else ""
    item = places[0] if places else schema.get("items") or {}
    each = f", each {_words(item)}" if item else ""
    if "enum" in item:
        each = f" of {', '.join(map(_name, item['enum']))}"
    return f"a list{count}{each}{', each once' if schema.get('uniqueItems') else ''}"


def _name(choice: Any) -> str:
    return choice if isinstance(choice, str) else shown(choice)
