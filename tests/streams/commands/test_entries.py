from collections.abc import Callable
from typing import Any

import pytest
import redis

from evdash.events.entry import EntryId
from evdash.streams.client import StreamsUnavailable
from evdash.streams.commands import AcknowledgeEntries, ClaimEntries, OperationRefused, ParkEntries, entries
from evdash.streams.commands import entries as selecting
from evdash.streams.dead_letters import parked_entries
from tests.streams.commands.conftest import HOUR_MS, be_idle, everything, owners, read

ON_G: dict[str, Any] = {"stream": "s", "group": "g"}


def lose_redis_after(monkeypatch: pytest.MonkeyPatch, calls: int, name: str) -> None:
    """The function `name` of entries.py reaches Redis so many times and then no more."""
    real = getattr(entries, name)
    left = iter(range(calls))

    def reach(*args: Any, **options: Any) -> Any:
        if next(left, None) is None:
            raise StreamsUnavailable("Redis at there cannot be reached: connection refused.")
        return real(*args, **options)

    monkeypatch.setattr(entries, name, reach)


def test_a_preview_tells_whose_entries_it_is_about_and_changes_nothing(valkey: redis.Redis, ids: list[EntryId]) -> None:
    be_idle(valkey, "a", HOUR_MS, ids[0], ids[1])
    be_idle(valkey, "b", HOUR_MS, ids[6])
    before = everything(valkey)
    claiming = ClaimEntries(**ON_G, to_consumer="c", idle_over_ms=HOUR_MS)
    preview = claiming.preview(valkey)
    assert preview.sentence == (
        "Claims 3 pending entries (a: 2, b: 1) of g on s for c and raises their delivery counts. "
        "c does not exist yet and is created."
    )
    assert (preview.affected, preview.refused) == (3, "")
    assert [example.entry_id for example in preview.examples if not isinstance(example, EntryId)] == [
        ids[0],
        ids[1],
        ids[6],
    ]
    parking = ParkEntries(**ON_G, from_consumer="b").preview(valkey)
    assert parking.sentence == (
        "Copies 3 pending entries (b: 3) of g on s to s:parked and acknowledges them. "
        "They are not applied until redelivered."
    )
    acknowledging = AcknowledgeEntries(**ON_G, entry_ids=(ids[0], ids[11])).preview(valkey)
    assert acknowledging.sentence == (
        "Acknowledges 1 pending entry (a: 1) of g on s: they are not delivered again, whether or not they "
        "were applied. 1 selected entry is not pending, or excluded by the other conditions."
    )
    assert everything(valkey) == before


def test_entries_are_claimed_by_id_by_consumer_or_by_idle_time(valkey: redis.Redis, ids: list[EntryId]) -> None:
    named = ClaimEntries(**ON_G, to_consumer="c", entry_ids=(ids[0], ids[6])).execute(valkey)
    assert (named.done, named.done_ids, named.failed, named.succeeded) == (2, (ids[0], ids[6]), (), True)
    assert named.sentence == "2 entries of g on s were claimed for c."
    assert (named.before["consumers"], named.after["consumers"]) == ({"a": 6, "b": 3}, {"a": 5, "b": 2, "c": 2})
    assert ClaimEntries(**ON_G, to_consumer="c", from_consumer="b").execute(valkey).done == 2
    be_idle(valkey, "a", HOUR_MS, ids[1])
    be_idle(valkey, "c", HOUR_MS, ids[0])  # it is the claimant's own
    assert ClaimEntries(**ON_G, to_consumer="c", idle_over_ms=HOUR_MS).execute(valkey).done_ids == (ids[1],)
    assert owners(valkey) == {1: "c", 2: "c", 3: "a", 4: "a", 5: "a", 6: "a", 7: "c", 8: "c", 9: "c"}


