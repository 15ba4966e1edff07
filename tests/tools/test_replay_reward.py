"""Numbers worked out on paper, of a run folder made by hand."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from ended_command import status

from envtune import trajectory_file
from envtune.bfcl.category import Category
from envtune.command_line.search_path import AddedFolders
from envtune.trajectory import EpisodeEnd, FinalAnswer, Step, Trajectory, Turn, TurnEnd, TurnVerdict
from tools import replay_reward
from tools.replay_reward import Rescored, average_ranks, spearman, summary


def episode(task: str, version: int, *passed: bool) -> dict[str, Any]:
    """An episode with these turns, recorded with progress as its reward."""
    step = Step("", FinalAnswer("", "Done."), (), "")
    verdicts = [TurnVerdict(ok, ok, called=True, expects_answer=False, answered=True) for ok in passed]
    turns = tuple(Turn("", (), (step,), TurnEnd.ANSWERED, verdict) for verdict in verdicts)
    trajectory = Trajectory(task, Category.BASE, len(turns), turns, EpisodeEnd.TERMINATED, policy_version=version)
    part = {"value": trajectory.progress, "weight": 1.0}
    reward = {"total": trajectory.progress, "parts": {"progress": part}}
    return trajectory_file.to_json(trajectory) | {"reward": reward}


def write(run: Path, update: int, *records: dict[str, Any]) -> None:
    folder = run / "trajectories/train"
    folder.mkdir(parents=True, exist_ok=True)
    trajectory_file.write(folder / f"update_{update:06d}.jsonl", records)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Progress 0, 1/2 | 1/2, 1 | 1, 1: the first task twice, at two policy versions."""
    write(tmp_path, 1, episode("a", 0, False, False), episode("a", 0, True, False))
    write(tmp_path, 2, episode("a", 1, False, True), episode("a", 1, True, True))
    write(tmp_path, 3, episode("b", 1, True, True), episode("b", 1, True, True))
    return tmp_path


def replay(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["replay_reward.py", *arguments])
    return status(replay_reward.main)


