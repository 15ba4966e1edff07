"""Validate a composed config as a whole before any component is built.

Every node with a `_target_` must have the parameters of that class or function, with values that their annotations
allow (`checked`); `library_settings` constrains classes of libraries. Components that are cheap to build are then built
once, so that their constructors reject contradictory settings early.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from inspect import Parameter
from typing import Any, get_args

# private: `instantiate` locates targets with it. The public hydra.utils.get_object also logs an error beside the one
# sentence.
from hydra._internal.utils import _locate
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, ListConfig, OmegaConf

from envtune.checked import Allowed, allowed_of, is_own_class, parameters_of, resolved, shown
from envtune.errors import UserError, valid_names

_RESERVED = ("_target_", "_partial_", "_args_", "_recursive_", "_convert_")
# With these keys a component gets arguments from elsewhere.
_OPEN = {"_partial_", "_args_"}
_VARIABLE = (Parameter.VAR_KEYWORD, Parameter.VAR_POSITIONAL)
_REFERENCE = re.compile(r"\$\{([\w.]+)\}")


def require_valid_components(config: DictConfig) -> None:
    """Validate every component of ``config``.

    Raises:
        UserError: an argument of a component is unknown, missing or not allowed.
        hydra.errors.InstantiationException: a component cannot be imported, or its constructor raises.
        omegaconf.errors.OmegaConfBaseException: a value is missing, or an interpolation cannot be resolved.
    """
    targets = {key: (node, _target_of(node, key)) for key, node in components(config)}
    for key, (node, target) in targets.items():
        _require_arguments(node, key, target)
    for key, (node, _) in targets.items():
        # Classes of this package only keep their arguments, and so do functions that return one. Other functions load
        # something, and of other classes nothing is known.
        if all(map(_is_cheap, _targets_in(OmegaConf.to_container(node, resolve=True), key))):
            instantiate(node, _convert_="all")


def require_component(value: Any, key: str) -> None:
    """Raise UserError for a ``value`` that cannot be instantiated."""
    if not (isinstance(value, Mapping | DictConfig) and "_target_" in value):
        raise UserError(f"{key}={shown(value)} has no _target_ that names a class: give one, or leave it as it was")


def components(node: DictConfig | ListConfig, key: str = "") -> Iterator[tuple[str, DictConfig]]:
    """Yield every node below ``node`` that has a `_target_`, with its dotted name. Interpolations are not followed."""
    names: Iterable[Any] = node if isinstance(node, DictConfig) else range(len(node))
    for name in names:
        if OmegaConf.is_interpolation(node, name) or OmegaConf.is_missing(node, name):
            continue
        child, child_key = node[name], f"{key}.{name}" if key else str(name)
        if isinstance(child, DictConfig) and "_target_" in child:
            yield child_key, child
        if isinstance(child, (DictConfig, ListConfig)):
            yield from components(child, child_key)


def _target_of(node: Mapping[Any, Any] | DictConfig, key: str) -> Callable[..., Any]:
    """Raise InstantiationException, as `instantiate` would, for a target that cannot be imported or called."""
    if not isinstance(node["_target_"], str):
        raise UserError(f"{key}._target_={shown(node['_target_'])} must be text that names a class or function")
    try:
        target = _locate(node["_target_"])
    except Exception as error:
        raise InstantiationException(f"Error locating target '{node['_target_']}'\nfull_key: {key}") from error
    if not callable(target):
        raise InstantiationException(f"{node['_target_']} is not a class or function\nfull_key: {key}")
    return target


def _targets_in(value: Any, key: str) -> Iterator[Callable[..., Any]]:
    """Yield every target in plain values, those of resolved interpolations included."""
    if isinstance(value, Mapping):
        if "_target_" in value:
            yield _target_of(value, key)
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from _targets_in(inner, key)


def _is_cheap(target: Callable[..., Any]) -> bool:
    returned = getattr(target, "__annotations__", {}).get("return")
    return is_own_class(target if isinstance(target, type) else resolved(returned, target))


def _require_arguments(node: DictConfig, key: str, target: Callable[..., Any]) -> None:
    parameters, allowed = parameters_of(target), _allowed(target)
    given = [str(name) for name in node if name not in _RESERVED]
    if parameters is None:
        parameters = {name: Parameter(name, Parameter.KEYWORD_ONLY) for name in given}
    names = [name for name, parameter in parameters.items() if parameter.kind not in _VARIABLE]
    annotations = {name: resolved(parameter.annotation, target) for name, parameter in parameters.items()}
    for name in given:
        if name in parameters or any(p.kind is Parameter.VAR_KEYWORD for p in parameters.values()):
            _require_allowed(node, name, key, allowed.get(name), annotations.get(name))
        else:
            raise UserError(f"{key}.{name} is not a setting of {node['_target_']}; {valid_names(name, names)}")
    for name in names:
        if parameters[name].default is Parameter.empty and name not in given and not _OPEN & {*node}:
            raise UserError(f"{key}.{name} has no value: give one on the command line (+{key}.{name}=…)")


def _require_allowed(node: DictConfig, name: str, key: str, allowed: Allowed | None, annotation: Any) -> None:
    value = node[name]
    if isinstance(value, (DictConfig, ListConfig)):
        value = OmegaConf.to_container(value, resolve=True)
    if any(_targets_in(value, key)):
        return
    source = _source_of(node, name, key)
    refusal = allowed.refusal(source, value) if allowed else None
    if (refusal or not allowed) and any(map(is_own_class, (annotation, *get_args(annotation)))):
        require_component(value, source)
    if refusal:
        raise UserError(refusal)


def _allowed(target: Callable[..., Any]) -> Mapping[str, Allowed]:
    """Return what the annotations of the target allow, for a library's class with the constraints of this project."""
    from envtune.command_line.library_settings import LIBRARY_SETTINGS

    names = [f"{base.__module__}.{base.__qualname__}" for base in getattr(target, "__mro__", ())]
    found = dict(allowed_of(target))
    for name in reversed(names):
        if name in LIBRARY_SETTINGS:
            found |= allowed_of(LIBRARY_SETTINGS[name])
    return found


def _source_of(node: DictConfig, name: str, key: str) -> str:
    """Return the dotted name of the setting that a user would change: the target of an interpolation, if it is one."""
    container: Any = OmegaConf.to_container(node, resolve=False)
    reference = _REFERENCE.fullmatch(str(container[name]))
    return reference[1] if reference else f"{key}.{name}"
