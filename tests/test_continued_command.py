from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from envtune.command_line import continued_command as module
from envtune.command_line.continued_command import continued_command
from envtune.command_line.job_folder import JobFolder
from envtune.command_line.override_grammar import parse_override, value_of
from envtune.errors import UserError

STARTED = ["stage='2'", "grpo.beta=0.2", "trainer.max_steps=20", "ckpt_path=last"]


def started_with(folder: Path, overrides: object) -> Path:
    """A run's folder, as far as a command that continues it is read from it."""
    (folder / ".hydra").mkdir(parents=True)
    (folder / ".hydra/overrides.yaml").write_text(yaml.safe_dump(overrides, allow_unicode=True))
    return folder


def require_free_folder(arguments: list[str], resumable: bool = True) -> None:
    """For the folder and the start that the arguments name."""
    start = value_of("ckpt_path", arguments) or None
    module.require_free_folder(value_of("hydra.run.dir", arguments), start, resumable)


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    return started_with(tmp_path / "run", STARTED)


def test_a_folder_stands_for_the_command_that_started_the_run_in_it(run_folder: Path):
    assert continued_command([f"ckpt_path={run_folder}"]) == [
        "stage='2'",
        "grpo.beta=0.2",
        "trainer.max_steps=20",
        f"hydra.run.dir='{run_folder}'",
        "ckpt_path=last",
    ]


def test_what_is_given_anew_takes_the_place_of_what_was_given_then(run_folder: Path):
    arguments = continued_command([f"ckpt_path='{run_folder}'", "trainer.max_steps=40", "grpo.beta=0"])
    assert arguments[:3] == ["stage='2'", "trainer.max_steps=40", "grpo.beta=0"]


def test_a_run_is_continued_in_its_own_folder_and_alone(run_folder: Path):
    same = continued_command([f"ckpt_path={run_folder}", f"hydra.run.dir={run_folder}/"])
    assert same == continued_command([f"ckpt_path={run_folder}"])
    with pytest.raises(UserError, match=r"continues that run in its own folder: leave hydra.run.dir=elsewhere out"):
        continued_command([f"ckpt_path={run_folder}", "hydra.run.dir=elsewhere"])
    with pytest.raises(UserError, match=r"continues one run: leave -m out"):
        continued_command(["-m", f"ckpt_path={run_folder}", "seed=0,1"])


def test_other_commands_are_left_alone(run_folder: Path):
    for arguments in ([], ["stage='3'"], ["ckpt_path=null"], ["ckpt_path=last", "hydra.run.dir=runs/a"]):
        assert continued_command(arguments) == arguments
    assert continued_command(["ckpt_path=somewhere/last.ckpt"]) == ["ckpt_path=somewhere/last.ckpt"]


def test_a_folder_of_no_run_and_the_last_run_of_no_folder_are_told(tmp_path: Path):
    with pytest.raises(UserError, match=r"holds no .hydra/overrides.yaml, so it is not the folder of a run"):
        continued_command([f"ckpt_path={tmp_path}"])
    with pytest.raises(UserError, match=r"ckpt_path=last needs the folder of the run: add hydra.run.dir=runs/NAME"):
        continued_command(["ckpt_path=last"])


def test_a_new_run_does_not_write_over_an_earlier_one(run_folder: Path, tmp_path: Path):
    named = f"hydra.run.dir={run_folder}"
    # Of a run that ended before it had begun there is nothing to lose.
    require_free_folder([named])
    (run_folder / "run.json").write_text("{}")
    with pytest.raises(UserError) as caught:
        require_free_folder([f"hydra.run.dir={tmp_path}/other", "grpo.beta=0", named])
    assert str(caught.value) == (
        f"{run_folder} holds an earlier run, which would be overwritten: continue it with ckpt_path={run_folder}, or "
        "give another hydra.run.dir"
    )
    with pytest.raises(UserError, match="holds an earlier run"):
        require_free_folder([named, "ckpt_path=elsewhere/checkpoints/last.ckpt"])
    with pytest.raises(UserError, match=r"overwritten: give another hydra\.run\.dir$"):
        require_free_folder([named], resumable=False)
    for start in ("last", f"'{run_folder}/checkpoints/last.ckpt'"):
        require_free_folder([named, f"ckpt_path={start}"])


