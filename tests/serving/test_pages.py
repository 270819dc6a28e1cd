"""A web process works on so many requests at once, lets so many wait, and ends what nobody waits for."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.test import override_settings
from django.urls import path

from evdash.health.urls import urlpatterns as health
from evdash.serving.pages import Pages
from evdash.web.downloads import Download
from evdash.web.urls import urlpatterns as web

pytestmark = pytest.mark.django_db(transaction=True)

LONG = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000000000) SELECT count(*) FROM n"


class Door:
    """Requests that are being worked on wait here until the test lets them go."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.inside = 0
        self.most = 0
        self._lock = threading.Lock()

    def view(self, request: HttpRequest) -> HttpResponse:
        with self._lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        self.open.wait(20)
        with self._lock:
            self.inside -= 1
        return HttpResponse("made")


door = Door()


def waits(request: HttpRequest) -> HttpResponse:
    return door.view(request)


def queries(request: HttpRequest) -> HttpResponse:
    with connection.cursor() as cursor:
        door.inside += 1
        cursor.execute(LONG)
    return HttpResponse("counted")


def locked(request: HttpRequest) -> HttpResponse:
    raise OperationalError("database is locked")


def pieces(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(iter([b"a", b"b", b"c"]))


def lines() -> Iterator[bytes]:
    yield b"first\n"
    yield b"second\n"


def download(request: HttpRequest) -> HttpResponse | Download:
    door.view(request)
    return Download(lines(), "NDJSON", recorded=lambda pieces: pieces)


urlpatterns = [
    path("download/", download),
    path("waits/", waits),
    path("queries/", queries),
    path("locked/", locked),
    path("pieces/", pieces),
    *health,
    *web,
]
handler500 = "evdash.web.error_pages.server_error"


@pytest.fixture(autouse=True)
def _own_views() -> Iterator[None]:
    global door
    door = Door()
    with override_settings(ROOT_URLCONF=__name__, MIDDLEWARE=[]):
        yield
    door.open.set()


class PendingRequest:
    """One request and what has come of it."""

    def __init__(self, application: Pages, path: str, method: str = "GET", accept: bytes = b"*/*") -> None:
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.body = b""
        self._gone = asyncio.Event()
        self._is_received = False
        scope = {
            "type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b"",
            "headers": [(b"host", b"localhost"), (b"accept", accept)],
            "server": ("localhost", 80), "client": ("127.0.0.1", 1),
        }  # fmt: skip
        self.task = asyncio.create_task(application(scope, self._receive, self._send))

    async def _receive(self) -> dict[str, Any]:
        if not self._is_received:
            self._is_received = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], dict(message["headers"])
        else:
            self.body += message["body"]

    def leave(self) -> None:
        self._gone.set()


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(15):
        while not true():  # noqa: ASYNC110 - what is waited for happens in threads
            await asyncio.sleep(0.01)


@asynccontextmanager
async def requested(application: Pages, *paths: str, method: str = "GET", accept: bytes = b"*/*") -> Any:
    requests = [PendingRequest(application, each, method, accept) for each in paths]
    try:
        yield requests
    finally:
        door.open.set()
        await asyncio.gather(*(each.task for each in requests))


async def test_no_more_than_so_many_requests_are_worked_on_at_once() -> None:
    application = Pages(concurrency=2, waiting_max=50)
    async with requested(application, *["/waits/"] * 9) as requests:
        await until(lambda: door.inside == 2 and application.slots.counts.waiting == 7)
        door.open.set()
        await asyncio.gather(*(each.task for each in requests))
    assert door.most == 2
    assert {each.status for each in requests} == {200}
    assert application.slots.counts.in_progress == application.slots.counts.waiting == 0


