"""A sweep of real runs on two processes, broken off and continued, compared and read back."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

# Three processes import everything anew, two of them at the same time: slow on a busy machine.
pytestmark = pytest.mark.timeout(900)

ROOT = Path(__file__).parent.parent.parent
SMALL = (
    *("debug=fast", "trainer=cpu", "data=playground", "data.val_size=2", "data.categories=[base]"),
    *("grpo.tasks_per_update=1", "rollout.max_response_tokens=128", "rollout.max_completion_tokens=32"),
)


def sweep(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "train.py", "-m", f"hydra.sweep.dir={folder}", *SMALL, "seed=0", *arguments]
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=environment)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two settings, of which one run was killed after its first checkpoint, then the same command once more."""
    folder = tmp_path_factory.mktemp("sweep")
    launcher = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    first = sweep(folder, "experiment=none,kl_0", *launcher)
    assert first.returncode == 0, first.stdout[-3000:] + first.stderr[-3000:]
    (run,) = folder.glob("*kl_0*")
    # What a kill between the last checkpoint and the end leaves.
    (run / "finished.json").unlink()
    second = sweep(folder, "experiment=none,kl_0")
    assert second.returncode == 0, second.stdout[-3000:] + second.stderr[-3000:]
    (folder / "second.txt").write_text(second.stdout, encoding="utf-8")
    return folder


def test_the_continued_sweep_runs_only_what_was_broken_off_and_no_update_again(folder: Path):
    printed = (folder / "second.txt").read_text()
    assert printed.count("skipped, it has finished") == 1
    assert "update 1/2" not in printed
    assert "2 of 2 jobs in " in printed
    results = [json.loads(path.read_text()) for path in folder.glob("*/finished.json")]
    assert len(results) == 2
    assert all(0 <= record["result"] <= 1 for record in results)


def test_tensorboard_tells_the_runs_apart_by_what_was_swept(folder: Path):
    told = {}
    for run in folder.glob("*/tensorboard"):
        events = EventAccumulator(str(run))
        events.Reload()
        content = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
        settings = HParamsPluginData.FromString(content).session_start_info.hparams
        told[settings["experiment"].string_value] = events.Scalars("hp/progress/overall")[-1].step
        assert settings["seed"].string_value == "0"
        assert settings["data"].string_value == "playground"
    assert told == {"none": 2, "kl_0": 2}


def test_the_sweep_is_compared_by_the_command_in_the_documentation(folder: Path):
    command = [sys.executable, "tools/compare.py", str(folder), "--baseline", "experiment=none"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    with (folder / "comparison/compare.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["setting"] for row in rows} == {"experiment=none", "experiment=kl_0"}
    assert {row["paired_seeds"] for row in rows if row["setting"] == "experiment=kl_0"} == {"1"}