def test_both_rewards_are_summed_up_side_by_side(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    assert replay(monkeypatch, str(run), "reward=binary", "--json") == 0
    numbers = json.loads(capsys.readouterr().out)
    assert (numbers["episodes"], numbers["groups"]) == (6, 3)
    # Variances of two numbers that differ by d: d²/2. Recorded 1/8, 1/8, 0; binary 0, 1/2, 0.
    assert numbers["recorded"] == pytest.approx({"mean": 4 / 6, "in_group_variance": 1 / 12, "dead_groups": 1 / 3})
    assert numbers["replayed"] == pytest.approx({"mean": 1 / 2, "in_group_variance": 1 / 6, "dead_groups": 2 / 3})
    # Ranks 1, 2.5, 2.5, 5, 5, 5 and 2, 2, 2, 5, 5, 5, means 3.5. Products of the differences
    # 3.75 + 1.5 + 1.5 + 3 * 2.25 = 13.5, squares 6.25 + 1 + 1 + 3 * 2.25 = 15 and 13.5: 13.5 / sqrt(15 * 13.5).
    assert numbers["rank_correlation"] == pytest.approx(0.9486833)


def test_the_stages_of_a_curriculum_are_taken_together(run: Path):
    whole = replay_reward.rescore(run, replay_reward.compose_reward(["reward=binary"]))
    for stage, number in ((1, 1), (2, 2), (2, 3)):
        file = run / f"trajectories/train/update_{number:06d}.jsonl"
        (run / f"stage_{stage}/trajectories/train").mkdir(parents=True, exist_ok=True)
        file.rename(run / f"stage_{stage}/trajectories/train" / file.name)
    assert replay_reward.rescore(run, replay_reward.compose_reward(["reward=binary"])) == whole


def test_settings_of_the_reward_are_composed_too(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    # Every response kept the protocol: 0.5 * progress + 0.3.
    assert replay(monkeypatch, str(run), "reward=mixed", "reward.format=0.3", "reward.progress=0.5") == 0
    rows = [line.replace("│", " ").split() for line in capsys.readouterr().out.splitlines()]
    assert ["mean", "0.6667", "0.6333"] in rows
    assert ["in-group", "variance", "0.0833", "0.0208"] in rows
    assert ["dead", "groups,", "%", "33.3", "33.3"] in rows
    assert ["rank", "correlation", "1.000"] in rows


def test_a_reward_of_the_users_own_is_replayed(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "conf/reward").mkdir(parents=True)
    (tmp_path / "conf/reward/brief.yaml").write_text("_target_: brief_reward.Turns\ncost: 1.0\n")
    (tmp_path / "brief_reward.py").write_text(
        "from envtune.reward import RewardBreakdown, RewardPart\n"
        "class Turns:\n"
        "    def __init__(self, cost): self.cost = cost\n"
        "    def __call__(self, trajectory):\n"
        "        return RewardBreakdown((RewardPart('turns', float(len(trajectory.turns)), -self.cost),))\n"
    )
    monkeypatch.setattr(AddedFolders, "folders", ())
    monkeypatch.setattr(sys, "path", [*sys.path])
    own = ("--config-dir", str(tmp_path / "conf"))
    assert replay(monkeypatch, str(run), "reward=brief", "reward.cost=0.5", "--json", *own) == 0
    numbers = json.loads(capsys.readouterr().out)
    assert numbers["replayed"] == {"mean": -1.0, "in_group_variance": 0.0, "dead_groups": 1.0}
    assert numbers["rank_correlation"] is None


def test_equal_values_share_their_mean_rank():
    assert average_ranks([3.0, 1.0, 3.0, 2.0, 3.0]) == [4.0, 1.0, 4.0, 2.0, 4.0]


def test_spearman_looks_at_the_order_only():
    assert spearman([1, 2, 3], [10, 1000, 1e6]) == pytest.approx(1)
    assert spearman([1, 2, 3], [3, 2, 1]) == pytest.approx(-1)
    # Without ties 1 - 6 sum d² / (n (n² - 1)): differences 0, 1, -1.
    assert spearman([1, 2, 3], [1, 3, 2]) == pytest.approx(0.5)
    assert spearman([1, 2], [5, 5]) is None
    assert spearman([1], [5]) is None


def test_a_group_of_one_has_no_variance():
    numbers = summary([Rescored(("a", 0), 1.0, 2.0)])
    assert numbers["recorded"] == {"mean": 1.0, "in_group_variance": None, "dead_groups": 1.0}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["reward=best"], "reward=best is not a choice; choose one of: binary, format, mixed, progress, toolrl"),
        (["reward=mixed", "reward.weight=1"], "reward.weight is not a setting of reward; "),
        (["reward=mixed", "reward.format=-1"], "reward: the weights progress=0.9 and format=-1 of the mixed reward"),
        (["reward=mixed", "+reward.cost=1"], "reward.cost is not a setting of envtune.reward.MixedReward; "),
        (["grpo.beta=0"], "grpo.beta=0 is not about the reward: give reward=NAME"),
        (["reward=binary"], "holds no trajectories/train/*.jsonl: give the folder of a training run"),
    ],
)
def test_a_mistake_is_told_in_one_sentence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
):
    assert replay(monkeypatch, str(tmp_path), *arguments) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("replay_reward: ")
    assert message in printed.err
    assert printed.err.count("\n") == 1


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("reward", "update_000001.jsonl, line 1 has no recorded reward to compare with"),
        ("turns", "update_000001.jsonl, line 1 is not a trajectory ('turns' is missing)"),
    ],
)
def test_a_line_without_what_is_needed_is_named(tmp_path: Path, field: str, message: str):
    record = episode("a", 0, True)
    del record[field]
    write(tmp_path, 1, record)
    with pytest.raises(replay_reward.UserError) as caught:
        replay_reward.rescore(tmp_path, replay_reward.compose_reward(["reward=binary"]))
    assert message in str(caught.value)


def test_a_reward_that_wants_what_was_not_stored_says_how_to_store_it(run: Path):
    with pytest.raises(
        replay_reward.UserError, match=r"line 1: the reward <lambda>, .*, raised AttributeError: .*with_tokens=true"
    ):
        replay_reward.rescore(run, lambda trajectory: trajectory.tokens.ids)
