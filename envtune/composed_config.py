"""Checks a composed config as a whole, before anything is made of it. Knows Hydra.

Every node with a `_target_` has to have the parameters of that class or function, with values that their annotations
allow (`checked`); for classes of libraries, `training.library_settings` says more. What is cheap to make is then made
once, so that a constructor refuses now what does not go together.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from inspect import Parameter
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import get_object, instantiate
from omegaconf import DictConfig, ListConfig, OmegaConf

from envtune.checked import Allowed, allowed_of, parameters_of
from envtune.errors import UserError, valid_names

_RESERVED = ("_target_", "_partial_", "_args_", "_recursive_", "_convert_")
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
    for node, target in targets.values():
        if _is_cheap(target) and all(_is_cheap(_target_of(inner, key)) for key, inner in components(node)):
            instantiate(node, _convert_="all")


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


def _target_of(node: DictConfig, key: str) -> Callable[..., Any]:
    """Raises InstantiationException, as making it would, for a target that cannot be imported or called."""
    try:
        target = get_object(node["_target_"])
    except Exception as error:
        raise InstantiationException(f"Error locating target '{node['_target_']}'\nfull_key: {key}") from error
    if not callable(target):
        raise InstantiationException(f"target '{node['_target_']}' is not a class or function\nfull_key: {key}")
    return target


def _is_cheap(target: Callable[..., Any]) -> bool:
    """Classes of this package do nothing but keep their arguments; functions may load something."""
    return isinstance(target, type) and target.__module__.startswith("envtune.")


def _require_arguments(node: DictConfig, key: str, target: Callable[..., Any]) -> None:
    parameters = {parameter.name: parameter for parameter in parameters_of(target)}
    takes_any = not parameters or any(p.kind is Parameter.VAR_KEYWORD for p in parameters.values())
    allowed = _allowed(target)
    for name in map(str, node):
        if name in _RESERVED:
            continue
        if name not in parameters and name not in allowed and not takes_any:
            names = [known for known in parameters if known not in _RESERVED]
            raise UserError(f"{key}.{name} is no setting of {node['_target_']}; {valid_names(name, names)}")
        value = node[name]
        if isinstance(value, (DictConfig, ListConfig)):
            value = OmegaConf.to_container(value, resolve=True)
        if name in allowed and not _has_target(value):
            refusal = allowed[name].refusal(_source_of(node, name, key), value)
            if refusal:
                raise UserError(refusal)
    if not (node.get("_partial_") or "_args_" in node):
        for name, parameter in parameters.items():
            if name not in node and parameter.default is Parameter.empty and parameter.kind not in _VARIABLE:
                raise UserError(f"{key}.{name} has no value: give one on the command line (+{key}.{name}=…)")


_VARIABLE = (Parameter.VAR_KEYWORD, Parameter.VAR_POSITIONAL)


def _allowed(target: Callable[..., Any]) -> Mapping[str, Allowed]:
    """What the target's own annotations allow, and for a library's class, what this project says of it."""
    from envtune.training.library_settings import LIBRARY_SETTINGS

    names = [f"{base.__module__}.{base.__qualname__}" for base in getattr(target, "__mro__", ())]
    found = dict(allowed_of(target))
    for name in reversed(names):
        if name in LIBRARY_SETTINGS:
            found |= allowed_of(LIBRARY_SETTINGS[name])
    return found


def _has_target(value: Any) -> bool:
    if isinstance(value, Mapping):
        return "_target_" in value or any(map(_has_target, value.values()))
    return isinstance(value, list) and any(map(_has_target, value))


def _source_of(node: DictConfig, name: str, key: str) -> str:
    """The dotted name of the setting that a user would change: what ``name`` refers to, if it refers to one."""
    container: Any = OmegaConf.to_container(node, resolve=False)
    reference = _REFERENCE.fullmatch(str(container[name]))
    return reference[1] if reference else f"{key}.{name}"
