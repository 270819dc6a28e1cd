"""A session taken along: whole, harmless, and readable without evdash."""

from __future__ import annotations

import getpass
import json
import re
import signal
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
import redis
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.http import HttpResponse
from django.test import Client
from markdown_it import MarkdownIt

from evdash.accounts.tokens import create_token
from evdash.audit_log import export_log
from evdash.audit_log.audit_log import recent
from evdash.eventlog import export as eventlog_export
from evdash.eventlog.models import Gap, GroupPosition
from evdash.events.entry import Entry, EntryId
from evdash.management.commands import export_session
from evdash.streams.client import StreamsUnavailable
from evdash.web.downloads import incomplete_line
from evdash.web.links import session_address
from evdash.web.pages import exports
from evdash.web.pages.session_export import export
from tests.builders import STREAM, entry, raw_entry
from tests.web.conftest import Index, Write
from tests.web.parsed_page import Page, parse_page
from tests.web.test_bad_input import AWKWARD, BAD
from tests.web.test_pages import START_MS, conversation

VOID = {"meta", "br", "hr", "input"}
LOADS = {"src", "srcset", "poster", "data", "action", "formaction", "background", "ping", "manifest", "style"}


class Strict(HTMLParser):
    """Fails for whatever could load, run or send anything, and for tags that do not close."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        assert tag not in {
            "script",
            "link",
            "img",
            "image",
            "iframe",
            "object",
            "embed",
            "base",
            "form",
            "video",
            "audio",
        }
        assert not LOADS & given.keys()
        assert not any(name.startswith(("on", "hx-")) for name in given)
        if "href" in given:
            assert given["href"].startswith("#") or (tag == "a" and given["href"].startswith(("http", "mailto:")))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "style":
            assert not re.search(r"url\(|@import|expression", data)


def exported(browser: Client, session_id: str, ending: str) -> str:
    answer = browser.get(session_address(session_id) + ending)
    assert answer.status_code == 200
    assert answer["Content-Disposition"].startswith("attachment; ")
    assert answer["Cache-Control"] == "private, no-store"
    return b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]


def in_file(browser: Client, session_id: str) -> Page:
    """The parts of the exported file, which has inline styles and is harmless nevertheless."""
    html = exported(browser, session_id, "export.html")
    Strict(html)
    assert html.startswith("<!doctype html>")
    return Page(HttpResponse(re.sub(r"(?s)<style.*?</style>", "", html)))


def in_transcript(browser: Client, session_id: str) -> str:
    return exported(browser, session_id, "transcript.md")


def shown_fields(file: Page) -> list[tuple[str, str]]:
    """The names and values of all fields in the file."""
    values = [" ".join(cell.text().split()) for cell in file.all(".fields td")]  # no space between highlighted parts
    return list(zip(file.texts(".fields th"), values, strict=True))


@pytest.fixture(params=["stream only", "log behind a trimmed stream"])
def filled(request: pytest.FixtureRequest, write: Write, index: Index, valkey: redis.Redis, browser: Client) -> Client:
    """A browser on two sessions, one with an error."""
    write(*conversation("s-1", "ada"), *conversation("s-2", "grace", 60_000, failing=True))
    if "log" in request.param:
        index()
        valkey.execute_command("XTRIM", STREAM, "MAXLEN", "2")
    return browser


def test_the_sessions_page_offers_all_three(filled: Client) -> None:
    page = parse_page(filled.get("/sessions/s-2/"))
    for name in ("HTML", "Markdown"):
        assert filled.get(page.links[name]).status_code == 200
    lines = b"".join(filled.get(page.links["NDJSON"]).streaming_content).splitlines()  # type: ignore[attr-defined]
    assert [json.loads(line)["session_id"] for line in lines] == ["s-2"] * 6


def test_the_file_has_facts_picture_every_field_and_who_made_it(filled: Client) -> None:
    file = in_file(filled, "s-2")
    assert file.texts("h1") == ["Session s-2"]
    assert file.texts(".file-made b, .file-made code") == ["the reader", STREAM, "session:s-2"]
    assert f"audit log entry {recent(1)[0].begun.pk}" in file.texts(".file-made")[0]
    assert len(file.all(".file-made time")) == 1
    assert file.has(".completeness:not(.is-incomplete)")
    assert file.texts(".file-end .total") == ["6 events, 1 error"]
    assert {name: file.facts[name] for name in ("User", "Agent", "Model", "Duration", "Outcome", "Tokens")} == {
        "User": "grace",
        "Agent": "support",
        "Model": "m-1",
        "Duration": "5 s",
        "Outcome": "resolved",
        "Tokens": "10",
    }
    events = list(conversation("s-2", "grace", 60_000, failing=True))
    assert shown_fields(file) == [(name.decode(), value.decode()) for event in events for name, value in event.pairs]
    rows = [f"e-{event.entry_id}@memory%3Aevents" for event in events]
    assert file.values("id", "li.row") == rows
    assert file.values("href", ".timeline a") == [f"#{row}" for row in rows]
    assert file.values("content", "meta[http-equiv=Content-Security-Policy]")[0].startswith("default-src 'none'; ")
    assert file.values("content", "meta[name=color-scheme]") == ["light dark"]
    assert "light-dark(" in exported(filled, "s-2", "export.html")


def test_the_transcript_tells_the_conversation_in_order(filled: Client) -> None:
    text = in_transcript(filled, "s-2")
    headings = re.findall(r"^### (\d+)\. ([^·]+) · ", text, re.MULTILINE)
    assert headings == [
        ("1", "`session.started`"),
        ("2", "user"),
        ("3", "`tool.called` find"),
        ("4", "**Error** `error.occurred` find"),
        ("5", "assistant"),
        ("6", "`session.ended`"),
    ]
    assert f"entry `{START_MS + 61_000}-0`" in text
    assert "```text\nI want to fly\n```" in text
    assert f"Return of the call in entry `{START_MS + 62_500}-0`." in text
    assert "- Completeness: Complete: no gap in the streams from the first event of the session" in text
    assert text.endswith("End of the transcript: 6 events, 1 error.\n")


def test_a_file_names_the_streams_of_its_events_only(browser: Client, write: Write) -> None:
    write(entry("1-0", type="a", session_id="one"), entry("2-0", type="a", session_id="two"))
    write(entry("3-0", "other", type="a", session_id="two"))
    for session_id, streams in (("one", [STREAM]), ("two", [STREAM, "other"])):
        text = in_transcript(browser, session_id)
        [line] = [line for line in text.splitlines() if "Streams" in line]
        assert re.findall(r"`([^`]+)`", line) == streams
        file = exported(browser, session_id, "export.html")
        assert ("<code><bdi>other</bdi></code>" in file) is (len(streams) > 1)


def test_notes_are_in_both(filled: Client) -> None:
    filled.post("/sessions/s-2/notes", {"text": "**mine** ``` ![x](https://evil.example/x.png) <img src=x>"})
    filled.post(f"/events/{STREAM}/{START_MS + 63_000}-0/notes", {"text": "here"})
    file = in_file(filled, "s-2")
    assert file.texts(".note .prose strong") == ["mine"]
    assert file.texts(".note .prose")[1] == "here"
    assert file.values("href", ".note-head a") == [f"#e-{START_MS + 63_000}-0@memory%3Aevents"]
    text = in_transcript(filled, "s-2")
    assert "````markdown\n**mine** ``` ![x](https://evil.example/x.png) <img src=x>\n````" in text
    assert f"on entry `{START_MS + 63_000}-0`" in text


@pytest.mark.parametrize("name", [name for name in BAD if name != "1 MB"])
def test_whatever_an_entry_holds_neither_export_is_broken_by_it(browser: Client, write: Write, name: str) -> None:
    pairs = tuple(pair for pair in BAD[name].pairs if pair[0] != b"session_id")
    write(raw_entry(*pairs, ("session_id", "bad"), entry_id="1000-1"))
    file = in_file(browser, "bad")
    assert file.texts(".file-end .total")[0].startswith("1 event, ")
    assert not set("\u202e\x00\x07\x1b") & set(file.html)
    text = in_transcript(browser, "bad")
    assert structure(text)[-2:] == ["h2 Notes", "hr"]
    assert len([each for each in structure(text) if each.startswith("h3")]) == 1
    assert not set("\u202e\x00\x07\x1b") & set(text)


FENCES = "````\n# not a heading\n```\n~~~\n</code>\n---\n## Notes\n" + "`" * 40 + "\n"


def structure(text: str) -> list[str]:
    """The headings and rules of a document as CommonMark reads it; fails for HTML in it."""
    found = []
    tokens = MarkdownIt("commonmark").parse(text)
    for token, following in zip(tokens, [*tokens[1:], None], strict=True):
        assert token.type != "html_block"
        assert not any(child.type in ("html_inline", "link_open", "image") for child in token.children or ())
        if token.type == "heading_open" and following:
            found.append(f"{token.tag} {following.content}")
        elif token.type == "hr":
            found.append("hr")
    return found


def test_no_fence_ends_before_its_text_does(browser: Client, write: Write) -> None:
    fields = dict.fromkeys(("content", "role", "tool", "arguments", "x", "error", "outcome", "call_id", FENCES), FENCES)
    for number, event_type in enumerate(("message.added", "tool.called", "error.occurred", "session.ended", FENCES)):
        write(raw_entry(("type", event_type), ("session_id", FENCES), *fields.items(), entry_id=f"100{number}-1"))
    session_id = FENCES.strip()
    text = in_transcript(browser, session_id)
    found = structure(text)
    assert [each[:2] for each in found] == ["h1", "h2", *["h3"] * 5, "h2", "hr"]
    assert found[-2] == "h2 Notes"
    values = [value for _, value in shown_fields(in_file(browser, session_id))]
    assert values.count(" ".join(FENCES.split())) == 10 * 5 + 1  # the session and nine fields of each, and one type


def test_bytes_are_base64_and_a_megabyte_is_whole(browser: Client, write: Write) -> None:
    long = "a & b < " * 131_072
    write(
        raw_entry(("session_id", "s"), ("content", b"\xff\xfe\x00"), (b"\xff", "v"), entry_id="1000-1"),
        raw_entry(("session_id", "s"), ("type", "message.added"), ("content", long), entry_id="1001-1"),
    )
    file = in_file(browser, "s")
    assert shown_fields(file) == [
        ("session_id", "s"),
        ("content", "Not UTF-8 (3 B), base64 //4A"),
        ("/w== as base64", "v"),
        ("session_id", "s"),
        ("type", "message.added"),
        ("content", long.strip()),
    ]
    assert long in in_transcript(browser, "s")


def test_gaps_stand_where_the_entries_were_and_make_it_incomplete(browser: Client, write: Write, index: Index) -> None:
    write(*(entry(f"{i}000-1", type="message.added", session_id="s", content=f"m{i}") for i in range(1, 4)))
    index()
    Gap.objects.create(
        position=GroupPosition.objects.get(group="evdash-audit", stream__name=STREAM),
        kind=Gap.Kind.REMOVED,
        first_id=EntryId.parse("1000-2"),
        last_id=EntryId.parse("2000-0"),
        entries=7,
        noticed_at="2026-01-01T00:00:00Z",
    )
    file, text = in_file(browser, "s"), in_transcript(browser, "s")
    [sentence] = file.texts(".completeness.is-incomplete")
    assert f"- Completeness: {sentence}\n" in text
    for reason in ("1 gap may include events of this session", "first event is not session.started", "had not ended"):
        assert reason in sentence
    assert [name == "gap" for name in file.values("class", ".rows > li")] == [False, True, False, False]
    [words] = file.texts("li.gap bdi")
    assert words.startswith("Gap: 7 entries of memory:events were removed")
    assert text.rindex("m1") < text.index(words) < text.rindex("m2")


def test_a_gap_after_the_last_event_matters_until_the_session_has_ended(
    browser: Client, write: Write, index: Index
) -> None:
    write(
        entry("1000-1", type="session.started", session_id="s"),
        entry("2000-1", type="message.added", session_id="s", content="the newest"),
    )
    index()
    assert in_file(browser, "s").has(".completeness:not(.is-incomplete)")
    Gap.objects.create(
        position=GroupPosition.objects.get(group="evdash-audit", stream__name=STREAM),
        kind=Gap.Kind.REMOVED,
        first_id=EntryId.parse("3000-0"),
        last_id=EntryId.parse("4000-0"),
        entries=29,
        noticed_at="2026-01-01T00:00:00Z",
    )
    file, text = in_file(browser, "s"), in_transcript(browser, "s")
    [sentence] = file.texts(".completeness.is-incomplete")
    assert f"- Completeness: {sentence}\n" in text
    assert "1 gap may include events of this session" in sentence
    assert [name == "gap" for name in file.values("class", ".rows > li")] == [False, False, True]
    assert text.index("the newest") < text.index("Gap: 29 entries of memory:events")

    write(entry("2500-1", type="session.ended", session_id="s", outcome="resolved", stream="other"))
    index(("other",))
    assert in_file(browser, "s").has(".completeness:not(.is-incomplete)")
    assert "Gap:" not in in_transcript(browser, "s")


def test_a_call_without_a_return_is_named(browser: Client, write: Write) -> None:
    write(entry("1000-1", type="tool.called", session_id="s", tool="find", call_id="c1"))
    assert "## Calls without a return\n\n- `find`, entry `1000-1`" in in_transcript(browser, "s")


def test_duplicates_are_told(browser: Client, write: Write) -> None:
    for entry_id in ("1000-1", "1001-1"):
        write(entry(entry_id, type="message.added", session_id="s", content="hello", id="the-same"))
    assert in_file(browser, "s").values("id", "li.is-duplicate") == ["e-1001-1@memory%3Aevents"]
    assert in_transcript(browser, "s").count("Duplicate (producer retry), not counted.") == 1


def test_the_export_is_made_in_pieces(browser: Client, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "CHUNK_EVENTS", 2)
    write(*(entry(f"{i}000-1", type="message.added", session_id="s", content=f"m{i}") for i in range(1, 8)))
    for ending in ("export.html", "transcript.md"):
        pieces = list(browser.get(f"/sessions/s/{ending}").streaming_content)  # type: ignore[attr-defined]
        assert len([piece for piece in pieces if re.search(rb"\bm\d\b", piece)]) >= 4
    assert re.findall(r"\bm\d\b", in_transcript(browser, "s")) == [f"m{i}" for i in range(1, 8)]


@pytest.mark.parametrize("name", [*AWKWARD, "x/transcript.md"])
def test_a_session_of_any_name_is_exported(browser: Client, write: Write, name: str) -> None:
    write(raw_entry(("type", "a"), ("session_id", name), ("n", "mine")))
    assert ("n", "mine") in shown_fields(in_file(browser, name))
    assert "mine" in in_transcript(browser, name)
    disposition = browser.get(f"{session_address(name)}export.html")["Content-Disposition"]
    assert re.fullmatch(r'attachment; filename="session-[\w.-]*\.html"', disposition, re.ASCII)


def test_what_cannot_be_exported_says_so(filled: Client) -> None:
    for ending in ("export.html", "transcript.md"):
        answer = filled.get(f"/sessions/nobody/{ending}")
        assert answer.status_code == 404
        assert answer.content.startswith(b"Session not found.")
        assert Client().get(f"/sessions/s-1/{ending}").status_code == 401


def test_a_program_with_a_token_is_named(filled: Client) -> None:
    token = create_token("nightly")
    answer = Client().get("/sessions/s-1/transcript.md", headers={"Authorization": f"Bearer {token}"})
    assert b"by `the program with the token nightly`" in b"".join(answer.streaming_content)  # type: ignore[attr-defined]


def test_the_command_writes_each_format(filled: Client, tmp_path: Path) -> None:
    for kind, wanted in (("ndjson", '"entry_id"'), ("markdown", "# Session `s-2`"), ("html", "<!doctype html>")):
        path = tmp_path / f"s.{kind}"
        call_command("export_session", "s-2", "--format", kind, "--output", str(path))
        assert wanted in path.read_text()
        assert "no seats" in path.read_text()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["s.html", "s.markdown", "s.ndjson"]


def test_the_command_writes_to_the_standard_output(filled: Client, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    call_command("export_session", "s-2", "--format", "markdown")
    assert capfdbinary.readouterr().out.startswith(b"# Session `s-2`")


def test_the_command_leaves_nothing_half_written(filled: Client, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="Session not found"):
        call_command("export_session", "nobody", "--output", str(tmp_path / "x"))
    with pytest.raises(CommandError, match="is not writable"):
        call_command("export_session", "s-1", "--output", str(tmp_path / "missing" / "x"))
    assert list(tmp_path.iterdir()) == []


def test_calls_are_paired_as_everywhere(browser: Client, write: Write) -> None:
    def of(second: int, **fields: str) -> Entry:
        return entry(f"{second}000-0", session_id="s", **fields)

    write(
        of(1, type="tool.called", tool="find"),  # without an ID: by tool and order
        of(2, type="tool.called", tool="find", id="e2"),
        of(3, type="tool.called", tool="find", id="e2"),  # a retry's duplicate begins no call
        of(4, type="tool.returned", tool="find"),
        of(5, type="tool.called", tool="pay", call_id="c"),
        of(6, type="tool.called", tool="pay", tool_call_id="c"),  # the ID again: the first one ends
        of(7, type="error.occurred", tool="pay", call_id="c"),
        of(8, type="search.performed", query="rooms", results="3"),  # complete in itself
        of(9, type="tool.called", tool="book", call_id="d", result="done"),
        of(10, type="tool.returned", call_id="e"),
        of(11, type="tool.called", tool="late", call_id="e"),
    )
    text = in_transcript(browser, "s")
    assert re.findall(r"Return of the call in entry `(\d)000-0`", text) == ["1", "5"]
    assert re.findall(r"The return is in entry `(\d+)000-0`", text) == ["10"]
    assert text[text.index("## Calls without a return") :].startswith(
        "## Calls without a return\n\n- `find`, entry `2000-0`\n- `pay`, entry `6000-0`\n\n## Notes"
    )


def accesses() -> list[tuple[str, str, str, bool]]:
    return [(one.begun.who, one.title, one.outcome, one.succeeded) for one in recent(10)]


def test_the_audit_log_says_who_took_what_along_and_how_much(
    filled: Client, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    program = {"Authorization": f"Bearer {create_token('billing')}"}
    html = filled.get("/sessions/s-1/export.html").getvalue()
    lines = Client().get("/events.csv?user=u-1&errors=1", headers=program).getvalue()
    call_command("export_session", "s-1", "--format", "ndjson")
    written = capsysbinary.readouterr().out
    assert accesses() == [
        (
            getpass.getuser(),
            "Export events in session s-1 as NDJSON",
            f"Exported 6 events ({len(written):,} bytes).",
            True,
        ),
        (
            "the program with the token billing",
            "Export errors of user u-1 as CSV",
            f"Exported 0 events ({len(lines):,} bytes).",
            True,
        ),
        ("the reader", "Export events in session s-1 as HTML file", f"Exported 6 events ({len(html):,} bytes).", True),
        (getpass.getuser(), "Create token billing", "", True),
    ]
    page = parse_page(filled.get("/audit-log/"))
    assert page.table("table.accesses")[1]["What"] == "Export errors of user u-1 as CSV Open exported events"
    filled.get("/sessions/nobody/transcript.md")
    filled.get("/events.ndjson?usr=u-1")
    assert len(accesses()) == 4


@pytest.mark.django_db(transaction=True)  # to close an answer closes its connection
def test_an_export_that_breaks_off_or_is_not_taken_is_told_as_such(
    filled: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    abandoned = filled.get("/events.ndjson")
    assert [one.is_open for one in recent(10)] == [True]
    abandoned.close()

    def outage(*_: object) -> Iterator[bytes]:
        yield b"a line\n"
        raise StreamsUnavailable("Redis is away.")

    monkeypatch.setattr(exports, "ndjson_lines", outage)
    given = filled.get("/events.ndjson").getvalue()
    assert given == b'a line\n{"incomplete": true, "reason": "Redis is away."}\n'
    assert accesses()[0][2:] == ("Interrupted after 0 events (7 bytes): Redis is away.", False)


ADDRESSES = (
    "/events.ndjson",
    "/events.csv",
    "/sessions/s-1/export.html",
    "/sessions/s-1/transcript.md",
    "/users/ada/export.html",
)


@pytest.mark.django_db(transaction=True)  # to close an answer closes its connection
@pytest.mark.parametrize("where", ADDRESSES)
def test_an_export_whose_reader_leaves_is_told_with_its_events(
    filled: Client, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.setattr(eventlog_export, "CHUNK_EVENTS", 2)
    monkeypatch.setattr(export, "CHUNK_EVENTS", 2)
    answer = filled.get(where)
    pieces = iter(answer.streaming_content)  # type: ignore[attr-defined]
    received = next(pieces) + next(pieces) + next(pieces)
    answer.close()
    assert received
    [(_, _, outcome, succeeded)] = accesses()
    events = 4 if where == "/events.ndjson" else 2  # sent whole; the others begin with a head
    assert outcome.startswith(f"Interrupted after {events} events (")
    assert outcome.endswith(" bytes): the client disconnected.")
    assert not succeeded


@pytest.mark.parametrize("where", ADDRESSES)
def test_an_export_that_a_stop_cuts_says_so_at_its_end(
    filled: Client, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.setattr(eventlog_export, "CHUNK_EVENTS", 2)
    monkeypatch.setattr(export, "CHUNK_EVENTS", 2)
    answer = filled.get(where)
    pieces = iter(answer.streaming_content)  # type: ignore[attr-defined]
    next(pieces), next(pieces)
    answer.break_off("evdash was stopped.")  # type: ignore[attr-defined]
    [last] = list(pieces)
    form = {"ndjson": "NDJSON", "csv": "CSV", "html": "HTML file", "md": "transcript"}[where.rpartition(".")[2]]
    assert last.decode() == incomplete_line(form, "evdash was stopped.")
    [(_, _, outcome, succeeded)] = accesses()
    events = 4 if where == "/events.ndjson" else 2
    assert outcome.startswith(f"Interrupted after {events} events (")
    assert outcome.endswith(" bytes): evdash was stopped.")
    assert not succeeded


@pytest.fixture
def stopped_in_the_middle(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An export in a terminal that gets SIGTERM after its first piece."""

    def pieces(_number: int) -> Iterator[bytes]:
        yield eventlog_export.Piece.of("a line\n", 1)
        signal.raise_signal(signal.SIGTERM)
        yield b"never"

    monkeypatch.setattr(export_session, "_pieces", lambda *_: pieces)
    before = signal.getsignal(signal.SIGTERM)
    export_session._break_off_on_sigterm()
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("stopped_in_the_middle")
def test_an_export_to_a_terminal_that_is_stopped_says_so_at_its_end(
    filled: Client, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    with pytest.raises(CommandError, match=r"^The command was stopped\.$"):
        call_command("export_session", "s-1", "--format", "ndjson")
    line, last = capsysbinary.readouterr().out.splitlines()
    assert line == b"a line"
    assert json.loads(last) == {"incomplete": True, "reason": "The command was stopped."}
    assert accesses()[0][2:] == ("Interrupted after 1 event (7 bytes): The command was stopped.", False)


@pytest.mark.usefixtures("stopped_in_the_middle")
def test_an_export_to_a_file_that_is_stopped_leaves_no_file(filled: Client, tmp_path: Path) -> None:
    with pytest.raises(CommandError):
        call_command("export_session", "s-1", "--format", "ndjson", "--output", str(tmp_path / "x"))
    assert list(tmp_path.iterdir()) == []


def test_an_export_that_had_ended_before_the_stop_is_complete(filled: Client) -> None:
    answer = filled.get("/events.ndjson")
    pieces = iter(answer.streaming_content)  # type: ignore[attr-defined]
    next(pieces)
    answer.break_off("evdash was stopped.")  # type: ignore[attr-defined]
    assert list(pieces) == []
    assert accesses()[0][3]


def test_what_the_audit_log_cannot_take_is_not_given_out(filled: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OperationalError("disk full")

    monkeypatch.setattr(export_log, "record", full)
    for path in ("/events.ndjson", "/sessions/s-1/transcript.md"):
        answer = filled.get(path)
        assert answer.status_code == 503
        assert answer.content == b"Not exported: the audit log is not writable. The database disk is full.\n"
