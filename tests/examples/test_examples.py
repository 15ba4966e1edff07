"""The examples as projects of a user: copied out of the clone, and run with the package of the wheel."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
from installed_wheel import ROOT, console_script, run

# Two updates that take seconds: few tasks, short responses.
SMALL = (
    *("debug=fast", "trainer.max_steps=2", "data.max_tasks=4", "data.val_size=2"),
    *("rollout.max_completion_tokens=32", "rollout.max_response_tokens=512", "hydra.run.dir=run"),
)
PROJECTS = {
    "library": (),
    "clinic": ("--config-dir", "conf", "stage=asking"),
}


@pytest.fixture(params=PROJECTS)
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return shutil.copytree(ROOT / "examples" / request.param, tmp_path / request.param)


def test_two_updates_run_outside_the_clone_with_the_installed_package(project: Path, installed: Path):
    settings = ("environment=module", f"environment.module={project.name}", *PROJECTS[project.name], *SMALL)
    run(*console_script("envtune-train"), *settings, cwd=project, path=installed)
    record = json.loads((project / "run/run.json").read_text(encoding="utf-8"))
    assert record["settings"]["model"]["path"] == str(installed / "envtune/models/tiny")
    assert record["tasks"]["environment"] == project.name.capitalize()
    assert (project / "run/trajectories/train/update_000002.jsonl").stat().st_size > 0
    assert (project / "run/finished.json").exists()
    if project.name == "clinic":
        assert record["settings"]["reward"]["_target_"] == "my_rewards.CarefulProgress"
        assert set(record["tasks"]["categories"]) == {"base", "miss_func", "miss_param"}


def test_check_environment_finds_no_broken_promise(project: Path, installed: Path):
    settings = ("environment=module", f"environment.module={project.name}")
    printed = run(*console_script("envtune-check-environment"), *settings, "tasks=8", cwd=project, path=installed)
    assert "11 of 11 promises are kept" in printed


def test_a_trainer_of_ones_own_validates_trains_tests_and_reloads(installed: Path, tmp_path: Path):
    for part in ("own_trainer.py", "library"):
        source = ROOT / "examples" / part
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / part)
    printed = run(sys.executable, "own_trainer.py", cwd=tmp_path, path=installed)
    assert printed.count("Validate metric") == 1
    assert printed.count("Test metric") == 2
    assert printed.count("test/progress/overall") == 2
    (checkpoint,) = tmp_path.rglob("*.ckpt")
    assert checkpoint.name == "epoch=0-step=2.ckpt"
