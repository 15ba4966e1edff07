"""Validation of a call's arguments against the parameters of a Python method.

The arguments come from JSON and are validated as JSON, strictly, also inside dataclasses and models: 3 is a float, "3"
and true are not integers, a list is a tuple, and an ISO text is a date. Unknown keys are refused, also inside
dataclasses and typed dicts; inside a pydantic model, its own configuration decides.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic_core import ErrorDetails, from_json

from envtune.environment.plain_json_schema import PlainJsonSchema
from envtune.errors import UserError, valid_names

MAX_FAULTS = 3
"""The number of parameters that one message covers."""
MAX_SHOWN = 60
"""The maximum length of a name or value in a message, in characters."""
MAX_INTEGER_DIGITS = 308
"""An integer with more digits would be infinite as a float."""

_MANY_DIGITS = re.compile(rf"\d{{{MAX_INTEGER_DIGITS + 1}}}")
_CONFIG = ConfigDict(extra="forbid")
_ENCODER = json.JSONEncoder(allow_nan=False)
_UNREADABLE = (
    f"cannot be read: NaN, infinity, integers of more than {MAX_INTEGER_DIGITS} digits, half a surrogate pair and "
    "deep nesting are not allowed"
)
_KINDS = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array", dict: "object"}
_NOT_ALLOWED = ("extra_forbidden", "unexpected_keyword_argument")


class ArgumentsRefused(Exception):
    """The arguments of a call do not fit its tool. The message, of one line, names the parameters for the agent."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a method."""

    name: str
    alias: str
    """The name that the agent uses."""
    hint: Any
    field: Mapping[str, Any]
    """Arguments of pydantic's ``Field``: default and description, if any."""


