"""Namespaces keep the session IDs of streams apart."""

from __future__ import annotations

import pytest

from evdash.events import decoder, namespaces
from evdash.events.deduplication import CountChange
from evdash.events.error_groups import error_groups_of
from evdash.events.namespaces import parse_namespaces
from tests.builders import event


def test_a_namespace_is_before_the_session_ids_of_its_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    before = decoder.fingerprint()
    monkeypatch.setitem(namespaces.NAMESPACES, "billing:events", "billing")
    assert event(stream="billing:events", session_id="s-1").session_id == "billing/s-1"
    assert event(stream="billing:events").session_id == ""
    assert event(session_id="s-1").session_id == "s-1"
    assert decoder.fingerprint() != before  # rows are decoded again


def test_a_namespace_does_not_split_groups_of_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(namespaces.NAMESPACES, "billing:events", "billing")
    for stream in ("billing:events", "memory:events"):
        errors = [
            event(stream=stream, type="error.occurred", session_id=name, error=f"session {name} is gone")
            for name in ("alpha", "omega")
        ]
        [group] = error_groups_of(map(CountChange, errors)).values()
        assert (group.masked, group.events) == ("session <session> is gone", 2)


def test_namespaces_are_written_as_stream_and_name() -> None:
    assert parse_namespaces(["a:b=c=x", "other=y"]) == {"a:b=c": "x", "other": "y"}


@pytest.mark.parametrize("text", ["billing", "=x", "billing=", "billing=a/b"])
def test_an_invalid_namespace_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not STREAM=NAMESPACE"):
        parse_namespaces([text])
