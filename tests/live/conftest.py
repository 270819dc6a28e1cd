"""Pages of a signed-in person, over a real Valkey and through the application that production serves."""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import wait
from dataclasses import replace
from typing import Any

import pytest
import redis
from asgiref.sync import sync_to_async
from channels.testing import WebsocketCommunicator
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.test import Client
from pytest_django.fixtures import Settings

from evdash.config.asgi import application
from evdash.events.entry import EntryId
from evdash.live import consumer
from tests.builders import STREAM


@pytest.fixture(autouse=True)
def _on_valkey(settings: Settings, valkey_url: str, valkey: redis.Redis) -> None:
    settings.EVDASH = replace(settings.EVDASH, redis_url=valkey_url, streams=(STREAM,))


class Page:
    """A page's end of a socket."""

    def __init__(self, cookie: bytes) -> None:
        self.session_key = cookie.decode().partition("=")[2]
        headers = [(b"host", b"localhost:8000"), (b"origin", b"http://localhost:8000"), (b"cookie", cookie)]
        self.socket = WebsocketCommunicator(application, "/live/socket/", headers)
        self.messages: list[dict[str, Any]] = []
        self.html = ""
        self.cursor: dict[str, str] = {}
        self.subscriptions = 0
        self.rows_messages = 0

    async def subscribe(
        self, query: str = "", cursor: Mapping[str, EntryId | str] | None = None, *, rows: bool = True
    ) -> None:
        """Subscribe and wait until the page is live."""
        self.subscriptions += 1
        written = {stream: str(entry_id) for stream, entry_id in (cursor or {}).items()}
        await self.say(type="subscribe", number=self.subscriptions, query=query, cursor=written, rows=rows)
        await self.until(lambda message: message.get("state") == "live")

    async def say(self, **message: Any) -> None:
        await self.socket.send_json_to(message)

    async def hear(self, timeout_s: float = 10) -> dict[str, Any]:
        """The next message, kept."""
        output = await self.socket.receive_output(timeout_s)
        if output["type"] == "websocket.close":
            message = {"type": "closed", "code": output.get("code")}
        else:
            message = json.loads(output["text"])
        self.messages.append(message)
        if message["type"] == "rows":
            self.html += message["html"]
            self.rows_messages += 1
        self.cursor |= message.get("cursor", {})
        return message

    async def until(self, true: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """Hear until a message is the one."""
        while True:
            message = await self.hear()
            if true(message):
                return message

    async def acknowledge(self) -> None:
        await self.say(type="ack", messages=self.rows_messages)

    def count(self, entry_id: EntryId) -> int:
        """How often the entry stands in the page."""
        return self.html.count(f'data-entry="{STREAM} {entry_id}"')


@sync_to_async
def cookie_of(user: User) -> bytes:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return f"{django_settings.SESSION_COOKIE_NAME}={client.cookies[django_settings.SESSION_COOKIE_NAME].value}".encode()


@pytest.fixture
async def user(transactional_db: None) -> User:
    return await User.objects.acreate(username="ada")


OpenPage = Callable[[], Awaitable[Page]]


@pytest.fixture
async def open_page(user: User) -> AsyncIterator[OpenPage]:
    """Opens pages of ada's, and closes them."""
    pages: list[Page] = []

    async def open_one() -> Page:
        page = Page(await cookie_of(user))
        pages.append(page)
        connected, _ = await page.socket.connect()
        assert connected
        return page

    yield open_one
    for page in pages:
        await page.socket.disconnect()
    await sync_to_async(readings_end)()


def readings_end() -> None:
    """Returns when no page's past is being read any more: who has left is not waited for, but uses the database."""
    everyone = threading.Barrier(consumer.READERS)
    wait([consumer._readers.submit(everyone.wait) for _ in range(consumer.READERS)])


@pytest.fixture
def add(valkey: redis.Redis) -> Callable[..., EntryId]:
    """XADD an event."""

    def add_one(stream: str = STREAM, entry_id: str = "*", **fields: str) -> EntryId:
        written = {"type": "message.added", "session_id": "s1"} | fields
        return EntryId.parse(
            valkey.execute_command("XADD", stream, entry_id, *(part for pair in written.items() for part in pair))
        )

    return add_one
