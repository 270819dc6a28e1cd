"""The same read over HTTP, for pages that get no socket."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django.fixtures import Settings

from evdash.events.entry import EntryId
from tests.builders import STREAM

pytestmark = pytest.mark.django_db

Add = Callable[..., EntryId]


@pytest.fixture
def browser() -> Client:
    client = Client()
    client.force_login(User.objects.create_user("ada"), backend="django.contrib.auth.backends.ModelBackend")
    return client


def ask(browser: Client, cursor: object, query: str = "", status: int = 200) -> dict[str, Any]:
    answer = browser.get("/live/missed/", {"query": query, "cursor": json.dumps(cursor)})
    assert answer.status_code == status
    assert answer["Cache-Control"] == "private, no-store"
    message: dict[str, Any] = answer.json()
    return message


def test_what_lies_beyond_the_cursor_comes_as_rows(browser: Client, add: Add) -> None:
    ids = [add() for _ in range(4)]
    add(session_id="another")
    message = ask(browser, {STREAM: str(ids[0])}, "session=s1")
    assert (message["type"], message["count"], message["skipped"]) == ("rows", 3, 0)
    assert [message["html"].count(f'data-entry="{STREAM} {entry_id}"') for entry_id in ids] == [0, 1, 1, 1]
    again = ask(browser, message["cursor"], "session=s1")
    assert again == {"type": "alive", "cursor": message["cursor"]}


def test_what_cannot_be_read_is_refused_in_a_sentence(browser: Client) -> None:
    for cursor in ("x", {"s": "nonsense"}, {"s": 1}, []):
        assert ask(browser, cursor, status=400)["type"] == "refused"
    assert "filter" in ask(browser, {}, "q=type:", status=400)["reason"]


def test_a_stream_that_is_not_shown_is_passed_over(browser: Client, add: Add) -> None:
    add()
    assert ask(browser, {"another": "0-0"}) == {"type": "alive", "cursor": {}}


def test_redis_out_of_reach_is_a_state(browser: Client, settings: Settings) -> None:
    settings.EVDASH = replace(settings.EVDASH, redis_url="redis://127.0.0.1:1")
    message = ask(browser, {STREAM: "0-0"})
    assert (message["type"], message["state"]) == ("state", "unreachable")
    assert "127.0.0.1:1 is unreachable" in message["reason"]


def test_a_stranger_is_sent_to_sign_in(client: Client) -> None:
    assert client.get("/live/missed/").status_code == 302
    assert "HX-Redirect" in client.get("/live/missed/", headers={"HX-Request": "true"})
