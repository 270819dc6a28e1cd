"""Outcomes of sessions, of the log joined with the streams, compared with a plain fold."""

from __future__ import annotations

import pytest
import redis

from evdash.eventlog import selections
from evdash.eventlog.selections import ListPosition
from evdash.events.filters.event_filter import EventFilter
from evdash.events.filters.summary_filter import SESSIONS, Selection, SummaryFilter
from evdash.events.summaries import Outcome
from evdash.web.event_list.list_query import with_outcome
from tests.builders import entry
from tests.eventlog.conftest import MakeReader, MakeWorker, write
from tests.web.test_outcomes import COUNTED, ENDS, WRITTEN

pytestmark = pytest.mark.django_db


def of_outcome(outcome: Outcome, text: str = "") -> Selection:
    return Selection(SummaryFilter(SESSIONS, with_outcome(EventFilter.parse(text), outcome)))


@pytest.mark.parametrize("batches", [0, 1, 2, 3, 9])
def test_outcomes_are_those_of_a_plain_fold_wherever_the_log_ends(
    valkey: redis.Redis, make_worker: MakeWorker, make_reader: MakeReader, batches: int
) -> None:
    write(valkey, WRITTEN)
    if batches:
        worker = make_worker(batch_size=4)
        worker.connect()
        for _ in range(batches):
            worker.step()
    reader = make_reader()
    found = reader.session_list()[1].outcomes
    assert (dict(found.counts), found.is_complete) == (COUNTED, True)
    assert [number for _, number in found.counts] == sorted(COUNTED.values(), reverse=True)
    for outcome, number in COUNTED.items():
        wanted = [name for name, end in ENDS.items() if (end or "", end is not None) == outcome]
        chosen = of_outcome(outcome)
        assert sorted(each.session_id for each in reader.sessions(chosen).sessions) == wanted
        assert len(reader.sessions(of_outcome(outcome, "user:u")).sessions) == number
        listed, before = [], None
        for _ in range(number):
            page = reader.sessions(chosen, ListPosition(before=before, limit=1))
            listed += [each.session_id for each in page.sessions]
            before = page.older
        assert (sorted(listed), before) == (wanted, None)


def test_far_behind_only_the_newest_uncommitted_sessions_are_counted(
    valkey: redis.Redis, make_reader: MakeReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selections, "UNLOGGED_MAX", 3)
    write(valkey, WRITTEN)
    found = make_reader().session_list()[1].outcomes
    assert (sum(number for _, number in found.counts), found.is_complete) == (3, False)


def test_a_session_of_a_user_that_another_entry_has_just_ended_has_this_outcome(
    valkey: redis.Redis, make_worker: MakeWorker, make_reader: MakeReader
) -> None:
    write(valkey, [entry("1-0", type="message.added", session_id="s", user_id="u")])
    worker = make_worker()
    worker.connect()
    worker.step()
    write(valkey, [entry("2-0", type="session.ended", session_id="s", outcome="resolved")])
    reader = make_reader()
    found = {
        outcome: [each.session_id for each in reader.sessions(of_outcome(outcome, "user:u")).sessions]
        for outcome in (Outcome("resolved", True), Outcome("", False))
    }
    assert list(found.values()) == [["s"], []]
