"""The pages of one session, user or event lead back to themselves, whatever characters the ID holds."""

from __future__ import annotations

import re
from urllib.parse import unquote, urljoin, urlsplit

import pytest
from django.test import Client

from evdash.events.entry import EntryId
from evdash.events.identifiers import identifier_of
from evdash.web.links import event_address, session_address, user_address
from tests.builders import STREAM, entry
from tests.web.conftest import Write
from tests.web.parsed_page import Page, parse_page

IDS = [
    "why?",
    "a#b",
    "50%41",
    "50%",
    "back\\slash",
    "two\nlines",
    "a/../b",
    "../",
    "..",
    "~.",
    "//host",
    "ü 日本",
    "a&b=c;d",
]
LONG = "L" * 300


def own_links(page: Page, address: str) -> list[str]:
    """Where a browser goes for every link and form of the page that leads to the same page."""
    targets = [urljoin(address, value) for value in [*page.values("href"), *page.values("action")]]
    place = address.split("/")[1]
    return [target for target in targets if re.match(rf"/{place}/.", target) and urlsplit(target).path != f"/{place}/"]


@pytest.mark.parametrize("name", IDS)
@pytest.mark.parametrize("kind", ["session", "user"])
def test_every_link_of_a_page_to_itself_opens_it(browser: Client, write: Write, kind: str, name: str) -> None:
    given = {f"{kind}_id": name, "user_id" if kind == "session" else "session_id": "someone"}
    write(entry("1000-1", type="a", **given), entry("1001-1", type="error.occurred", error="e", **given))
    address = session_address(name) if kind == "session" else user_address(name)
    page = parse_page(browser.get(address))
    assert len(page.rows) == 2
    links = own_links(page, address)
    assert len(links) > 3
    for link in links:
        path = urlsplit(link).path
        if path in (f"{address}export.html", f"{address}transcript.md"):
            assert browser.get(link).status_code == 200, link
            continue
        assert path in (address, f"{address}notes"), link
        # There is no tool call in it; there is an error in both directions.
        status = 404 if "what=tool" in link else 200
        assert parse_page(browser.get(link, follow=True), status), link


def test_a_place_that_cannot_be_read_leads_back_to_the_page(browser: Client, write: Write) -> None:
    write(entry("1000-1", session_id="50%41"))
    page = parse_page(browser.get(session_address("50%41"), {"before": "nonsense"}), 400)
    assert page.links["Open first page"] == "/sessions/50%2541/"
    assert unquote(page.links["Open first page"]) == "/sessions/50%41/"


def test_an_entry_of_a_stream_with_such_a_name_opens(browser: Client, write: Write) -> None:
    write(entry("1000-1", type="a"))
    assert parse_page(browser.get(f"/events/{STREAM}/1000-1/")).links["Link"] == "/events/memory%3Aevents/1000-1/"


def test_a_long_id_opens_what_events_have_of_it(browser: Client, write: Write) -> None:
    given = {"session_id": LONG, "user_id": f"u{LONG}", "id": f"e{LONG}"}
    write(entry("1000-1", type="session.started", **given), entry("1001-1", type="b", session_id="s2", user_id="x"))
    addresses = {
        session_address(LONG): 1,
        user_address(f"u{LONG}"): 1,
        f"/compare/?a={LONG}&b=s2": 0,
        f"{session_address(LONG)}notes": 0,
    }
    for address, rows in addresses.items():
        assert len(parse_page(browser.get(address)).rows) == rows, address
    assert browser.get(f"{session_address(LONG)}transcript.md").status_code == 200
    listed = parse_page(browser.get("/sessions/", {"user": f"u{LONG}"}))
    assert listed.values("data-key", "tbody tr") == [identifier_of(LONG)]
    found = {name: browser.get("/search/", {"q": name})["Location"] for name in given.values()}
    assert found == {
        LONG: session_address(identifier_of(LONG)),
        f"u{LONG}": user_address(identifier_of(f"u{LONG}")),
        f"e{LONG}": event_address(STREAM, EntryId.parse("1000-1")),
    }
