"""Where configs are looked up: the folder of this package, and folders that the command line adds.

`--config-dir FOLDER` (or `-cd`) and `hydra.searchpath=[FOLDER,…]` add choices to every group. The folders are set once
for a process, as `sys.path` is, and hold for everything that Hydra composes in it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.plugins.search_path_plugin import SearchPathPlugin
from typing_extensions import override

import envtune
from envtune.command_line.override_grammar import parse_override, quote_value
from envtune.errors import UserError

SEARCH_PATH = "hydra.searchpath"
_FLAG = re.compile(r"(--config-dir|-cd)(?:=(.*))?", re.DOTALL)
_REPLACING = re.compile(r"(--config-path|-cp|--config-name|-cn)(=.*)?", re.DOTALL)


def _folder_of_the_package() -> Path:
    """Return `conf/` inside the package where a wheel was installed, beside it in a clone."""
    package = Path(envtune.__file__).parent
    installed = package / "conf"
    return installed if installed.is_dir() else package.parent / "conf"


CONFIG_FOLDER = _folder_of_the_package()


class AddedFolders(SearchPathPlugin):
    """Hydra's hook for the folders, so that its help and its API find their choices as well."""

    folders: ClassVar[tuple[Path, ...]] = ()

    @override
    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        for folder in self.folders:
            search_path.append("project", str(folder))


def with_search_path(arguments: Sequence[str]) -> list[str]:
    """Add the folders that a command line names, and return it with `hydra.searchpath` in place of `--config-dir`.

    Raises:
        UserError: a folder does not exist, or cannot be one of configs; or the arguments replace the package's configs.
    """
    rest: list[str] = []
    given: list[tuple[str, str]] = []
    words = iter(arguments)
    for word in words:
        if flag := _FLAG.fullmatch(word):
            given.append((flag[1], next(words, "") if flag[2] is None else flag[2]))
        elif word.lstrip("+").startswith(f"{SEARCH_PATH}="):
            given += [(SEARCH_PATH, entry) for entry in _entries(word)]
        elif replacing := _REPLACING.fullmatch(word):
            raise UserError(
                f"{replacing[1]} would replace the configs of envtune: add yours with --config-dir FOLDER, settings as "
                "FOLDER/experiment/NAME.yaml with `# @package _global_`, and choose them with experiment=NAME"
            )
        else:
            rest.append(word)
    # Before the folders, some of which may be packages there.
    extend_module_path([])
    folders = list(dict.fromkeys(_folder(*named) for named in given))
    add_folders(folders)
    return [f"{SEARCH_PATH}=[{','.join(quote_value(str(folder)) for folder in folders)}]", *rest] if folders else rest


def add_folders(folders: Iterable[Path]) -> None:
    """Set the folders of configs of this process, and let Python find the modules beside them."""
    AddedFolders.folders = tuple(folders)
    if AddedFolders.folders:
        Plugins.instance().register(AddedFolders)
    extend_module_path(folder.parent for folder in AddedFolders.folders)


def extend_module_path(folders: Iterable[Path]) -> None:
    """Append the working directory and ``folders`` to Python's module path, behind installed packages."""
    for folder in (Path.cwd(), *folders):
        if str(folder) not in sys.path:
            sys.path.append(str(folder))


def folders_of_this_job() -> list[Path]:
    """Return the folders that Hydra composed the running job with, in whichever process it runs."""
    return [Path(folder) for folder in HydraConfig.get().searchpath]


def is_group(name: str) -> bool:
    """Return True if a folder of configs has a group of this name."""
    return any((folder / name).is_dir() for folder in _all_folders())


def options_of(group: str) -> list[str]:
    """Return the names of the choices of a group; none if it is not a group."""
    return sorted({path.stem for folder in _all_folders() for path in (folder / group).glob("*.yaml")})


def groups() -> set[str]:
    """Return the names of all groups but Hydra's own."""
    return {path.name for folder in _all_folders() for path in folder.iterdir() if path.is_dir()} - {"hydra"}


def _all_folders() -> tuple[Path, ...]:
    return (CONFIG_FOLDER, *AddedFolders.folders)


def _entries(override_of_the_path: str) -> list[str]:
    """Return the entries of `hydra.searchpath=[…]`."""
    try:
        entries = parse_override(override_of_the_path).value()
    except HydraException:
        entries = None
    if not isinstance(entries, list) or not all(isinstance(entry, str) for entry in entries):
        raise UserError(f"{override_of_the_path} must be a list of folders: give {SEARCH_PATH}=[FOLDER,…]")
    return [str(entry) for entry in entries]


def _folder(option: str, entry: str) -> Path:
    """Return the folder that an entry of the search path names, absolute; raise UserError if it adds no choice."""
    if not entry:
        raise UserError(f"{option} needs a folder: give the one that holds your groups, such as conf")
    if entry.startswith("pkg://"):
        name = entry.removeprefix("pkg://").replace("/", ".")
        try:
            spec = find_spec(name)
        except ModuleNotFoundError:
            spec = None
        places = list(spec.submodule_search_locations or ()) if spec else []
        folder = Path(places[0]) if places else Path(entry)
    else:
        folder = Path(entry.removeprefix("file://")).absolute()
    if not folder.is_dir():
        raise UserError(f"{option} {entry} is not a folder: give the one that holds your groups, such as conf")
    if "${" in str(folder):
        raise UserError(f"{option} {entry}: Hydra takes ${{…}} for a reference to a setting, also in a name: rename it")
    if not any(folder.glob("*/*.yaml")):
        raise UserError(f"{option} {entry} holds no choice of a group: give the folder above reward/NAME.yaml")
    for own in CONFIG_FOLDER.rglob("*.yaml"):
        same = folder / own.relative_to(CONFIG_FOLDER)
        if same.is_file() and same.read_bytes() != own.read_bytes():
            raise UserError(f"{same} has the name of one of envtune's configs, which would be read instead: rename it")
    return folder
