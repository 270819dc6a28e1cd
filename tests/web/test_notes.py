"""Notes: written, changed and deleted by their authors, and never silently."""

from __future__ import annotations

import pytest
import redis
from django.contrib.auth.models import User
from django.test import Client

from evdash.eventlog.models import AgentSession, LoggedEvent, Stream
from evdash.notes import writing
from evdash.web.links import notes_address, session_address
from tests.builders import STREAM, entry, raw_entry
from tests.web.conftest import Index, Write
from tests.web.parsed_page import Page, parse_page
from tests.web.test_bad_input import AWKWARD

SESSION = "/sessions/s-1/"
EVENT = f"/events/{STREAM.replace(':', '%3A')}/1700000000000-0/"


@pytest.fixture
def filled(browser: Client, write: Write) -> Client:
    """A reader's browser on a session of two events."""
    write(
        entry(type="session.started", session_id="s-1", user_id="ada"),
        entry("1700000000001-0", type="error.occurred", session_id="s-1", error="no seats"),
    )
    return browser


def other_person() -> Client:
    client = Client()
    client.force_login(User.objects.create_user("somebody else"), backend="django.contrib.auth.backends.ModelBackend")
    return client


def notes(page: Page) -> list[str]:
    """The texts of the notes on the page, without earlier versions."""
    return page.texts(".notes .note .prose")


def test_a_note_on_a_session_is_there_with_author_and_markdown(filled: Client) -> None:
    assert parse_page(filled.get(SESSION)).values("action", ".note-new form") == [f"{SESSION}notes"]
    answer = filled.post(f"{SESSION}notes", {"text": "It **failed** twice.\r\n\r\nTwice!"})
    assert answer.status_code == 302
    page = parse_page(other_person().get(SESSION))
    assert answer["Location"].removeprefix(f"{SESSION}#") in page.values("id")
    assert page.texts(".note-head b") == ["the reader"]
    assert page.texts(".note .prose p") == ["It failed twice.", "Twice!"]
    assert page.texts(".note .prose strong") == ["failed"]
    assert not page.has(".note-change")


def test_a_note_on_an_event_is_on_its_page_in_its_row_and_on_its_session(filled: Client) -> None:
    answer = filled.post(f"{EVENT}notes", {"text": "where it began"})
    assert answer["Location"].removeprefix(f"{EVENT}#") in parse_page(filled.get(EVENT)).values("id")
    assert notes(parse_page(filled.get(EVENT))) == ["where it began"]
    assert notes(parse_page(filled.get(EVENT, {"part": "opened"}))) == ["where it began"]
    session = parse_page(filled.get(SESSION))
    assert notes(session) == ["where it began"]
    assert session.links["entry 1700000000000-0"] == EVENT
    assert notes(parse_page(filled.get(EVENT.replace("0-0", "1-0")))) == []


def test_what_is_written_from_an_opened_row_comes_back_in_its_place(filled: Client) -> None:
    headers = {"HX-Request": "true"}
    answer = filled.post(f"{EVENT}notes", {"text": "in place"}, headers=headers)
    part = parse_page(answer)
    assert part.values("class", "body > ") == ["notes"]
    assert notes(part) == ["in place"]
    refused = parse_page(filled.post(f"{EVENT}notes", {"text": "x" * 10_001}, headers=headers), 400)
    assert refused.notices == [("error", "Note not saved. The note has 10,001 characters; the limit is 10,000.")]
    assert refused.texts("textarea") == ["x" * 10_001]


@pytest.mark.parametrize("text", ["", " \r\n ", "x" * 10_001])
def test_a_note_that_is_not_taken_says_why_and_loses_nothing(filled: Client, text: str) -> None:
    page = parse_page(filled.post(f"{SESSION}notes", {"text": text}), 400)
    assert [level for level, _ in page.notices] == ["error"]
    assert page.texts("textarea") == [text.strip()]
    untouched = parse_page(filled.get(SESSION))
    assert (untouched.notices, notes(untouched)) == ([], [])


def test_the_same_note_sent_twice_is_one(filled: Client) -> None:
    for _ in range(2):
        filled.post(f"{SESSION}notes", {"text": "once"})
    assert notes(parse_page(filled.get(SESSION))) == ["once"]


def test_only_so_many_notes_are_on_one_thing(filled: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "NOTES_ON_ONE", 2)
    filled.post(f"{SESSION}notes", {"text": "one"})
    filled.post(f"{SESSION}notes", {"text": "two"})
    page = parse_page(filled.post(f"{SESSION}notes", {"text": "three"}), 400)
    [(level, refusal)] = page.notices
    assert (level, "At most 2 notes" in refusal) == ("error", True)
    assert notes(page) == ["one", "two"]


def test_a_change_keeps_what_was_said_before_where_everybody_reads_it(filled: Client) -> None:
    filled.post(f"{SESSION}notes", {"text": "the first words"})
    address = parse_page(filled.get(SESSION)).links["Edit"]
    form = parse_page(filled.get(address))
    assert form.texts("textarea") == ["the first words"]
    assert filled.post(address, {"text": "better words", "seen": "1"})["Location"].startswith(f"{SESSION}#note-")
    page = parse_page(filled.get(SESSION))
    assert notes(page) == ["better words"]
    assert page.has(f".note-head a[href='{address}#former']")
    assert parse_page(other_person().get(address)).texts("#former .prose") == ["the first words"]


