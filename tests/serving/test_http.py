"""Receiving request bodies."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack

import pytest
from starlette.requests import Request

from envtune.serving.http import HELD, UNCOUNTED, Bodies
from envtune.serving.refusal import Refusal

LIMIT = 100_000


def request(chunks: Iterator[bytes]) -> Request:
    async def receive() -> dict[str, object]:
        chunk = next(chunks, None)
        return {"type": "http.request", "body": chunk or b"", "more_body": chunk is not None}

    return Request({"type": "http", "headers": [(b"content-type", b"application/json")]}, receive)


def test_the_total_size_of_bodies_is_bounded_and_small_ones_are_always_read() -> None:
    async def scenario() -> None:
        bodies = Bodies(LIMIT)
        async with AsyncExitStack() as held:
            count = HELD * LIMIT // (LIMIT - UNCOUNTED)
            for _ in range(count):
                await held.enter_async_context(bodies.received(request(iter([b" " * LIMIT]))))
            with pytest.raises(Refusal) as refusal:
                await held.enter_async_context(bodies.received(request(iter([b" " * LIMIT]))))
            assert (refusal.value.status, refusal.value.code) == (429, "queue_full")
            body = await held.enter_async_context(bodies.received(request(iter([b"a", b"b" * (UNCOUNTED - 1)]))))
            assert len(body) == UNCOUNTED
        async with bodies.received(request(iter([b" " * LIMIT]))) as body:
            assert body == b" " * LIMIT

    asyncio.run(scenario())


def test_a_body_that_is_too_large_does_not_count_towards_the_total_size() -> None:
    async def scenario() -> None:
        bodies = Bodies(LIMIT)
        for _ in range(2 * HELD):
            with pytest.raises(Refusal, match="larger than 100000 bytes") as refusal:
                async with bodies.received(request(b" " * 9_000 for _ in range(1_000))):
                    raise AssertionError
            assert refusal.value.status == 413
        async with bodies.received(request(b" " * 9_000 for _ in range(11))) as body:
            assert len(body) == 99_000

    asyncio.run(scenario())


def test_a_body_that_arrives_too_slowly_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("envtune.serving.http.BODY_SECONDS", 0.05)

    async def receive() -> dict[str, object]:
        await asyncio.sleep(60)
        return {}

    async def scenario() -> None:
        slow = Request({"type": "http", "headers": [(b"content-type", b"application/json")]}, receive)
        with pytest.raises(Refusal, match="did not arrive within") as refusal:
            async with Bodies(LIMIT).received(slow):
                raise AssertionError
        assert refusal.value.status == 408

    asyncio.run(scenario())
