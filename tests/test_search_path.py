"""A project of one's own, outside the clone: `conf/` beside its modules, by `--config-dir` or `hydra.searchpath`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hydra
import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from envtune.command_line.command import command
from envtune.command_line.continued_command import continued_command
from envtune.command_line.run_check import require_valid_run
from envtune.command_line.search_path import CONFIG_FOLDER, AddedFolders, options_of, with_search_path
from envtune.command_line.stage_config import compose_stages
from envtune.command_line.training_run import resume_instruction
from envtune.errors import UserError

GROUPS = sorted(path.name for path in CONFIG_FOLDER.iterdir() if path.is_dir() and path.name not in ("hydra", "ood"))
REWARD = """
class Brief:
    def __init__(self, cost: float = 0.01) -> None:
        self.cost = cost

    def __call__(self, trajectory):
        raise AssertionError("not called before the run")
"""
# The module has a name of its own, because Python keeps what it has imported.
CONFIGS = {
    "reward/brief.yaml": "_target_: brief_of_the_search_path.Brief\ncost: 0.02\n",
    "stage/warmup.yaml": '# @package _global_\ndefaults:\n  - "2"\n  - override /reward: brief\n',
    "stage/5.yaml": "# @package _global_\ndefaults:\n  - warmup\ngrpo:\n  beta: 0.5\n",
    "experiment/mine.yaml": "# @package _global_\ndefaults:\n  - override /stage: warmup\nseed: 7\n",
}
OPTIONS = [["--config-dir", "conf"], ["-cd=conf"], ["hydra.searchpath=[conf]"]]
Run = Callable[..., list[Any]]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a reward and the configs, which is the working directory."""
    folder = tmp_path / "project"
    for name, text in CONFIGS.items():
        write(folder / "conf" / name, text)
    write(folder / "brief_of_the_search_path.py", REWARD)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(AddedFolders, "folders", ())
    # Commands of this process leave Hydra's config behind, which sentences of later tests would read.
    monkeypatch.setattr(HydraConfig.instance(), "cfg", None)
    return folder


