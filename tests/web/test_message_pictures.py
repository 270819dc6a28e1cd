"""Pictures in messages are shown; anything else that says it is one is not."""

from __future__ import annotations

import base64
import json

import pytest
from django.test import Client

from evdash.events.entry import EntryId
from evdash.events.message_parts import PICTURE_MAX_BYTES
from evdash.web.links import event_address
from tests.builders import STREAM, entry
from tests.web.conftest import Write
from tests.web.parsed_page import Page

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 20


def image(raw: bytes, media_type: str = "image/png") -> dict[str, object]:
    return {
        "type": "image",
        "source": {"type": "base64", "media_type": media_type, "data": base64.b64encode(raw).decode()},
    }


def message(*parts: dict[str, object]) -> str:
    return json.dumps([{"type": "text", "text": "Look:"}, *parts])


def test_a_picture_is_shown_in_the_conversation_and_in_the_event(browser: Client, write: Write) -> None:
    write(entry("1700000000000-0", type="message.added", session_id="s", role="user", content=message(image(PNG))))
    address = event_address(STREAM, EntryId(1700000000000, 0))
    for path in ("/sessions/s/?view=conversation", address):
        sources = Page(browser.get(path)).values("src", "img.turn-picture")
        assert sources == [f"{address}?picture=1"]
    response = browser.get(sources[0])
    assert (response.status_code, response.content) == (200, PNG)
    assert response["Content-Type"] == "image/png"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in response["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("part", "is_offered"),
    [
        (image(b"<script>alert(1)</script>"), True),
        (image(b"<svg onload='x'/>", "image/svg+xml"), False),
        (image(b"<html>", "text/html"), False),
        (image(PNG + b"\0" * PICTURE_MAX_BYTES), False),
        ({"type": "image_url", "image_url": {"url": "https://elsewhere.example/a.png"}}, False),
        ({"type": "image_url", "image_url": {"url": "data:image/png;base64,@@@@"}}, True),
    ],
)
def test_what_is_not_a_picture_is_not_returned(
    browser: Client, write: Write, part: dict[str, object], is_offered: bool
) -> None:
    write(entry("1700000000000-0", type="message.added", session_id="s", role="user", content=message(part)))
    address = event_address(STREAM, EntryId(1700000000000, 0))
    page = Page(browser.get("/sessions/s/?view=conversation"))
    assert page.has("img.turn-picture") is is_offered
    assert browser.get(f"{address}?picture=1").status_code == 404


def test_the_limit_is_stated(browser: Client, write: Write) -> None:
    large = message(image(PNG + b"\0" * PICTURE_MAX_BYTES))
    write(entry("1700000000000-0", type="message.added", session_id="s", role="user", content=large))
    page = Page(browser.get("/sessions/s/?view=conversation"))
    assert "the limit is 1.0 MB" in page.text
