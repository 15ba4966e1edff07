from __future__ import annotations

import json
import logging
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

import envtune
from envtune.chat.pieces import Pieces
from envtune.errors import UserError
from envtune.training.run_folder import run_record
from envtune.training.run_folder.checkpoint_io import AtomicCheckpointIO
from envtune.training.run_folder.run_record import differences, write_run_record


def written(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "run.json").read_text(encoding="utf-8"))


def test_a_run_is_recorded_with_its_command_versions_and_tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "argv", ["train.py", "stage=3"])
    write_run_record(str(tmp_path / "new" / "run"), {"split": "scenario", "validation_tasks": ["t_1"]}, ["ablation"])
    record = written(tmp_path / "new" / "run")
    assert record["command"] == ["train.py", "stage=3"]
    assert record["tags"] == ["ablation"]
    assert record["tasks"] == {"split": "scenario", "validation_tasks": ["t_1"]}
    assert record["packages"]["torch"] == version("torch")
    assert set(record["packages"]) == {"envtune", "bfcl-eval", "lightning", "numpy", "torch", "transformers"}
    assert record["python"] == ".".join(map(str, sys.version_info[:3]))


def test_without_git_the_commit_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def missing(*_: Any, **__: Any) -> Any:
        raise FileNotFoundError("git")

    monkeypatch.setattr(subprocess, "run", missing)
    write_run_record(str(tmp_path), {}, [])
    assert written(tmp_path)["commit"] is None


@pytest.mark.parametrize(("said", "commit"), [("abc123-dirty\n", "abc123-dirty"), ("", None)])
def test_the_commit_is_what_git_describes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, commit: str | None
):
    asked = []

    def run(command: list[str], **arguments: Any) -> Any:
        asked.append((command[0], arguments["cwd"]))
        return subprocess.CompletedProcess(command, 0, stdout=said, stderr="")

    monkeypatch.setattr(subprocess, "run", run)
    write_run_record(str(tmp_path), {}, [])
    assert written(tmp_path)["commit"] == commit
    # Of the code that runs, not of the folder that the user stands in.
    assert asked == [("git", Path(envtune.__file__).parents[1])]


def test_an_installed_wheel_has_no_commit_even_inside_the_checkout_of_another_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    monkeypatch.setattr(envtune, "__file__", str(tmp_path / "site-packages/envtune/__init__.py"))
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("git is not asked"))
    write_run_record(str(tmp_path), {}, [])
    assert written(tmp_path)["commit"] is None


def test_a_package_that_is_not_installed_has_no_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(run_record, "PACKAGES", ("envtune", "bfcl-evil"))
    write_run_record(str(tmp_path), {}, [])
    assert written(tmp_path)["packages"] == {"envtune": version("envtune"), "bfcl-evil": None}


def test_a_resume_is_added_to_the_record_with_a_warning_about_differences(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    start = tmp_path / "checkpoints/last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"global_step": 5}, start)
    monkeypatch.setattr(sys, "argv", ["train.py", "first"])
    write_run_record(str(tmp_path), {"split": "scenario"}, [], {"grpo": {"beta": 0.1}})
    monkeypatch.setattr(sys, "argv", ["train.py", "second"])
    with caplog.at_level(logging.WARNING, logger="envtune"):
        write_run_record(str(tmp_path), {"split": "scenario"}, [], {"grpo": {"beta": 0.1}}, start)
        assert caplog.text == ""
        write_run_record(str(tmp_path), {"split": "paper"}, [], {"grpo": {"beta": 0.2}}, start)
    changes = ["settings.grpo.beta was 0.1 and is 0.2", "tasks.split was scenario and is paper"]
    assert caplog.messages[0].endswith("so that it will differ from an uninterrupted one: " + "; ".join(changes))
    record = written(tmp_path)
    assert (record["command"], record["settings"]) == (["train.py", "first"], {"grpo": {"beta": 0.1}})
    told = [(entry["command"][1], entry["after_update"], entry["changes"]) for entry in record["continued"]]
    assert told == [("second", 5, []), ("second", 5, changes)]


def test_a_resume_with_another_chat_template_is_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    start = tmp_path / "checkpoints/last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"global_step": 5}, start)
    begun, edited = Pieces("<s>\n", "", "<a>", "</s>"), Pieces("<s>Be kind.\n", "", "<a>", "</s>")
    write_run_record(str(tmp_path), {}, [], template=begun)
    assert Pieces(**written(tmp_path)["chat_template"]) == begun
    with caplog.at_level(logging.WARNING, logger="envtune"):
        write_run_record(str(tmp_path), {}, [], start=start, template=begun)
        assert caplog.text == ""
        write_run_record(str(tmp_path), {}, [], start=start, template=edited)
    assert caplog.messages[0].endswith(r"one: chat_template.before_system was '<s>\n' and is '<s>Be kind.\n'")


def test_keys_that_an_older_record_lacks_are_not_differences():
    now = {"settings": {}, "python": "3.11", "chat_template": {"before_system": "<s>"}}
    assert differences({"settings": {}, "python": "3.11"}, now) == []


@pytest.mark.parametrize(
    "content",
    [b"", b'{"settings": {', b"[]", b'{"settings": []}', b'{"continued": 3}', b"\0", b"[" * 9000, b"\xff\xfe"],
)
def test_a_damaged_record_is_a_user_error_and_is_kept(tmp_path: Path, content: bytes):
    start = tmp_path / "checkpoints/last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"global_step": 5}, start)
    (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(
        UserError, match=r"^[^\n]+run\.json cannot be used \([^\n]+\): restore it from a copy, or delete it$"
    ):
        write_run_record(str(tmp_path), {}, [], {}, start)
    assert (tmp_path / "run.json").read_bytes() == content


def test_a_resume_keeps_the_record_and_escapes_control_characters(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    start = tmp_path / "checkpoints/last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"global_step": 5}, start)
    begun = {
        "tasks": {"z": 1, "validation_tasks": []},
        "added": [1],
        "settings": {"x": "\x1b[2J\nrm -r ~", "model": {}},
    }
    (tmp_path / "run.json").write_text(json.dumps(begun))
    write_run_record(str(tmp_path), {}, [], {}, start)
    record = written(tmp_path)
    assert list(record) == ["tasks", "added", "settings", "continued", "files"]
    assert json.dumps({name: record[name] for name in begun}) == json.dumps(begun)
    assert caplog.messages[0].isprintable()


def test_length_and_folder_of_a_run_are_not_differences():
    def record(home: str, steps: int, logger: str) -> dict[str, Any]:
        settings = {"run_folder": home, "best": f"{home}/best.ckpt", "trainer": {"max_steps": steps}, "logger": logger}
        return {"settings": settings | {"tags": [home], "ckpt_path": home}}

    assert differences(record("runs/a", 20, "csv"), record("moved/b", 40, "both")) == []