@pytest.fixture
def run(project: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `envtune-train ARGUMENTS` in the project; returns what ``seen`` is of the config of each job."""

    def play(*arguments: str, seen: Callable[[DictConfig], Any] = lambda config: config) -> list[Any]:
        GlobalHydra.instance().clear()
        monkeypatch.setattr(sys, "argv", ["/bin/envtune-train", *arguments])
        jobs: list[Any] = []
        command("train", require_valid_run)(lambda config: jobs.append(seen(config)))()
        return jobs

    return play


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def composed(*overrides: str) -> DictConfig:
    GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(str(CONFIG_FOLDER), version_base="1.3"):
        return hydra.compose("train", [*overrides])


@pytest.mark.parametrize("group", GROUPS)
def test_a_project_adds_choices_to_every_group(project: Path, group: str):
    path = min((CONFIG_FOLDER / group).glob("*.yaml"))
    header = "# @package _global_\n" if path.read_text().startswith("# @package _global_") else ""
    write(project / "conf" / group / "mine.yaml", f'{header}defaults: ["{path.stem}"]\n')
    with_search_path(["--config-dir", "conf"])
    assert "mine" in options_of(group)
    mine, theirs = composed(f"{group}=mine"), composed(f"{group}='{path.stem}'")
    assert OmegaConf.to_container(mine) == OmegaConf.to_container(theirs)


@pytest.mark.parametrize("option", OPTIONS, ids=" ".join)
def test_a_run_finds_the_configs_and_the_modules_beside_them(run: Run, option: list[str]):
    (config,) = run("reward=brief", *option, "reward.cost=0.03", "hydra.run.dir=run")
    assert (config.reward._target_, config.reward.cost) == ("brief_of_the_search_path.Brief", 0.03)


def test_the_working_directory_need_not_be_the_project(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (config,) = run("--config-dir", "project/conf", "experiment=mine", "hydra.run.dir=run")
    assert (config.seed, config.reward.cost, config.prompt.instructions) == (7, 0.02, "short")


def test_several_folders_and_packages_of_configs_are_searched(project: Path, run: Run):
    write(project / "shared/__init__.py", "")
    write(project / "shared/conf/reward/dear.yaml", "defaults: [brief]\ncost: 3.0\n")
    (config,) = run("hydra.searchpath=[pkg://shared.conf]", "-cd", "conf", "reward=dear", "hydra.run.dir=run")
    assert config.reward.cost == 3


@pytest.mark.parametrize("option", OPTIONS[1:], ids=" ".join)
def test_help_lists_the_choices_of_the_project(run: Run, capsys: pytest.CaptureFixture[str], option: list[str]):
    with pytest.raises(SystemExit) as ended:
        run("stage=5", *option, "--help")
    assert ended.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert "reward: binary, brief, format, mixed, progress, toolrl" in lines
    assert "stage: 1, 1_reference, 2, 3, 4, 5, clone, curriculum, warmup" in lines
    assert "  envtune-train stage=3 reward=progress" in lines


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["reward=brefi"],
            "reward=brefi is not a choice; choose one of: binary, brief, format, mixed, progress, toolrl",
        ),
        (["stage=6"], "stage=6 is not a choice; choose one of: 1, 1_reference, 2, 3, 4, 5, clone, curriculum, warmup"),
        (
            ["-m", "stage=5,6"],
            "stage=6 is not a choice; choose one of: 1, 1_reference, 2, 3, 4, 5, clone, curriculum, warmup",
        ),
        (
            ["reward=brief", "reward.cots=1"],
            "reward.cots is not a setting of reward; did you mean cost? valid are: cost",
        ),
        (["reward=brief", "reward.cost=x"], "reward.cost='x' must be a number"),
        (
            ["stage=curriculum", "curriculum.stages=[5,6]"],
            "stage=6 is not a choice; choose one of: 1, 1_reference, 2, 3, 4, 5, ",
        ),
    ],
)
def test_a_mistake_is_answered_with_the_choices_of_the_project(run: Run, arguments: list[str], sentence: str):
    with pytest.raises(SystemExit) as ended:
        run(*arguments, "--config-dir", "conf")
    assert str(ended.value).startswith(f"error: {sentence}")


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        (
            ["--config-dir", "cnof"],
            "--config-dir cnof is not a folder: give the one that holds your groups, such as conf",
        ),
        (["--config-dir"], "--config-dir needs a folder: give"),
        (["-cd", "conf/reward"], "-cd conf/reward holds no choice of a group: give the folder above reward/NAME.yaml"),
        (
            ["hydra.searchpath=conf"],
            "hydra.searchpath=conf must be a list of folders: give hydra.searchpath=[FOLDER,…]",
        ),
        (["hydra.searchpath=[pkg://no.conf]"], "hydra.searchpath pkg://no.conf is not a folder"),
        (
            ["--config-name=mine"],
            "--config-name would replace the configs of envtune: add yours with --config-dir FOLDER",
        ),
        (
            ["-cd", "bad"],
            "{project}/bad/stage/2.yaml has the name of one of envtune's configs, which would be read instead",
        ),
    ],
)
def test_a_wrong_folder_is_told_in_one_sentence(project: Path, run: Run, option: list[str], sentence: str):
    write(project / "bad/stage/2.yaml", "seed: 3\n")
    with pytest.raises(SystemExit) as ended:
        run(*option)
    assert str(ended.value).startswith(f"error: {sentence.format(project=project)}")
    assert not (project / "runs").exists()


def test_stages_of_the_project_are_composed_with_the_command_line(run: Run):
    arguments = ("stage=curriculum", "curriculum.stages=[warmup,5,3]", "--config-dir", "conf", "hydra.run.dir=run")
    (stages,) = run(*arguments, seen=lambda config: compose_stages(["warmup", "5", "3"]))
    targets = [stage.reward._target_.rpartition(".")[2] for stage in stages]
    assert targets == ["Brief", "Brief", "ProgressReward"]
    assert [stage.grpo.beta for stage in stages] == [0.1, 0.5, 0.1]


def test_every_job_of_a_sweep_finds_them_in_whichever_process_it_runs(run: Run):
    def seen_elsewhere(config: DictConfig) -> tuple[float, bool]:
        found = "brief" in options_of("reward")
        # As in a process that a launcher starts for the next job.
        AddedFolders.folders = ()
        return config.grpo.beta, found

    assert run("-m", "-cd", "conf", "stage=warmup,5", "hydra.sweep.dir=sweep", seen=seen_elsewhere) == [
        (0.1, True),
        (0.5, True),
    ]


def test_a_run_is_continued_with_the_configs_of_the_project(run: Run, project: Path):
    (hint,) = run("--config-dir", "conf", "reward=brief", "hydra.run.dir=runs/a", seen=resume_instruction)
    configs = project / "conf"
    assert hint.startswith(f"envtune-train --config-dir {configs} ckpt_path={project}/runs/a continues from")
    AddedFolders.folders = ()
    again = continued_command(["ckpt_path=runs/a"])
    assert again == ["reward=brief", f"hydra.searchpath=['{configs}']", "hydra.run.dir='runs/a'", "ckpt_path=last"]
    assert "brief" in options_of("reward")


@pytest.mark.parametrize("place", ["runs/a/conf", "runs", "deep/conf"])
def test_configs_that_may_have_come_with_a_run_are_asked_for(run: Run, project: Path, place: str):
    (project / place).parent.mkdir(parents=True, exist_ok=True)
    write(project / "deep/conf/reward/brief.yaml", CONFIGS["reward/brief.yaml"])
    run("--config-dir", "deep/conf", "reward=brief", "hydra.run.dir=runs/a")
    record = project / "runs/a/.hydra/hydra.yaml"
    record.write_text(record.read_text().replace(str(project / "deep/conf"), str(project / place)))
    with pytest.raises(UserError) as caught:
        continued_command(["ckpt_path=runs/a"])
    assert str(caught.value) == (
        f"runs/a was started with configs of {project / place}, which may run code: if you trust them, give them "
        f"again: add --config-dir {project / place}"
    )
    given = with_search_path(["ckpt_path=runs/a", "--config-dir", "deep/conf"])
    assert continued_command(given)[0] == "reward=brief"


def test_a_job_records_the_folders_it_was_composed_with(run: Run, project: Path):
    folders = run("-cd", "conf", "hydra.run.dir=run", seen=lambda config: list(HydraConfig.get().searchpath))
    assert folders == [[str(project / "conf")]]
