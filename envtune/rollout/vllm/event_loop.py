"""An event loop in a thread of its own, for code that waits for its answers."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

Answer = TypeVar("Answer")

# Seconds that what still runs in a loop has to end when the loop is closed.
PATIENCE = 10.0


class LoopThread:
    """Runs coroutines until it is closed."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, Answer], timeout: float | None = None) -> Answer:
        """The coroutine's result. It goes on no longer than this call.

        Raises:
            TimeoutError: it takes longer than ``timeout`` seconds. Before Python 3.11, concurrent.futures.TimeoutError.
        """
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result(timeout)
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """Ends everything that still runs in the loop, and the thread; a loop that is stuck is left to its fate."""
        try:
            asyncio.run_coroutine_threadsafe(_cancel_others(), self._loop).result(2 * PATIENCE)
        except concurrent.futures.TimeoutError:
            return
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def all_or_none(coroutines: Iterable[Coroutine[Any, Any, Answer]]) -> list[Answer]:
    """Their results; after the first error, which is raised, none of them goes on."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    if others:
        # Not for ever: a task may refuse to end.
        await asyncio.wait(others, timeout=PATIENCE)
    await asyncio.get_running_loop().shutdown_asyncgens()
