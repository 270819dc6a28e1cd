"""The feed: one tail of the streams in this process, as long as any page is open."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from functools import partial
from typing import Protocol
from weakref import WeakKeyDictionary

from django.conf import settings

from evdash import metrics
from evdash.eventlog.current_reader import tail_of_process
from evdash.events.entry import Entry
from evdash.events.event import Event
from evdash.live.frames import Cursor, Render
from evdash.live.hub import EventsOf, Hub
from evdash.streams.tail import Tail, TailState
from evdash.web.event_display.row import render_row

logger = logging.getLogger(__name__)

TailFactory = partial[Tail]

GATHER_S = 0.02
"""Between two reads: at 1,000 entries a second each read has some twenty, where it would have one or two."""


class Listener(Protocol):
    """A socket, as the feed knows it."""

    def tail_changed(self, state: TailState) -> None:
        """Redis answers, or does not."""

    def feed_failed(self) -> None:
        """The feed had to stop. The page connects again and goes on from its cursor."""


class StreamTailer:
    """Drives a hub with a tail: starts with the first listener, stops with the last."""

    def __init__(self, make_tail: TailFactory, render: Render, events_of: EventsOf | None = None) -> None:
        self._make_tail = make_tail
        self._render = render
        self._events_of = events_of
        self._listeners: set[Listener] = set()
        self._task: asyncio.Task[None] | None = None
        self._start()

    def _start(self) -> None:
        self.hub = Hub(self._render, self._events_of)
        self._answered = asyncio.Event()
        self._tail = self._make_tail(on_state=self._tail_changed)

    @property
    def is_running(self) -> bool:
        """Whether the streams are being tailed."""
        return self._task is not None

    @property
    def is_answered(self) -> bool:
        """Whether Redis answers at the moment."""
        return self._tail.state is not None and self._tail.state.reachable

    def attach(self, listener: Listener) -> None:
        """Take part; the listener hears the state of Redis as soon as it is known."""
        self._listeners.add(listener)
        if self._task is None:
            self._start()
            self._task = asyncio.create_task(self._run())
            self._task.add_done_callback(self._ended)
        elif self._tail.state is not None:
            listener.tail_changed(self._tail.state)

    def detach(self, listener: Listener) -> None:
        """Take part no longer."""
        self._listeners.discard(listener)
        if not self._listeners and self._task is not None:
            self._task.cancel()
            self._task = None

    async def answered(self) -> None:
        """Returns when Redis has told where the streams end, after which nothing that comes is missed."""
        await self._answered.wait()

    def _tail_changed(self, state: TailState) -> None:
        if state.reachable and not self._answered.is_set():
            self.hub.start_from(self._tail.position)
            self._answered.set()
        for listener in list(self._listeners):
            listener.tail_changed(state)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        due: asyncio.TimerHandle | None = None

        def tick() -> None:
            nonlocal due
            due = None
            self.hub.tick(loop.time())
            schedule()

        def schedule() -> None:
            nonlocal due
            if due is None and self.hub.due_s is not None:
                due = loop.call_at(self.hub.due_s, tick)

        try:
            async with aclosing(self._tail.batches()) as batches:
                async for batch in batches:
                    self.hub.take(batch, datetime.now(UTC), loop.time())
                    schedule()
                    await asyncio.sleep(GATHER_S)  # sockets and pages come first, and entries gather meanwhile
        finally:
            if due is not None:
                due.cancel()

    def _ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or task.exception() is None:
            return
        logger.error("The live feed failed; pages will connect again.", exc_info=task.exception())
        if self._task is task:
            self._task = None
        listeners, self._listeners = self._listeners, set()
        for listener in listeners:
            listener.feed_failed()


_feeds: WeakKeyDictionary[asyncio.AbstractEventLoop, StreamTailer] = WeakKeyDictionary()


def feed_of_process() -> StreamTailer:
    """The feed of the running event loop, of which a web process has one."""
    loop = asyncio.get_running_loop()
    if loop not in _feeds:
        configuration = settings.EVDASH
        make_tail = partial(Tail, configuration.redis_url or None, configuration.streams)
        _feeds[loop] = StreamTailer(make_tail, render_row, _taken)
    return _feeds[loop]


def _taken(entries: Sequence[Entry], before: Cursor) -> Sequence[Event]:
    tail = tail_of_process()
    events = tail.take(entries, before)
    metrics.note_tail(tail)
    return events