def test_a_claim_tells_of_each_entry_it_could_not_get(
    valkey: redis.Redis, ids: list[EntryId], monkeypatch: pytest.MonkeyPatch
) -> None:
    be_idle(valkey, "a", HOUR_MS, *ids[:5])
    valkey.execute_command("XDEL", "s", str(ids[1]))
    claim = entries.claim

    def claim_late(*args: Any, **options: Any) -> Any:
        valkey.execute_command("XACK", "s", "g", str(ids[2]))
        valkey.execute_command("XCLAIM", "s", "g", "d", 0, str(ids[3]))
        return claim(*args, **options)

    monkeypatch.setattr(entries, "claim", claim_late)
    claiming = ClaimEntries(**ON_G, to_consumer="c", entry_ids=(*ids[:5], ids[11]), idle_over_ms=HOUR_MS)
    outcome = claiming.execute(valkey)
    assert outcome.done_ids == (ids[0], ids[4])
    assert not outcome.succeeded
    assert outcome.sentence == "2 entries of g on s were claimed for c. 4 entries were not."
    failed = dict(outcome.failed)
    assert failed.pop(ids[3]).startswith("Pending for d, delivered ")
    assert failed == {
        ids[1]: "Deleted from the stream, cannot be claimed; it stays pending for a until acknowledged.",
        ids[2]: "Already acknowledged.",
        ids[11]: "Not pending in the group, or excluded by the other conditions.",
    }


def test_acknowledged_entries_are_told_one_by_one(valkey: redis.Redis, ids: list[EntryId]) -> None:
    valkey.execute_command("XDEL", "s", str(ids[1]))
    outcome = AcknowledgeEntries(**ON_G, entry_ids=(ids[0], ids[1])).execute(valkey)
    assert outcome.done_ids == (ids[0], ids[1])
    assert outcome.sentence == "2 entries of g on s were acknowledged."
    assert (outcome.before["pending"], outcome.after["pending"]) == (9, 7)
    assert outcome.after["oldest_pending"] == "3-0"


def test_what_was_acknowledged_meanwhile_is_not_counted_as_done(
    valkey: redis.Redis, ids: list[EntryId], monkeypatch: pytest.MonkeyPatch
) -> None:
    call_all = entries.call_all

    def call_late(*args: Any, **options: Any) -> Any:
        valkey.execute_command("XACK", "s", "g", str(ids[1]))
        return call_all(*args, **options)

    monkeypatch.setattr(entries, "call_all", call_late)
    outcome = AcknowledgeEntries(**ON_G, entry_ids=tuple(ids[:3])).execute(valkey)
    assert outcome.done_ids == (ids[0], ids[2])
    assert outcome.failed == ((ids[1], "Already acknowledged."),)


def test_parked_entries_leave_the_group_and_stay_whole(valkey: redis.Redis, ids: list[EntryId]) -> None:
    valkey.execute_command("XDEL", "s", str(ids[7]))
    outcome = ParkEntries(**ON_G, from_consumer="b", reason="Its session is a list.").execute(valkey)
    assert outcome.done_ids == (ids[6], ids[8])
    assert outcome.failed == ((ids[7], "Deleted from the stream, cannot be parked. Acknowledge it."),)
    first, second = parked_entries(valkey, "s", count=10)
    assert (first.entry.entry_id, second.entry.entry_id) == (ids[6], ids[8])
    assert first.entry.pairs == ((b"type", b"odd"), (b"type", b"\xff"))
    assert (first.group, first.consumer, first.deliveries, first.reason) == ("g", "b", 1, "Its session is a list.")
    assert sorted(owners(valkey)) == [1, 2, 3, 4, 5, 6, 8]


def test_an_entry_acknowledged_while_it_is_parked_keeps_its_copy(
    valkey: redis.Redis, ids: list[EntryId], before_command: Callable[[str, Callable[[], object]], None]
) -> None:
    before_command("XADD", lambda: valkey.execute_command("XACK", "s", "g", str(ids[0])))
    outcome = ParkEntries(**ON_G, entry_ids=tuple(ids[:2])).execute(valkey)
    assert outcome.done_ids == (ids[1],)
    ((failed_id, sentence),) = outcome.failed
    copy = parked_entries(valkey, "s", count=10)[0]
    assert (failed_id, copy.entry.entry_id) == (ids[0], ids[0])
    assert sentence == (f"Already acknowledged. Its copy {copy.parked_id} stays parked. Redelivering it is safe.")