def test_a_change_of_what_was_changed_in_another_window_is_refused_and_kept_in_the_form(filled: Client) -> None:
    filled.post(f"{SESSION}notes", {"text": "one"})
    address = parse_page(filled.get(SESSION)).links["Edit"]
    filled.post(address, {"text": "two", "seen": "1"})
    page = parse_page(filled.post(address, {"text": "three", "seen": "1"}), 409)
    [(level, refusal)] = page.notices
    assert (level, "changed in another window" in refusal) == ("error", True)
    assert page.texts("textarea") == ["three"]
    assert page.values("value", "[name=seen]") == ["2"]
    assert notes(parse_page(filled.get(SESSION))) == ["two"]


def test_nobody_changes_or_deletes_the_note_of_another(filled: Client) -> None:
    filled.post(f"{SESSION}notes", {"text": "mine"})
    address = parse_page(filled.get(SESSION)).links["Edit"]
    other = other_person()
    assert not parse_page(other.get(address)).has("main form")
    refused = "Only the author the reader can edit or delete this note."
    for verb, answer in (
        ("changed", other.post(address, {"text": "yours", "seen": "1"})),
        ("deleted", other.post(f"{address}delete")),
    ):
        assert parse_page(answer, 409).notices == [("error", f"Note not {verb}. {refused}")]
    assert notes(parse_page(filled.get(SESSION))) == ["mine"]


def test_a_deleted_note_leaves_who_and_when_and_not_a_word(filled: Client) -> None:
    filled.post(f"{SESSION}notes", {"text": "her password is hunter2"})
    address = parse_page(filled.get(SESSION)).links["Edit"]
    filled.post(address, {"text": "her password is gone", "seen": "1"})
    assert filled.get(f"{address}delete").status_code == 405
    filled.post(f"{address}delete")
    for page in (parse_page(filled.get(SESSION)), parse_page(filled.get(address))):
        assert page.texts(".note.is-deleted .note-head b") == ["the reader"]
        assert len(page.all(".note.is-deleted time")) == 2  # written and deleted
        assert notes(page) == []
        assert "her password" not in page.html
    again = parse_page(filled.post(address, {"text": "back", "seen": "0"}), 409)
    assert again.notices == [("error", "Note not changed. The note is deleted.")]


def test_the_audit_log_has_every_change_and_no_text_of_it(filled: Client) -> None:
    filled.post(f"{SESSION}notes", {"text": "the words themselves"})
    address = parse_page(filled.get(SESSION)).links["Edit"]
    filled.post(address, {"text": "other words", "seen": "1"})
    filled.post(f"{address}delete")
    page = parse_page(filled.get("/audit-log/"))
    for title in ("Added a note on session s-1", "Edited the note on session s-1", "Deleted the note on session s-1"):
        assert title in page.links
        assert parse_page(filled.get(page.links[title])).links["Open note"] == address
    assert "words" not in page.html


def test_notes_outlive_trimming_and_a_rebuilt_log(filled: Client, index: Index, valkey: redis.Redis) -> None:
    filled.post(f"{SESSION}notes", {"text": "on the session"})
    filled.post(f"{EVENT}notes", {"text": "on the event"})
    index()
    valkey.execute_command("XTRIM", STREAM, "MAXLEN", "0")
    assert notes(parse_page(filled.get(EVENT))) == ["on the event"]
    LoggedEvent.objects.all().delete()
    AgentSession.objects.all().delete()
    assert Stream.objects.exists()
    assert notes(parse_page(filled.get(f"{EVENT}notes"))) == ["on the event"]
    assert notes(parse_page(filled.get(f"{SESSION}notes"))) == ["on the session", "on the event"]


def test_no_note_is_taken_on_what_nobody_knows(filled: Client) -> None:
    for answer, subject in (
        (filled.post("/sessions/nobody/notes", {"text": "x"}), "nobody"),
        (filled.post(f"/events/{STREAM}/5-5/notes", {"text": "x"}), f"5-5 of {STREAM}"),
        (filled.get("/notes/999/"), "999"),
        (filled.post("/notes/999/delete"), "999"),
    ):
        assert parse_page(answer, 404).texts(".said-subject") == [subject]


@pytest.mark.parametrize("name", [*AWKWARD, "x/notes", "x/transcript.md", "x/export.html"])
def test_a_session_of_any_name_takes_notes_and_is_not_taken_for_another(
    browser: Client, write: Write, name: str
) -> None:
    write(raw_entry(("type", "a"), ("session_id", name)), raw_entry(("session_id", "x"), entry_id="1800000000000-0"))
    browser.post(notes_address(name), {"text": "on this one"})
    assert notes(parse_page(browser.get(session_address(name)))) == ["on this one"]
    assert notes(parse_page(browser.get("/sessions/x/"))) == []


def test_hostile_text_stays_text(filled: Client) -> None:
    filled.post(f"{SESSION}notes", {"text": "<script>alert(1)</script> a\u202eb ```` ` \x01 🙂 " + "<b>" * 3_000})
    page = parse_page(filled.get(SESSION))
    assert "<script>alert" not in page.html
    assert "\u202e" not in page.html
    assert "🙂" in notes(page)[0]


def test_a_note_needs_the_token_of_its_form_and_a_person(filled: Client) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(User.objects.get(username="the reader"), backend="django.contrib.auth.backends.ModelBackend")
    assert strict.post(f"{SESSION}notes", {"text": "forged"}).status_code == 403
    assert Client().post(f"{SESSION}notes", {"text": "a stranger"})["Location"].startswith("/sign-in/")
    assert notes(parse_page(filled.get(SESSION))) == []
