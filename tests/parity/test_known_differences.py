"""Where our verdict differs from the official program's, on purpose: each difference, shown by one trajectory."""

from __future__ import annotations

from dataclasses import replace

import pytest
from bfcl_eval.eval_checker.multi_turn_eval.func_source_code.posting_api import TwitterAPI
from official import Entry, entries, execute, fresh_name, isolated, verdict
from variants import as_steps

from envtune.bfcl.benchmark import load_bfcl_tasks
from envtune.bfcl.environment import BFCL_ENVIRONMENT
from envtune.bfcl.toolbox import PARAMETERS, Toolbox
from envtune.call_text import parse_call
from envtune.environment.recorded_calls import score
from envtune.task import Task


def entry_and_task(task_id: str) -> tuple[Entry, Task]:
    entry = next(entry for entry in entries("base") if entry.id == task_id)
    return entry, next(task for task in load_bfcl_tasks(["base"]) if task.id == task_id)


def test_a_mention_too_many_is_overlooked_officially_because_tweets_share_a_default_list() -> None:
    """The agent mentions somebody in a tweet posted without mentions; the twin's tweet gets the same list object."""
    entry, task = entry_and_task("multi_turn_base_65")
    first, second = entry.ground_truth
    turns = as_steps([first, [*second, "mention(tweet_id=5, mentioned_usernames=['@somebody'])"]])
    TwitterAPI.post_tweet.__defaults__ = ([], [])
    assert verdict(entry, turns) is True
    with isolated():
        assert verdict(entry, turns) is False
    assert score(BFCL_ENVIRONMENT, task, turns, PARAMETERS)["success"] is False


def test_text_that_looks_like_a_call_is_rewritten_officially_and_kept_here() -> None:
    entry, task = entry_and_task("multi_turn_base_65")
    entry = replace(entry, ground_truth=[["post_tweet(content='I will comment(on this)')"], []])
    turns = as_steps(entry.ground_truth)
    with fresh_name() as name, isolated():
        (text,), _ = execute(entry, turns[0][0], name)
    assert "instance.comment(on this)" in text
    toolbox = Toolbox(task)
    assert '"content": "I will comment(on this)"' in toolbox.call(parse_call(turns[0][0][0], PARAMETERS)).text


def test_an_expression_is_computed_officially_and_a_failed_call_here() -> None:
    entry, _ = entry_and_task("multi_turn_base_65")
    with fresh_name() as name:
        (text,), _ = execute(entry, ["get_tweet(tweet_id=2 + 1)"], name)
    assert '"id": 3' in text
    with pytest.raises(ValueError, match="not a literal value"):
        parse_call("get_tweet(tweet_id=2 + 1)", PARAMETERS)
