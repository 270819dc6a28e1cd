"""The Live page: the numbers of rows with which it can begin, and its state."""

from __future__ import annotations

from django.test import Client

from tests.builders import entry
from tests.web.conftest import Index, Write
from tests.web.parsed_page import parse_page


def test_live_begins_with_a_chosen_number_of_rows(browser: Client, write: Write, index: Index) -> None:
    write(*(entry(f"{1_700_000_000_000 + number}-0", session_id="s", type="x") for number in range(620)))
    index()
    page = parse_page(browser.get("/live/", {"q": "session:s"}))
    assert len(page.rows) == 100
    assert page.texts(".row-counts a") == ["100", "500", "1,000"]
    assert page.texts(".row-counts [aria-current]") == ["100"]
    page = parse_page(browser.get(page.links["500"].replace("&amp;", "&")))
    assert len(page.rows) == 500
    assert page.texts(".row-counts [aria-current]") == ["500"]
    assert "rows=500" in page.links["Errors only"]
    assert page.values("value", "[name=rows]") == ["500"]
    assert not page.has(".row-printed")
    assert "rows=500" in page.links["Older ›"]
    assert "rows=" not in page.links["100"]


def test_another_number_of_rows_is_refused(browser: Client) -> None:
    page = parse_page(browser.get("/live/", {"rows": "200"}), 400)
    assert "rows= must be 100, 500, 1000 or all, not '200'." in page.text
    assert browser.get("/events/", {"rows": "500"}).status_code == 400


def test_the_state_is_in_words_before_any_script_and_beside_its_button(browser: Client, write: Write) -> None:
    write(entry(session_id="s", type="x"))
    for path in ("/live/", "/events/", "/errors/", "/sessions/s/"):
        page = parse_page(browser.get(path))
        assert page.texts(".live-control [role=status]") == ["Connecting"]
        assert page.has("[role=status] + button[data-live-toggle]:not([hidden])")
    assert parse_page(browser.get("/live/")).has(".live-control + .sentence")


def test_a_list_that_is_not_live_cannot_be_paused(browser: Client, write: Write, index: Index) -> None:
    write(*(entry(f"{1_700_000_000_000 + number}-0", session_id="s", type="x") for number in range(120)))
    index()
    assert parse_page(browser.get("/sessions/s/")).has("button[data-live-toggle][hidden]")


def test_live_has_no_facets(browser: Client, write: Write) -> None:
    write(entry(session_id="s", user_id="u", type="x"))
    assert "Facets" not in parse_page(browser.get("/live/")).links
