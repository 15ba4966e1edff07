"""tools/ood.py with a program in evalscope's place, and with evalscope itself where `make ood` was run."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import hydra
import pytest
from fake_evalscope import fake_evalscope
from hydra.core.global_hydra import GlobalHydra
from hydra.utils import instantiate
from made_scores import review
from scripted_chat import scripted_chat

from envtune.command_line.command import CONFIG_FOLDER, require_known_keys
from envtune.errors import UserError
from envtune.evaluation.ood.harness import ChatEndpoint
from envtune.evaluation.ood.record import Results
from tools import ood

ROOT = Path(__file__).parents[2]

CHOICES = sorted(path.stem for path in (CONFIG_FOLDER / "ood").glob("*.yaml"))
PYTHON = ROOT / ".venv-ood" / "bin" / "python"
ENDPOINTS = ("agent.url=http://agent/v1", "agent.model=agent")
USER = ("user.url=http://user/v1", "user.model=gpt")


def compose(*arguments: str) -> Any:
    GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(str(CONFIG_FOLDER), version_base="1.3"):
        config = hydra.compose("ood", overrides=["name=stage-4", *ENDPOINTS, *arguments])
    # What Hydra fills in when a program runs.
    config.run_folder = "runs/test"
    return config


def run_ood(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    places = (f"hydra.run.dir={folder / 'run'}", f"results={folder / 'results'}")
    command = [sys.executable, "tools/ood.py", *places, *arguments]
    environment = os.environ | {"HF_HOME": str(folder / "cache"), "HF_HUB_OFFLINE": "1"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("choice", CHOICES)
def test_every_benchmark_composes_and_can_be_built(choice: str):
    config = compose(f"ood={choice}", *USER)
    require_known_keys(config, "ood")
    harness = instantiate(config.ood, _convert_="all")
    assert choice.startswith(harness.benchmark)
    assert harness.source


@pytest.mark.parametrize(
    ("choice", "subsets"),
    [
        ("acebench", {"multi_step": "agent_multi_step", "multi_turn": "agent_multi_turn"}),
        ("acebench_multi_step", {"multi_step": "agent_multi_step"}),
        ("tau2_airline", {"airline": "airline"}),
    ],
)
def test_a_part_is_asked_for_by_evalscopes_name(choice: str, subsets: dict[str, str]):
    assert instantiate(compose(f"ood={choice}", *USER).ood, _convert_="all").subsets == subsets


@pytest.mark.parametrize("choice", ["acebench", "tau2_retail"])
def test_the_simulated_user_is_asked_at_its_own_endpoint(choice: str):
    extra = instantiate(compose(f"ood={choice}", *USER).ood, _convert_="all").extra_params
    url = {"acebench": "user_model_api_url", "tau2_retail": "api_base"}[choice]
    assert (extra["user_model"], extra[url]) == ("gpt", "http://user/v1")


def test_a_benchmark_with_a_simulated_user_needs_its_endpoint_and_others_refuse_it():
    alone, with_user = compose("ood=acebench_multi_step"), compose("ood=acebench_multi_step", *USER)
    acting = instantiate(compose("ood=acebench", *USER).ood, _convert_="all")
    with pytest.raises(UserError, match=r"ood=acebench plays against a simulated user: give the endpoint"):
        ood._require_user("acebench", acting, ood._job(alone))
    stepping = instantiate(alone.ood, _convert_="all")
    with pytest.raises(UserError, match=r"has no simulated user: leave user\.url and user\.model out"):
        ood._require_user("acebench_multi_step", stepping, ood._job(with_user))
    with pytest.raises(UserError, match=r"user\.url and user\.model belong together"):
        ood._job(compose("user.model=gpt"))


def test_keys_are_named_by_the_variables_that_hold_them(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("USER_KEY", "secret")
    job = ood._job(compose(*USER, "user.key_variable=USER_KEY"))
    assert (job.agent, job.user) == (
        ChatEndpoint("http://agent/v1", "agent"),
        ChatEndpoint("http://user/v1", "gpt", "USER_KEY"),
    )
    assert job.user.key == "secret"


def test_episodes_that_broke_off_are_no_score_unless_that_is_wanted():
    broken = Results({}, ["agent_multi_turn/0: Connection error."])
    with pytest.raises(
        UserError, match=r"1 of the episodes broke off \(agent_multi_turn/0: Conn.*\), so nothing is recorded"
    ):
        ood._require_whole(broken, count_broken=False, folder=Path("run"))
    ood._require_whole(broken, count_broken=True, folder=Path("run"))


def test_a_run_leaves_a_record_and_the_checkpoints_table(tmp_path: Path):
    steps = [review(0, "s0", acc=1.0, process_acc=1.0), review(1, "s1", acc=0.0, process_acc=0.5)]
    program = fake_evalscope(tmp_path, {"acebench_agent_multi_step": steps, "acebench_agent_multi_turn": steps[:1]})
    with scripted_chat(lambda _: "") as url:
        given = (f"agent.url={url}", "agent.model=agent", f"user.url={url}", "user.model=gpt", f"ood.python={program}")
        done = run_ood(tmp_path, "ood=acebench", "name=stage-4", *given)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "results" / "stage-4"
    record = json.loads((folder / "acebench.json").read_text(encoding="utf-8"))
    assert (record["checkpoint"], record["harness"], record["broken"]) == ("stage-4", "evalscope 1.14.1", 0)
    assert record["agent"] == {"url": url, "model": "agent", "decoding": {"temperature": 0.0}}
    assert record["user"] == {"url": url, "model": "gpt", "decoding": {}}
    # Wilson's interval of 1 of 2 is 9.5 to 90.5 percent, of 2 of 3 20.8 to 93.9.
    row = "| stage-4 | 50.0 [9.5, 90.5] | 100.0 [20.7, 100.0] | 66.7 [20.8, 93.9] |"
    assert row in (folder / "table.md").read_text(encoding="utf-8")
    assert row in done.stdout
    numbers = list(csv.DictReader((folder / "table.csv").open(encoding="utf-8")))
    assert [line["part"] for line in numbers] == ["multi_step", "multi_turn", "all"]
    assert numbers[0]["beside"] == "milestones 0.75"


def test_without_evalscope_the_command_says_in_one_sentence_what_to_install(tmp_path: Path):
    given = (*ENDPOINTS, f"ood.python={tmp_path / 'nowhere'}")
    done = run_ood(tmp_path, "ood=acebench_multi_step", "name=stage-4", *given)
    assert done.returncode == 1
    missing = f"evalscope, which is not installed at python={tmp_path / 'nowhere'}: run make ood\n"
    assert f"error: acebench is played by {missing}" in done.stderr
    assert "Traceback" not in done.stderr


def play_wifi(body: Mapping[str, Any]) -> str:
    """The agent turns the Wi-Fi on and is done when it reads that it is on; the user asks for it."""
    if body["model"] == "user":
        return "Please turn on the Wi-Fi."
    return "finish conversation" if "has been turned on" in body["messages"][-1]["content"] else "[turn_on_wifi()]"


def write_tasks(folder: Path) -> None:
    """Two tasks of our own in the form of the hub's data set: turn the Wi-Fi on; and one that this does not solve."""

    def task(name: str, wifi: bool) -> str:
        world = {"wifi": wifi, "logged_in": True}
        fields = {
            "function": [{"name": "turn_on_wifi", "description": "Turns the Wi-Fi on.", "parameters": {}}],
            "rubric": {"ground_truth": [{"BaseApi": world}], "mile_stone": ["[turn_on_wifi()]", "[other()]"]},
            "initial_config": {"BaseApi": {"wifi": False, "logged_in": True}},
            "involved_classes": ["BaseApi"],
        }
        texts = {"id": name, "question": "Turn the Wi-Fi on.", "time": "", "profile": ""}
        return json.dumps(texts | {key: json.dumps(value) for key, value in fields.items()})

    folder.mkdir()
    card = "---\nconfigs:\n- config_name: en\n  data_files:\n  - split: agent\n    path: agent.jsonl\n---\n"
    (folder / "README.md").write_text(card, encoding="utf-8")
    names = ("agent_multi_step_0", "agent_multi_step_1", "agent_multi_turn_0")
    lines = [task(name, wifi=not name.endswith("1")) for name in names]
    (folder / "agent.jsonl").write_text("\n".join(lines), encoding="utf-8")


@pytest.mark.timeout(900)
@pytest.mark.skipif(not PYTHON.exists(), reason="evalscope is not installed: run make ood")
def test_evalscope_itself_plays_a_scripted_policy(tmp_path: Path):
    write_tasks(tmp_path / "tasks")
    with scripted_chat(play_wifi) as url:
        given = (f"agent.url={url}", "agent.model=agent", f"user.url={url}", "user.model=user")
        done = run_ood(tmp_path, "ood=acebench", f"ood.local_path={tmp_path / 'tasks'}", "name=scripted", *given)
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "results" / "scripted" / "acebench.json").read_text(encoding="utf-8"))
    scores = {task: score for part in record["parts"].values() for task, score in part["scores"].items()}
    assert scores == {
        "agent_multi_step/agent_multi_step_0": 1.0,
        "agent_multi_step/agent_multi_step_1": 0.0,
        "agent_multi_turn/agent_multi_turn_0": 1.0,
    }
    # A solved task counts as all its milestones, the other reached one of two.
    assert record["parts"]["multi_step"]["beside"] == {"milestones": 0.75}
    assert record["data"] == str(tmp_path / "tasks")
