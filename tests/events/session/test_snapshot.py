"""Snapshots of long sessions, and such that cannot be read."""

from __future__ import annotations

import pytest

from evdash.events import decoding
from evdash.events.session import snapshot
from evdash.events.session.diff import diff
from evdash.events.session.reducer import fold, fold_all
from evdash.events.session.snapshot import UnreadableSnapshot, dump, load
from evdash.events.session.state import SessionState
from tests.events.session.sessions import at

EVENTS = [
    at(n, id=f"e{n}", role="user", content=f"message {n}")
    if n % 3
    else at(n, id=f"e{n}", type="tool.called", tool="find", call_id=f"c{n}")
    for n in range(1_700)
]


@pytest.fixture(scope="module")
def state() -> SessionState:
    return fold_all(EVENTS)


def test_a_snapshot_of_another_version_is_not_read(state: SessionState, monkeypatch: pytest.MonkeyPatch) -> None:
    dumped = dump(state)
    monkeypatch.setattr(snapshot, "FOLD_VERSION", 4)
    with pytest.raises(UnreadableSnapshot, match=r"begins with b'evdash session 3'; version 4 of the fold"):
        load(dumped)


def test_a_snapshot_of_another_decoders_events_is_not_read(
    state: SessionState, monkeypatch: pytest.MonkeyPatch
) -> None:
    dumped = dump(state)
    monkeypatch.setattr(decoding, "DECODER_VERSION", decoding.DECODER_VERSION + 1)
    with pytest.raises(UnreadableSnapshot, match="of another decoder"):
        load(dumped)


@pytest.mark.parametrize("damage", ["cut", "changed", "changed far behind", "longer"])
def test_a_damaged_snapshot_is_not_read(state: SessionState, damage: str) -> None:
    dumped = dump(state)
    damaged = {
        "cut": dumped[:-1],
        "changed": dumped[:40] + b"?" + dumped[41:],
        "changed far behind": dumped[:-30] + bytes([dumped[-30] ^ 1]) + dumped[-29:],
        "longer": dumped + b"x",
    }[damage]
    with pytest.raises(UnreadableSnapshot, match="is damaged"):
        load(damaged)


def test_other_bytes_are_no_snapshot() -> None:
    for other in (b"", b"{}", b"evdash session", b"\n"):
        with pytest.raises(UnreadableSnapshot, match="The snapshot begins with"):
            load(other)


def test_what_is_folded_and_compared_after_loading_leaves_the_rest_packed(state: SessionState) -> None:
    loaded = load(dump(state))
    later = fold(loaded, at(5_000, role="assistant", content="one more"))
    assert {change.path[0] for change in diff(loaded, later)} >= {"conversation", "memory", "totals"}
    assert len(later.conversation.chunks) > 10
    assert all(chunk.is_packed for chunk in loaded.conversation.chunks)


def test_a_summary_after_loading_looks_only_at_what_it_replaces(state: SessionState) -> None:
    loaded = load(dump(state))
    before = loaded.memory.context.messages.chunks
    summary = at(5_000, type="summary.created", summary="so far", message_count="20")
    later = fold(loaded, summary)
    assert [chunk.is_packed for chunk in before].count(False) == 1
    assert later == fold(state, summary)
