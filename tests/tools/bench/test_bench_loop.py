"""The comparison's arithmetic on reports made by hand; no test depends on time."""

from __future__ import annotations

import sys
from typing import Any

import pytest
import torch

from envtune.chat.protocol import write_answer, write_calls
from envtune.task import ToolCall
from tools.bench import loop, measuring
from tools.bench.peer import comparison, ours
from tools.bench.peer import work as peer_work
from tools.bench.peer.work import Report, Update, Work

WARM_UP = Update(seconds=100.0, rollout_seconds=100.0, tokens=7, sampled=7)


def report(*updates: Update, prompts: str = "same") -> Report:
    return Report((WARM_UP, *updates), prompts)


def test_ratios_are_of_medians_and_of_each_round_without_the_first_update():
    ours = [report(Update(1.0, 0.5, 100, 10), Update(3.0, 1.5, 300, 30)), report(Update(2.0, 1.0, 200, 20))]
    theirs = [report(Update(4.0, 1.0, 120, 12), Update(4.0, 3.0, 120, 12)), report(Update(16.0, 8.0, 240, 24))]
    compared = comparison.summary(Work(), "trl", {"envtune": ours, "trl": theirs})
    assert compared["sides"]["envtune"] == {
        "updates": 3,
        "seconds_per_update": 2.0,
        "of_them_rollout": 1.0,
        "tokens_per_update": 200,
        "sampled_per_update": 20,
        "tokens_per_second": 100.0,
        "sampled_per_second": 10.0,
    }
    # 480 tokens in 24 seconds are 20 a second.
    assert compared["envtune_against_peer"] == {
        "seconds_per_update": 0.5,
        "times_faster_by_round": [2.0, 8.0],
        "times_the_tokens_per_second": 5.0,
    }


def test_different_prompts_are_refused():
    reports = {"envtune": [report(WARM_UP)], "trl": [report(WARM_UP, prompts="other")]}
    with pytest.raises(SystemExit, match="error: the two sides were given different prompts"):
        comparison.summary(Work(), "trl", reports)


def test_a_missing_peer_ends_in_one_sentence(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(measuring, "find_spec", lambda name: None)
    monkeypatch.setattr(sys, "argv", ["tools.bench.loop", "--peer", "trl", "--updates", "1"])
    with pytest.raises(SystemExit, match=r"error: trl is not installed: pip install -c constraints.txt -e '.\[peer\]'"):
        loop.main()


def test_the_tasks_are_single_turns_that_call_a_tool():
    tasks = peer_work.first_turns(Work(tasks=3))
    assert len({task.id for task in tasks}) == 3
    assert all(len(task.turns) == 1 and task.turns[0].ground_truth for task in tasks)


def test_without_tools_every_completion_has_the_given_length(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    work = Work(tasks=1, group_size=2, updates=1, plain_tokens=3, threads=1)
    # The threads of the other tests stay as they are.
    monkeypatch.setattr(torch, "set_num_threads", lambda threads: None)
    monkeypatch.setattr(sys, "argv", ["ours.py", *work.arguments])
    ours.main()
    measured = Report.read(capsys.readouterr().out.splitlines()[-1])
    (task,) = peer_work.first_turns(work)
    prompt = peer_work.tiny_template().open(task.turns[0].message, task.tools)
    assert measured.prompts == peer_work.digest([prompt])
    assert [(update.sampled, update.tokens) for update in measured.updates] == [(6, 2 * len(prompt) + 6)] * 2


@pytest.fixture
def peer_trl() -> Any:
    pytest.importorskip("trl")
    from tools.bench.peer import trl

    return trl


def test_trl_reads_the_same_prompt_to_the_token(peer_trl: Any):
    (task,) = peer_work.first_turns(Work(tasks=1))
    tokenizer = peer_trl._tokenizer(peer_work.tiny_template())
    ids = tokenizer.apply_chat_template(peer_trl._messages(task), add_generation_prompt=True, return_dict=False)
    assert ids == peer_work.tiny_template().open(task.turns[0].message, task.tools)


def test_trls_tool_loop_scores_an_episode_as_envtune_does(peer_trl: Any):
    work = Work(tasks=1)
    (task,) = tasks = peer_work.first_turns(work)
    tokenizer, env = peer_trl._tokenizer(peer_work.tiny_template()), peer_trl._environment(work, tasks)()

    def said(text: str) -> dict[str, Any]:
        return tokenizer.parse_response([*tokenizer.encode(text), tokenizer.eos_token_id])

    env.reset(task=0)
    wrong, right, answer = (
        said(write_calls("Now.", [ToolCall("fly", {})])),
        said(write_calls("Now.", task.turns[0].ground_truth)),
        said(write_answer("Done.", "It is done.")),
    )
    assert "tool_calls" not in answer
    assert "no such tool is offered" in env.respond(**wrong["tool_calls"][0]["function"]["arguments"])
    env.respond(**right["tool_calls"][0]["function"]["arguments"])
    # The answer is not a tool call, so TRL's loop stops before it.
    assert env.finish_([wrong, {"role": "tool"}, right, {"role": "tool"}, answer]) == 1.0
    # A response that was run is not run again where the next observation exceeded the limit.
    env.reset(task=0)
    env.respond(**wrong["tool_calls"][0]["function"]["arguments"])
    assert env.finish_([wrong]) == 0.0