async def test_one_more_than_may_wait_gets_a_page_that_says_so() -> None:
    application = Pages(concurrency=1, waiting_max=1)
    async with requested(application, "/waits/", "/waits/") as (first, second):
        await until(lambda: application.slots.counts.waiting == 1)
        async with requested(application, "/waits/") as (third,):
            await third.task
            assert third.status == 503
            assert third.headers[b"Retry-After"] == b"3"
            assert third.body.startswith(b"evdash is busy. Limit of concurrent pages: 1. Waiting requests: 1. ")
        async with requested(application, "/waits/", accept=b"text/html") as (fourth,):
            await fourth.task
            assert fourth.status == 503
            assert b"Limit of concurrent pages: 1. Waiting requests: 1. " in fourth.body
            assert b'href="/waits/"' in fourth.body  # to try again
    assert (first.status, second.status) == (200, 200)
    assert application.slots.counts.refused_full == 2


async def test_who_has_waited_too_long_is_refused() -> None:
    application = Pages(concurrency=1, waiting_max=5, wait_max_s=0.05)
    async with requested(application, "/waits/", "/waits/") as (first, second):
        await second.task
        assert second.status == 503
    assert first.status == 200
    assert application.slots.counts.refused_waited == 1


async def test_machines_are_answered_while_all_are_busy() -> None:
    application = Pages(concurrency=1, waiting_max=0)
    async with requested(application, "/waits/") as (_,):
        await until(lambda: door.inside == 1)
        async with requested(application, "/healthz", "/readyz") as (healthz, readyz):
            await asyncio.gather(healthz.task, readyz.task)
            assert (healthz.status, healthz.body) == (200, b"evdash is running.\n")
            assert readyz.body.startswith(b"not ready")
    assert door.most == 1


async def test_who_leaves_while_waiting_is_not_worked_for() -> None:
    application = Pages(concurrency=1, waiting_max=5)
    async with requested(application, "/waits/", "/waits/") as (_, second):
        await until(lambda: application.slots.counts.waiting == 1)
        second.leave()
        await second.task
        assert application.slots.counts.waiting == 0
        assert second.status == 0
    assert door.most == 1


async def test_a_statement_ends_when_its_reader_leaves_and_the_slot_is_free() -> None:
    application = Pages(concurrency=1, waiting_max=5)
    async with requested(application, "/queries/") as (request,):
        await until(lambda: door.inside == 1)
        await asyncio.sleep(0)
        request.leave()
        async with asyncio.timeout(15):
            await request.task
    assert application.slots.counts.in_progress == 0
    assert application.slots.counts.abandoned == 1


@pytest.mark.parametrize(
    ("method", "outcome"),
    [("GET", b""), ("POST", b"The change may have been saved. Check before you repeat it. ")],
)
async def test_a_locked_database_is_a_page_with_a_sentence(method: str, outcome: bytes) -> None:
    async with requested(Pages(concurrency=1, waiting_max=1), "/locked/", method=method) as (request,):
        await request.task
    assert request.status == 503
    sentence = b"The database is locked by another process. Try again in a few seconds. " + outcome
    assert re.search(re.escape(sentence) + rb"The server log has the cause under ID \w+\.</p>", request.body)


async def test_a_streamed_answer_comes_piece_by_piece() -> None:
    application = Pages(concurrency=1, waiting_max=1)
    async with requested(application, "/pieces/") as (request,):
        await request.task
    assert (request.status, request.body) == (200, b"abc")
    assert application.slots.counts.in_progress == 0


async def test_the_end_waits_for_pages_and_breaks_downloads_off() -> None:
    application = Pages(concurrency=2, waiting_max=1)
    async with requested(application, "/waits/", "/download/") as (page, download):
        await until(lambda: door.inside == 2)
        ending = asyncio.create_task(application.finish(max_s=15))
        await asyncio.sleep(0)
        assert not ending.done()
        door.open.set()
        await ending
        assert (page.status, page.body) == (200, b"made")
        first, last = download.body.splitlines()
        assert first == b"first"
        assert json.loads(last) == {"incomplete": True, "reason": "evdash was stopped."}


async def test_the_end_does_not_wait_for_ever() -> None:
    application = Pages(concurrency=1, waiting_max=1)
    async with requested(application, "/waits/") as (page,):
        await until(lambda: door.inside == 1)
        await application.finish(max_s=0.05)
        assert page.status == 0
