from __future__ import annotations

import asyncio

import pytest

from envtune.serving.gate import Gate
from envtune.serving.refusal import Refusal


def test_seats_are_taken_by_some_places_by_more_and_the_next_is_refused_until_one_leaves() -> None:
    async def visit() -> list[str]:
        gate, seen, leave = Gate(running=1, waiting=1), [], asyncio.Event()

        async def guest(name: str) -> None:
            async with gate.place(), gate.seat:
                seen.append(name)
                await leave.wait()

        guests = [asyncio.create_task(guest(name)) for name in ("a", "b")]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert seen == ["a"]
        with pytest.raises(Refusal, match="2 requests are here, of which 1 are answered at a time") as refusal:
            await guest("c")
        assert refusal.value.status == 429
        leave.set()
        await asyncio.gather(*guests)
        await guest("d")
        return seen

    assert asyncio.run(visit()) == ["a", "b", "d"]


def test_a_guest_that_fails_leaves_its_place() -> None:
    async def visit() -> None:
        gate = Gate(running=1, waiting=0)
        for _ in range(3):
            with pytest.raises(KeyError):
                async with gate.place(), gate.seat:
                    raise KeyError

    asyncio.run(visit())
