"""While the log is further behind than a page reads, pages show what they know and say that there is more."""

from __future__ import annotations

import pytest
from django.test import Client

from evdash.eventlog import stream_tail
from evdash.streams import shared_tail
from tests.builders import raw_entry
from tests.web.conftest import Index, Write
from tests.web.parsed_page import parse_page

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _far_behind(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forty entries, and only ten are read: the session `early` is not among the newest ten, `late` is."""
    monkeypatch.setattr(stream_tail, "STREAM_READ_MAX", 10)
    monkeypatch.setattr(stream_tail, "_FIRST_STEP", 5)
    monkeypatch.setattr(shared_tail, "TAIL_ENTRIES", 10)
    monkeypatch.setattr(shared_tail, "_FIRST_STEP", 5)
    for i in range(40):
        session = "early" if i < 3 else "late" if i >= 34 else f"s{i}"
        kind = "error.occurred" if i % 2 else "message.added"
        fields = {"type": kind, "session_id": session, "user_id": f"user of {session}", "content": f"text {i}"}
        write(raw_entry(*fields.items(), entry_id=f"17000000000{i:02}-0"))


def test_a_sessions_list_begins_where_its_numbers_do(browser: Client) -> None:
    answer = browser.get("/sessions/late/")
    html = answer.content.decode()
    assert " Events 6 Errors " in parse_page(answer).text
    assert html.count("data-entry=") == 6
    assert "No matching events" not in html
    assert "data-timeline" in html
    assert "Earlier" in html  # the part that was not read


def test_a_users_list_begins_where_its_numbers_do_and_is_not_called_complete(browser: Client) -> None:
    html = browser.get("/users/user%20of%20late/").content.decode()
    assert html.count("data-entry=") == 6
    assert "is-incomplete" in html


@pytest.mark.parametrize(("address", "what"), [("/sessions/early/", "session"), ("/users/user%20of%20early/", "user")])
def test_what_was_not_read_is_not_said_not_to_exist(browser: Client, address: str, what: str) -> None:
    answer = browser.get(address)
    html = answer.content.decode()
    assert answer.status_code == 404
    assert f"too far behind to search the whole stream for this {what}" in html
    assert f"/events/?q={what}%3A" in html


def test_what_does_not_exist_is_said_so_once_all_is_read(browser: Client, index: Index) -> None:
    index()
    assert "Session not found" in browser.get("/sessions/nowhere/").content.decode()
    assert browser.get("/sessions/early/").status_code == 200


def test_a_search_that_stopped_does_not_say_that_there_is_nothing(browser: Client) -> None:
    html = browser.get("/events/?q=session:early").content.decode()
    assert "No match so far" in html
    assert "There are no" not in html
    assert "Search more" in html


def test_the_overviews_numbers_say_that_there_are_more(browser: Client, index: Index) -> None:
    html = browser.get("/").content.decode()
    assert '<a href="/events/">10+</a>' in html
    assert "All 5+" in html
    index()
    assert '<a href="/events/">40</a>' in browser.get("/").content.decode()
