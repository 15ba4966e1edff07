"""BFCL's own program replaced by result and score files made by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from envtune.bfcl.official.bfcl_program import OfficialProgram
from envtune.errors import UserError
from envtune.evaluation.ood.harness import BenchmarkJob, ChatEndpoint
from envtune.evaluation.ood.official_bfcl import OfficialBFCL

MEMORY = OfficialBFCL("bfcl_v4_memory", ["kv", "rec_sum"], "memory_", "python")
# What the agent said last, by question.
ANSWERS = {"0-customer-0": "Michael", "1-customer-1": "I do not know"}


def write(path: Path, lines: list[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the program was asked to generate. The key-value memory answers one question right, the summary both."""
    found: dict[str, Any] = {}

    def generate(program: OfficialProgram, endpoint: Any, categories: list[str], *settings: Any) -> None:
        found.update(endpoint=endpoint, categories=categories, settings=settings)
        for category in categories:
            results = [{"id": f"{category}_{key}", "result": [[{"f": "{}"}, text]]} for key, text in ANSWERS.items()]
            write(program.folder / "result" / "agent" / f"BFCL_v4_{category}_result.json", results)

    def evaluate(program: OfficialProgram) -> None:
        for category, wrong in (("memory_kv", ["1-customer-1"]), ("memory_rec_sum", [])):
            header = {"accuracy": 0, "correct_count": 2 - len(wrong), "total_count": 2}
            lines = [header, *({"id": f"{category}_{key}", "error": {}} for key in wrong)]
            write(program.folder / "score" / "agent" / f"BFCL_v4_{category}_score.json", lines)

    monkeypatch.setattr(OfficialProgram, "generate", generate)
    monkeypatch.setattr(OfficialProgram, "evaluate", evaluate)
    return found


def job(folder: Path, **changed: Any) -> BenchmarkJob:
    settings: dict[str, Any] = {
        "agent": ChatEndpoint("http://agent/v1", "stage-4"),
        "temperature": 0.0,
        "max_tokens": None,
        "user": None,
        "episodes_per_task": 1,
        "limit": None,
        "concurrency": 4,
        "timeout": None,
        "folder": folder,
    }
    return BenchmarkJob(**{**settings, **changed})


def test_a_question_has_a_score_in_every_memory_and_the_length_of_answers_beside(asked: dict[str, Any], tmp_path: Path):
    found = MEMORY.play(job(tmp_path))
    assert found.parts["kv"].scores == {"0-customer-0": 1.0, "1-customer-1": 0.0}
    assert found.parts["rec_sum"].scores == {"0-customer-0": 1.0, "1-customer-1": 1.0}
    # "Michael" has 7 characters, "I do not know" 13.
    assert found.parts["kv"].beside == {"answer_characters": 10.0}
    assert found.broken == []


def test_the_program_is_asked_for_what_the_job_says(asked: dict[str, Any], tmp_path: Path):
    MEMORY.play(job(tmp_path))
    assert (asked["endpoint"].url, asked["endpoint"].model) == ("http://agent/v1", "stage-4")
    assert asked["categories"] == ["memory_kv", "memory_rec_sum"]
    # All tasks, greedy, four at a time.
    assert asked["settings"] == (None, 0.0, 4)


def test_a_task_whose_endpoint_failed_is_broken(asked: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(ANSWERS, "1-customer-1", "…")
    generate = OfficialProgram.generate

    def fail(program: OfficialProgram, *given: Any) -> None:
        generate(program, *given)
        path = program.folder / "result" / "agent" / "BFCL_v4_memory_kv_result.json"
        text = path.read_text(encoding="utf-8").splitlines()
        failed = json.dumps({"id": "memory_kv_1-customer-1", "result": "Error during inference: 503"})
        path.write_text(f"{text[0]}\n{failed}\n", encoding="utf-8")

    monkeypatch.setattr(OfficialProgram, "generate", fail)
    assert MEMORY.play(job(tmp_path)).broken == ["memory_kv: the endpoint failed"]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"max_tokens": 512}, "max_tokens=512 is not a setting of BFCL's own program: leave it out"),
        ({"timeout": 9.0}, "timeout=9.0 is not a setting of BFCL's own program: leave it out"),
        ({"episodes_per_task": 2, "temperature": 1.0}, "BFCL's own program plays a task once, leave it out"),
    ],
)
def test_a_setting_that_the_program_does_not_know_is_refused(tmp_path: Path, changed: dict[str, Any], told: str):
    with pytest.raises(UserError, match=told):
        MEMORY.play(job(tmp_path, **changed))


def test_without_the_program_one_sentence_says_what_to_run():
    with pytest.raises(UserError, match="is not installed at nowhere: run make bfcl"):
        OfficialBFCL("bfcl_v4_memory", ["kv"], "memory_", "nowhere").version()
