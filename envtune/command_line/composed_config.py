"""Checks a composed config as a whole, before anything is made of it. Knows Hydra.

Every node with a `_target_` has to have the parameters of that class or function, with values that their annotations
allow (`checked`); for classes of libraries, `training.library_settings` says more. What is cheap to make is then made
once, so that a constructor refuses now what does not go together.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from inspect import Parameter
from typing import Any, get_args

# private: what `instantiate` locates targets with. hydra.utils.get_object also logs an error, which a user would read
# beside the one sentence.
from hydra._internal.utils import _locate
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, ListConfig, OmegaConf

from envtune.checked import Allowed, allowed_of, is_own_class, parameters_of, resolved, shown
from envtune.errors import UserError, valid_names

_RESERVED = ("_target_", "_partial_", "_args_", "_recursive_", "_convert_")
# With these a component gets arguments from elsewhere.
_OPEN = {"_partial_", "_args_"}
_VARIABLE = (Parameter.VAR_KEYWORD, Parameter.VAR_POSITIONAL)
_REFERENCE = re.compile(r"\$\{([\w.]+)\}")


def require_sound(config: DictConfig) -> None:
    """Checks every component of ``config``.

    Raises:
        UserError: an argument that a component does not take, lacks, or does not allow.
        hydra.errors.InstantiationException: a component that cannot be imported, or that its constructor refuses.
        omegaconf.errors.OmegaConfBaseException: a value that is missing, or that refers to nothing.
    """
    targets = {key: (node, _target_of(node, key)) for key, node in components(config)}
    for key, (node, target) in targets.items():
        _require_arguments(node, key, target)
    for key, (node, _) in targets.items():
        if all(map(_is_cheap, _targets_in(OmegaConf.to_container(node, resolve=True), key))):
            instantiate(node, _convert_="all")


def require_component(value: Any, key: str) -> None:
    """Raises UserError for a ``value`` of which nothing can be made."""
    if not (isinstance(value, Mapping | DictConfig) and "_target_" in value):
        raise UserError(f"{key}={shown(value)} has no _target_ that names a class: give one, or leave it as it was")


def components(node: DictConfig | ListConfig, key: str = "") -> Iterator[tuple[str, DictConfig]]:
    """Every node below ``node`` that has a `_target_`, by its dotted name; not those that are only referred to."""
    names: Iterable[Any] = node if isinstance(node, DictConfig) else range(len(node))
    for name in names:
        if OmegaConf.is_interpolation(node, name) or OmegaConf.is_missing(node, name):
            continue
        child, its_key = node[name], f"{key}.{name}" if key else str(name)
        if isinstance(child, DictConfig) and "_target_" in child:
            yield its_key, child
        if isinstance(child, (DictConfig, ListConfig)):
            yield from components(child, its_key)


def _target_of(node: Mapping[Any, Any] | DictConfig, key: str) -> Callable[..., Any]:
    """Raises InstantiationException, as making it would, for a target that cannot be imported or called."""
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
    """Every target in plain values, what they refer to included."""
    if isinstance(value, Mapping):
        if "_target_" in value:
            yield _target_of(value, key)
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from _targets_in(inner, key)


def _is_cheap(target: Callable[..., Any]) -> bool:
    """Classes of this package do nothing but keep their arguments, and so do functions that return one.

    Other functions load something, and of other classes nothing is known.
    """
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
            raise UserError(f"{key}.{name} is no setting of {node['_target_']}; {valid_names(name, names)}")
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
    """What the target's own annotations allow, and for a library's class, what this project says of it."""
    from envtune.command_line.library_settings import LIBRARY_SETTINGS

    names = [f"{base.__module__}.{base.__qualname__}" for base in getattr(target, "__mro__", ())]
    found = dict(allowed_of(target))
    for name in reversed(names):
        if name in LIBRARY_SETTINGS:
            found |= allowed_of(LIBRARY_SETTINGS[name])
    return found


def _source_of(node: DictConfig, name: str, key: str) -> str:
    """The dotted name of the setting that a user would change: what ``name`` refers to, if it refers to one."""
    container: Any = OmegaConf.to_container(node, resolve=False)
    reference = _REFERENCE.fullmatch(str(container[name]))
    return reference[1] if reference else f"{key}.{name}"
