"""A search for an ID opens what has it."""

from __future__ import annotations

import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from evdash.events.entry import EntryId
from evdash.web.links import event_address, session_address, user_address
from tests.builders import STREAM, entry
from tests.web.conftest import Index, Write
from tests.web.parsed_page import Page

ID = "1700000000000-7"


@pytest.fixture(params=[False, True])
def _written(request: pytest.FixtureRequest, write: Write, index: Index, db: None) -> None:
    write(
        entry(ID, type="a", session_id="s:1 x", user_id="mia", id="evt-1", content="about mia"),
        entry("1700000000000-8", type="a", session_id="s2", content="mia said so"),
    )
    if request.param:
        index()


@pytest.mark.usefixtures("_written")
@pytest.mark.parametrize(
    ("query", "address"),
    [
        ("s2", session_address("s2")),
        ("s:1 x", session_address("s:1 x")),
        ('"s:1 x"', session_address("s:1 x")),
        ("mia", user_address("mia")),
        (ID, event_address(STREAM, EntryId.parse(ID))),
        ("evt-1", event_address(STREAM, EntryId.parse(ID))),
        ("said", "/events/?q=said"),
        ("type:a mia", "/events/?q=type%3Aa+mia"),
        ("1700000000000-9", "/events/?q=1700000000000-9"),
        ("", "/events/"),
    ],
)
def test_the_search_box_opens_an_id_and_else_lists_events(browser: Client, query: str, address: str) -> None:
    response = browser.get("/search/", {"q": query})
    assert (response.status_code, response["Location"]) == (302, address)


@pytest.mark.usefixtures("_written")
def test_a_list_offers_to_open_what_has_the_id(browser: Client) -> None:
    page = Page(browser.get("/events/", {"q": "mia"}))
    assert page.values("href", ".jumps a") == [user_address("mia")]
    assert len(page.rows) == 2
    assert not Page(browser.get("/events/", {"q": "type:a mia"})).has(".jumps")


@pytest.mark.usefixtures("_written")
def test_a_list_does_not_search_the_log_for_an_event_id_with_each_refresh(browser: Client) -> None:
    with CaptureQueriesContext(connection) as queries:
        page = Page(browser.get("/events/", {"q": "evt-1"}))
    assert page.rows == [f"{STREAM} {ID}"]
    assert not [query["sql"] for query in queries if re.search(r"WHERE.*event_id\"", query["sql"])]


@pytest.mark.usefixtures("_written")
def test_an_id_of_several_things_lists_them(browser: Client, write: Write) -> None:
    write(entry(ID, "other", type="b", session_id="mia"))
    for query, addresses in {
        ID: [event_address(stream, EntryId.parse(ID)) for stream in (STREAM, "other")],
        "mia": [session_address("mia"), user_address("mia")],
    }.items():
        response = browser.get("/search/", {"q": query}, follow=True)
        assert response.redirect_chain == [(f"/events/?q={query}", 302)]
        assert Page(response).values("href", ".jumps a") == addresses
