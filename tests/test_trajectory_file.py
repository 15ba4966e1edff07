from __future__ import annotations

import errno
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envtune import trajectory_file
from envtune.bfcl.category import Category
from envtune.errors import UserError
from envtune.files.atomic_file import WriteError
from envtune.task import ToolCall
from envtune.trajectory import (
    Action,
    EpisodeEnd,
    FinalAnswer,
    FormatError,
    FormatFault,
    Hint,
    HintKind,
    Step,
    TokenRecord,
    ToolCalls,
    ToolResult,
    Trajectory,
    Turn,
    TurnEnd,
    TurnVerdict,
)

# With every kind of character that a file format might trip over.
texts = st.text(st.characters(categories=["L", "N", "P", "Zs", "Zl", "Zp", "Cc", "Cs", "So"]), max_size=12)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=4,
)
tool_calls = st.builds(ToolCall, texts, st.dictionaries(texts, values, max_size=2))
hints = st.builds(Hint, texts, st.sampled_from(HintKind), texts)
results = st.builds(ToolResult, tool_calls, st.booleans(), texts, st.none() | hints, st.booleans())
actions: st.SearchStrategy[Action] = st.one_of(
    st.builds(ToolCalls, texts, st.lists(tool_calls, max_size=2).map(tuple)),
    st.builds(FinalAnswer, texts, texts),
    st.builds(FormatError, st.sampled_from(FormatFault), texts),
)
steps = st.builds(Step, texts, actions, st.lists(results, max_size=2).map(tuple), texts, st.booleans())
verdicts = st.builds(TurnVerdict, *[st.booleans()] * 5)
turns = st.builds(
    Turn,
    texts,
    st.lists(tool_calls, max_size=2).map(tuple),
    st.lists(steps, max_size=2).map(tuple),
    st.sampled_from(TurnEnd),
    verdicts,
)
tokens = st.lists(st.tuples(st.integers(0), st.booleans(), st.floats(-50, 0)), max_size=4).map(
    lambda rows: TokenRecord(*(tuple(column) for column in zip(*rows, strict=True)), 1) if rows else None
)
trajectories = st.builds(
    Trajectory,
    texts,
    st.sampled_from(Category),
    st.integers(1, 5),
    st.lists(turns, max_size=2).map(tuple),
    st.sampled_from(EpisodeEnd),
    st.integers(0, 2**63),
    st.integers(0, 9),
    tokens,
    st.booleans(),
)

VERDICT = TurnVerdict(state=True, response=False, called=True, expects_answer=False, answered=True)
LS = ToolCall("ls", {"a": True})
STEP = Step(
    "<think>x</think>", ToolCalls("x", (LS,)), (ToolResult(LS, False, "no", Hint("r", HintKind.DEPENDENCY, "h")),), "no"
)
SHORT = Trajectory(
    "t", Category.BASE, 2, (Turn("hi", (LS,), (STEP,), TurnEnd.ANSWERED, VERDICT),), EpisodeEnd.STEP_LIMIT
)


@given(st.lists(trajectories, max_size=2))
def test_what_was_written_reads_back_equal(tmp_path_factory: pytest.TempPathFactory, played: list[Trajectory]):
    path = tmp_path_factory.getbasetemp() / "round_trip.jsonl"
    trajectory_file.write(path, [trajectory_file.to_json(trajectory, with_tokens=True) for trajectory in played])
    assert [trajectory_file.from_json(record) for record in trajectory_file.read(path)] == played


def test_a_record_of_before_it_was_written_whether_hints_could_be_given_counts_as_with_hints():
    record = trajectory_file.to_json(replace(SHORT, hints=False))
    assert record.pop("hints") is False
    assert trajectory_file.from_json(record).hints is True


def test_tokens_are_left_out_unless_asked_for():
    record = TokenRecord((1, 2), (False, True), (0.0, -0.5), 1)
    trajectory = SHORT.with_tokens(record, seed=3, policy_version=4)
    assert trajectory_file.to_json(trajectory)["tokens"] is None
    back = trajectory_file.from_json(trajectory_file.to_json(trajectory))
    assert (back.tokens, back.seed, back.policy_version) == (None, 3, 4)
    assert trajectory_file.from_json(trajectory_file.to_json(trajectory, with_tokens=True)) == trajectory


