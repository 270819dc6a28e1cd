"""Static files are served as they are on disk, also if one changes under a running server."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from evdash.config import asgi


def test_a_file_that_became_shorter_has_no_length_that_a_browser_waits_for(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[dict[str, Any]] = []

    async def shorter(scope: object, receive: object, send: Any) -> None:
        headers = [(b"Content-Length", b"10"), (b"Content-Type", b"text/css")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"a{}", "more_body": False})

    async def keep(message: dict[str, Any]) -> None:
        sent.append(message)

    async def receive() -> None:
        raise AssertionError

    monkeypatch.setattr(asgi, "static_files", shorter)
    asyncio.run(asgi.http({"type": "http", "path": "/static/x/a.css"}, receive, keep))
    assert [message.get("headers") for message in sent] == [[(b"Content-Type", b"text/css")], None]
    assert sent[1]["body"] == b"a{}"