def test_a_folder_at_work_is_found_out_before_anything_is_written_to_it(run_folder: Path):
    with JobFolder(run_folder).locked(), pytest.raises(UserError, match="another process is at work in"):
        require_free_folder([f"hydra.run.dir='{run_folder}'", "ckpt_path=last"])


def test_a_folder_with_files_of_others_is_not_taken_for_a_run(tmp_path: Path):
    (tmp_path / "notes.txt").write_text("mine")
    for start in ("", "ckpt_path=last"):
        with pytest.raises(UserError) as caught:
            require_free_folder([f"hydra.run.dir={tmp_path}", start])
        assert str(caught.value) == (
            f"{tmp_path} is not empty (notes.txt) and is not the folder of a run: give a new one as hydra.run.dir"
        )
    # Not even a lock is left there.
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def recorded_run(folder: Path, settings: dict[str, Any]) -> None:
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({"settings": settings}))


def test_the_folder_above_runs_is_not_taken_for_one(tmp_path: Path):
    for name in ("a", "b"):
        recorded_run(tmp_path / name, {"trainer": {}})
    with pytest.raises(UserError, match=r"is not the folder of a run: to continue one of its runs \(a, b\), give"):
        require_free_folder([f"hydra.run.dir={tmp_path}", "ckpt_path=last"])


def test_a_run_that_contains_another_is_refused_and_one_with_its_stages_and_an_evaluation_is_not(tmp_path: Path):
    run = tmp_path / "run"
    recorded_run(run, {"trainer": {}, "curriculum": {"stages": [1, "mine"]}})
    for stage in ("stage_1", "stage_mine"):
        recorded_run(run / stage, {"trainer": {}})
    recorded_run(run / "evaluation", {})
    again = [f"hydra.run.dir={run}", "ckpt_path=last"]
    require_free_folder(again)
    recorded_run(run / "kept/other", {"trainer": {}})
    with pytest.raises(UserError, match=r"contains those of others \(kept/other\): move them out"):
        require_free_folder(again)


@pytest.mark.parametrize(
    "override",
    [
        "experiment=quickstart",
        "data=playground",
        "logger=csv",
        "model=hf",
        "model.path='/models/o\\'brien'",
        "model.lora.r=16",
        "model.attn_implementation=sdpa",
        "data.categories=[base,miss_func]",
        "tags=['a b',c]",
        "init_from=runs/a",
        "callbacks.best=null",
        "curriculum.stages=[1,2]",
        "curriculum.max_updates=[10,20]",
        "rollout.generator.temperature=0.7",
        "model.trust_remote_code=false",
    ],
)
def test_choices_and_plain_values_are_repeated(tmp_path: Path, override: str):
    folder = started_with(tmp_path / "run", [override])
    assert continued_command([f"ckpt_path={folder}"])[0] == override


