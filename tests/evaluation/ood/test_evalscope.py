from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fake_evalscope import asked_for, fake_evalscope
from made_scores import review

from envtune.errors import UserError
from envtune.evaluation.ood.evalscope import Evalscope
from envtune.evaluation.ood.harness import BenchmarkJob, ChatEndpoint

REVIEWS = {"tau2_bench_retail": [review(0, "0", acc=1.0), review(1, "1", acc=0.0)]}


def retail(python: Path, **changed: Any) -> Evalscope:
    settings: dict[str, Any] = {
        "benchmark": "tau2",
        "dataset": "tau2_bench",
        "parts": ["retail"],
        "subset_prefix": "",
        "python": str(python),
        "local_path": None,
        "user_decoding": {"temperature": 0.0},
        "extra_params": {"user_model": "gpt", "api_key": ""},
        "needs": {},
    }
    return Evalscope(**{**settings, **changed})


def job(folder: Path, **changed: Any) -> BenchmarkJob:
    settings: dict[str, Any] = {
        "agent": ChatEndpoint("http://agent/v1", "stage-4"),
        "temperature": 0.0,
        "max_tokens": 512,
        "user": ChatEndpoint("http://user/v1", "gpt"),
        "episodes_per_task": 1,
        "limit": 2,
        "concurrency": 4,
        "timeout": None,
        "folder": folder,
    }
    return BenchmarkJob(**{**settings, **changed})


def test_evalscope_is_asked_for_what_the_job_says_and_its_reviews_are_the_score(tmp_path: Path):
    found = retail(fake_evalscope(tmp_path, REVIEWS)).play(job(tmp_path / "run"))
    assert found.parts["retail"].scores == {"retail/0": 1.0, "retail/1": 0.0}
    asked = asked_for(tmp_path)
    assert (asked["model"], asked["api_url"], asked["eval_type"]) == ("stage-4", "http://agent/v1", "openai_api")
    assert asked["generation_config"] == {"temperature": 0.0, "max_tokens": 512, "timeout": None}
    assert (asked["limit"], asked["repeats"], asked["eval_batch_size"]) == (2, 1, 4)
    extra = {"user_model": "gpt", "api_key": ""}
    assert asked["dataset_args"] == {"tau2_bench": {"subset_list": ["retail"], "extra_params": extra}}


def test_keys_go_into_the_environment_and_into_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AGENT_KEY", "secret of the agent")
    monkeypatch.setenv("USER_KEY", "secret of the user")
    agent, user = ChatEndpoint("http://a", "m", "AGENT_KEY"), ChatEndpoint("http://u", "m", "USER_KEY")
    run = tmp_path / "run"
    retail(fake_evalscope(tmp_path, REVIEWS)).play(job(run, agent=agent, user=user))
    assert asked_for(tmp_path)["keys"] == ["secret of the agent", "secret of the user"]
    assert not [path for path in run.rglob("*") if path.is_file() and "secret" in path.read_text(encoding="utf-8")]


def test_a_local_copy_of_the_tasks_takes_the_place_of_the_hub(tmp_path: Path):
    harness = retail(fake_evalscope(tmp_path, REVIEWS), local_path=str(tmp_path))
    harness.play(job(tmp_path / "run"))
    assert asked_for(tmp_path)["dataset_args"]["tau2_bench"]["local_path"] == str(tmp_path)
    assert (harness.source, retail(tmp_path).source) == (str(tmp_path), "evalscope's hub: tau2_bench")
    with pytest.raises(UserError, match="nowhere is not a folder"):
        retail(tmp_path, local_path="nowhere").play(job(tmp_path / "run"))


def test_a_run_that_was_begun_is_continued(tmp_path: Path):
    harness = retail(fake_evalscope(tmp_path, REVIEWS))
    work = tmp_path / "run" / "evalscope"
    assert harness.settings(job(tmp_path / "run"), work)["use_cache"] is None
    (work / "configs").mkdir(parents=True)
    (work / "configs" / "task_config.yaml").touch()
    assert harness.settings(job(tmp_path / "run"), work)["use_cache"] == str(work)


def test_evalscope_that_fails_gives_no_score_and_says_why(tmp_path: Path):
    program = fake_evalscope(tmp_path, REVIEWS, fails=True)
    expected = r"ended with status 1 \(ValueError: the data set is not there\), see .*evalscope\.log"
    with pytest.raises(UserError, match=expected):
        retail(program).play(job(tmp_path / "run"))


def test_without_evalscope_one_sentence_says_what_to_run(tmp_path: Path):
    with pytest.raises(UserError, match=r"by evalscope, which is not installed at python=.*nowhere: run make ood$"):
        retail(tmp_path / "nowhere").version()
    other = fake_evalscope(tmp_path, {}, versions={"evalscope": "1.15.0"})
    with pytest.raises(UserError, match=r"has evalscope 1\.15\.0 instead of 1\.14\.1: run make ood$"):
        retail(other).version()


def test_what_a_benchmark_needs_beside_evalscope_is_named_with_its_command(tmp_path: Path):
    needs = {"tau2": "pip install git+https://…"}
    with pytest.raises(UserError, match=r"tau2_bench needs tau2 in the environment of .*: pip install git\+https"):
        retail(fake_evalscope(tmp_path, {}), needs=needs).version()
    there = fake_evalscope(tmp_path, {}, versions={"evalscope": "1.14.1", "tau2": "0.2.0"})
    assert retail(there, needs=needs).version() == "evalscope 1.14.1, tau2 0.2.0"
