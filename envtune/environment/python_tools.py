"""The tools of a plain Python class: its public methods, documented by signature, type hints and docstring."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType, NoneType, SimpleNamespace
from typing import Any, get_args, get_origin, get_type_hints

import docstring_parser
from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo

from envtune.environment.argument_reader import ArgumentReader, ArgumentsRefused, Parameter, schema_fault
from envtune.environment.plain_json_schema import PlainJsonSchema
from envtune.errors import UserError
from envtune.task import ToolDocument

__all__ = ["ArgumentsRefused", "PythonTool", "tools_of", "undescribed"]

# What a class inherits from these is not a tool of the user's.
_LIBRARY_BASES = (object, BaseModel)
_DEFERRED = (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction)
_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


@dataclass(frozen=True, slots=True)
class PythonTool:
    """One public method of a class."""

    document: ToolDocument
    """Its parameters are a JSON schema of type ``object``."""
    _reader: ArgumentReader = field(repr=False, compare=False)

    def arguments(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return validated keyword arguments for the method, defaults included.

        Mutable values are new objects: none is shared with ``given``, a default or an earlier call.

        Raises:
            ArgumentsRefused: an argument is missing, unknown, not a JSON value, or not allowed by its type hint.
        """
        return self._reader.read(given)


def tools_of(cls: type, reserved: frozenset[str] = frozenset({"state"})) -> Mapping[str, PythonTool]:
    """Return the tools of a class by name: its public methods in the order of definition, those of base classes first.

    Static methods and class methods are tools; properties and nested classes are not.

    Args:
        cls: the class.
        reserved: the names of public methods that are not tools.

    Raises:
        UserError: the class has no tool, or a method cannot be one: it lacks a docstring or a type hint, has a
            parameter that cannot be passed by name or a hint without JSON schema, is asynchronous or a generator.
    """
    attributes: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        if base not in _LIBRARY_BASES:
            attributes.update(vars(base))
    tools = {
        name: _tool(cls, name, attribute)
        for name, attribute in attributes.items()
        if not name.startswith("_") and name not in reserved and _is_method(attribute)
    }
    if not tools:
        raise UserError(
            f"{cls.__name__} has no public method: define one, with type hints and a docstring, for each tool"
        )
    return MappingProxyType(tools)


def undescribed(tools: Mapping[str, PythonTool]) -> list[str]:
    """Return the parameters without a description, as ``tool.parameter``."""
    return [
        f"{name}.{parameter}"
        for name, tool in tools.items()
        for parameter, schema in tool.document.parameters["properties"].items()
        if not schema.get("description")
    ]


def _is_method(attribute: Any) -> bool:
    """Return True for a function, also behind decorators that bind ``self``, and False for properties and classes."""
    return hasattr(attribute, "__get__") and inspect.isfunction(inspect.unwrap(attribute))


def _tool(cls: type, name: str, attribute: Any) -> PythonTool:
    where = f"{cls.__name__}.{name}"
    # Bound, so that its signature is that of a call, without `self`. Any object will do: none is called.
    method = attribute.__get__(object(), cls)
    if any(is_deferred(method) for is_deferred in _DEFERRED):
        raise UserError(f"{where} is asynchronous or a generator: a tool must return its result when it is called")
    docstring = docstring_parser.parse(_docstring(cls, name))
    description = (docstring.description or "").strip()
    if not description:
        raise UserError(f"{where} has no docstring: write what the tool does, since the agent chooses tools by it")
    try:
        signature = inspect.signature(method)
    except ValueError:
        raise UserError(f"{where} takes no self: add it as the first parameter, or make it a staticmethod") from None
    descriptions = {
        parameter.strip(): _one_line(entry.description)
        for entry in docstring.params
        for parameter in entry.arg_name.split(",")  # NumPy's style may describe several parameters in one entry
    }
    parameters = []
    for parameter in signature.parameters.values():
        _check_parameter(where, parameter)
        hint = _hint(cls, method, f"{where}: the type hint of the parameter {parameter.name!r}", parameter.annotation)
        parameters.append(_parameter(parameter, hint, descriptions.get(parameter.name)))
    reader = ArgumentReader(where, parameters)
    response = _response(cls, method, where, signature, docstring)
    return PythonTool(ToolDocument(name, description, reader.schema, response, cls.__name__), reader)


def _docstring(cls: type, name: str) -> str | None:
    """Return the docstring of a method, or of the method that it overrides if it has none."""
    methods = (getattr(base, name) for base in cls.__mro__ if name in vars(base))
    return next((method.__doc__ for method in methods if method.__doc__), None)


def _check_parameter(where: str, parameter: inspect.Parameter) -> None:
    if parameter.kind not in _BY_NAME:
        raise UserError(
            f"{where}: the parameter {parameter.name!r} is {parameter.kind.description}, but a call passes every "
            "argument by name: use ordinary parameters"
        )
    if parameter.annotation is parameter.empty:
        raise UserError(
            f"{where}: the parameter {parameter.name!r} has no type hint: add one, such as {parameter.name}: str"
        )


def _parameter(parameter: inspect.Parameter, hint: Any, description: str | None) -> Parameter:
    settings: dict[str, Any] = {}
    if parameter.default is not parameter.empty:
        settings["default"] = parameter.default
    if description:
        settings["description"] = description
    extras = [extra for extra in get_args(hint)[1:] if isinstance(extra, FieldInfo)]
    alias = next((extra.alias for extra in extras if extra.alias), parameter.name)
    return Parameter(parameter.name, alias, hint, settings)


def _hint(cls: type, method: Any, what: str, annotation: Any) -> Any:
    """Return the type that an annotation evaluates to, be it a text or not.

    Raises:
        UserError: it cannot be evaluated; the sentence begins with ``what``.
    """
    # Types that the class itself defines are in scope where its methods are.
    of_class = {
        name: value
        for base in reversed(cls.__mro__)
        for name, value in vars(base).items()
        if isinstance(value, type) or get_origin(value)
    }
    annotated = SimpleNamespace(__annotations__={"it": annotation})
    try:
        return get_type_hints(annotated, inspect.unwrap(method).__globals__, of_class, include_extras=True)["it"]
    except Exception as error:  # an annotation is an expression of the user's, which can raise anything
        raise UserError(
            f"{what} cannot be evaluated ({_one_line(str(error))}): define or import its names in the module, and not "
            "for type checkers alone"
        ) from error


def _response(
    cls: type, method: Any, where: str, signature: inspect.Signature, docstring: docstring_parser.Docstring
) -> dict[str, Any]:
    """Return the JSON schema of a method's result; empty if neither its hint nor its docstring states one."""
    described = _one_line(docstring.returns.description) if docstring.returns else ""
    response = {"description": described} if described else {}
    if signature.return_annotation is signature.empty:
        return response
    hint = _hint(cls, method, f"{where}: the type hint of the result", signature.return_annotation)
    if hint is NoneType:
        return response
    try:
        schema = TypeAdapter(hint).json_schema(mode="serialization", schema_generator=PlainJsonSchema)
    except Exception as error:  # as in argument_reader.py
        raise UserError(
            f"{where}: the type hint of the result has no JSON schema ({schema_fault(error)}): return text, numbers, "
            "lists, dicts, dataclasses or pydantic models"
        ) from error
    return {**schema, **response}


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split())
