"""The stream tailer: one shared tail of the streams in this process, running while a page is open."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from functools import partial
from typing import Protocol
from weakref import WeakKeyDictionary

from django.conf import settings
from structlog.stdlib import get_logger

from evdash import metrics
from evdash.eventlog.current_reader import tail_of_process
from evdash.events.entry import Entry
from evdash.events.event import Event
from evdash.live.frames import Cursor, Render
from evdash.live.hub import Hub
from evdash.live.inheritance import LiveInheritance
from evdash.streams.tail import Tail, TailState
from evdash.web.event_display.row import render_row

logger = get_logger(__name__)

TailFactory = Callable[..., Tail]
EventsOf = Callable[[Sequence[Entry], Cursor], Awaitable[Sequence[Event]]]

GATHER_S = 0.02
"""The pause between two reads. At 1,000 entries a second a read then has about twenty entries, not one or two."""


class Listener(Protocol):
    """The interface of a socket that the stream tailer uses."""

    def tail_changed(self, state: TailState) -> None:
        """Handle the tail's new state: Redis is reachable, or not and why."""

    def feed_failed(self) -> None:
        """Close the socket, because the tailer failed. The page reconnects and continues from its cursor."""


class StreamTailer:
    """A task that passes entries from a tail to a hub. It starts with the first listener and stops with the last."""

    def __init__(self, make_tail: TailFactory, render: Render, events_of: EventsOf | None = None) -> None:
        """Take `events_of`, which gets new entries and the position before them and returns their events.

        Without `events_of` the hub decodes the entries.
        """
        self._make_tail = make_tail
        self._render = render
        self._events_of = events_of
        self._listeners: set[Listener] = set()
        self._task: asyncio.Task[None] | None = None
        self._start()

    def _start(self) -> None:
        self.hub = Hub(self._render)
        self._answered = asyncio.Event()
        self._tail = self._make_tail(on_state=partial(self._tail_changed, self.hub))

    @property
    def is_running(self) -> bool:
        """True while the task that reads the streams runs."""
        return self._task is not None

    @property
    def is_answered(self) -> bool:
        """True if Redis is currently reachable."""
        return self._tail.state is not None and self._tail.state.reachable

    def attach(self, listener: Listener) -> None:
        """Add a listener. It receives the state of Redis as soon as the state is known."""
        self._listeners.add(listener)
        if self._task is None:
            self._start()
            self._task = asyncio.create_task(self._run(self.hub, self._tail))
            self._task.add_done_callback(self._ended)
        elif self._tail.state is not None:
            listener.tail_changed(self._tail.state)

    def detach(self, listener: Listener) -> None:
        """Remove a listener. The last one stops the tail."""
        self._listeners.discard(listener)
        if not self._listeners and self._task is not None:
            self._task.cancel()
            self._task = None

    async def answered(self) -> None:
        """Return when the ends of the streams are known. The tail misses no entry after that moment."""
        await self._answered.wait()

    def _tail_changed(self, hub: Hub, state: TailState) -> None:
        if hub is not self.hub:  # of a tail that is being stopped
            return
        if state.reachable and not self._answered.is_set():
            self.hub.start_from(self._tail.position)
            self._answered.set()
        for listener in list(self._listeners):
            listener.tail_changed(state)

    async def _run(self, hub: Hub, tail: Tail) -> None:
        """Pass the entries of a tail to its hub. Another hub may have followed while this task is being stopped."""
        loop = asyncio.get_running_loop()
        due: asyncio.TimerHandle | None = None

        def tick() -> None:
            nonlocal due
            due = None
            hub.tick(loop.time())
            schedule()

        def schedule() -> None:
            nonlocal due
            if due is None and hub.due_s is not None:
                due = loop.call_at(hub.due_s, tick)

        try:
            async with aclosing(tail.batches()) as batches:
                async for batch in batches:
                    events = None
                    if self._events_of is not None and hub.has_followers:
                        events = await self._events_of(batch, dict(hub.position))
                    hub.on_entries(batch, datetime.now(UTC), loop.time(), events)
                    schedule()
                    await asyncio.sleep(GATHER_S)  # gives sockets and pages priority while entries accumulate
        finally:
            if due is not None:
                due.cancel()

    def _ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or task.exception() is None:
            return
        logger.error("stream tailer failed", hint="Pages reconnect.", exc_info=task.exception())
        if self._task is task:
            self._task = None
        listeners, self._listeners = self._listeners, set()
        for listener in listeners:
            listener.feed_failed()


_feeds: WeakKeyDictionary[asyncio.AbstractEventLoop, StreamTailer] = WeakKeyDictionary()


def feed_of_process() -> StreamTailer:
    """Return the stream tailer of the running event loop. A web process has one event loop."""
    loop = asyncio.get_running_loop()
    if loop not in _feeds:
        configuration = settings.EVDASH
        make_tail = partial(Tail, configuration.redis_url or None, configuration.streams)
        _feeds[loop] = StreamTailer(make_tail, render_row, _taken())
    return _feeds[loop]


def _taken() -> EventsOf:
    tail = tail_of_process()
    inheritance = LiveInheritance(tail)

    async def taken(entries: Sequence[Entry], before: Cursor) -> Sequence[Event]:
        events = tail.take(entries, before)
        metrics.note_tail(tail)
        return await inheritance.inherit(events, before)

    return taken
