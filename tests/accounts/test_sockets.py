"""Sockets: closed to strangers and to the pages of other sites."""

from typing import Any

import pytest
from asgiref.sync import sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.testing import WebsocketCommunicator
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client

from evdash.accounts.sockets import SIGNED_OUT, SignedInSocket

pytestmark = pytest.mark.django_db(transaction=True)

OWN_PAGE = {b"host": b"localhost:8000", b"origin": b"http://localhost:8000"}


class Greeter(AsyncWebsocketConsumer):
    async def connect(self) -> None:
        await self.accept()
        await self.send(f"hello {self.scope['user']}")


def socket(headers: dict[bytes, bytes]) -> WebsocketCommunicator:
    application: Any = SignedInSocket(Greeter.as_asgi())
    return WebsocketCommunicator(application, "/live/socket/", list(headers.items()))


@sync_to_async
def cookie_of_mia() -> bytes:
    client = Client()
    client.force_login(User.objects.create_user("mia"))
    return f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}".encode()


async def test_a_signed_in_person_s_own_page_may_listen() -> None:
    mine = socket(OWN_PAGE | {b"cookie": await cookie_of_mia()})

    connected, _ = await mine.connect()

    assert connected
    assert await mine.receive_from() == "hello mia"
    await mine.disconnect()


async def test_a_stranger_is_told_that_they_are_signed_out() -> None:
    stranger = socket(OWN_PAGE)

    await stranger.connect()

    assert await stranger.receive_output() == {"type": "websocket.close", "code": SIGNED_OUT}


@pytest.mark.parametrize(
    "headers",
    [
        {b"host": b"localhost:8000", b"origin": b"https://elsewhere.example"},
        {b"host": b"localhost:8000", b"origin": b"http://localhost:8001"},
        {b"host": b"localhost:8000", b"origin": b"https://localhost:8000"},
        {b"host": b"elsewhere.example", b"origin": b"http://elsewhere.example"},
        {b"host": b"localhost:8000"},
        {},
    ],
)
async def test_the_page_of_another_site_is_refused_even_with_the_cookie(headers: dict[bytes, bytes]) -> None:
    foreign = socket(headers | {b"cookie": await cookie_of_mia()})

    connected, _ = await foreign.connect()

    assert not connected
