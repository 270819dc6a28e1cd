"""Newer and older: no event twice, none missing, in both directions."""

from __future__ import annotations

import json

import pytest
from django.test import Client

from tests.builders import STREAM, entry
from tests.web.conftest import Index, Write
from tests.web.parsed_page import parse_page

EVENTS = 250


@pytest.fixture(params=["stream only", "log"])
def many(request: pytest.FixtureRequest, browser: Client, write: Write, index: Index) -> Client:
    """A browser on 250 events of one session and user."""
    write(
        *(entry(f"{1_764_000_000_000 + n}-0", type="a", session_id="s", user_id="u", n=str(n)) for n in range(EVENTS))
    )
    if request.param == "log":
        index()
    return browser


def every_id() -> list[str]:
    return [f"{STREAM} {1_764_000_000_000 + n}-0" for n in range(EVENTS)]


def read_through(browser: Client, path: str, label: str) -> list[list[str]]:
    pages = []
    while path:
        page = parse_page(browser.get(path))
        pages.append(page.rows)
        path = page.links.get(label, "")
    return pages


@pytest.mark.parametrize("path", ["/events/", "/events/?q=type%3Aa", "/live/"])
def test_older_leads_through_all_events_and_newer_back(many: Client, path: str) -> None:
    pages = read_through(many, path, "Older ›")
    assert [row for page in pages for row in page] == every_id()[::-1]
    last = parse_page(many.get(path)).links["Oldest"]
    back = read_through(many, last, "‹ Newer")
    assert [row for page in reversed(back) for row in page] == every_id()[::-1]


@pytest.mark.parametrize("path", ["/sessions/s/", "/users/u/"])
def test_later_leads_through_all_events_and_earlier_back(many: Client, path: str) -> None:
    pages = read_through(many, path, "Later ›")
    assert [row for page in pages for row in page] == every_id()
    back = read_through(many, parse_page(many.get(path)).links["Last"], "‹ Earlier")
    assert [row for page in reversed(back) for row in page] == every_id()


def test_only_the_newest_end_is_live(many: Client) -> None:
    first = parse_page(many.get("/events/"))
    assert first.values("data-live-query") == [""]
    assert parse_page(many.get(first.links["Older ›"])).values("data-live-query") == []
    assert parse_page(many.get("/sessions/s/")).values("data-live-query") == []
    assert parse_page(many.get(parse_page(many.get("/sessions/s/")).links["Last"])).values("data-live-query") == [
        "q=session%3As"
    ]


def test_a_mark_of_the_timeline_leads_to_the_page_with_its_row(many: Client) -> None:
    page = parse_page(many.get("/sessions/s/"))
    marks = [link for link in page.values("href") if "#e-" in link and "/sessions/s/#" not in link]
    assert len(marks) == EVENTS
    far = next(link for link in marks if link.endswith(f"#e-{1_764_000_000_200}-0@memory%3Aevents"))
    around = parse_page(many.get(f"/sessions/s/{far.partition('#')[0]}"))
    assert f"e-{1_764_000_000_200}-0@memory%3Aevents" in around.values("id")
    assert len(around.rows) == 99  # 50 up to it, and the 49 after it


@pytest.mark.parametrize(
    "path", ["/events/", "/errors/", "/live/", "/sessions/", "/sessions/s/", "/users/", "/users/u/"]
)
@pytest.mark.parametrize(
    "query",
    ["before=nonsense", "after=1-x@memory:events", "before=99999999999999999999-0@s", "before=1-1@s&after=1-1@s"],
)
def test_a_place_that_cannot_be_read_is_a_sentence_with_status_400(
    browser: Client, write: Write, path: str, query: str
) -> None:
    write(entry("1-1", type="a", session_id="s", user_id="u"))
    page = parse_page(browser.get(f"{path}?{query}"), 400)
    [sentence] = page.texts(".said-reason")
    assert "before=" in sentence or "after=" in sentence
    assert page.links["Open first page"] == path


def test_a_user_can_be_shown_whole_on_one_page_for_paper(many: Client) -> None:
    first = parse_page(many.get("/users/u/"))
    number = len(every_id())
    assert first.texts(".printed")[0].startswith(
        f"Events 1–100 of {number}; texts are cut after 240 characters. “Show all” and the export have everything."
    )
    whole = parse_page(many.get(first.links["Show all"]))
    assert whole.rows == every_id()
    assert whole.texts(".printed")[0].startswith(f"All {number} events, with whole texts. Printed 20")


