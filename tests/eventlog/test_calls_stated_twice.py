"""A call that an event of its own and a message both state is one call, in lists as in the state of the session."""

from __future__ import annotations

import json

import pytest
import redis

from evdash.events.decoding import decode
from evdash.events.deduplication import changes
from evdash.events.entry import Entry
from evdash.events.session.reducer import fold_all
from evdash.ingest.rebuild import rebuild
from evdash.replay.sandbox_contents import Contents
from tests.builders import STREAM, entry
from tests.eventlog.conftest import MakeReader, MakeWorker, write

pytestmark = pytest.mark.django_db


def message(entry_id: str, session: str, *call_ids: str, **more: str) -> Entry:
    """A message that asks for these calls, as OpenAI's API writes it."""
    calls = [{"id": each, "type": "function", "function": {"name": "book", "arguments": "{}"}} for each in call_ids]
    return entry(
        entry_id, type="message.added", role="assistant", session_id=session, tool_calls=json.dumps(calls), **more
    )


def step(entry_id: str, session: str, name: str, call_id: str, **more: str) -> Entry:
    return entry(entry_id, type=f"tool.{name}", session_id=session, tool="book", call_id=call_id, **more)


WRITTEN = [
    # both: 3 calls, of which the last is stated by the message alone
    message("1-0", "both", "c1", "c2", "c3"),
    step("2-0", "both", "called", "c1"),
    step("3-0", "both", "called", "c2"),
    step("4-0", "both", "returned", "c1"),
    step("5-0", "both", "returned", "c2"),
    # again: one ID for two calls, each stated twice; the event first, the second time
    message("6-0", "again", "c1"),
    step("7-0", "again", "called", "c1"),
    step("8-0", "again", "returned", "c1"),
    step("9-0", "again", "called", "c1"),
    message("10-0", "again", "c1"),
    step("11-0", "again", "returned", "c1"),
    # written twice by their producer
    message("12-0", "twice", "c1", id="m"),
    message("13-0", "twice", "c1", id="m"),
    step("14-0", "twice", "called", "c1", id="e"),
    step("15-0", "twice", "called", "c1", id="e"),
    # one way each
    step("16-0", "events", "called", "c1"),
    message("17-0", "messages", "c1", "c2"),
]
CALLS = {"both": 3, "again": 2, "twice": 1, "events": 1, "messages": 2}


@pytest.mark.parametrize("batches", range(0, 10, 3))
def test_lists_count_it_once_wherever_the_log_ends(
    valkey: redis.Redis, make_worker: MakeWorker, make_reader: MakeReader, batches: int
) -> None:
    write(valkey, WRITTEN)
    if batches:
        worker = make_worker(batch_size=2)
        worker.connect()
        for _ in range(batches):
            worker.step()
    reader = make_reader()
    assert {each.session_id: each.tool_calls for each in reader.sessions().sessions} == CALLS
    for session_id, calls in CALLS.items():
        summary = reader.session(session_id)
        assert summary is not None
        assert summary.tool_calls == calls


def test_a_rebuild_counts_it_once(
    valkey: redis.Redis, valkey_url: str, make_worker: MakeWorker, make_reader: MakeReader
) -> None:
    write(valkey, WRITTEN)
    worker = make_worker()
    worker.connect()
    worker.step()
    rebuild(worker.projection, valkey_url, [STREAM])
    assert {each.session_id: each.tool_calls for each in make_reader().sessions().sessions} == CALLS


def test_the_state_and_a_sandbox_count_the_same() -> None:
    events = [decode(each) for each in WRITTEN]
    contents = Contents(events, 0, is_all=True)
    assert {name: summary.tool_calls for name, summary in contents.sessions.items()} == CALLS
    counted = [change.event for change in changes(events, {}) if change.counts]
    for session_id, calls in CALLS.items():
        own = sorted((each for each in counted if each.session_id == session_id), key=lambda each: each.entry_id)
        assert fold_all(own).totals.tool_calls == calls
