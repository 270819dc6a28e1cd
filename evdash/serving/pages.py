"""HTTP pages, made by a bounded number of threads.

Django's own handler gives each synchronous view a thread of its own. Fifty readers then cause fifty threads, each with
a new database connection. All of them compete for one interpreter.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, Final, TypeVar, cast
from urllib.parse import quote

from django.conf import settings
from django.core import signals
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.core.handlers.base import BaseHandler
from django.db.backends.signals import connection_created
from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.urls import set_script_prefix
from django.utils.http import escape_leading_slashes

from evdash import metrics
from evdash.eventlog.current_reader import tail_of_process
from evdash.serving.abandonment import Abandoned, Abandonment
from evdash.serving.slots import Busy, Slots
from evdash.web.downloads import Download
from evdash.web.error_pages import plain_page

WAIT_MAX_S: Final = 4.0
"""Seconds that a request waits for a thread before it is refused."""
RETRY_AFTER_S: Final = 3
LOCKED_MAX_MS: Final = 4_000
"""Milliseconds that a page waits for a database lock; on PostgreSQL also the limit of each statement."""
_LOOK_EVERY_S: Final = 0.25
_STATIC_MIDDLEWARE: Final = "servestatic.middleware.ServeStaticMiddleware"
_PROBES: Final = ("/healthz", "/readyz", "/metrics")
"""Paths that monitoring requests. They have threads of their own, so they answer while every page waits."""
_PROBE_THREADS: Final = 2

Scope = dict[str, Any]
Receive = Callable[[], Any]
Send = Callable[[Any], Any]
Result = TypeVar("Result")


class Pages(ASGIHandler):
    """The ASGI application for pages: all synchronous views and middleware run in `at_once` threads.

    If a client disconnects, a waiting request is never started. A running GET or HEAD request ends at its next SQL
    statement. A running request of another method finishes, because it may change something.
    """

    def __init__(self, concurrency: int, waiting_max: int, wait_max_s: float = WAIT_MAX_S) -> None:
        BaseHandler.__init__(self)
        self._concurrency = concurrency
        self._bounds = concurrency, waiting_max, wait_max_s
        self._threads = ThreadPoolExecutor(max_workers=concurrency, thread_name_prefix="page")
        self._probe_threads = ThreadPoolExecutor(max_workers=_PROBE_THREADS, thread_name_prefix="probe")
        self._slots: Slots | None = None
        self._answers: set[asyncio.Task[None]] = set()
        self._is_ending = False
        self._load_synchronous()
        connection_created.connect(_wait_not_long, dispatch_uid="evdash.serving.pages")

    def _load_synchronous(self) -> None:
        """Load the middleware as synchronous code, without the one for static files.

        Requests for static files do not reach this handler. Their middleware would need an event loop for every
        request.
        """
        every = settings.MIDDLEWARE
        settings.MIDDLEWARE = [each for each in every if each != _STATIC_MIDDLEWARE]
        try:
            self.load_middleware(is_async=False)
        finally:
            settings.MIDDLEWARE = every

    @property
    def slots(self) -> Slots:
        """The slots of the running event loop."""
        if self._slots is None:
            self._slots = Slots(*self._bounds)
        return self._slots

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body_file = await self.read_body(receive)
        except RequestAborted:
            return
        abandonment = Abandonment()
        with body_file:
            listening = asyncio.create_task(self.listen_for_disconnect(receive))
            answering = asyncio.create_task(self._answer(scope, body_file, send, abandonment))
            self._answers.add(answering)
            answering.add_done_callback(self._answers.discard)
            try:
                await asyncio.wait({listening, answering}, return_when=asyncio.FIRST_COMPLETED)
                if not answering.done():
                    self.slots.counts.abandoned += 1
                    metrics.REQUESTS_ABANDONED.inc()
                    if not abandonment.has_begun:
                        answering.cancel()
                    elif scope["method"] in ("GET", "HEAD"):
                        abandonment.abandon()
                await asyncio.wait({answering})
                if not answering.cancelled():
                    answering.result()
            finally:
                listening.cancel()
                answering.cancel()
                await asyncio.gather(listening, answering, return_exceptions=True)

    async def finish(self, max_s: float) -> None:
        """Return when every request has ended, or after `max_s` seconds. A running download ends at its next piece."""
        self._is_ending = True
        if self._answers:
            await asyncio.wait(self._answers, timeout=max_s)

    async def _answer(self, scope: Scope, body_file: Any, send: Send, abandonment: Abandonment) -> None:
        if scope["path"] in _PROBES:
            response = await self._in_thread(
                abandonment, self._made, scope, body_file, abandonment, threads=self._probe_threads
            )
        else:
            try:
                async with self.slots.taken():
                    abandonment.has_begun = True
                    began_s = time.monotonic()
                    response = await self._in_thread(abandonment, self._made, scope, body_file, abandonment)
                    if not response.streaming:
                        metrics.PAGE_SECONDS.observe(time.monotonic() - began_s)
            except Busy as busy:
                response = busy_answer(busy, scope)
        if response.streaming:
            await self._send_stream(cast(StreamingHttpResponse, response), send, abandonment)
        else:
            await self.send_response(response, send)

    async def _in_thread(
        self,
        abandonment: Abandonment,
        work: Callable[..., Result],
        *args: Any,
        threads: ThreadPoolExecutor | None = None,
    ) -> Result:
        loop = asyncio.get_running_loop()
        running = loop.run_in_executor(threads or self._threads, copy_context().run, work, *args)
        while not (await asyncio.wait({running}, timeout=_LOOK_EVERY_S))[0]:
            abandonment.end_hanging()
        return running.result()

    def _made(self, scope: Scope, body_file: Any, abandonment: Abandonment) -> HttpResponseBase:
        set_script_prefix(get_script_prefix(scope))
        with abandonment.ends_statements():
            signals.request_started.send(sender=self.__class__, scope=scope)
            request, refusal = self.create_request(scope, body_file)
            response = self.get_response(request) if request else cast(HttpResponseBase, refusal)
        if request:
            metrics.note_tail(tail_of_process())
        if not response.streaming:
            response.close()
        return response

    async def _send_stream(self, response: StreamingHttpResponse, send: Send, abandonment: Abandonment) -> None:
        """Make each piece after the send of the previous one. Release the slot between pieces, for other requests."""
        pieces = iter(cast(Iterator[bytes], response.streaming_content))
        await send({"type": "http.response.start", "status": response.status_code, "headers": _headers(response)})
        try:
            while not abandonment.is_abandoned:
                async with self.slots.turn():
                    if self._is_ending and isinstance(response, Download):
                        response.break_off("evdash was stopped.")
                    piece = await self._in_thread(abandonment, self._next, pieces, abandonment)
                if piece is None:
                    break
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            await self._in_thread(abandonment, response.close)

    def _next(self, pieces: Iterator[bytes], abandonment: Abandonment) -> bytes | None:
        with abandonment.ends_statements():
            try:
                return next(pieces, None)
            except Abandoned:
                return None


def _headers(response: HttpResponseBase) -> list[tuple[bytes, bytes]]:
    headers = [(name.encode("ascii"), value.encode("latin-1")) for name, value in response.items()]
    cookies = [
        (b"Set-Cookie", cookie.output(header="").encode("ascii").strip()) for cookie in response.cookies.values()
    ]
    return headers + cookies


def busy_answer(busy: Busy, scope: Scope) -> HttpResponse:
    """Return the 503 response to a refused request: a page for a browser, a line of text for a program."""
    accepted = dict(scope["headers"]).get(b"accept", b"")
    if b"text/html" in accepted:
        is_get = scope["method"] == "GET"
        query = scope["query_string"].decode("latin-1")
        again = escape_leading_slashes(quote(scope["path"])) + (f"?{query}" if query else "")
        sentence = str(busy) if is_get else f"{busy} Nothing was changed."
        response = plain_page("evdash is busy", sentence, status=503, again=again if is_get else "")
    else:
        response = HttpResponse(f"evdash is busy. {busy}\n", status=503, content_type="text/plain; charset=utf-8")
    response["Retry-After"] = str(RETRY_AFTER_S)
    response["Cache-Control"] = "no-store"
    return response


def _wait_not_long(connection: Any, **_: Any) -> None:
    """Limit the time that a page waits for a locked database. The page then reports the lock; a worker waits longer."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(f"PRAGMA busy_timeout = {LOCKED_MAX_MS}")
        else:
            cursor.execute(f"SET lock_timeout = {LOCKED_MAX_MS}")
            cursor.execute(f"SET statement_timeout = {LOCKED_MAX_MS}")
