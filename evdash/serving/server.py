"""daphne's server with flow control for long responses and an orderly end of them.

daphne passes every piece of a response to Twisted at once. An export for a slow client would therefore be in memory as
a whole. daphne also cancels running requests when it stops. Here they get time to finish, and downloads end with a line
that states the reason.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final
from weakref import WeakKeyDictionary

from daphne.server import Server  # import before all of Twisted: it installs the reactor
from twisted.internet import reactor as chosen_reactor
from twisted.internet import tcp
from twisted.internet.defer import Deferred

from evdash.serving.limits import LimitedChannel
from evdash.serving.pages import Pages

__all__ = ["PacedServer", "reactor"]

reactor: Final[Any] = chosen_reactor
"""The reactor that daphne chose. Twisted's types take it for a module."""

FINISH_MAX_S: Final = 4.0
"""Seconds that pages and exports have to end after SIGTERM. The parent waits STOP_WAIT_S in total."""
FLUSH_MAX_S: Final = 1.0
"""Seconds after that for sending the data already written."""


class _Pace:
    """Flow control of one response: whether the client accepts more data. Twisted calls it a producer (IPushProducer).

    Twisted pauses the producer when 64 KiB wait to be sent, and resumes it when none do.
    """

    def __init__(self) -> None:
        self._flows = asyncio.Event()
        self._flows.set()

    def pauseProducing(self) -> None:  # noqa: N802 - the name is Twisted's
        self._flows.clear()

    def resumeProducing(self) -> None:  # noqa: N802 - the name is Twisted's
        self._flows.set()

    def stopProducing(self) -> None:  # noqa: N802 - the name is Twisted's
        self._flows.set()

    async def wait(self) -> None:
        await self._flows.wait()


class PacedServer(Server):  # type: ignore[misc]
    """Server of an ASGI application. Requests have limits (limits.py). It calls `pages.finish` when it stops."""

    def __init__(self, application: Any, pages: Pages, **options: Any) -> None:
        super().__init__(application, server_name="evdash", **options)
        self._pages = pages
        self._paces: WeakKeyDictionary[Any, _Pace] = WeakKeyDictionary()

    @property
    def http_factory(self) -> Any:
        """The maker of connections, which daphne sets when it starts."""
        return self._http_factory

    @http_factory.setter
    def http_factory(self, made: Any) -> None:
        made.protocol = LimitedChannel
        self._http_factory = made

    async def handle_reply(self, protocol: Any, message: dict[str, Any]) -> None:
        """Forward a message of the application. Return when the client accepts more data."""
        is_piece = message["type"] == "http.response.body"
        has_more = is_piece and message.get("more_body", False)
        pace = self._paces.get(protocol)
        if has_more and pace is None and getattr(protocol, "channel", None) is not None and not protocol.finished:
            pace = self._paces[protocol] = _Pace()
            protocol.registerProducer(pace, True)
        elif is_piece and not has_more and pace is not None:
            self._let_go(protocol)
        await super().handle_reply(protocol, message)
        if has_more and pace is not None:
            await pace.wait()

    def protocol_disconnected(self, protocol: Any) -> None:
        """Resume a response that waits for a disconnected client, so that it ends."""
        self._let_go(protocol)
        super().protocol_disconnected(protocol)

    def _let_go(self, protocol: Any) -> None:
        pace = self._paces.pop(protocol, None)
        if pace is not None:
            pace.stopProducing()
            if getattr(protocol, "channel", None) is not None:
                protocol.unregisterProducer()

    def kill_all_applications(self) -> Deferred[None]:
        """Let pages and exports finish and flush, then cancel all other requests. Called before Twisted stops."""
        return Deferred.fromFuture(asyncio.ensure_future(self._end()))

    async def _end(self) -> None:
        await self._pages.finish(FINISH_MAX_S)
        deadline_s = asyncio.get_running_loop().time() + FLUSH_MAX_S
        while _unsent() and asyncio.get_running_loop().time() < deadline_s:  # noqa: ASYNC110 - Twisted tells of no flush
            await asyncio.sleep(0.02)
        running = [
            task
            for details in self.connections.values()
            if (task := details.get("application_instance")) is not None and not task.done()
        ]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def _unsent() -> bool:
    return any(isinstance(writer, tcp.Server) for writer in reactor.getWriters())
