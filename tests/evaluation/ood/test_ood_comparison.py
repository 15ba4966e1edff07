from __future__ import annotations

import csv
import io

import pytest
from made_scores import record

from envtune.errors import UserError
from envtune.evaluation.ood.record import AgentEndpoint
from envtune.evaluation.ood.table import Column, difference_table, differences, differences_csv, warnings

STEPS = Column("acebench", "multi_step")


def of(checkpoint: str, scores: dict[str, float], **changed: object):
    return record(checkpoint, parts={"multi_step": scores}, **changed)


def test_a_difference_is_of_the_tasks_that_both_have():
    base = of("base", {"a": 0.0, "b": 0.0, "only base": 1.0})
    tuned = of("tuned", {"a": 1.0, "b": 0.0, "only tuned": 1.0})
    found = differences({"base": [base], "tuned": [tuned]}, "base")
    tasks, difference = found["tuned"][STEPS]
    assert (tasks, difference.mean) == (2, 0.5)
    assert "base" not in found


def test_tasks_are_paired_by_name_whatever_their_order():
    # The same verdicts in another order: Newcombe's interval of identical answers, ±35.0 points (see test_paired.py).
    base = of("base", {"a": 1.0, "b": 1.0, "c": 0.0, "d": 0.0})
    tuned = of("tuned", {"d": 0.0, "c": 0.0, "b": 1.0, "a": 1.0})
    found = differences({"base": [base], "tuned": [tuned]}, "base")
    assert difference_table(found).splitlines()[2] == "| tuned | +0.0 [-35.0, +35.0] |"


def test_a_column_that_the_baseline_lacks_has_no_difference():
    base = of("base", {"a": 0.0, "b": 1.0})
    tuned = [of("tuned", {"a": 1.0, "b": 1.0}), record("tuned", "tau2_retail", {"retail": {"0": 1.0}})]
    assert list(differences({"base": [base], "tuned": tuned}, "base")["tuned"]) == [STEPS]


def test_every_difference_is_a_line_of_the_csv():
    base, tuned = of("base", {"a": 0.0, "b": 1.0}), of("tuned", {"a": 1.0, "b": 1.0})
    text = differences_csv(differences({"base": [base], "tuned": [tuned]}, "base"), "base")
    (row,) = csv.DictReader(io.StringIO(text))
    assert (row["checkpoint"], row["baseline"], row["benchmark"], row["part"]) == (
        "tuned",
        "base",
        "acebench",
        "multi_step",
    )
    assert (row["tasks"], row["difference"], row["interval"]) == ("2", "0.5", "newcombe")


def test_a_baseline_that_is_none_of_them_lists_them():
    with pytest.raises(UserError, match="--baseline bas is not among the checkpoints; choose one of: base, tuned"):
        differences({"base": [of("base", {"a": 0.0})], "tuned": [of("tuned", {"a": 1.0})]}, "bas")


def test_alike_checkpoints_need_no_warning():
    assert warnings({"base": [of("base", {"a": 0.0})], "tuned": [of("tuned", {"a": 1.0})]}) == []


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"user": AgentEndpoint("http://user/v1", "qwen", {})}, "simulated user (base: gpt (temperature=0.0), "),
        ({"harness": "evalscope 1.15"}, "harness (base: evalscope 1.14.1, tuned: evalscope 1.15)"),
        ({"agent": AgentEndpoint("u", "m", {"temperature": 1.0})}, "decoding (base: temperature=0.0, "),
        ({"episodes_per_task": 4}, "episodes of each task (base: 1, tuned: 4)"),
    ],
)
def test_what_moves_a_score_beside_the_checkpoint_is_told(changed: dict[str, object], told: str):
    found = warnings({"base": [of("base", {"a": 0.0})], "tuned": [of("tuned", {"a": 1.0}, **changed)]})
    assert len(found) == 1
    assert found[0].startswith(f"acebench: scores cannot be compared as they stand, they differ in {told}")


def test_other_tasks_a_trial_and_broken_episodes_are_told():
    trial = of("tuned", {"a": 1.0}, limit=1, broken=1)
    assert warnings({"base": [of("base", {"a": 0.0, "b": 1.0})], "tuned": [trial]}) == [
        "acebench: scores cannot be compared as they stand, they are of different tasks.",
        "acebench: tuned was scored with limit=1, on only so many tasks of each part.",
        "acebench: 1 of tuned's episodes broke off, counted as failed.",
    ]
