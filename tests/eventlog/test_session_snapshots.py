"""States of a session: the same from the start and from a snapshot, and no snapshot that the log has outgrown."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import redis

from evdash.eventlog import session_snapshots
from evdash.eventlog.gaps import record_gap
from evdash.eventlog.group_progress import lock_positions
from evdash.eventlog.log_reader import LogReader
from evdash.eventlog.models import Gap, SessionSnapshot
from evdash.events.decoding import decode
from evdash.events.entry import EntryId
from evdash.events.session.paths import as_data
from evdash.events.session.reducer import fold_all
from evdash.ingest.projections.event_log import AuditProjection
from evdash.ingest.worker import Worker
from evdash.streams.consumer_group import GroupConsumer
from tests.builders import STREAM, entry, tail_of

pytestmark = pytest.mark.django_db

GROUP = "states"


def fields(number: int) -> dict[str, str]:
    return {"type": "message.added", "session_id": "s", "role": "user", "content": f"text {number}", "tokens": "2"}


def write(valkey: redis.Redis, numbers: Sequence[int]) -> None:
    for number in numbers:
        valkey.xadd(STREAM, fields(number), id=f"{number}-0")


def index(valkey: redis.Redis) -> None:
    worker = Worker(GroupConsumer(valkey, GROUP, "c"), AuditProjection(GROUP), [STREAM], batch_size=500)
    worker.connect()
    while worker.step():
        pass


def state_at(valkey: redis.Redis, number: int) -> dict[str, object]:
    steps = list(LogReader(tail_of(valkey, STREAM, groups=[GROUP]), GROUP).session_steps("s", EntryId(number, 0)))
    return as_data(steps[-1].after)


def folded(numbers: Sequence[int]) -> dict[str, object]:
    events = [
        decode(entry(f"{n}-0", type="message.added", session_id="s", role="user", content=f"text {n}", tokens="2"))
        for n in numbers
    ]
    return as_data(fold_all(events))


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_snapshots, "KEPT_EVERY", 10)


def test_a_state_from_a_snapshot_is_the_state_from_the_start(valkey: redis.Redis) -> None:
    write(valkey, range(1, 58))
    assert state_at(valkey, 40) == folded(range(1, 41))
    assert SessionSnapshot.objects.count() == 0  # what only the stream has may still change its place
    index(valkey)
    assert state_at(valkey, 57) == folded(range(1, 58))
    assert SessionSnapshot.objects.count() == 5
    for number in (9, 10, 11, 35, 57):
        assert state_at(valkey, number) == folded(range(1, number + 1))
    steps = list(LogReader(tail_of(valkey, STREAM, groups=[GROUP]), GROUP).session_steps("s", EntryId(57, 0)))
    assert [step.after.folded for step in steps] == list(range(51, 58))


def test_a_snapshot_that_an_entry_has_come_before_is_thrown_away(valkey: redis.Redis) -> None:
    write(valkey, range(2, 60, 2))
    index(valkey)
    assert state_at(valkey, 58)["folded"] == 29
    assert SessionSnapshot.objects.count() == 2
    valkey.delete(STREAM)
    write(valkey, [3])
    valkey.xgroup_destroy(STREAM, GROUP)
    index(valkey)
    expected = sorted([*range(2, 60, 2), 3])
    assert state_at(valkey, 58) == folded(expected)


def test_long_sessions_keep_no_more_than_so_many(valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_snapshots, "KEPT_EVERY", 2)
    monkeypatch.setattr(session_snapshots, "_KEPT_MAX", 4)
    write(valkey, range(1, 101))
    index(valkey)
    assert state_at(valkey, 100) == folded(range(1, 101))
    kept = SessionSnapshot.objects.order_by("entry_id").values_list("folded", flat=True)
    assert list(kept) == [2, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96]


def test_a_state_has_as_much_history_as_is_asked_for_or_all(valkey: redis.Redis) -> None:
    write(valkey, range(1, 61))
    index(valkey)
    assert state_at(valkey, 60)["folded"] == 60
    reader = LogReader(tail_of(valkey, STREAM, groups=[GROUP]), GROUP)
    for through, history, first in [(60, 1, 51), (60, 10, 51), (60, 11, 41), (55, 25, 31), (60, 60, 1), (60, 999, 1)]:
        steps = list(reader.session_steps("s", EntryId(through, 0), history=history))
        assert [step.after.folded for step in steps] == list(range(first, through + 1))
        assert as_data(steps[-1].after) == folded(range(1, through + 1))


def test_the_state_at_the_end_is_known_when_just_that_is_kept(valkey: redis.Redis) -> None:
    write(valkey, range(1, 21))
    index(valkey)
    for _ in range(2):
        steps = list(LogReader(tail_of(valkey, STREAM, groups=[GROUP]), GROUP).session_steps("s"))
        assert steps[-1].after.folded == 20
    assert SessionSnapshot.objects.filter(folded=20).exists()


def test_a_session_that_begins_after_a_gap_and_with_no_start_may_lack_its_beginning(valkey: redis.Redis) -> None:
    write(valkey, range(5, 20))
    index(valkey)
    assert state_at(valkey, 19)["missing_before"] == 0
    SessionSnapshot.objects.all().delete()
    position = lock_positions("evdash-audit", [STREAM])[STREAM]
    record_gap(position, Gap.Kind.REMOVED, EntryId(1, 0), EntryId(3, 0), 3)
    assert [state_at(valkey, number)["missing_before"] for number in (5, 19, 19)] == [None, None, None]
    valkey.xadd(STREAM, {**fields(1), "type": "session.started", "session_id": "other"}, id="21-0")
    index(valkey)
    [*_, step] = LogReader(tail_of(valkey, STREAM, groups=[GROUP]), GROUP).session_steps("other")
    assert step.after.missing_before == 0


def test_a_gap_right_after_a_snapshot_is_in_the_states_after_it(valkey: redis.Redis) -> None:
    write(valkey, [*range(1, 11), *range(20, 26)])
    index(valkey)
    position = lock_positions("evdash-audit", [STREAM])[STREAM]
    record_gap(position, Gap.Kind.REMOVED, EntryId(10, 1), EntryId(10, 1), 1)
    plain, kept = state_at(valkey, 25), state_at(valkey, 25)
    assert SessionSnapshot.objects.count() == 1
    assert plain == kept
    assert len(kept["gaps"]) == 1  # type: ignore[arg-type]


def test_a_state_that_was_kept_before_a_gap_was_noticed_or_filled_is_thrown_away(valkey: redis.Redis) -> None:
    write(valkey, range(2, 60, 2))
    index(valkey)
    assert state_at(valkey, 58)["gaps"] == {}
    position = lock_positions("evdash-audit", [STREAM])[STREAM]
    for first in (3, 1, 59):
        record_gap(position, Gap.Kind.REMOVED, EntryId(first, 0), EntryId(first, 9), 4)
    for entries in (4, 3):
        gaps = state_at(valkey, 58)["gaps"]
        assert [gap["entries"] for gap in gaps.values()] == [entries]  # type: ignore[attr-defined]
        assert SessionSnapshot.objects.count() == 2
        Gap.objects.filter(first_id=EntryId(3, 0)).update(entries=3)


def test_another_stream_keeps_no_state_from_being_kept_unless_it_has_an_earlier_entry(valkey: redis.Redis) -> None:
    write(valkey, range(1, 58))
    index(valkey)

    def state() -> dict[str, object]:
        steps = list(
            LogReader(tail_of(valkey, STREAM, "other", groups=[GROUP]), GROUP).session_steps("s", EntryId(57, 0))
        )
        return as_data(steps[-1].after)

    assert state() == folded(range(1, 58))
    assert SessionSnapshot.objects.count() == 5
    valkey.xadd("other", fields(5), id="5-7")
    assert state()["folded"] == 58
    assert SessionSnapshot.objects.count() == 5
