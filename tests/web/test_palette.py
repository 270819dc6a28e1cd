"""The command palette: its results, and the actions that pages offer to it."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from evdash.events.entry import EntryId
from evdash.web.links import event_address, session_address, user_address
from evdash.web.pages import palette
from tests.builders import STREAM, entry
from tests.web.conftest import Index, Write
from tests.web.parsed_page import parse_page

ID = "1700000000000-7"


def results(browser: Client, text: str = "", mount: str = "") -> list[tuple[str, str, str]]:
    response = browser.get(f"{mount}/palette/", {"q": text})
    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]
    return [(each["kind"], each["name"], each["address"]) for each in response.json()["results"]]


@pytest.fixture
def filled(browser: Client, write: Write, index: Index) -> Client:
    """A browser on a log with the sessions s-1 and s-10 to s-19, and with two saved views."""
    write(
        entry(ID, type="a", session_id="s-1", user_id="Mia", id="evt-12345"),
        *(entry(f"1700000000001-{n}", type="a", session_id=f"s-1{n}", user_id="ada") for n in range(10)),
    )
    index()
    for name, query in (("Slow searches", "q=tool%3Asearch"), ("Errors of Mia", "q=user%3AMia")):
        browser.post("/views/", {"name": name, "page": "events", "query": query})
    return browser


def test_without_a_text_there_are_the_views(filled: Client) -> None:
    assert results(filled) == [
        ("view", "Errors of Mia", "/events/?q=user%3AMia"),
        ("view", "Slow searches", "/events/?q=tool%3Asearch"),
    ]


def test_an_exact_id_comes_first_then_views_and_what_begins_so(filled: Client) -> None:
    assert results(filled, "mia") == [
        ("view", "Errors of Mia", "/events/?q=user%3AMia"),
        ("user", "Mia", user_address("Mia")),
    ]
    assert results(filled, "SEAR slow") == [("view", "Slow searches", "/events/?q=tool%3Asearch")]
    sessions = results(filled, "s-1")
    assert [name for _, name, _ in sessions] == ["s-1", *(f"s-1{n}" for n in range(palette.NAMES_MAX - 1))]
    assert sessions[0] == ("session", "s-1", session_address("s-1"))


def test_entries_and_events_are_found_by_their_whole_id(filled: Client, write: Write) -> None:
    address = event_address(STREAM, EntryId.parse(ID))
    assert results(filled, ID) == [("entry", f"{ID} in {STREAM}", address)]
    assert results(filled, "evt-12345") == [("event", "evt-12345", address)]
    write(entry("1800000000000-0", type="a", session_id="not indexed"))
    assert results(filled, "not indexed") == [("session", "not indexed", session_address("not indexed"))]


@pytest.mark.parametrize("text", ["timeout", "two words 12", "id-1"])
def test_only_a_long_id_is_searched_in_events_of_the_log(filled: Client, text: str) -> None:
    with CaptureQueriesContext(connection) as captured:
        assert results(filled, text) == []
    assert not [query for query in captured if 'event_id" =' in query["sql"]]


@pytest.mark.parametrize("text", ["%", "_", "s_", "\\", '"', "nokey:1", "\u202e", "x" * 7_000], ids=ascii)
def test_a_text_is_not_a_pattern_and_never_an_error(filled: Client, text: str) -> None:
    assert results(filled, text) == []


def test_there_are_few_results(filled: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(palette, "RESULTS_MAX", 2)
    assert len(results(filled, "s-1")) == 2


def test_control_characters_are_signs(browser: Client, write: Write) -> None:
    write(entry(type="a", session_id="s\u202ex"))
    [(kind, name, address)] = results(browser, "s\u202ex")
    assert (kind, address) == ("session", session_address("s\u202ex"))
    assert "\u202e" not in name


def test_the_palette_needs_a_sign_in(client: Client) -> None:
    assert client.get("/palette/").status_code == 302


def test_pages_name_their_actions(filled: Client) -> None:
    events = parse_page(filled.get("/events/"))
    assert {
        "Views",
        "Keys",
        "Switch time zone",
        "Account",
        "Sign out",
        "Save view",
        "Pause or resume live",
        "Export NDJSON",
        "Export CSV",
    } == {*events.values("data-command")}
    assert events.values("data-palette-from", "dialog#palette") == ["/palette/"]
    assert events.texts("[data-palette]") == ["Commands Ctrl K"]
    assert "Save view" not in parse_page(filled.get("/streams/")).values("data-command")
