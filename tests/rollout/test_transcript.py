from __future__ import annotations

from envtune.rollout.collector import Transcript
from envtune.rollout.generator import Completion
from envtune.trajectory import TokenRecord


def test_only_sampled_ids_are_in_the_mask_and_have_log_probs():
    transcript = Transcript([5, 6])
    transcript.sample(Completion((7, 8), (-0.5, -0.25), ended=False))
    transcript.feed([9])
    transcript.sample(Completion((7,), (-2.0,), ended=True))
    assert transcript.record() == TokenRecord(
        ids=(5, 6, 7, 8, 9, 7),
        completion_mask=(False, False, True, True, False, True),
        logprobs=(0.0, 0.0, -0.5, -0.25, 0.0, -2.0),
        prompt_length=2,
    )


def test_the_response_length_counts_sampled_and_environment_ids():
    transcript = Transcript([5, 6])
    assert transcript.response_length == 0
    transcript.sample(Completion((7,), (-1.0,), ended=True))
    transcript.feed([8, 9])
    assert transcript.response_length == 3
    assert transcript.ids == (5, 6, 7, 8, 9)


def test_the_record_ends_with_the_last_sampled_id():
    transcript = Transcript([5])
    transcript.sample(Completion((7,), (-1.0,), ended=True))
    transcript.feed([8, 9])
    assert transcript.record() == TokenRecord((5, 7), (False, True), (0.0, -1.0), 1)


def test_the_record_of_a_bare_prompt_is_the_prompt():
    assert Transcript([5, 6]).record() == TokenRecord((5, 6), (False, False), (0.0, 0.0), 2)