@pytest.mark.parametrize(
    ("path", "view"),
    [("/users/u/", "events"), *(("/sessions/s/", view) for view in ("events", "conversation", "raw"))],
)
def test_a_print_has_every_character_of_every_event(browser: Client, write: Write, path: str, view: str) -> None:
    words, result = "lorem ipsum " * 500, json.dumps({"rows": list(range(2_000))})
    of = {"session_id": "s", "user_id": "u"}
    write(
        entry("1700000000000-0", type="message.added", role="user", content=words, channel="chat", **of),
        entry("1700000000001-0", type="tool.returned", tool="find", result=result, **of),
        entry("1700000000002-0", type="message.added", role="user", content="short", **of),
    )
    cut = parse_page(browser.get(path, {"view": view} if view != "events" else {}))
    [sentence] = cut.texts("main > .printed")
    assert sentence.startswith("All 3 events; ")
    assert " are cut after " in sentence
    whole = parse_page(browser.get(cut.links["Whole texts"]))
    assert whole.texts("main > .printed")[0].startswith("All 3 events, with whole texts. ")
    printed = "\n".join(element.text() for element in whole.all(".row"))
    assert all(text in printed for text in (words, result, "chat", "short"))


@pytest.mark.parametrize(
    ("path", "view", "missing"),
    [
        ("/users/u/", "events", {"type", "content"}),
        ("/sessions/s/", "events", {"type", "content"}),
        ("/sessions/s/", "conversation", {"content"}),
    ],
)
def test_a_print_has_each_field_that_is_not_the_source_of_a_text_of_its_row(
    browser: Client, write: Write, path: str, view: str, missing: set[str]
) -> None:
    fields = {
        **{"type": "message.added", "session_id": "s", "user_id": "u", "role": "user", "content": "step 10 of 12"},
        **{"attempt": "1", "owner": "u", "flag": "o", "channel": "chat", "kind": "message.added", "empty": ""},
        **{"text": "step 10 of 12", "reply_to": "s"},
    }
    write(entry("1700000000000-0", **fields))
    page = parse_page(browser.get(path, {"rows": "all", "view": view}))
    assert page.texts("main > .printed")[0].startswith("The only event, with whole texts.")
    names, values = (page.texts(f".row-printed {tag}") for tag in ("dt", "dd"))
    printed = {name: value for name, value in fields.items() if name not in missing}
    assert dict(zip(names, values, strict=True)) == printed
    assert (
        "step 10 of 12" in page.texts({"conversation": ".row .turn-body", "raw": ".row"}.get(view, ".row summary"))[0]
    )


def test_a_print_of_raw_entries_has_the_fields_that_their_rows_cut_or_leave_out(browser: Client, write: Write) -> None:
    fields = {"type": "x", "session_id": "s", "long": "y" * 401, **{f"field{n}": "z" for n in range(60)}}
    write(entry("1700000000000-0", **fields))
    page = parse_page(browser.get("/sessions/s/", {"rows": "all", "view": "raw"}))
    assert page.texts(".row-printed dt") == ["long", "field57", "field58", "field59"]
    assert not page.has(".field-actions")


def test_a_print_of_a_filter_and_of_a_later_page_say_what_they_have(many: Client) -> None:
    first = parse_page(many.get("/users/u/"))
    later = parse_page(many.get(first.links["Later ›"]))
    assert later.texts(".printed")[0].startswith(f"100 of {len(every_id())} events; ")
    assert parse_page(many.get("/users/u/?q=type:nothing")).texts(".printed")[0].startswith("No matching events; ")


def test_a_paused_list_shows_its_newest_end_as_it_was_and_goes_on_from_there(browser: Client, write: Write) -> None:
    write(*(entry(f"{1700000000000 + n}-0", type="message.added") for n in range(5)))
    page = parse_page(browser.get("/events/?paused=1700000000002-0"))
    assert page.rows == [f"{STREAM} {1700000000000 + n}-0" for n in (2, 1, 0)]
    assert [json.loads(cursor)[STREAM] for cursor in page.values("data-live-cursor")] == ["1700000000002-0"]
    assert browser.get("/events/?paused=now").status_code == 400
