from __future__ import annotations

import asyncio

import pytest

from envtune.serving.http import Gate
from envtune.serving.refusal import Refusal


def test_requests_run_wait_or_are_refused_until_one_ends() -> None:
    async def scenario() -> list[str]:
        gate, started, finish = Gate(running=1, waiting=1), [], asyncio.Event()

        async def request(name: str) -> None:
            async with gate.admission(), gate.slots:
                started.append(name)
                await finish.wait()

        requests = [asyncio.create_task(request(name)) for name in ("a", "b")]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert started == ["a"]
        with pytest.raises(Refusal, match="the queue is full with 2 requests, of which 1 run") as refusal:
            await request("c")
        assert refusal.value.status == 429
        finish.set()
        await asyncio.gather(*requests)
        await request("d")
        return started

    assert asyncio.run(scenario()) == ["a", "b", "d"]


def test_a_failed_request_leaves_the_queue() -> None:
    async def scenario() -> None:
        gate = Gate(running=1, waiting=0)
        for _ in range(3):
            with pytest.raises(KeyError):
                async with gate.admission(), gate.slots:
                    raise KeyError

    asyncio.run(scenario())
