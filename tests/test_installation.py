"""What a user gets who installs envtune instead of cloning it: wheel, sdist, console scripts."""

from __future__ import annotations

import sys
import zipfile
from importlib.metadata import Distribution, PathDistribution
from pathlib import Path

import yaml
from installed_wheel import ROOT, console_script, run


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


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
    command = (*console_script("envtune-train"), "--config-dir", "conf", "reward=brief", "stage=2", "--cfg", "job")
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