class ArgumentReader:
    """Reads the arguments of one method's calls.

    Args:
        method: the name of class and method, for error messages.
        parameters: the parameters, without ``self``.

    Raises:
        UserError: pydantic cannot make a JSON schema of a type hint.
    """

    def __init__(self, method: str, parameters: Sequence[Parameter]) -> None:
        self._names = tuple(parameter.name for parameter in parameters)
        self._aliases = tuple(parameter.alias for parameter in parameters)
        self._model, schema = _model_and_schema(method, parameters)
        self.schema: dict[str, Any] = {
            "type": "object",
            "properties": schema.get("properties", {}),
            "required": schema.get("required", []),
            **({"$defs": schema["$defs"]} if "$defs" in schema else {}),
        }
        """The JSON schema of all arguments together."""

    def read(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the keyword arguments for the method, defaults included; no mutable value is shared with ``given``.

        An exception of the user's own validators passes through, unless it is a ValueError or an AssertionError.

        Raises:
            ArgumentsRefused: an argument is missing, unknown, not a JSON value, or not allowed by its type hint.
        """
        try:
            text = _json_text(given)
        except (TypeError, ValueError, RecursionError):
            raise ArgumentsRefused(_unreadable(given)) from None
        try:
            # Strict here and not in the configuration, which does not reach into pydantic models.
            found = self._model.model_validate_json(text, strict=True)
        except ValidationError as error:
            raise ArgumentsRefused(" ".join(self._refusal(error, given).split())) from None
        return dict(zip(self._names, vars(found).values(), strict=True))

    def _refusal(self, error: ValidationError, given: Mapping[str, Any]) -> str:
        faults: dict[str, list[ErrorDetails]] = {}
        for fault in error.errors(include_url=False, include_context=False):
            if fault["type"] == "json_invalid":
                return _unreadable(given)
            faults.setdefault(str(fault["loc"][0]), []).append(fault)
        texts = [self._fault(of_parameter, given) for of_parameter in list(faults.values())[:MAX_FAULTS]]
        more = len(faults) - len(texts)
        return "; ".join(texts) + (f"; and {more} more" if more else "")

    def _fault(self, faults: Sequence[ErrorDetails], given: Mapping[str, Any]) -> str:
        """Return the first fault of one parameter in words; a value that fits no member of a union has several."""
        first = faults[0]
        place = _place(first, given)
        if first["type"] == "missing":
            return f"'{place}' is missing"
        if first["type"] in _NOT_ALLOWED:
            if len(first["loc"]) > 1:
                return f"'{place}' is not allowed"
            name = str(first["loc"][0])[:MAX_SHOWN]
            valid = valid_names(name, self._aliases) if self._aliases else "the tool takes no arguments"
            return f"'{place}' is not a parameter: {valid}"
        messages = [fault["msg"] for fault in faults if _place(fault, given) == place]
        words = " or ".join(
            text.removeprefix("Input ").removeprefix("Value error, ") for text in dict.fromkeys(messages)
        )
        return f"'{place}'{' ' if words.startswith('should') else ': '}{words}, given {_shown(first['input'])}"


def _model_and_schema(method: str, parameters: Sequence[Parameter]) -> tuple[type[BaseModel], dict[str, Any]]:
    # Fields have names of their own, as some names of parameters, such as `json`, are attributes of every model.
    fields: dict[str, Any] = {
        f"field_{number}": (parameter.hint, Field(alias=parameter.alias, **parameter.field))
        for number, parameter in enumerate(parameters)
    }
    try:
        model = create_model("Arguments", __config__=_CONFIG, **fields)
        return model, model.model_json_schema(schema_generator=PlainJsonSchema)
    except Exception as error:  # hints are the user's code, and pydantic has no common exception for what it refuses
        if len(parameters) == 1:
            raise UserError(
                f"{method}: the type hint of the parameter {parameters[0].name!r} has no JSON schema "
                f"({schema_fault(error)}): use text, numbers, lists, dicts, enumerations or dataclasses"
            ) from error
        for parameter in parameters:
            _model_and_schema(method, [parameter])
        raise


def schema_fault(error: Exception) -> str:
    """Return why pydantic cannot make a JSON schema, as one line without its advice."""
    return " ".join(re.split(r"\. |For further information", str(error))[0].split())


def _json_text(value: Any) -> str:
    """Return the JSON text of arguments.

    Raises:
        TypeError, ValueError, RecursionError: a value cannot be written as JSON, or an integer is too large.
    """
    text = _ENCODER.encode(dict(value))
    if _MANY_DIGITS.search(text):
        json.loads(text, parse_int=_integer)
    return text


def _integer(literal: str) -> int:
    if len(literal.lstrip("-")) > MAX_INTEGER_DIGITS:
        raise ValueError
    return int(literal)


def _unreadable(given: Mapping[str, Any]) -> str:
    for name, value in given.items():
        try:
            from_json(_json_text({name: value}))
        except (TypeError, ValueError, RecursionError):
            return f"'{_name(name)}' {_UNREADABLE}"
    return f"the arguments {_UNREADABLE}"


def _place(fault: ErrorDetails, given: Mapping[str, Any]) -> str:
    """Return the path of a fault, such as ``orders[2].price``; pydantic's names for members of unions are left out."""
    return "".join(_steps(fault, given)).removeprefix(".")


def _steps(fault: ErrorDetails, given: Mapping[str, Any]) -> Iterator[str]:
    value: Any = given
    last = len(fault["loc"]) - 1
    for number, part in enumerate(fault["loc"]):
        inside = part in value if isinstance(value, dict) or value is given else _is_index(part, value)
        if inside or (number == last and fault["type"] == "missing"):
            yield f"[{part}]" if isinstance(part, int) else f".{_name(part)}"
            value = value[part] if inside else None


def _is_index(part: int | str, value: Any) -> bool:
    return isinstance(part, int) and isinstance(value, list | tuple) and part < len(value)


def _name(text: Any) -> str:
    return json.dumps(str(text)[:MAX_SHOWN])[1:-1]


def _shown(value: Any) -> str:
    """Return a value and its JSON type, shortened."""
    text = json.dumps(value, ensure_ascii=False, skipkeys=True, default=lambda part: type(part).__name__)
    if len(text) > MAX_SHOWN:
        text = text[:MAX_SHOWN] + "…"
    return text if value is None else f"{text} ({_KINDS.get(type(value), type(value).__name__)})"
