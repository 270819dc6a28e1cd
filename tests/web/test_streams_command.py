"""`manage.py streams`: the operations from a terminal."""

from __future__ import annotations

import getpass
import io
import re
import shlex
from typing import Any

import pytest
import redis
from django.core.management import call_command
from django.core.management.base import CommandError

from evdash.audit_log.audit_log import recent
from evdash.config.environment import CHECKOUT
from evdash.events.entry import EntryId
from evdash.ingest.projections.event_log import AuditProjection
from evdash.management.commands.streams import Command
from evdash.streams.consumer_group import pending_entries
from evdash.streams.dead_letters import park, parked_count, parked_entries
from evdash.streams.reads import read_entry, read_forward
from evdash.streams.stream_info import group_infos
from tests.builders import STREAM, entry
from tests.web.conftest import Index, Write

pytestmark = pytest.mark.django_db(transaction=True)

GROUP = "evdash-audit"
START_MS = 1_764_000_000_000


@pytest.fixture(autouse=True)
def _stuck(transactional_db: None, valkey: redis.Redis, write: Write, index: Index) -> None:
    """Of six entries two are indexed, and four lie with a."""
    write(*(entry(f"{START_MS + n}-0", type="t", content=f"words {n}") for n in range(2)))
    index()
    write(*(entry(f"{START_MS + n}-0", type="t", content=f"words {n}") for n in range(2, 6)))
    valkey.execute_command("XREADGROUP", "GROUP", GROUP, "a", "COUNT", 4, "STREAMS", STREAM, ">")
    for up_to_date in ("evdash-analytics", "evdash-debug"):
        valkey.execute_command("XGROUP", "CREATE", STREAM, up_to_date, "$")


def streams(*arguments: Any, reason: str = "host a is gone") -> str:
    output = io.StringIO()
    call_command("streams", *map(str, arguments), *(("--reason", reason) if reason else ()), stdout=output)
    return output.getvalue()


def owners(valkey: redis.Redis) -> dict[int, str]:
    found = pending_entries(valkey, STREAM, GROUP, count=1_000)
    return {each.entry_id.ms - START_MS: each.consumer for each in found}


def test_a_claim_tells_what_stood_before_and_after(valkey: redis.Redis) -> None:
    said = streams("claim", STREAM, GROUP, "--to", "b", "--from", "a")
    assert said.splitlines() == [
        "4 entries of evdash-audit on memory:events were claimed for b.",
        "  consumers: a 4, c 0 -> a 0, b 4, c 0",
    ]
    assert set(owners(valkey).values()) == {"b"}
    [access] = recent(5)
    assert (access.begun.who, access.begun.reason) == (getpass.getuser(), "host a is gone")


def test_names_are_read_with_their_escapes(valkey: redis.Redis) -> None:
    valkey.xadd("a*b", {"type": "x"})
    streams("create-group", r"a\x2ab", r"g\x41")
    assert [group.name for group in group_infos(valkey, "a*b")] == ["gA"]
    streams("claim", STREAM, GROUP, "--to", r"b\x2a", "--from", r"\x61")
    assert set(owners(valkey).values()) == {"b*"}
    claim, created = (access.begun for access in recent(2))
    assert (created.stream, created.group) == ("a*b", "gA")
    assert (claim.detail["asked"]["from_consumer"], claim.detail["asked"]["to_consumer"]) == ("a", "b*")


def test_a_dry_run_only_tells(valkey: redis.Redis) -> None:
    said = streams("acknowledge", STREAM, GROUP, "--entry", f"{START_MS + 2}-0", "--dry-run", reason="")
    assert "Acknowledges 1 pending entry (a: 1)" in said
    assert f"{START_MS + 2}-0  a, idle " in said
    assert len(owners(valkey)) == 4
    assert recent(1) == []


def test_only_what_is_idle_for_so_long_is_claimed(valkey: redis.Redis) -> None:
    valkey.execute_command("XCLAIM", STREAM, GROUP, "a", 0, f"{START_MS + 3}-0", "IDLE", 3_600_000, "JUSTID")
    streams("claim", STREAM, GROUP, "--to", "b", "--idle-over-s", 60)
    assert owners(valkey) == {2: "a", 3: "b", 4: "a", 5: "a"}


