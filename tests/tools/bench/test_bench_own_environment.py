"""The benchmark of the examples plays the ground truths of their tasks, so many as asked for."""

from __future__ import annotations

import pytest

from tools.bench import own_environment


@pytest.mark.parametrize("name", own_environment.EXAMPLES)
def test_each_episode_of_a_group_plays_the_ground_truth_of_its_task(name: str, monkeypatch: pytest.MonkeyPatch):
    played = []

    def play(environment, task, responses, read):
        played.append(task.id)
        own_play(environment, task, responses, read)

    own_play = own_environment.play
    monkeypatch.setattr(own_environment, "play", play)
    figures = own_environment.timed_episodes(*own_environment.example(name), 35)
    assert played == ["train_0"] * 16 + ["train_1"] * 16 + ["train_2"] * 3
    assert figures["tasks"] == 3
