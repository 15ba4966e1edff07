"""A blocked or killed engine ends a run with an error of one sentence."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from small_engine import engine_process, small_generator, small_model

from envtune.rollout.generator import Completion, Request
from envtune.rollout.vllm.engine import EngineError
from envtune.rollout.vllm.vllm_generator import VLLMGenerator

REQUESTS = [Request((1, 2, 3), seed, 300) for seed in range(4)]


@pytest.fixture(scope="module")
def generator() -> Iterator[VLLMGenerator]:
    generator = small_generator()
    generator.update_weights(small_model(tied=True), 0)
    yield generator
    generator.engine.close()


def repeat(number: int, completion: Completion) -> Request:
    return REQUESTS[number]


def test_a_blocked_engine_raises_an_engine_error(generator, monkeypatch):
    monkeypatch.setattr(generator.engine, "_timeout", 2.0)
    engine_process().suspend()
    try:
        with pytest.raises(EngineError, match="vLLM did not finish a completion within 2 s"):
            generator.run(REQUESTS, repeat)
        with pytest.raises(EngineError, match="vLLM did not empty its cache within 2 s"):
            generator.engine.reset_cache()
    finally:
        engine_process().resume()


def test_a_killed_engine_ends_the_rollout_and_fails_later_calls(generator):
    def kill(number: int, completion: Completion) -> Request:
        engine_process().kill()
        return REQUESTS[0]

    with pytest.raises(EngineError, match="vLLM has ended and could not sample"):
        generator.run([Request((1, 2, 3), 9, 1), *REQUESTS], kill)
    with pytest.raises(EngineError, match="continue the run with ckpt_path=RUN_FOLDER"):
        generator.run(REQUESTS, repeat)
    with pytest.raises(EngineError, match="vLLM has ended and could not load the weights"):
        generator.update_weights(small_model(tied=True), 1)
    generator.engine.close()
    with pytest.raises(EngineError, match="vLLM was closed"):
        generator.update_weights(small_model(tied=True), 2)
