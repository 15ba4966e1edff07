"""The sweep over architectures: rows of four kinds, and the table in the document."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedModel

from envtune.errors import UserError
from tools.models import rows
from tools.models.measured import Differences
from tools.models.rows import Case, Row, architectures, measured_row
from tools.models.shrunk import shrunk_config, tiny_model
from tools.models.table import BEGIN, END, replace_table, report

CASES = {case.name: case for case in architectures()}


def test_every_causal_language_model_is_a_case_once() -> None:
    assert {"llama", "gpt_oss", "mamba", "gemma2", "phi3, longrope"} < set(CASES)
    assert len(CASES) == len(architectures()) > 180


def test_full_attention_is_equal_on_the_shared_path() -> None:
    row = measured_row(CASES["llama"])
    assert row.verdict == "equal"
    assert row.differences is not None
    assert (row.differences.path, row.differences.way) == ("shared", "shared")
    assert max(row.differences.values) < 1e-4


def test_sinks_are_equal_on_the_plain_path() -> None:
    row = measured_row(CASES["gpt_oss, full attention"])
    assert row.verdict == "equal"
    assert row.differences is not None
    assert row.differences.path == "plain"


def test_a_bidirectional_model_is_refused_in_a_sentence() -> None:
    row = measured_row(CASES["cpmant"])
    assert (row.verdict, row.differences) == ("refused", None)
    assert row.reason.startswith("CpmAntForCausalLM lets a token see later ones; choose")


def test_a_configuration_that_stays_large_is_not_built() -> None:
    row = measured_row(Case("large", CASES["llama"].kind, {"vocab_size": 1_000_000}))
    assert row.verdict == "not built"
    assert row.reason.startswith("NotTiny: 128,")


@pytest.mark.parametrize(
    ("measure", "reason"),
    [
        (lambda model: time.sleep(60), "hangs (3 s)"),
        (lambda model: os._exit(7), "its process ended with status 7"),
        (lambda model: 1 / 0, "ZeroDivisionError: division by zero (test_models.py, line"),
        (lambda model: Differences("shared", "shared", 1e-6, 0.5, 0.0), ""),
        (lambda model: Differences("shared", "shared", float("nan"), 0.0, 0.0), ""),
    ],
)
def test_what_is_neither_equal_nor_refused_is_a_fault(monkeypatch: pytest.MonkeyPatch, measure, reason: str) -> None:
    monkeypatch.setattr(rows, "measure", measure)
    monkeypatch.setattr(rows, "tiny_model", lambda config: None)
    row = measured_row(CASES["llama"], timeout=3)
    assert row.verdict == "fault"
    assert row.reason.startswith(reason)


def test_scores_and_logits_of_a_tiny_model_are_of_order_one() -> None:
    model: PreTrainedModel = tiny_model(shrunk_config(CASES["qwen3"].kind))
    logits = model(input_ids=torch.arange(4, 36)[None]).logits
    assert 1.5 < logits.std() < 4
    # A change of the first token is seen by the last: attention matters.
    other = model(input_ids=torch.tensor([[50, *range(5, 36)]])).logits
    assert (logits[0, -1] - other[0, -1]).abs().max() > 0.05


def test_the_table_is_replaced_between_its_markers(tmp_path: Path) -> None:
    document = tmp_path / "models.md"
    document.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    equal = Row("one", "equal", Differences("plain", "padded", 2e-6, 0.0, 0.0), "", 0.51)
    refused = Row("two", "refused", None, "Two has a fault | and is refused", 1.0)
    replace_table(document, report([equal, refused]))
    text = document.read_text()
    assert text.startswith(f"before\n{BEGIN}\n2 models, transformers ")
    assert "1 equal, 1 refused, 0 fault, 0 not built" in text
    assert "| one | equal | plain | padded | 2e-06 | 0e+00 | 0e+00 | 0.5 |  |" in text
    assert r"| two | refused | - | - | - | - | - | 1.0 | Two has a fault \| and is refused |" in text
    assert text.endswith(f"{END}\nafter\n")
    document.write_text("none")
    with pytest.raises(UserError, match="lacks the line"):
        replace_table(document, "")
