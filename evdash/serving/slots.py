"""Bounds of one web process: requests in progress and requests that wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Literal

from evdash import metrics


class Busy(Exception):
    """Error for a refused request. The message is the sentence for its page."""


@dataclass(slots=True)
class Counts:
    """Counters of requests. Only the event loop writes them; any thread reads them."""

    in_progress: int = 0
    waiting: int = 0
    refused_full: int = 0
    refused_waited: int = 0
    abandoned: int = 0


class Slots:
    """Slots for requests, assigned in order of arrival. Belongs to one event loop."""

    def __init__(self, concurrency: int, waiting_max: int, wait_max_s: float) -> None:
        self._concurrency, self._waiting_max, self._wait_max_s = concurrency, waiting_max, wait_max_s
        self._free = asyncio.Semaphore(concurrency)
        self.counts = Counts()

    @asynccontextmanager
    async def taken(self) -> AsyncIterator[None]:
        """Hold one slot inside the context. Raise Busy if the queue is full or the wait takes too long."""
        counts = self.counts
        if self._free.locked():
            if counts.waiting >= self._waiting_max:
                counts.refused_full += 1
                raise self._refused("queue full")
            counts.waiting += 1
            metrics.REQUESTS_WAITING.inc()
            try:
                async with asyncio.timeout(self._wait_max_s):
                    await self._free.acquire()
            except TimeoutError:
                counts.refused_waited += 1
                raise self._refused("waited too long") from None
            finally:
                counts.waiting -= 1
                metrics.REQUESTS_WAITING.dec()
        else:
            await self._free.acquire()
        try:
            with self._progress():
                yield
        finally:
            self._free.release()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Hold one slot for a piece of a response that has begun. Wait as long as necessary, and never raise Busy."""
        async with self._free:
            with self._progress():
                yield

    @contextmanager
    def _progress(self) -> Iterator[None]:
        self.counts.in_progress += 1
        metrics.REQUESTS_IN_PROGRESS.inc()
        try:
            yield
        finally:
            self.counts.in_progress -= 1
            metrics.REQUESTS_IN_PROGRESS.dec()

    def _refused(self, reason: Literal["queue full", "waited too long"]) -> Busy:
        metrics.note_refusal(reason)
        return Busy(
            f"Limit of concurrent pages: {self._concurrency}. Waiting requests: {self.counts.waiting}. "
            "Try again in a few seconds."
        )
