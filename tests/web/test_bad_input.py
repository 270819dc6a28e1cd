"""Whatever an entry holds: every page shows it, escaped and whole, and none of them fails."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime
from urllib.parse import quote

import pytest
from django.test import Client

from evdash.events.entry import Entry, EntryId
from evdash.web.links import session_address, user_address
from tests.builders import entry, raw_entry
from tests.web.conftest import Index, Write
from tests.web.parsed_page import Page, parse_page

SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(2)>"
MEGABYTE = "long text & <b> " * 65_536
IDENTITY = (("type", "message.added"), ("session_id", "s"), ("user_id", "u"))

BAD: dict[str, Entry] = {
    "binary": raw_entry(*IDENTITY, ("content", b"\xff\xfe\x00\x01"), (b"\xff", b"\xfe"), entry_id="1000-1"),
    "empty values": raw_entry(("type", ""), ("session_id", ""), ("user_id", ""), ("", ""), entry_id="1000-2"),
    "a field twice": raw_entry(*IDENTITY, ("x", "first"), ("x", "second"), entry_id="1000-3"),
    "no type, no session": raw_entry(("foo", "bar"), entry_id="1000-4"),
    "1 MB": raw_entry(*IDENTITY, ("content", MEGABYTE), ("blob", b"\xff" * 1_000_000), entry_id="1000-5"),
    "script": raw_entry(
        ("type", SCRIPT), ("session_id", SCRIPT), ("user_id", SCRIPT), (SCRIPT, SCRIPT), entry_id="1000-6"
    ),
    "control characters": raw_entry(*IDENTITY, ("content", "a\x00b\x07c\x1bd\r\ne\rf"), entry_id="1000-7"),
    "right to left": raw_entry(
        ("type", "a\u202etxt.exe"),
        ("session_id", "שלום\u202e"),
        ("user_id", "👩‍👩‍👧 \U000e0041\U000e0042"),
        entry_id="1000-8",
    ),
    "JSON deep": raw_entry(
        *IDENTITY, ("data", "[" * 900 + "]" * 900), ("y", '{"a":' * 400 + "1" + "}" * 400), entry_id="1000-9"
    ),
    "JSON wide": raw_entry(
        *IDENTITY, ("data", json.dumps({f"k{n}": [n, None, True] for n in range(3000)})), entry_id="1000-10"
    ),
    "JSON with surrogates": raw_entry(
        ("data", r'{"type":"t\ud800","session_id":"\udfff","content":"\ud83d"}'),
        ("z", r'["\ud800"]'),
        entry_id="1000-11",
    ),
    "broken JSON": raw_entry(*IDENTITY, ("data", '{"a": '), ("arguments", "{nope"), entry_id="1000-12"),
    "nonsense time": raw_entry(*IDENTITY, ("timestamp", "next Tuesday"), entry_id="1000-13"),
    "the year 9999": raw_entry(*IDENTITY, ("timestamp", "9999-12-31T23:59:59.999999Z"), entry_id="1000-14"),
    "the year 1970": raw_entry(*IDENTITY, ("timestamp", "1970-01-01T00:00:01Z"), entry_id="1000-15"),
    "numbers past all bounds": raw_entry(
        *IDENTITY,
        ("latency_ms", "9" * 400),
        ("tokens", "-5"),
        ("duration_ms", "1e308"),
        ("total_messages", "9" * 99),
        entry_id="1000-16",
    ),
    "numbers in ended": raw_entry(
        ("type", "session.ended"),
        ("session_id", "s"),
        ("duration_ms", "nan"),
        ("total_messages", "٣"),
        entry_id="1000-17",
    ),
    "long latency": raw_entry(*IDENTITY, ("latency_ms", "999999999999"), entry_id="1000-18"),
    "odd addresses": raw_entry(
        ("type", "a/b?c#d"), ("session_id", "a/b?c#d%2F&\\"), ("user_id", ".."), entry_id="1000-19"
    ),
    "line breaks in IDs": raw_entry(
        ("type", "a\nb"), ("session_id", "line\none"), ("user_id", " x "), entry_id="1000-20"
    ),
    "long IDs": raw_entry(
        ("type", "t" * 5000), ("session_id", "s" * 5000), ("user_id", "u" * 5000), entry_id="1000-21"
    ),
    "at the lowest ID": raw_entry(*IDENTITY, entry_id="0-1"),
    "at the highest ID": raw_entry(*IDENTITY, ("content", "the last one"), entry_id=str(EntryId.MAX)),
    "many fields": raw_entry(*((f"f{n}", "v") for n in range(500)), entry_id="1000-22"),
    "HTML in everything": raw_entry(
        ("type", "error.occurred"),
        ("error", SCRIPT),
        ("tool", SCRIPT),
        ("code", SCRIPT),
        ("model", SCRIPT),
        ("agent", SCRIPT),
        ("severity", SCRIPT),
        ("call_id", SCRIPT),
        ("role", SCRIPT),
        entry_id="1000-23",
    ),
}


def pages_about(entry: Entry, browser: Client) -> list[Page]:
    """Every page that shows the entry; each is well-formed, or `seen` fails."""
    fields = {name: value.decode("utf-8", "backslashreplace") for name, value in entry.pairs}
    paths = ["/", "/live/", "/events/", "/errors/", "/sessions/", "/users/", "/streams/"]
    paths.append(f"/events/{quote(entry.stream, safe='')}/{entry.entry_id}/")
    pages = [parse_page(browser.get(path)) for path in paths]
    events = pages[2]
    own = [
        address
        for address in events.values("href")
        if address.startswith(("/sessions/", "/users/")) and address.count("/") > 2
    ]
    pages += [parse_page(browser.get(address.partition("#")[0])) for address in dict.fromkeys(own)]
    assert bool(own) == any(fields.get(name) for name in (b"session_id", b"user_id")) or b"data" in fields
    return pages


@pytest.mark.parametrize("indexed", [False, True], ids=["from the stream", "from the log"])
@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_shown_on_every_page(
    name: str, indexed: bool, browser: Client, write: Write, index: Index
) -> None:
    entry = BAD[name]
    write(entry)
    if indexed:
        index()
    pages = pages_about(entry, browser)
    assert pages[2].rows == [f"{entry.stream} {entry.entry_id}"]
    assert pages[2].texts(".counts")[0].startswith("1 event, ")
    for page in pages:
        assert "<script>alert" not in page.html
        assert "<img" not in page.html
        assert "\x00" not in page.html
        assert "\u202e" not in page.text


def test_all_of_it_together_is_shown_and_counted(browser: Client, write: Write) -> None:
    write(*sorted(BAD.values(), key=lambda entry: entry.entry_id))
    page = parse_page(browser.get("/events/"))
    assert len(page.rows) == len(BAD)
    assert page.texts(".counts") == [f"{len(BAD)} events, 1 error"]
    assert "s" in parse_page(browser.get("/sessions/")).links
    for path, pair in (("/sessions/s/", (b"session_id", b"s")), ("/users/u/", (b"user_id", b"u"))):
        assert parse_page(browser.get(path)).facts["Events"] == str(sum(pair in entry.pairs for entry in BAD.values()))


def test_a_megabyte_is_folded_and_whole_at_its_own_address(browser: Client, write: Write) -> None:
    write(BAD["1 MB"])
    events = browser.get("/events/")
    assert len(events.content) < 40_000
    opened = browser.get("/events/memory:events/1000-5/", {"part": "opened"})
    assert len(opened.content) < 40_000
    whole = browser.get("/events/memory:events/1000-5/", {"field": "3"})
    assert whole.content.decode() == MEGABYTE
    assert whole["Content-Type"] == "text/plain; charset=utf-8"
    assert whole["X-Content-Type-Options"] == "nosniff"
    assert len(browser.get("/events/memory:events/1000-5/", {"field": "3", "part": "whole"}).content) > 1_000_000
    blob = browser.get("/events/memory:events/1000-5/", {"field": "4"})
    assert blob.content == b"\xff" * 1_000_000
    assert blob["Content-Type"] == "application/octet-stream"
    assert "attachment" in blob["Content-Disposition"]


@pytest.mark.parametrize("number", ["5", "-1", "x", "٣", "999999999999999999999", ""])
def test_a_field_that_is_not_there_is_a_sentence(browser: Client, write: Write, number: str) -> None:
    write(BAD["1 MB"])
    page = parse_page(browser.get("/events/memory:events/1000-5/", {"field": number}), 404)
    [sentence] = page.texts(".said-reason")
    assert (" 5 fields, " in sentence, f" field={number[:20]} " in sentence) == (True, True)


def test_what_is_unseen_is_marked_by_name(browser: Client, write: Write) -> None:
    write(BAD["control characters"], BAD["right to left"])
    page = parse_page(browser.get("/events/"))
    assert page.texts(".row-type bdi") == ["a ‹202E› txt.exe", "message.added"]
    assert page.texts(".row-who bdi") == ["👩\u200d👩\u200d👧 ‹E0041›‹E0042›", "u"]
    assert page.texts(".row-says")[1] == "message a ‹00› b ‹07› c ‹1B› d e f"
    names = page.values("title", ".row bdi *")
    assert names[0] == "U+202E RIGHT-TO-LEFT OVERRIDE"
    assert [part.split()[0] for name in names for part in name.split(", ")] == [
        "U+202E",
        *("U+E0041", "U+E0042"),
        "U+202E",  # of the session's ID
        *("U+0000", "U+0007", "U+001B"),
    ]


def test_bytes_are_marked_and_shown_as_hexadecimal(browser: Client, write: Write) -> None:
    write(BAD["binary"])
    page = parse_page(browser.get("/events/memory:events/1000-1/"))
    assert page.texts(".fields:not(.raw) pre.bytes") == ["000000 ff fe 00 01 ····", "000000 fe ·"]
    content, other = page.texts(".remark")
    assert "'content'" in content
    events = parse_page(browser.get("/events/"))
    assert events.values("title", ".row-remark") == [f"{content} {other}"]
    assert events.has('.row-remark [role="img"][aria-label]')


def test_both_values_of_a_repeated_field_are_shown(browser: Client, write: Write) -> None:
    write(BAD["a field twice"])
    page = parse_page(browser.get("/events/memory:events/1000-3/"))
    fields = page.pairs(".fields:not(.raw) th", ".fields:not(.raw) td:first-of-type")
    assert [value for name, value in fields if name == "x"] == ["first", "second"]
    assert [remark.partition(" appears")[0] for remark in page.texts(".remark")] == ["The field 'x'"]


AWKWARD = [
    "a/b?c#d",
    ".",
    "..",
    "~..",
    "~.",
    "a/../b",
    "/",
    "//",
    "a/",
    "%",
    "%2F",
    "100%",
    "é",
    "🙂",
    "a b",
    "\\",
    "?q=1",
    "#",
    "&amp;",
    "<b>",
    "+",
    "a;b",
    "a:b@c",
    "..%2f",
    "session/1/events",
]


@pytest.mark.parametrize("name", AWKWARD)
def test_an_id_of_any_characters_has_a_page(browser: Client, write: Write, name: str) -> None:
    write(
        raw_entry(("type", "a"), ("session_id", name), ("user_id", name), ("n", "mine")),
        raw_entry(("type", "a"), ("session_id", "another"), ("user_id", "another"), entry_id="1800000000000-0"),
    )
    for address in (session_address(name), user_address(name)):
        assert address in parse_page(browser.get("/events/")).values("href") or f"{address}?at=" in " ".join(
            parse_page(browser.get("/events/")).values("href")
        )
        assert "/../" not in address
        assert "/./" not in address
        assert parse_page(browser.get(address)).rows == ["memory:events 1700000000000-0"]


@pytest.mark.parametrize("name", ["plain-1", "a/b?c#d", "é🙂", "a b", "100%", "%2F"])
def test_an_address_made_by_percent_encoding_the_id_is_the_page(browser: Client, write: Write, name: str) -> None:
    write(raw_entry(("type", "a"), ("session_id", name), ("user_id", name)))
    assert len(parse_page(browser.get(f"/sessions/{quote(name, safe='')}/")).rows) == 1
    assert len(parse_page(browser.get(f"/users/{quote(name, safe='')}/")).rows) == 1


@pytest.mark.parametrize("is_indexed", [False, True])
def test_a_clock_of_the_year_9999_spoils_neither_the_overview_nor_its_session(
    browser: Client, write: Write, index: Index, is_indexed: bool
) -> None:
    now_ms = int(time.time() * 1000)
    given = {"type": "message.added", "session_id": "s", "user_id": "u", "role": "user", "content": "hello"}
    write(
        *(entry(f"{now_ms - 60_000 + n}-0", timestamp=str(now_ms - 60_000 + n), **given) for n in range(3)),
        *(entry(f"{now_ms - 50_000 + n}-0", timestamp="9999-12-31T23:59:59Z", **given) for n in range(4)),
    )
    if is_indexed:
        index()
    overview = parse_page(browser.get("/?range=all"))
    assert re.fullmatch(r"last event \d+ s ago", overview.definitions["Users"][1])
    [not_drawn] = overview.texts(".histogram + p")
    assert not_drawn.startswith("4 events after ")
    assert overview.texts(".histogram .most") == ["3 events in 1 s"]
    session = parse_page(browser.get("/sessions/s/"))
    assert session.facts["Duration"] == "10 s"
    assert sum(" 1 day " in title for title in session.values("title", ".row-remark")) == 4
    [listed] = parse_page(browser.get("/sessions/")).table(".results table")
    assert listed["Duration"] == "10 s"
    assert not any("9999" in cell for cell in listed.values())
    assert re.fullmatch(r"\d+ s ago", listed["Last entry"])
    user = parse_page(browser.get("/users/u/"))
    days = {datetime.fromtimestamp((now_ms - 60_000 + after_ms) / 1000, UTC) for after_ms in (0, 10_003)}
    assert {user.facts[term][:10] for term in ("First seen", "Last seen")} == {f"{day:%Y-%m-%d}" for day in days}


@pytest.mark.parametrize("name", ["data", "payload"])
def test_the_keys_of_a_json_object_are_offered_as_filters_by_the_name_of_its_field(
    browser: Client, write: Write, name: str
) -> None:
    write(raw_entry((name, '{"type": "x", "order": "42"}'), entry_id="1-1"))
    page = parse_page(browser.get("/events/memory:events/1-1/?part=opened"))
    assert page.texts(".more > summary > code") == [name]
    assert any("field.order%3A42" in address for address in page.values("href", ".more a"))
