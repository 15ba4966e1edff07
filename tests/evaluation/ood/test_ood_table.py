"""Tables of records made by hand. Wilson's interval of 2 of 4 is 15.0 to 85.0 percent, of 1 of 2 9.5 to 90.5."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

from made_scores import record

from envtune.evaluation.ood.record import Part
from envtune.evaluation.ood.table import as_csv, detail_table, score_table

STEPS = {"a": 1.0, "b": 1.0, "c": 0.0, "d": 0.0}


def lines_of(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


def test_a_row_is_a_checkpoint_and_a_column_a_part_in_the_papers_order():
    records = [
        record(parts={"multi_turn": {"x": 1.0, "y": 0.0}, "multi_step": STEPS}),
        record(choice="tau2_airline", parts={"airline": {"0": 1.0, "1": 0.0}}),
        record(choice="tau2_retail", parts={"retail": {"0": 1.0, "1": 0.0}}),
        record(choice="bfcl_v4_memory", benchmark="bfcl_v4_memory", parts={"kv": {"0": 1.0, "1": 0.0}}),
        record(choice="house", benchmark="house", parts={"own": {"0": 1.0, "1": 0.0}}),
    ]
    header, _, row = lines_of(score_table({"stage-4": records}))
    assert header == [
        "checkpoint",
        "BFCL V4 memory: kv",
        "τ²-bench: retail",
        "τ²-bench: airline",
        "ACEBench agent: multi_step",
        "ACEBench agent: multi_turn",
        "ACEBench agent: all",
        "house: own",
    ]
    half = "50.0 [9.5, 90.5]"
    assert row[:6] == ["stage-4", half, half, half, "50.0 [15.0, 85.0]", half]


def test_all_of_a_benchmark_counts_every_task_once():
    # Two questions, each asked of two memories: 1 and 1, 0 and 1. A question is worth 1 and a half: 75%, of two tasks.
    kv, summary = {"q1": 1.0, "q2": 0.0}, {"q1": 1.0, "q2": 1.0}
    memory = record(choice="memory", benchmark="bfcl_v4_memory", parts={"kv": kv, "rec_sum": summary})
    rows = list(csv.DictReader(io.StringIO(as_csv({"base": [memory]}))))
    assert [(row["part"], row["tasks"], row["mean"]) for row in rows] == [
        ("kv", "2", "0.5"),
        ("rec_sum", "2", "1.0"),
        ("all", "2", "0.75"),
    ]


def test_all_of_parts_with_tasks_of_their_own_weighs_tasks_not_parts():
    # 4 of 4 and 0 of 2: 4 / 6, not the mean of 1 and 0.
    acebench = record(parts={"multi_step": dict.fromkeys("abcd", 1.0), "multi_turn": {"x": 0.0, "y": 0.0}})
    rows = list(csv.DictReader(io.StringIO(as_csv({"base": [acebench]}))))
    assert (rows[2]["part"], rows[2]["tasks"], float(rows[2]["mean"])) == ("all", "6", 4 / 6)


def test_what_was_not_scored_is_a_dash_and_no_zero():
    scored = record("a", parts={"multi_step": STEPS})
    other = record("b", choice="tau2_retail", parts={"retail": {"0": 1.0, "1": 0.0}})
    _, _, first, second = lines_of(score_table({"a": [scored], "b": [other]}))
    assert first == ["a", "-", "50.0 [15.0, 85.0]"]
    assert second == ["b", "50.0 [9.5, 90.5]", "-"]


def test_details_name_the_harness_the_user_and_what_to_read_beside_the_score():
    scored = record(parts={"multi_step": STEPS})
    scored = replace(scored, parts={"multi_step": Part(STEPS, {"milestones": 0.625})})
    alone = record(choice="memory", benchmark="bfcl_v4_memory", parts={"kv": {"0": 1.0, "1": 0.0}}, user=None)
    _, _, first, second = lines_of(detail_table([scored, alone]))
    assert first[1:] == ["4", "1", "50.0 [15.0, 85.0]", "milestones 0.625", "evalscope 1.14.1", "gpt"]
    assert second[4:] == ["-", "evalscope 1.14.1", "-"]


def test_csv_says_who_played_the_user_and_what_was_left_out():
    trial = record(limit=4, broken=1, parts={"multi_step": STEPS})
    (row,) = csv.DictReader(io.StringIO(as_csv({"stage-4": [trial]})))
    assert (row["user_model"], row["limit"], row["broken"], row["interval"]) == ("gpt", "4", "1", "wilson")
    assert abs(float(row["low"]) - 0.150036) < 1e-5
