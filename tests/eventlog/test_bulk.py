from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction

from evdash.eventlog.bulk import Merge, entry_ids_among, existing, insert, update, upsert
from evdash.eventlog.models import AgentUser, LoggedEvent, Participation, TypeCount
from evdash.eventlog.models.log import Stream
from evdash.eventlog.row_mapping import USER_COLUMNS, user_of_row, user_values
from evdash.events.decoding import decode
from evdash.events.entry import EntryId
from evdash.events.summaries import UserSummary
from evdash.ingest.projections.event_log import AuditProjection
from tests.builders import entry

pytestmark = pytest.mark.django_db

COLUMNS = ("width_s", "start_s", "type", "stream_id", "events", "errors", "first_id", "last_id")
KEY = COLUMNS[:4]
RULES = (
    ("events", Merge.SUM),
    ("errors", Merge.SUM),
    ("first_id", Merge.LEAST),
    ("last_id", Merge.GREATEST),
)


def count(stream: Stream, type_: str, events: int, first_ms: int, last_ms: int) -> tuple[object, ...]:
    return 60, 0, type_, stream.pk, events, 1, EntryId(first_ms, 0).to_bytes(), EntryId(last_ms, 2**64 - 1).to_bytes()


def test_rows_are_inserted_and_existing_rows_merged_as_each_column_says() -> None:
    stream = Stream.objects.create(name="s")
    upsert(TypeCount, COLUMNS, [count(stream, "a", 2, 200, 255)], key=KEY, merge=RULES)
    upsert(TypeCount, COLUMNS, [count(stream, "b", 1, 1, 1), count(stream, "a", -5, 256, 256)], key=KEY, merge=RULES)
    rows = {row.type: (row.events, row.errors, row.first_id.ms, row.last_id.ms) for row in TypeCount.objects.all()}
    assert rows == {"a": (-3, 2, 200, 256), "b": (1, 1, 1, 1)}


def test_without_a_rule_the_new_value_replaces_the_old_one() -> None:
    stream = Stream.objects.create(name="s")
    for events in (7, 3):
        upsert(TypeCount, COLUMNS, [count(stream, "a", events, 9, 9)], key=KEY)
    assert TypeCount.objects.get().events == 3


def test_an_update_changes_the_named_columns_of_the_rows_with_these_keys() -> None:
    decoder_columns = ("identity", "is_error", "occurred_us", "type", "decoder_id")
    AuditProjection("g").apply([decode(entry(f"{number}-0", type="x", id=str(number))) for number in range(1, 4)])
    keys = list(LoggedEvent.objects.order_by("entry_id").values_list("pk", flat=True))
    update(LoggedEvent, decoder_columns, [(None, True, 5, "y", 9, keys[0]), (b"\0" * 16, False, 6, "", 8, keys[1])])
    rows = LoggedEvent.objects.order_by("entry_id").values_list(*decoder_columns[1:], "event_id")
    assert list(rows)[:2] == [(True, 5, "y", 9, "1"), (False, 6, "", 8, "2")]
    assert list(rows)[2][2:] == ("x", LoggedEvent.objects.get(pk=keys[2]).decoder_id, "3")
    identities = LoggedEvent.objects.order_by("entry_id").values_list("identity", flat=True)[:2]
    assert [each and bytes(each) for each in identities] == [None, b"\0" * 16]


def test_an_insert_of_a_row_that_exists_fails_and_writes_nothing() -> None:
    stream = Stream.objects.create(name="s")
    insert(TypeCount, COLUMNS, [count(stream, "a", 1, 1, 1)])
    with pytest.raises(IntegrityError), transaction.atomic():
        insert(TypeCount, COLUMNS, [count(stream, "b", 1, 1, 1), count(stream, "a", 1, 1, 1)])
    assert TypeCount.objects.get().type == "a"


def test_nothing_is_written_without_rows() -> None:
    insert(TypeCount, COLUMNS, [])
    upsert(TypeCount, COLUMNS, [], key=KEY)
    assert not TypeCount.objects.exists()


TEXTS = ["", "it's 100 %", 'a "name"', "{curly, comma}", "back\\slash", "line\nbreak", "☃ 日本", "NULL"]


@pytest.mark.parametrize("name", [*TEXTS, '{"a": "b"}' * 100])
def test_texts_arrive_as_they_are(name: str) -> None:
    ids = EntryId(0, 0), EntryId(2**64 - 1, 2**64 - 1)
    summary = UserSummary(name, *ids, first_us=-1, last_us=2**62, events=2**40, errors=0, tokens=3, sessions=1)
    insert(AgentUser, USER_COLUMNS, [user_values(summary)])
    assert user_of_row(AgentUser.objects.get()) == summary


def test_more_rows_than_one_statement_takes_are_written() -> None:
    stream = Stream.objects.create(name="s")
    insert(TypeCount, COLUMNS, [count(stream, f"type {number}", number, 1, 1) for number in range(9_000)])
    assert TypeCount.objects.count() == 9_000


def test_entry_ids_are_found_among_those_of_one_stream_only() -> None:
    stream, other = (Stream.objects.create(name=name) for name in "ab")
    for each in (stream, other):
        LoggedEvent.objects.create(
            stream=each, entry_id=EntryId(each.pk, 2**64 - 1), occurred_us=0, is_error=False, pairs=b"", search_text=""
        )
    keys = [EntryId(stream.pk, 2**64 - 1), EntryId(other.pk, 2**64 - 1), EntryId(stream.pk, 1)]
    assert entry_ids_among(LoggedEvent, "stream_id", stream.pk, keys) == [EntryId(stream.pk, 2**64 - 1)]
    assert entry_ids_among(LoggedEvent, "stream_id", stream.pk, []) == []


def test_existing_keys_are_found_as_pairs_not_as_their_parts() -> None:
    last_id = EntryId(1, 0)
    for user, session in (("u", "s"), ("v", "t")):
        Participation.objects.create(user_id=user, session_id=session, last_id=last_id)
    keys = [("u", "s"), ("u", "t"), ("v", "t"), ("", "")]
    assert existing(Participation, ("user_id", "session_id"), keys) == {("u", "s"), ("v", "t")}
    assert existing(Participation, ("user_id", "session_id"), []) == set()


def test_more_keys_than_one_statement_takes_are_looked_up() -> None:
    Participation.objects.create(user_id="u", session_id="s 69999", last_id=EntryId(1, 0))
    keys = [("u", f"s {number}") for number in range(70_000)]
    assert existing(Participation, ("user_id", "session_id"), keys) == {("u", "s 69999")}
