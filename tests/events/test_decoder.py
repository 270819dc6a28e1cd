"""A change of what entries are decoded to has a new version, so that workers decode older rows again."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from evdash.events import decoding, wire_profile
from evdash.events.decoder import fingerprint
from evdash.events.decoding import DECODER_VERSION, decode
from evdash.events.entry import Entry
from evdash.events.event import Event
from evdash.events.filters.search_text import search_text
from evdash.events.upcasters import UPCASTERS, UpcastersInvalid, load
from tests.builders import entry, raw_entry

# The hash of the results below, by version. A version never changes its results: add a line for a new one.
RESULTS = {
    1: "ac07472c91a4773ce532db79fbd9b26d",
    2: "57be6447baf0d4b8a7501b786280fe08",
    3: "dab854a2aa30e8edcef8347861a14103",
}

MESSAGE = {"type": "message.added", "session_id": "s-1", "user_id": "u-1", "role": "user", "content": "Straße İ"}
ENTRIES: tuple[Entry, ...] = (
    entry(),
    entry(**MESSAGE),
    entry(**MESSAGE, id="e-1", timestamp="2026-11-23T12:00:00+02:00", tokens="12", agent="planner", model="m-1"),
    entry(**MESSAGE, event_id="e-2", ts="1764000000123", input_tokens="3", output_tokens="4", agent_name="writer"),
    entry(event_type="tool.called", sessionId="s", userId="u", tool_name="search", latency_ms="12.5", level="WARN"),
    entry(event="tool.returned", tool="search", data='{"latency_ms": 7, "agent_id": "a", "nested": {"x": [1, null]}}'),
    entry(type="error.occurred", error_message="No seat on flight 12", error_code="E1", occurred_at="1764000000"),
    entry(type="error.occurred", reason="no reason", code="E2", created_at="0001-01-01T00:00:00Z"),
    entry(type="x", error="none", severity="fatal"),
    entry(type="x", error="false", level="notice", message="nothing"),
    entry(type="x", simulated="1", data="[1, 2]", latency_ms="-", tokens="many"),
    entry(type="x", data='{"a": ' + "{" * 2000),
    entry(type="long " * 100, session_id="nul\0", user_id=b"\xff\xfe", timestamp="9999-12-31T23:59:59Z"),
    entry("18446744073709551615-0", "other", type="x", id="e-1"),
    raw_entry(("type", "first"), ("type", "last"), ("Naïve", "ünï")),
    entry(type="message.added", schema_version="1", text="hello", sender="user", duration_s="0.412"),
    entry(type="tool.called", v="1", name="search", args='{"q": 1}'),
    entry(type="session.ended", version="1", status="resolved"),
    entry(type="search.performed", schema_version="1", q="flights", hits="3"),
    entry(type="summary.created", schema_version="1", content="It went well."),
    entry(type="error.occurred", schema_version="1", message="no", kind="E1"),
    entry(type="x", schema_version="1000"),
    entry(
        payload='{"type": "message.added", "conversationId": "s", "user": {"id": "u"}, "content": [{"type": "text"}]}'
    ),
    entry(type="llm.called", run_id="r", usage='{"prompt_tokens": 3, "completion_tokens": 4}', durationMs="9"),
    entry(
        type="tool.returned", success="false", data='{"error": {"message": "no", "code": 429}, "a": {"b": [1, "x"]}}'
    ),
    entry(
        type="message.added", content='[{"type": "tool_use", "id": "c", "name": "get", "input": {}}]', time="20251120"
    ),
    entry(type="job.failed", name="tool", content="cafe\u0301 \ufb01"),
    entry(type="tool.called", toolName="x", session_id=" s ", data=b'{"user_id": "u\xe9"}'),
)


def result(event: Event) -> list[object]:
    """Return the event's properties that tables can hold, and the derived values of its row."""
    names = [name for name in event._fields if name not in ("entry", "shown_apart", "remarks", "profile")]
    return [*((name, getattr(event, name)) for name in names), search_text(event)]


def test_other_results_have_another_version() -> None:
    results = repr([result(decode(each)) for each in ENTRIES])
    found = hashlib.sha256(results.encode()).hexdigest()[:32]
    assert DECODER_VERSION in RESULTS, (
        f'Version {DECODER_VERSION} is new: write {{{DECODER_VERSION}: "{found}"}} into RESULTS.'
    )
    assert RESULTS[DECODER_VERSION] == found, (
        f"Entries are not decoded as in DECODER_VERSION {DECODER_VERSION}. Rows of the event log would disagree with "
        f"pages. Raise DECODER_VERSION in evdash/events/decoding.py to {DECODER_VERSION + 1}, and write "
        f'{{{DECODER_VERSION + 1}: "{found}"}} into RESULTS. Until a version is released, change its hash instead.'
    )


def test_the_fingerprint_is_that_of_version_profile_and_upcasters(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {fingerprint()}
    assert fingerprint() in found
    monkeypatch.setattr(decoding, "DECODER_VERSION", DECODER_VERSION + 1)
    found.add(fingerprint())
    monkeypatch.setattr(wire_profile, "DEFAULT_PROFILE", replace(wire_profile.DEFAULT_PROFILE, agent=("agent",)))
    found.add(fingerprint())
    monkeypatch.setattr(UPCASTERS, "own_version", "version 1")
    found.add(fingerprint())
    assert len(found) == 4
    assert all(len(each) == 32 for each in found)


def version_of(module: str, text: str, directory: Path) -> str:
    """Return the version of upcasters with this text, loaded as by a new process."""
    (directory / f"{module}.py").write_text(text)
    sys.modules.pop(module, None)
    load(module)
    return UPCASTERS.own_version


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(UPCASTERS, "own_version", "")
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return tmp_path


def test_the_text_of_upcasters_is_their_version(directory: Path) -> None:
    one = version_of("steps_one", "A = 1\n", directory)
    assert one
    assert version_of("steps_two", "A = 1\n", directory) == one
    assert version_of("steps_three", "A = 2\n", directory) != one


def test_a_declared_version_counts_instead_of_the_text(directory: Path) -> None:
    one = version_of("steps_four", "VERSION = 1\n", directory)
    assert version_of("steps_five", "VERSION = 1\nA = 2\n", directory) == one
    assert version_of("steps_six", "VERSION = 2\n", directory) != one


def test_upcasters_whose_changes_cannot_be_noticed_are_refused(directory: Path) -> None:
    with pytest.raises(UpcastersInvalid, match="has no source text and no VERSION"):
        load("itertools")
