from datetime import UTC, datetime
from typing import Any

import pytest
import redis

from evdash.events.entry import EntryId
from evdash.streams import stream_info
from evdash.streams.client import StreamsUnavailable
from evdash.streams.commands import OperationRefused, Trim
from evdash.streams.commands import trim as trimming
from tests.streams.commands.conftest import everything


def trimming_s(**given: Any) -> Trim:
    return Trim(stream="s", **given)


def refusal(client: redis.Redis, operation: Trim) -> str:
    before = everything(client)
    reason = operation.preview(client).refused
    with pytest.raises(OperationRefused) as refused:
        operation.execute(client)
    assert str(refused.value) == reason
    assert everything(client) == before
    return reason


def acknowledge(client: redis.Redis, ids: list[EntryId]) -> None:
    client.execute_command("XACK", "s", "g", *map(str, ids))


def test_a_trim_tells_first_what_goes_and_then_what_went(valkey: redis.Redis, ids: list[EntryId]) -> None:
    acknowledge(valkey, ids[:9])
    before = everything(valkey)
    preview = trimming_s(max_length=5).preview(valkey)
    assert preview.sentence == "Trims the oldest 7 entries of s (before 7-1)."
    assert (preview.affected, preview.refused) == (7, "")
    assert everything(valkey) == before
    outcome = trimming_s(max_length=5).execute(valkey)
    assert (outcome.done, outcome.succeeded) == (7, True)
    assert outcome.sentence == "7 entries of s were trimmed."
    assert (outcome.before["length"], outcome.before["first_id"]) == (12, "1-0")
    assert (outcome.after["length"], outcome.after["first_id"], outcome.after["entries_added"]) == (5, "8-0", 12)


def test_a_trim_that_would_take_from_a_group_is_refused_with_its_name_and_the_number(
    valkey: redis.Redis, ids: list[EntryId]
) -> None:
    acknowledge(valkey, ids[:4])
    assert refusal(valkey, trimming_s(max_length=2)) == (
        "Group g has 5 pending entries (oldest 5-0): 6 entries of s are blocked. Entries before 5-0 can be trimmed now."
    )
    assert trimming_s(min_id=ids[4]).execute(valkey).done == 4


def test_a_trim_needs_a_bound_a_stream_and_something_to_remove(valkey: redis.Redis, ids: list[EntryId]) -> None:
    assert refusal(valkey, trimming_s()) == "Specify a length, an age or an entry ID."
    assert refusal(valkey, trimming_s(max_length=-1)) == "Length -1 is not valid (0 or more)."
    assert refusal(valkey, trimming_s(max_length=12)) == "No entries of s to trim."
    assert refusal(valkey, Trim(stream="none", max_length=1)) == "Stream none does not exist."
    assert "Group mine does not exist on s" in refusal(
        valkey, trimming_s(max_length=1, own_groups=frozenset({"mine", "g"}))
    )


def test_a_long_trim_goes_step_by_step(
    valkey: redis.Redis, ids: list[EntryId], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_info, "SCAN_MAX", 3)
    acknowledge(valkey, ids[:9])
    trim_to_four = trimming_s(max_length=4)
    assert trim_to_four.preview(valkey).affected == 8
    assert trim_to_four.preview(valkey).sentence.endswith("5 more follow in further steps.")
    assert trim_to_four.execute(valkey).done == 8


def test_a_long_trim_that_meets_a_group_stops_there_and_says_so(
    valkey: redis.Redis, ids: list[EntryId], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_info, "SCAN_MAX", 3)
    acknowledge(valkey, ids[:4])
    outcome = trimming_s(max_length=2).execute(valkey)
    assert (outcome.done, outcome.succeeded) == (3, False)
    assert outcome.stopped.startswith("Group g has 5 pending entries (oldest 5-0): 2 entries of s")
    assert outcome.after["length"] == 9


def test_a_trim_too_long_for_one_operation_says_what_is_left(
    valkey: redis.Redis, ids: list[EntryId], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_info, "SCAN_MAX", 2)
    monkeypatch.setattr(trimming, "STEPS_MAX", 2)
    acknowledge(valkey, ids[:9])
    outcome = trimming_s(max_length=4).execute(valkey)
    assert (outcome.done, outcome.stopped) == (4, "4 entries more can be trimmed. Repeat the operation.")


def test_an_approximate_trim_that_removes_nothing_says_so(valkey: redis.Redis, ids: list[EntryId]) -> None:
    acknowledge(valkey, ids[:9])
    roughly = trimming_s(max_length=5, approximate=True)
    assert roughly.preview(valkey).sentence.endswith("Approximate: some hundred entries more may stay.")
    outcome = roughly.execute(valkey)
    assert (outcome.done, outcome.sentence) == (
        0,
        "No entry of s was trimmed: an approximate trim removes whole nodes only.",
    )


def test_a_redis_lost_midway_is_told_with_what_was_removed(
    valkey: redis.Redis, ids: list[EntryId], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_info, "SCAN_MAX", 2)
    acknowledge(valkey, ids[:9])
    trim = trimming.trim
    left = iter(range(1))

    def trim_once(*args: Any, **options: Any) -> Any:
        if next(left, None) is None:
            raise StreamsUnavailable("Redis at there cannot be reached: connection refused.")
        return trim(*args, **options)

    monkeypatch.setattr(trimming, "trim", trim_once)
    outcome = trimming_s(max_length=4).execute(valkey)
    assert (outcome.done, outcome.stopped) == (2, "Redis at there cannot be reached: connection refused.")
    with pytest.raises(StreamsUnavailable):
        trimming_s(max_length=4).execute(valkey)


def test_the_title_says_what_it_trims_to() -> None:
    at = datetime(2026, 11, 5, 12, 0, tzinfo=UTC)
    assert trimming_s(max_length=1_000).title == "Trim s to 1,000 entries"
    assert trimming_s(older_than=at, min_id=EntryId(5, 0)).title == (
        "Trim s of entries older than 2026-11-05 12:00:00+00:00 and of entries before 5-0"
    )
