from __future__ import annotations

from pathlib import Path

import pytest
from made_scores import review, write_reviews

from envtune.errors import UserError
from envtune.evaluation.ood.evalscope import read_evalscope

STEPS = {"multi_step": "agent_multi_step"}


def test_a_task_scores_what_evalscope_gave_it_and_milestones_stand_beside(tmp_path: Path):
    lines = [review(0, "s0", acc=1.0, process_acc=1.0), review(1, "s1", acc=0.0, process_acc=0.5)]
    write_reviews(tmp_path, "acebench_agent_multi_step", lines)
    found = read_evalscope(tmp_path, "agent", "acebench", STEPS)
    part = found.parts["multi_step"]
    assert part.scores == {"agent_multi_step/s0": 1.0, "agent_multi_step/s1": 0.0}
    assert part.beside == {"milestones": 0.75}
    assert found.broken == []


def test_episodes_of_one_task_are_averaged_and_an_episode_scored_again_counts_once(tmp_path: Path):
    lines = [review(0, "7", acc=0.0), review(1, "7", acc=1.0), review(2, "7", acc=0.0), review(0, "7", acc=1.0)]
    write_reviews(tmp_path, "tau2_bench_retail", lines)
    found = read_evalscope(tmp_path, "agent", "tau2_bench", {"retail": "retail"})
    # Episodes 0 (the second time), 1 and 2: 1, 1 and 0.
    assert found.parts["retail"].scores == {"retail/7": pytest.approx(2 / 3)}


def test_an_episode_that_broke_off_is_named_and_what_an_agent_did_wrong_is_not(tmp_path: Path):
    broken = review(1, "s1", {"rollout_error": "Connection error."}, acc=0.0, process_acc=0.0)
    wrong = review(0, "s0", error=["class(BaseApi) attribute(wifi) wrong"], acc=0.0, process_acc=0.0)
    write_reviews(tmp_path, "acebench_agent_multi_step", [wrong, broken])
    found = read_evalscope(tmp_path, "agent", "acebench", STEPS)
    assert found.broken == ["agent_multi_step/s1: Connection error."]


def test_a_verdict_that_tau2_could_not_give_is_broken(tmp_path: Path):
    write_reviews(tmp_path, "tau2_bench_retail", [review(0, "7", error="'task_result'", acc=0.0)])
    found = read_evalscope(tmp_path, "agent", "tau2_bench", {"retail": "retail"})
    assert found.broken == ["retail/7: 'task_result'"]


def test_a_part_without_scores_is_no_score_of_zero(tmp_path: Path):
    with pytest.raises(UserError, match="evalscope has not scored this part"):
        read_evalscope(tmp_path, "agent", "acebench", STEPS)
    write_reviews(tmp_path, "acebench_agent_multi_step", [])
    with pytest.raises(UserError, match="is empty: evalscope has not scored this part"):
        read_evalscope(tmp_path, "agent", "acebench", STEPS)


def test_a_file_of_another_version_is_refused(tmp_path: Path):
    write_reviews(tmp_path, "acebench_agent_multi_step", [review(0, "s0", accuracy=1.0)])
    with pytest.raises(UserError, match=r"is not in the format of evalscope 1\.14"):
        read_evalscope(tmp_path, "agent", "acebench", STEPS)
