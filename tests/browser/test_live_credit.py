"""What a page owes the server stays right when its list is exchanged, and when its stream is."""

from __future__ import annotations

from itertools import count

import pytest
from playwright.sync_api import Page, WebSocketRoute, expect

from evdash.streams.client import call, open_client
from evdash.streams.publisher import NewEvent, Publisher
from tests.browser.conftest import Running
from tests.builders import STREAM

pytestmark = pytest.mark.browser

_sessions = count()


def test_another_filter_while_paused_goes_on_though_much_was_held(page: Page, publisher: Publisher) -> None:
    session = f"credit-{next(_sessions)}"
    page.goto(f"/live/?q=session:{session}")
    status = page.locator("[data-live-status]").first
    expect(status).to_have_attribute("data-state", "live")
    page.keyboard.press("l")
    for hundred in (100, 200):
        publisher.publish_many([NewEvent("message.added", session, "credit", {"content": "held"}) for _ in range(100)])
        expect(page.get_by_role("button", name=f"Show {hundred} new")).to_be_visible()
    page.fill("#q", f"session:{session} type:tool.called")
    page.keyboard.press("Enter")
    page.wait_for_url("**type*")
    expect(status).to_have_attribute("data-state", "live")
    publisher.publish("tool.called", session, "credit", tool="search")
    expect(page.locator("[data-entry]")).to_have_count(1)


def test_a_page_that_followed_a_recreated_stream_gets_no_event_twice_after_a_reconnect(
    page: Page, running: Running
) -> None:
    sockets: list[WebSocketRoute] = []

    def pass_through(socket: WebSocketRoute) -> None:
        socket.connect_to_server()
        sockets.append(socket)

    page.route_web_socket("**/live/socket/", pass_through)
    page.goto("/live/?q=session:recreated")
    status = page.locator("[data-live-status]").first
    expect(status).to_have_attribute("data-state", "live")
    with open_client(running.redis_url) as client:
        call(client, "XADD", STREAM, "*", "type", "message.added", "session_id", "recreated")
        expect(page.locator("[data-entry]")).to_have_count(1)
        call(client, "DEL", STREAM)
        for number in range(1, 151):
            call(client, "XADD", STREAM, f"{number}-0", "type", "message.added", "session_id", "recreated")
            if number % 50 == 0:
                expect(page.locator("[data-entry]")).to_have_count(number + 1, timeout=15_000)
    sockets[-1].close(code=1012)
    expect(status).to_have_attribute("data-state", "reconnecting")
    expect(status).to_have_attribute("data-state", "live")
    expect(page.locator("[data-entry]")).to_have_count(151)
    expect(page.locator(".live-gap")).to_have_count(0)
