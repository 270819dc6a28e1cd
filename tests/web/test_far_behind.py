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
    page = parse_page(browser.get("/sessions/late/"))
    assert {"Events": "6", "Errors": "3"}.items() <= page.facts.items()
    assert len(page.rows) == 6
    assert not page.has(".empty")
    assert page.has("[data-timeline]")
    assert page.has('[data-page="previous"]')  # the part that was not read


def test_a_users_list_begins_where_its_numbers_do_and_is_not_called_complete(browser: Client) -> None:
    page = parse_page(browser.get("/users/user%20of%20late/"))
    assert page.facts["Events"] == "6"
    assert len(page.rows) == 6
    assert page.has(".completeness.is-incomplete")


@pytest.mark.parametrize(
    ("address", "name", "query"),
    [
        ("/sessions/early/", "early", "session%3Aearly"),
        ("/users/user%20of%20early/", "user of early", "user%3A%22user+of+early%22"),
    ],
)
def test_what_was_not_read_is_not_said_not_to_exist(browser: Client, address: str, name: str, query: str) -> None:
    page = parse_page(browser.get(address), 404)
    assert page.texts(".said-subject") == [name]
    assert page.links["Search the stream"] == f"/events/?q={query}"


def test_what_does_not_exist_is_said_so_once_all_is_read(browser: Client, index: Index) -> None:
    index()
    page = parse_page(browser.get("/sessions/nowhere/"), 404)
    assert page.texts(".said-subject") == ["nowhere"]
    assert page.buttons == ["Sessions", "All events"]  # and no search
    assert browser.get("/sessions/early/").status_code == 200


def test_a_search_that_stopped_does_not_say_that_there_is_nothing(browser: Client) -> None:
    page = parse_page(browser.get("/events/?q=session:early"))
    assert page.has(".empty.no-match-so-far")
    assert not page.has(".no-match")
    assert page.links["Search more"] == "/events/?q=session%3Aearly&before=1700000000030-0%40"


def test_the_overviews_numbers_say_that_there_are_more(browser: Client, index: Index) -> None:
    page = parse_page(browser.get("/"))
    assert {"Events": "10+", "Errors": "5+"}.items() <= page.facts.items()
    assert (page.links["10+"], page.links["All 5+"]) == ("/events/", "/errors/")
    index()
    page = parse_page(browser.get("/"))
    assert {"Events": "40", "Errors": "20"}.items() <= page.facts.items()
    assert page.links["40"] == "/events/"