def test_other_programs_find_the_outcome_and_the_kind_of_each_action(tmp_path: Path):
    trajectory_file.write(tmp_path / "a.jsonl", [trajectory_file.to_json(SHORT)])
    record = json.loads((tmp_path / "a.jsonl").read_text())
    assert (record["success"], record["progress"], record["category"], record["end"]) == (
        False,
        0.0,
        "base",
        "step_limit",
    )
    assert record["turns"][0]["steps"][0]["action"]["kind"] == "tool_calls"
    hint = record["turns"][0]["steps"][0]["results"][0]["hint"]
    assert hint == {"rule": "r", "kind": "dependency", "text": "h", "recovered": None}


def test_each_turn_is_written_with_its_label_and_an_invalid_call_is_marked():
    invalid = replace(STEP, results=(ToolResult(LS, False, "no", valid=False),))
    record = trajectory_file.to_json(replace(SHORT, turns=(replace(SHORT.turns[0], steps=(STEP, invalid)),)))
    assert record["turns"][0]["diagnosis"] == "invalid_tool_call"
    assert [step["results"][0].get("valid") for step in record["turns"][0]["steps"]] == [None, False]


def test_a_file_from_before_there_were_labels_reads_as_one_of_valid_calls():
    record = trajectory_file.to_json(SHORT)
    del record["turns"][0]["diagnosis"]
    assert trajectory_file.from_json(record) == SHORT


def test_each_hint_is_written_with_whether_the_next_attempt_recovered():
    again = replace(STEP, results=(ToolResult(LS, True, "yes"),))
    steps = (STEP, replace(STEP, results=(*STEP.results, *STEP.results)), again)
    record = trajectory_file.to_json(replace(SHORT, turns=(replace(SHORT.turns[0], steps=steps),)))
    results = [result for step in record["turns"][0]["steps"] for result in step["results"]]
    assert [result["hint"] and result["hint"]["recovered"] for result in results] == [False, True, True, None]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"a": 1}\n{"a": \n{"a": 3}\n', "line 2 is not JSON"),
        ('{"a": 1}\n\n{"a": 3}\n', "line 2 is empty: remove it"),
        ('{"a": 1}\n{"a": 2}\n{"a', "line 3 is not JSON .*was the file cut off"),
        ('{"a": 1}\n[1]\n', "line 2 is not a JSON object"),
        ("[" * 100_000, "line 1 is not JSON"),
    ],
)
def test_a_broken_line_is_named_by_its_number(tmp_path: Path, text: str, sentence: str):
    path = tmp_path / "broken.jsonl"
    path.write_text(text)
    with pytest.raises(UserError, match=f"broken.jsonl, {sentence}"):
        list(trajectory_file.read(path))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path):
    (tmp_path / "binary.jsonl").write_bytes(b"\xff\xfe\x00")
    for name in ("missing.jsonl", "binary.jsonl"):
        with pytest.raises(UserError, match=f"{name} cannot be read"):
            list(trajectory_file.read(tmp_path / name))


def test_only_line_feeds_end_a_line(tmp_path: Path):
    # Another program may write what JSON allows: separators of lines and paragraphs as they are.
    (tmp_path / "foreign.jsonl").write_text('{"a": "x\u2028y\u0085z"}\r\n{"a": 1}', encoding="utf-8", newline="")
    assert list(trajectory_file.read(tmp_path / "foreign.jsonl")) == [{"a": "x\u2028y\u0085z"}, {"a": 1}]


def test_an_empty_file_holds_nothing(tmp_path: Path):
    trajectory_file.write(tmp_path / "empty.jsonl", [])
    assert list(trajectory_file.read(tmp_path / "empty.jsonl")) == []


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path):
    path = tmp_path / "update.jsonl"
    trajectory_file.write(path, [{"a": 1}])

    def records() -> Any:
        yield {"a": 2}
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(WriteError, match=r"the disk is full while writing .*/update\.jsonl: free some space"):
        trajectory_file.write(path, records())
    assert list(trajectory_file.read(path)) == [{"a": 1}]
    # Half a file would only keep a full disk full.
    assert [entry.name for entry in tmp_path.iterdir()] == ["update.jsonl"]
