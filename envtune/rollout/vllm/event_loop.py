"""An asyncio event loop in a background thread, for synchronous callers."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

Answer = TypeVar("Answer")

# Time for cancelled tasks to end when a loop is closed, in seconds.
CANCEL_SECONDS = 10.0


class LoopThread:
    """Runs coroutines until ``close``."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, Answer], timeout: float | None = None) -> Answer:
        """Run a coroutine and return its result; cancel it if the call ends early.

        Raises:
            TimeoutError: after ``timeout`` seconds. Before Python 3.11, concurrent.futures.TimeoutError.
        """
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result(timeout)
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """Cancel all tasks and end the thread. A blocked loop is abandoned; its thread is a daemon."""
        try:
            asyncio.run_coroutine_threadsafe(_cancel_others(), self._loop).result(2 * CANCEL_SECONDS)
        except concurrent.futures.TimeoutError:
            return
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def all_or_none(coroutines: Iterable[Coroutine[Any, Any, Answer]]) -> list[Answer]:
    """Return all results; at the first error, cancel the others and raise it."""
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
        # A task may suppress its cancellation.
        await asyncio.wait(others, timeout=CANCEL_SECONDS)
    await asyncio.get_running_loop().shutdown_asyncgens()
