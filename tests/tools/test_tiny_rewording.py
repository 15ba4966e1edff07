from __future__ import annotations

import random
import re
from dataclasses import replace

from demonstrated import outcome, stories

from envtune.task import ToolCall, UserTurn
from tools.tiny_model import rewording as tiny_rewording
from tools.tiny_model.demonstrators import Habits


def test_rewording_keeps_what_calls_and_quotes_hold_and_careful_demonstrators_still_pass():
    changed = 0
    for story in stories(60):
        other = tiny_rewording.reworded(story, random.Random(3))
        assert outcome(other, Habits()).progress == 1, story.task.id
        for before, after in zip(story.task.turns, other.task.turns, strict=True):
            assert after.ground_truth == before.ground_truth
            assert re.findall("'.*?'", after.message) == re.findall("'.*?'", before.message)
            changed += after.message != before.message
    assert changed > 30


def test_words_are_left_out_exchanged_and_put_in(monkeypatch):
    for name in ("LEFT_OUT", "EXCHANGED", "FOLLOWED", "WISHED"):
        monkeypatch.setattr(tiny_rewording, name, 0.0)
    monkeypatch.setattr(tiny_rewording, "REWORDED_MESSAGES", 1.0)
    call = ToolCall("cd", {"folder": "docs"})
    turn = UserTurn("Go to the island docs. It is 'in here' now", (call,))
    story = replace(stories(1)[0], task=replace(stories(1)[0].task, turns=(turn,)))

    def message(**shares: float) -> str:
        with monkeypatch.context() as patch:
            for name, share in shares.items():
                patch.setattr(tiny_rewording, name, share)
            patch.setattr(tiny_rewording, "FILLERS", ("so",))
            return tiny_rewording.reworded(story, random.Random(0)).task.turns[0].message

    # Plain words are "to", "the", "is" and "now"; "island" tells things apart, "docs." ends a sentence.
    assert message() == turn.message
    assert message(LEFT_OUT=1.0) == "Go island docs. It 'in here'"
    assert message(FOLLOWED=1.0) == "Go to so the so island docs. It is so 'in here' now so"
    assert message(EXCHANGED=1.0) == "Go the to island docs. It is 'in here' now"


def test_what_is_to_be_done_is_said_as_a_wish_at_times(monkeypatch):
    monkeypatch.setattr(tiny_rewording, "WISHES", ("I want to",))
    monkeypatch.setattr(tiny_rewording, "WISHED", 1.0)
    said = "Next: List 'docs'. Opening hours? Send 'Open it. Now'."
    assert (
        tiny_rewording._wished(said, random.Random(0))
        == "Next: I want to list 'docs'. Opening hours? I want to send 'Open it. Now'."
    )