@pytest.mark.parametrize(
    "override",
    [
        "model.trust_remote_code=true",
        "model.attn_implementation=evil/kernels",
        "reward._target_=my_rewards.X",
        "reward={_target_:my_rewards.X}",
        "+reward.cost=1",
        "+callbacks.mine={_target_:os.system}",
        "callbacks.best=[{_target_:os.system}]",
        "callbacks.trajectories.folder=/elsewhere",
        "callbacks.best.folder=../../x",
        "logger.tensorboard.save_dir=/elsewhere",
        "run_folder=/elsewhere",
        "trainer.default_root_dir=/elsewhere",
        "+trainer.strategy._target_=my.Strategy",
        "rollout.generator.url=http://elsewhere",
        "+rollout.generator.engine.worker_cls=evil.Worker",
        "rollout.generator.transfer_folder=/elsewhere",
        "tags=['${oc.env:HOME}']",
        "data.val_size=${oc.decode:'1'}",
        "reward=../../../tmp/evil",
        "reward@module.x=mixed",
        "stage='../../evil'",
        "curriculum.stages=[1,'../../evil']",
        "hydra.job.chdir=true",
        "hydra.searchpath=[file:///tmp/evil]",
        "hydra/launcher=joblib",
        "~callbacks.last",
        "data=null,bfcl",
    ],
)
def test_what_reaches_further_is_shown_and_asked_for(tmp_path: Path, override: str):
    folder = started_with(tmp_path / "run", ["seed=3", override])
    with pytest.raises(UserError) as caught:
        continued_command([f"ckpt_path={folder}"])
    sentence = str(caught.value)
    assert "\n" not in sentence
    said, _, added = sentence.partition(" give it again: add ")
    assert said.startswith(f"{folder} repeats by itself only choices of groups and plain settings (docs/resume.md)")
    # Pasted into a shell, it is exactly the override, with which the command continues.
    assert shlex.split(added) == [override]
    assert continued_command([f"ckpt_path={folder}", override])[:2] == ["seed=3", override]


def test_what_is_shown_cannot_steer_the_terminal(tmp_path: Path):
    folder = started_with(tmp_path / "run", ["+x='a\x1b[2J\nb'"])
    with pytest.raises(UserError) as caught:
        continued_command([f"ckpt_path={folder}"])
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("options", [["--config-dir=/tmp/evil"], ["-m"], ["a b"], ["seed=[1"]])
def test_a_record_of_the_command_that_is_none_is_told(tmp_path: Path, options: list[str]):
    folder = started_with(tmp_path / "run", options)
    with pytest.raises(UserError, match=r"overrides\.yaml cannot be used \(.*\): give the run's settings again"):
        continued_command([f"ckpt_path={folder}"])


@pytest.mark.parametrize("text", ["- a\n- [b", "a: 1", "- 3", "- {a: 1}", "\0", "&a [*a]"])
def test_a_broken_record_of_the_command_is_told_in_a_sentence(run_folder: Path, text: str):
    (run_folder / ".hydra/overrides.yaml").write_text(text)
    with pytest.raises(
        UserError, match=r"^[^\n]*overrides\.yaml cannot be used \([^\n]+\): give the run's settings again"
    ):
        continued_command([f"ckpt_path={run_folder}"])


@pytest.mark.parametrize("name", ["o'brien", "it's", 'a"b', "lr=1e-5", "a,b", "-x y", "ä\\", "[1", "null", "7"])
def test_a_folder_of_any_name_is_continued_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str):
    monkeypatch.chdir(tmp_path)
    started_with(tmp_path / name, STARTED)
    *_, folder, start = continued_command([f"ckpt_path={name}"])
    override = parse_override(folder)
    assert (override.key_or_group, override.value(), start) == ("hydra.run.dir", name, "ckpt_path=last")
    (tmp_path / name / "run.json").write_text("{}")
    with pytest.raises(UserError, match="holds an earlier run"):
        require_free_folder([folder])


def test_a_folder_that_hydra_would_take_for_another_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    started_with(tmp_path / "x${seed}", STARTED)
    with pytest.raises(UserError, match=r"^x\$\{seed\}: .*: rename it"):
        continued_command(["ckpt_path=x${seed}"])


def test_no_job_of_a_sweep_writes_through_a_link_out_of_its_folder(tmp_path: Path):
    (tmp_path / "sweep/seed-0").mkdir(parents=True)
    (tmp_path / "sweep/seed-0/train.log").symlink_to(tmp_path / "notes")
    with pytest.raises(UserError, match=r"train\.log is a link out of the run's folder"):
        continued_command(["-m", f"hydra.sweep.dir={tmp_path}/sweep"])
