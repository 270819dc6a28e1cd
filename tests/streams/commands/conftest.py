"""A stream of twelve entries with a group of two consumers, as the operations find it."""

from collections.abc import Callable
from typing import Any

import pytest
import redis

from evdash.events.entry import EntryId
from evdash.streams.consumer_group import pending_entries

HOUR_MS = 3_600_000


@pytest.fixture
def ids(valkey: redis.Redis) -> list[EntryId]:
    """Twelve entries of stream s. Group g gave 1 to 6 to consumer a, 7 to 9 to b, and 10 to 12 to nobody yet."""
    for ms in range(1, 13):
        valkey.execute_command("XADD", "s", f"{ms}-0", "type", "odd", "type", b"\xff")
    valkey.execute_command("XGROUP CREATE", "s", "g", "0")
    read(valkey, "a", 6)
    read(valkey, "b", 3)
    return [EntryId(ms, 0) for ms in range(1, 13)]


def read(client: redis.Redis, consumer: str, count: int) -> None:
    client.execute_command("XREADGROUP", "GROUP", "g", consumer, "COUNT", count, "STREAMS", "s", ">")


def be_idle(client: redis.Redis, consumer: str, idle_ms: int, *ids: EntryId) -> None:
    client.execute_command("XCLAIM", "s", "g", consumer, 0, *map(str, ids), "IDLE", idle_ms, "JUSTID")


def owners(client: redis.Redis) -> dict[int, str]:
    return {entry.entry_id.ms: entry.consumer for entry in pending_entries(client, "s", "g", count=1_000)}


def everything(client: redis.Redis) -> tuple[Any, ...]:
    """All that an operation could have changed; the times since are left out."""
    return (
        client.execute_command("DBSIZE"),
        client.execute_command("XRANGE", "s", "-", "+"),
        client.execute_command("XINFO STREAM", "s"),
        client.execute_command("XINFO GROUPS", "s"),
        [one[:2] for one in client.execute_command("XINFO CONSUMERS", "s", "g")],
        [[one[0], one[1], one[3]] for one in client.execute_command("XPENDING", "s", "g", "-", "+", 1_000)],
    )


@pytest.fixture
def before_command(valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Callable[[], object]], None]:
    """Has something happen once, right before the client sends a command of that name by itself."""

    def arrange(name: str, happens: Callable[[], object]) -> None:
        execute = valkey.execute_command
        waiting = [happens]

        def execute_after(*command: Any, **options: Any) -> Any:
            if command[0] == name and waiting:
                waiting.pop()()
            return execute(*command, **options)

        monkeypatch.setattr(valkey, "execute_command", execute_after)

    return arrange