def test_parked_entries_are_redelivered(valkey: redis.Redis) -> None:
    streams("park", STREAM, GROUP, "--from", "a", reason="they stop us")
    assert {parked.reason for parked in parked_entries(valkey, STREAM, count=9)} == {
        "Parked by an operator: they stop us"
    }
    assert "1 parked entry" in streams(
        "redeliver", STREAM, "--parked", parked_entries(valkey, STREAM, count=1)[0].parked_id
    )
    streams("redeliver", STREAM, "--all")
    assert parked_count(valkey, STREAM) == 0
    assert AuditProjection(GROUP).not_applied(STREAM, [EntryId(START_MS + n, 0) for n in range(6)]) == []


def test_what_was_done_only_in_part_is_told_entry_by_entry_and_fails(valkey: redis.Redis) -> None:
    valkey.execute_command("XDEL", STREAM, f"{START_MS + 4}-0")
    output = io.StringIO()
    with pytest.raises(CommandError, match="Partly failed"):
        call_command(
            "streams", "claim", STREAM, GROUP, "--to", "b", "--from", "a", "--reason", "host a is gone", stdout=output
        )
    assert f"  {START_MS + 4}-0: Deleted from the stream, cannot be claimed" in output.getvalue()


def test_a_trim_past_what_a_group_has_committed_is_refused_with_its_name_and_number(valkey: redis.Redis) -> None:
    with pytest.raises(CommandError, match=r"Group evdash-audit has 4 pending entries.*: 3 entries of .* are blocked"):
        streams("trim", STREAM, "--max-length", 1)
    streams("acknowledge", STREAM, GROUP, "--from", "a")
    assert streams("trim", STREAM, "--min-id", f"{START_MS + 5}-0").startswith(
        "5 entries of memory:events were trimmed."
    )
    assert len(read_forward(valkey, STREAM, after=None, count=9)) == 1


def test_consumers_and_groups_come_and_go(valkey: redis.Redis) -> None:
    streams("delete-consumer", STREAM, GROUP, "a", "--claim-first-to", "b")
    streams("create-group", STREAM, "billing", "--at", "end")
    streams("set-position", STREAM, "billing", "start")
    [billing] = [group for group in group_infos(valkey, STREAM) if group.name == "billing"]
    assert billing.last_delivered == EntryId.MIN
    streams("delete-group", STREAM, "billing")
    assert sorted(group.name for group in group_infos(valkey, STREAM)) == [
        "evdash-analytics", GROUP, "evdash-debug",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "reason", "sentence"),
    [
        (("claim", STREAM, GROUP, "--to", "b", "--from", "a"), "", "Enter a reason"),
        (("claim", STREAM, GROUP, "--to", "b"), "x", "Select entries by ID"),
        (("claim", STREAM, "nobody", "--to", "b", "--from", "a"), "x", "group nobody does not exist"),
        (("delete-consumer", STREAM, GROUP, "a"), "x", "Deleting a would lose 4 pending entries"),
        (("set-position", STREAM, GROUP, "middle"), "x", "'middle' is not an entry ID"),
        (("delete-group", "nowhere", GROUP), "x", "does not exist on nowhere"),
        (("trim", STREAM), "x", "Specify a length, an age or an entry ID"),
        (("trim", STREAM, "--older-than", "soon"), "x", "'soon' is not a time"),
        (("redeliver", STREAM, "--all"), "x", "Select parked entries"),
    ],
)
def test_a_refusal_is_a_sentence(valkey: redis.Redis, arguments: tuple[str, ...], reason: str, sentence: str) -> None:
    with pytest.raises(CommandError, match=sentence):
        streams(*arguments, reason=reason)
    assert len(owners(valkey)) == 4


def test_the_lines_in_readme_are_understood() -> None:
    lines = re.findall(r"`manage\.py (streams [^`]+)`", (CHECKOUT / "docs/operations.md").read_text())
    given = [Command().create_parser("manage.py", "streams").parse_args(shlex.split(line)[1:]) for line in lines]
    assert {one.operation for one in given} == {
        "claim", "acknowledge", "park", "redeliver", "discard", "delete-consumer", "set-position", "create-group",
        "delete-group", "trim",
    }  # fmt: skip
    assert all(one.reason for one in given)


def test_a_dry_run_that_would_be_refused_fails() -> None:
    with pytest.raises(CommandError, match="would lose 4 pending entries"):
        streams("delete-consumer", STREAM, GROUP, "a", "--dry-run", reason="")


def test_what_a_foreign_group_gave_up_on_stays_parked(valkey: redis.Redis) -> None:
    found = read_entry(valkey, STREAM, EntryId(START_MS + 2, 0))
    assert found is not None
    park(valkey, found, group="billing", consumer="a", deliveries=5, reason="x")
    with pytest.raises(CommandError, match="Partly failed"):
        streams("redeliver", STREAM, "--all")
    assert parked_count(valkey, STREAM) == 1