def test_nothing_chosen_or_nothing_found_is_refused_in_a_sentence(valkey: redis.Redis, ids: list[EntryId]) -> None:
    refusals = {
        ClaimEntries(**ON_G, to_consumer="c"): "Select entries by ID, consumer or idle time.",
        ClaimEntries(**ON_G, to_consumer="", from_consumer="a"): "Select the consumer that claims the entries.",
        ClaimEntries(
            **ON_G, to_consumer="a", from_consumer="a"
        ): "The entries are already pending for a. Choose another consumer.",
        ClaimEntries(
            **ON_G, to_consumer="c", idle_over_ms=HOUR_MS
        ): "No pending entry of g on s matches: idle for 3,600,000 ms or longer, not of consumer c.",
        AcknowledgeEntries(
            **ON_G, entry_ids=(ids[11],), from_consumer="a"
        ): "No pending entry of g on s matches: selected by ID, of consumer a.",
        ParkEntries(**ON_G, from_consumer="nobody"): "No pending entry of g on s matches: of consumer nobody.",
        AcknowledgeEntries(stream="s", group="none", from_consumer="a"): "Consumer group none does not exist on s.",
        AcknowledgeEntries(stream="none", group="g", entry_ids=(ids[0],)): "Consumer group g does not exist on none.",
        AcknowledgeEntries(
            **ON_G, entry_ids=tuple(EntryId(ms, 0) for ms in range(10_001))
        ): "10,001 entries selected; the limit is 10,000 per operation.",
    }
    before = everything(valkey)
    for operation, sentence in refusals.items():
        preview = operation.preview(valkey)
        assert (preview.refused, preview.affected) == (sentence, 0)
        with pytest.raises(OperationRefused) as refused:
            operation.execute(valkey)
        assert str(refused.value) == sentence
    assert everything(valkey) == before


def test_more_entries_than_one_operation_takes_are_told(
    valkey: redis.Redis, ids: list[EntryId], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selecting, "ENTRIES_MAX", 4)
    monkeypatch.setattr(selecting, "PAGE", 3)
    acknowledging = AcknowledgeEntries(**ON_G, idle_over_ms=0)
    assert acknowledging.preview(valkey).sentence.startswith("Acknowledges the first 4 pending entries (a: 4) of g")
    assert acknowledging.preview(valkey).sentence.endswith("More entries match: repeat the operation for the rest.")
    assert [acknowledging.execute(valkey).done for _ in range(3)] == [4, 4, 1]


def test_when_redis_is_lost_midway_each_entry_says_so(
    valkey: redis.Redis, ids: list[EntryId], monkeypatch: pytest.MonkeyPatch
) -> None:
    read(valkey, "b", 3)
    monkeypatch.setattr(entries, "STEP", 5)
    lose_redis_after(monkeypatch, 1, "call_all")
    outcome = AcknowledgeEntries(**ON_G, idle_over_ms=0).execute(valkey)
    assert outcome.done_ids == tuple(ids[:5])
    assert outcome.stopped == "Redis at there cannot be reached: connection refused."
    assert not outcome.succeeded
    assert [entry_id for entry_id, _ in outcome.failed] == ids[5:]
    failed = dict(outcome.failed)
    assert failed[ids[5]] == f"Result unknown: {outcome.stopped}"
    assert failed[ids[10]] == f"Not reached: {outcome.stopped}"
    assert outcome.sentence == "5 entries of g on s were acknowledged. 7 entries were not."


def test_a_park_that_is_lost_midway_tells_where(
    valkey: redis.Redis, ids: list[EntryId], monkeypatch: pytest.MonkeyPatch
) -> None:
    lose_redis_after(monkeypatch, 2, "park")
    outcome = ParkEntries(**ON_G, from_consumer="b").execute(valkey)
    assert (outcome.done_ids, len(outcome.failed)) == (tuple(ids[6:8]), 1)
    assert sorted(owners(valkey)) == [1, 2, 3, 4, 5, 6, 9]
