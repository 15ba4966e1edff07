"""The wheel, built once and unpacked outside the clone, and commands that run from there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = ("setup.py", "pyproject.toml", "README.md", "LICENSE", "conf", "envtune")
BUILD = "from setuptools import build_meta; print(build_meta.build_sdist('dist')); build_meta.build_wheel('dist')"


def console_script(name: str) -> tuple[str, str, str]:
    """Return the command that does what the console script of this name does."""
    return (
        sys.executable,
        "-c",
        "import sys; from importlib.metadata import entry_points; "
        f"sys.argv[0] = '{name}'; (script,) = entry_points(group='console_scripts', name='{name}'); script.load()()",
    )


def run(*command: str | Path, cwd: Path, path: Path | None = None) -> str:
    environment = {**os.environ, "PYTHONPATH": str(path) if path else "", "PIP_NO_INDEX": "1"}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with sdist and wheel, built from a copy, because setuptools leaves files beside its sources."""
    copy = tmp_path_factory.mktemp("built")
    for name in SOURCES:
        copied = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copied(ROOT / name, copy / name)
    run(sys.executable, "-c", BUILD, cwd=copy)
    return copy / "dist"


@pytest.fixture(scope="session")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel unpacked, outside the clone."""
    folder = tmp_path_factory.mktemp("installed")
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder
