from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from scripted_chat import scripted_chat

from envtune.errors import UserError
from envtune.evaluation.ood.harness import BenchmarkJob, ChatEndpoint


def test_an_endpoint_needs_a_scheme_and_a_key_that_is_set():
    with pytest.raises(UserError, match=r"url=127\.0\.0\.1:8000 must begin with http:// or https://"):
        ChatEndpoint("127.0.0.1:8000", "m")
    with pytest.raises(UserError, match="key_variable=NOT_SET_HERE: this variable is not set"):
        ChatEndpoint("http://u", "m", "NOT_SET_HERE")


def test_before_anything_is_played_the_endpoint_must_answer_and_have_the_model():
    with pytest.raises(UserError, match="does not respond"):
        ChatEndpoint("http://127.0.0.1:1", "m").require()
    with scripted_chat(lambda _: "", models=("stage-3", "stage-4")) as url:
        ChatEndpoint(url, "stage-4").require()
        with pytest.raises(UserError, match="has no model 'stage-5': it serves stage-3, stage-4"):
            ChatEndpoint(url, "stage-5").require()
    with scripted_chat(lambda _: "") as url:
        ChatEndpoint(url, "whatever it is called").require()


def test_a_wrong_key_is_told_before_anything_is_played(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AGENT_KEY", "right")
    with scripted_chat(lambda _: "", key="right") as url:
        ChatEndpoint(url, "m", "AGENT_KEY").require()
        with pytest.raises(UserError, match="refuses the key: name the variable that holds it"):
            ChatEndpoint(url, "m").require()


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"limit": 0}, "limit=0 must be a whole number of at least 1 or null"),
        ({"concurrency": 1.5}, "concurrency=1.5 must be a whole number of at least 1"),
        ({"temperature": -1.0}, "temperature=-1.0 must be a number of at least 0"),
        ({"episodes_per_task": 2}, "episodes_per_task=2 would play the same greedy episodes again"),
    ],
)
def test_a_setting_that_makes_no_job_is_told(changed: dict[str, Any], told: str):
    settings: dict[str, Any] = {
        "agent": ChatEndpoint("http://agent/v1", "stage-4"),
        "temperature": 0.0,
        "max_tokens": None,
        "user": None,
        "episodes_per_task": 1,
        "limit": None,
        "concurrency": 4,
        "timeout": None,
        "folder": Path("run"),
    }
    with pytest.raises(UserError, match=told):
        BenchmarkJob(**{**settings, **changed})
