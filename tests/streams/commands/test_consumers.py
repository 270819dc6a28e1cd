from collections.abc import Callable
from typing import Any

import pytest
import redis

from evdash.events.entry import EntryId
from evdash.streams.client import StreamsUnavailable
from evdash.streams.commands import DeleteConsumer, OperationRefused, consumers
from tests.streams.commands.conftest import everything, owners, read


def deleting(consumer: str, claim_first_to: str | None = None) -> DeleteConsumer:
    return DeleteConsumer(stream="s", group="g", consumer=consumer, claim_first_to=claim_first_to)


def names(client: redis.Redis) -> list[str]:
    return sorted(one[1].decode() for one in client.execute_command("XINFO CONSUMERS", "s", "g"))


def refusal(client: redis.Redis, operation: DeleteConsumer) -> str:
    before = everything(client)
    reason = operation.preview(client).refused
    with pytest.raises(OperationRefused) as refused:
        operation.execute(client)
    assert str(refused.value) == reason
    assert everything(client) == before
    return reason


def test_a_consumer_with_pending_entries_is_kept(valkey: redis.Redis, ids: list[EntryId]) -> None:
    assert refusal(valkey, deleting("a")) == (
        "Deleting a would lose 6 pending entries. Claim them first for another consumer."
    )
    assert refusal(valkey, deleting("nobody")) == "Consumer nobody does not exist in g on s."
    assert refusal(valkey, deleting("a", "a")) == "a cannot claim its own pending entries. Choose another consumer."
    assert refusal(valkey, DeleteConsumer(stream="s", group="x", consumer="a")) == "Group x does not exist on s."


def test_a_consumer_without_pending_entries_is_deleted(valkey: redis.Redis, ids: list[EntryId]) -> None:
    valkey.execute_command("XACK", "s", "g", *map(str, ids[6:9]))
    preview = deleting("b").preview(valkey)
    assert preview.sentence.startswith("Deletes consumer b of g on s. Active ")
    assert preview.sentence.endswith(" ms ago. A running consumer reappears.")
    assert (preview.affected, preview.refused, preview.examples) == (0, "", ())
    assert names(valkey) == ["a", "b"]
    outcome = deleting("b").execute(valkey)
    assert (outcome.done, outcome.succeeded) == (1, True)
    assert outcome.sentence == "Consumer b of g on s was deleted."
    assert (outcome.before["consumers"], outcome.after["consumers"]) == ({"a": 6, "b": 0}, {"a": 6})


def test_its_entries_are_claimed_first_when_asked(valkey: redis.Redis, ids: list[EntryId]) -> None:
    before = everything(valkey)
    preview = deleting("a", "b").preview(valkey)
    assert preview.sentence.startswith("Claims 6 pending entries for b. Deletes consumer a of g on s.")
    assert (preview.affected, len(preview.examples)) == (6, 6)
    assert everything(valkey) == before
    outcome = deleting("a", "b").execute(valkey)
    assert outcome.sentence == "6 pending entries were claimed for b. Consumer a of g on s was deleted."
    assert (outcome.done, outcome.done_ids) == (1, tuple(ids[:6]))
    assert (names(valkey), set(owners(valkey).values()), len(owners(valkey))) == (["b"], {"b"}, 9)


def test_an_entry_that_cannot_be_claimed_keeps_the_consumer(valkey: redis.Redis, ids: list[EntryId]) -> None:
    valkey.execute_command("XDEL", "s", str(ids[2]))
    outcome = deleting("a", "b").execute(valkey)
    assert (outcome.done, len(outcome.done_ids), outcome.succeeded) == (0, 5, False)
    assert outcome.sentence == "5 pending entries were claimed for b. Consumer a of g on s was not deleted."
    assert outcome.stopped == "a not deleted: it now has 1 pending entry, which would be lost."
    assert outcome.failed == (
        (ids[2], "Deleted from the stream, cannot be claimed; it stays pending for a until acknowledged."),
    )
    assert owners(valkey)[3] == "a"
    valkey.execute_command("XACK", "s", "g", str(ids[2]))
    assert deleting("a", "b").execute(valkey).succeeded


def test_entries_that_come_in_the_moment_of_the_deletion_are_not_lost(
    valkey: redis.Redis, ids: list[EntryId], before_command: Callable[[str, Callable[[], object]], None]
) -> None:
    valkey.execute_command("XACK", "s", "g", *map(str, ids[6:9]))
    before_command("EVAL", lambda: read(valkey, "b", 2))
    with pytest.raises(OperationRefused, match="b not deleted: it now has 2 pending entries"):
        deleting("b").execute(valkey)
    assert (names(valkey), owners(valkey)[10]) == (["a", "b"], "b")
    before_command("EVAL", lambda: read(valkey, "b", 1))
    assert deleting("b", "a").execute(valkey).done_ids == tuple(ids[9:])
    assert owners(valkey)[12] == "a"


def test_a_consumer_that_never_stops_reading_stays(
    valkey: redis.Redis, ids: list[EntryId], monkeypatch: pytest.MonkeyPatch
) -> None:
    for ms in range(20, 40):
        valkey.execute_command("XADD", "s", f"{ms}-0", "a", "1")
    call = consumers.call

    def call_late(client: redis.Redis, *command: Any, **options: Any) -> Any:
        read(valkey, "b", 1)
        return call(client, *command, **options)

    monkeypatch.setattr(consumers, "call", call_late)
    outcome = deleting("b", "a").execute(valkey)
    assert outcome.done == 0
    assert outcome.stopped.startswith("b not deleted: it now has 1 pending entry")
    assert len(outcome.done_ids) == 3 + consumers.ROUNDS
    assert len(owners(valkey)) == 9 + consumers.ROUNDS + 1


def test_a_redis_lost_after_the_claim_is_told_with_what_was_done(
    valkey: redis.Redis, ids: list[EntryId], monkeypatch: pytest.MonkeyPatch
) -> None:
    call = consumers.call
    left = iter(range(1))

    def call_once(*args: Any, **options: Any) -> Any:
        if next(left, None) is None:
            raise StreamsUnavailable("Redis at there cannot be reached: connection refused.")
        return call(*args, **options)

    monkeypatch.setattr(consumers, "call", call_once)
    outcome = deleting("b", "a").execute(valkey)
    assert (outcome.done, outcome.done_ids) == (0, tuple(ids[6:9]))
    assert outcome.stopped == "Redis at there cannot be reached: connection refused."
    with pytest.raises(StreamsUnavailable):
        deleting("b", "a").execute(valkey)
