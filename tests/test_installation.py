"""What a user gets who installs envtune instead of cloning it: wheel, sdist, console scripts."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import Distribution, PathDistribution
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
SOURCES = ("setup.py", "pyproject.toml", "README.md", "LICENSE", "conf", "envtune")
BUILD = "from setuptools import build_meta; print(build_meta.build_sdist('dist')); build_meta.build_wheel('dist')"
# What the console script of that name runs.
SCRIPT = """
import sys
from importlib.metadata import entry_points
sys.argv[0] = "envtune-train"
(script,) = entry_points(group="console_scripts", name="envtune-train")
script.load()()
"""


def run(*command: str | Path, cwd: Path, path: Path | None = None) -> str:
    environment = {**os.environ, "PYTHONPATH": str(path) if path else "", "PIP_NO_INDEX": "1"}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    return done.stdout


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with sdist and wheel, built from a copy, because setuptools leaves files beside its sources."""
    copy = tmp_path_factory.mktemp("built")
    for name in SOURCES:
        copied = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copied(ROOT / name, copy / name)
    run(sys.executable, "-c", BUILD, cwd=copy)
    return copy / "dist"


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel unpacked, outside the clone."""
    folder = tmp_path_factory.mktemp("installed")
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def test_the_wheel_holds_every_config_and_every_file_of_the_package(installed: Path):
    for source, place in ((ROOT / "conf", "envtune/conf"), (ROOT / "envtune", "envtune")):
        names = [path.relative_to(source) for path in source.rglob("*") if path.is_file() and path.suffix != ".pyc"]
        assert len(names) > 50
        assert [str(name) for name in names if not (installed / place / name).is_file()] == []


def test_the_sdist_builds_the_same_wheel(built: Path, tmp_path: Path):
    (sdist,) = built.glob("*.tar.gz")
    pip = (sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", tmp_path, sdist)
    run(*pip, cwd=tmp_path)
    (wheel,), (again,) = built.glob("*.whl"), tmp_path.glob("*.whl")
    assert contents(wheel) == contents(again)


def test_an_installed_command_composes_with_the_configs_of_a_project(installed: Path, tmp_path: Path):
    (tmp_path / "conf/reward").mkdir(parents=True)
    (tmp_path / "conf/reward/brief.yaml").write_text("_target_: my_rewards.Brief\ncost: 0.02\n")
    command = (sys.executable, "-c", SCRIPT, "--config-dir", "conf", "reward=brief", "stage=2", "--cfg", "job")
    config = yaml.safe_load(run(*command, cwd=tmp_path, path=installed))
    assert config["reward"] == {"_target_": "my_rewards.Brief", "cost": 0.02}
    assert config["prompt"]["instructions"] == "short"
    assert list(tmp_path.iterdir()) == [tmp_path / "conf"]


def test_every_console_script_names_a_command(installed: Path):
    (information,) = installed.glob("*.dist-info")
    distribution: Distribution = PathDistribution(information)
    scripts = [entry for entry in distribution.entry_points if entry.group == "console_scripts"]
    assert {"envtune-train", "envtune-evaluate"} <= {entry.name for entry in scripts}
    assert all(callable(entry.load()) for entry in scripts)
