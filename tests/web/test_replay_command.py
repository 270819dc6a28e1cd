"""`manage.py replay`: entries of log and stream, copied byte for byte into a sandbox, and never anywhere else."""

from __future__ import annotations

import getpass
import io
import re
import shlex
from dataclasses import replace
from typing import Any

import pytest
import redis
from django.core.management import call_command
from django.core.management.base import CommandError

from evdash.audit_log.audit_log import recent
from evdash.config.environment import CHECKOUT
from evdash.eventlog.gaps import record_gap
from evdash.eventlog.group_progress import lock_positions
from evdash.eventlog.models import Gap
from evdash.events.entry import Entry, EntryId
from evdash.management.commands.replay import Command
from evdash.replay import replay as replay_reading
from evdash.replay import replay as replaying
from evdash.replay.replay import Replay
from evdash.streams import sandbox as sandbox_writer
from evdash.streams.reads import read_forward
from evdash.streams.sandbox import SandboxWriter, delete_sandbox, origin, sandbox, sandboxes
from tests.builders import STREAM, raw_entry
from tests.web.conftest import Index, Write

pytestmark = pytest.mark.django_db(transaction=True)

START_MS = 1_764_000_000_000
TO = "sandbox:one"


class FakeClock:
    """A clock that only sleeping moves; what is to happen at a wait is done then."""

    def __init__(self) -> None:
        self.now_s = 1_000.0
        self.waits: list[float] = []
        self.interrupt_at = -1

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        if len(self.waits) == self.interrupt_at:
            raise KeyboardInterrupt
        self.waits.append(round(seconds, 6))
        self.now_s += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    fake = FakeClock()
    monkeypatch.setattr(Replay, "clock", fake)
    return fake


def odd(number: int, ms: int, stream: str = STREAM) -> Entry:
    """An entry with a field twice, an empty name, and what is not UTF-8."""
    return raw_entry(
        ("type", "odd"), ("type", b"\xff\x00"), ("session_id", "s-1"), ("", "\r\n"), (b"\xfe", str(number)),
        entry_id=f"{START_MS + ms}-{number}", stream=stream,
    )  # fmt: skip


ENTRIES = tuple(odd(number, ms) for number, ms in enumerate((0, 0, 2_000, 62_000, 62_500)))


@pytest.fixture(autouse=True)
def _half_of_them_trimmed(transactional_db: None, valkey: redis.Redis, write: Write, index: Index) -> None:
    """Three entries are in the log and trimmed from the stream, two are in the stream only; one of another session."""
    write(*ENTRIES[:3])
    index()
    write(*ENTRIES[3:], raw_entry(("type", "other"), ("session_id", "s-2"), entry_id=f"{START_MS + 70_000}-0"))
    valkey.execute_command("XTRIM", STREAM, "MAXLEN", 3)


def replay(*arguments: Any, reason: str = "reproduce it", to: str = TO) -> str:
    output = io.StringIO()
    given = (*map(str, arguments), "--to", to, *(("--reason", reason) if reason else ()))
    call_command("replay", *given, stdout=output)
    return output.getvalue()


def copies(valkey: redis.Redis, stream: str = TO) -> list[Entry]:
    return read_forward(valkey, stream, after=None, count=1_000)


def pairs(entries: list[Entry] | tuple[Entry, ...]) -> list[tuple[tuple[bytes, bytes], ...]]:
    return [entry.pairs for entry in entries]


def keys(valkey: redis.Redis) -> set[bytes]:
    return set(valkey.execute_command("KEYS", "*"))


def test_a_session_of_log_and_stream_is_copied_byte_for_byte_with_its_ids(valkey: redis.Redis) -> None:
    before = valkey.execute_command("XINFO STREAM", STREAM), valkey.execute_command("XRANGE", STREAM, "-", "+")
    said = replay("--session", "s-1")
    assert said.splitlines() == [
        "Copies 5 entries of memory:events, 150 bytes, from 1764000000000-0 to 1764000062500-4, to sandbox:one, "
        "with their original IDs, at full speed. The sandbox expires 24 hours after the last copy.",
        "5 entries were copied to sandbox:one.",
    ]
    assert [(copy.entry_id, copy.pairs) for copy in copies(valkey)] == [(e.entry_id, e.pairs) for e in ENTRIES]
    after = valkey.execute_command("XINFO STREAM", STREAM), valkey.execute_command("XRANGE", STREAM, "-", "+")
    assert after == before
    assert keys(valkey) == {STREAM.encode(), b"sandbox:one", b"sandbox:one:provenance", b"sandbox:index"}


def test_new_ids_are_of_now_and_where_each_came_from_is_kept_beside(valkey: redis.Redis) -> None:
    replay("--session", "s-1", "--ids", "new")
    made = copies(valkey)
    assert pairs(made) == pairs(ENTRIES)
    assert made[0].entry_id.ms > START_MS + 1_000_000
    assert [origin(valkey, TO, copy.entry_id) for copy in made] == [(STREAM, entry.entry_id) for entry in ENTRIES]
    assert origin(valkey, TO, EntryId(1, 0)) is None


def test_a_dry_run_tells_the_counts_and_writes_nothing(valkey: redis.Redis) -> None:
    before = keys(valkey)
    said = replay("--filter", "type:other", "--dry-run", reason="")
    assert "Copies 1 entry of memory:events" in said
    assert keys(valkey) == before
    assert recent(1) == []


def test_a_gap_that_spans_many_pages_is_one_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay_reading, "CHUNK_EVENTS", 1)
    position = lock_positions("evdash-audit", [STREAM])[STREAM]
    record_gap(position, Gap.Kind.REMOVED, EntryId(START_MS, 2), EntryId(START_MS + 62_300, 0), 40)
    assert "The range has 1 gap." in replay("--session", "s-1", "--dry-run")
    record_gap(position, Gap.Kind.REMOVED, EntryId(START_MS + 62_400, 0), EntryId(START_MS + 62_400, 0), 1)
    assert "The range has 2 gaps." in replay("--session", "s-1", "--dry-run")


def test_provenance_says_who_when_what_and_why_and_expires_with_the_sandbox(valkey: redis.Redis) -> None:
    replay("--session", "s-1", "--since", "2025-11-24T16:00Z", "--expires", "2h")
    [found] = sandboxes(valkey, "sandbox:")
    assert found.name == TO
    [kept] = found.replays
    assert (kept.who, kept.reason, kept.sources) == (getpass.getuser(), "reproduce it", (STREAM,))
    assert kept.words == "events in session s-1 since 2025-11-24 16:00 UTC"
    assert kept.query == "session:s-1 since:2025-11-24T16:00:00Z"
    assert (kept.first_id, kept.last_id, kept.entries) == (ENTRIES[0].entry_id, ENTRIES[4].entry_id, 5)
    assert (kept.ids, kept.pace, kept.size_bytes, kept.outcome) == ("original", "at full speed", 150, "")
    assert kept.ended_at is not None
    assert found.expires_at is not None
    assert 7_190 < (found.expires_at - kept.ended_at).total_seconds() < 7_210
    left = {key: valkey.execute_command("PTTL", key) for key in (TO, f"{TO}:provenance", "sandbox:index")}
    assert 0 < left[TO] <= 7_200_000
    assert abs(left[TO] - left[f"{TO}:provenance"]) < 1_000
    assert left["sandbox:index"] > left[TO]


def test_an_expired_sandbox_is_on_no_list(valkey: redis.Redis) -> None:
    replay("--session", "s-1")
    valkey.execute_command("PEXPIREAT", f"{TO}:provenance", 1)
    assert sandboxes(valkey, "sandbox:") == []
    assert sandbox(valkey, TO) is None


def test_what_others_have_put_beside_a_sandbox_stops_no_page(valkey: redis.Redis) -> None:
    replay("--session", "s-1")
    for number, text in enumerate(("", "{}", "[1]", '{"begun_at": "soon"}', b"\xff")):
        valkey.execute_command("HSET", f"{TO}:provenance", f"x{number}", text)
    [found] = sandboxes(valkey, "sandbox:")
    assert [kept.entries for kept in found.replays] == [5]


def test_a_further_replay_goes_behind_and_never_shortens_the_life(valkey: redis.Redis) -> None:
    replay("--session", "s-1", "--expires", "10d")
    replay("--session", "s-2", "--expires", "1h")
    assert pairs(copies(valkey)[:5]) == pairs(ENTRIES)
    found = sandbox(valkey, TO)
    assert found is not None
    assert [one.words for one in found.replays] == ["events in session s-1", "events in session s-2"]
    assert valkey.execute_command("TTL", TO) > 9 * 86_400


def test_original_ids_are_refused_where_a_later_one_has_been(valkey: redis.Redis) -> None:
    replay("--session", "s-2")
    with pytest.raises(
        CommandError, match=r"1764000000000-0, the first entry to copy, is not after the last entry 1764000070000-0"
    ):
        replay("--session", "s-1")
    assert len(copies(valkey)) == 1
    replay("--session", "s-1", "--ids", "new")
    assert len(copies(valkey)) == 6


def test_one_id_in_two_streams_is_refused_and_copied_with_new_ones(valkey: redis.Redis, write: Write) -> None:
    write(odd(0, 0, stream="other"))
    with pytest.raises(CommandError, match="Entry ID 1764000000000-0 exists in two streams"):
        replay("--session", "s-1")
    assert "of memory:events (5), other (1)" in replay("--session", "s-1", "--ids", "new")
    assert len(copies(valkey)) == 6


def test_at_a_speed_the_recorded_gaps_are_waited_for(valkey: redis.Redis, clock: FakeClock) -> None:
    said = replay("--session", "s-1", "--speed", "10")
    assert clock.waits == [0.2, 5.0, 1.0, 0.05]  # every 5 s it says that it goes on
    assert "at 10 times the recorded speed (takes 6 seconds)." in said
    assert pairs(copies(valkey)) == pairs(ENTRIES)


def test_gaps_are_capped_before_they_are_divided(clock: FakeClock) -> None:
    said = replay("--session", "s-1", "--speed", "2", "--max-pause", "5s")
    assert clock.waits == [1.0, 2.5, 0.25]
    assert "pauses at most 5 s" in said


def test_what_is_late_is_caught_up(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    write = SandboxWriter.write

    def slow(self: SandboxWriter, entries: list[Entry]) -> None:
        write(self, entries)
        clock.now_s += 3.0

    monkeypatch.setattr(SandboxWriter, "write", slow)
    replay("--session", "s-1", "--speed", "1")
    assert clock.waits == [
        *[5.0] * 11,
        1.0,
    ]  # 2 s were past when the first two were written, the last half second as well


def test_ctrl_c_leaves_whole_entries_and_says_how_far_it_came(valkey: redis.Redis, clock: FakeClock) -> None:
    clock.interrupt_at = 1
    output = io.StringIO()
    with pytest.raises(CommandError, match="Interrupted"):
        call_command(
            "replay", "--session", "s-1", "--to", TO, "--speed", "1", "--ids", "new", "--reason", "x", stdout=output
        )
    assert output.getvalue().splitlines()[-1] == "3 entries were copied to sandbox:one."
    made = copies(valkey)
    assert pairs(made) == pairs(ENTRIES[:3])
    assert all(origin(valkey, TO, copy.entry_id) for copy in made)
    found = sandbox(valkey, TO)
    assert found is not None
    [kept] = found.replays
    assert (kept.entries, kept.last_id, kept.outcome) == (3, ENTRIES[2].entry_id, "Interrupted.")
    [access] = recent(5)
    assert not access.succeeded
    assert "3 entries were copied to sandbox:one. Interrupted." in access.outcome


def test_a_lost_answer_writes_nothing_twice(valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """The batch is sent again, as redis-py does when the connection breaks before the answer."""
    at_once = sandbox_writer.call_at_once

    def twice(client: redis.Redis, *commands: Any, stream: str = "") -> list[Any]:
        if any(command[0] == "XADD" for command in commands):
            at_once(client, *commands, stream=stream)
        return at_once(client, *commands, stream=stream)

    monkeypatch.setattr(sandbox_writer, "call_at_once", twice)
    assert "5 entries were copied" in replay("--session", "s-1", "--ids", "new")
    assert pairs(copies(valkey)) == pairs(ENTRIES)


def test_a_sandbox_that_is_deleted_meanwhile_stays_deleted(
    valkey: redis.Redis, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    sleep = clock.sleep

    def deleted_at_the_second(seconds: float) -> None:
        sleep(seconds)
        if len(clock.waits) == 2:
            delete_sandbox(valkey, TO, "sandbox:")

    monkeypatch.setattr(clock, "sleep", deleted_at_the_second)
    with pytest.raises(CommandError, match="was deleted or expired during the replay"):
        replay("--session", "s-1", "--speed", "1")
    assert sandboxes(valkey, "sandbox:") == []
    assert copies(valkey) == []


def test_what_somebody_else_writes_between_ends_it_and_is_not_counted(
    valkey: redis.Redis, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    sleep = clock.sleep

    def written_between(seconds: float) -> None:
        sleep(seconds)
        valkey.execute_command("XADD", TO, "9999999999999-0", "type", "foreign")

    monkeypatch.setattr(clock, "sleep", written_between)
    with pytest.raises(CommandError, match="equal or smaller"):
        replay("--session", "s-1", "--speed", "1")
    found = sandbox(valkey, TO)
    assert found is not None
    assert found.replays[0].entries == 2


@pytest.mark.parametrize(
    ("to", "sentence"),
    [
        (STREAM, "memory:events is a watched stream"),
        ("memory:events:parked", "is a watched stream"),
        ("other", "is a watched stream"),
        ("elsewhere", r"elsewhere is not a sandbox name. It must start with sandbox: \(EVDASH_SANDBOX_PREFIX\)"),
        ("Sandbox:x", "is not a sandbox name"),
        ("sandbox:", "is not a sandbox name"),
        ("sandbox:index", "is reserved for sandbox metadata"),
        ("sandbox:x:provenance", "is reserved for sandbox metadata"),
        ("sandbox:a b", "all of them visible"),
        (f"sandbox:{'x' * 200}", "at most 200 characters"),
        ("sandbox:foreign", "Stream sandbox:foreign exists and was not created by a replay"),
    ],
)
def test_nothing_is_written_anywhere_else(valkey: redis.Redis, to: str, sentence: str) -> None:
    valkey.execute_command("XADD", "sandbox:foreign", "1-0", "type", "foreign")
    before = {key: valkey.execute_command("XRANGE", key, "-", "+") for key in keys(valkey)}
    with pytest.raises(CommandError, match=sentence):
        replay("--session", "s-1", to=to)
    assert {key: valkey.execute_command("XRANGE", key, "-", "+") for key in keys(valkey)} == before
    [access] = recent(5)
    assert (access.begun.action, access.succeeded, access.begun.reason) == ("replay", False, "reproduce it")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--session", "s-1", "--reason", " "), "Enter a reason"),
        ((), "Select events with --session"),
        (("--filter", "nonsense:x"), "Unknown key 'nonsense'"),
        (("--session", "nobody"), "Nothing to copy: no entry matches events in session nobody."),
        (("--session", "s-1", "--speed", "101"), r"Speed 101 is not valid \(1 to 100\)"),
        (("--session", "s-1", "--speed", "nan"), "'nan' is not a number"),
        (("--session", "s-1", "--max-pause", "5s"), "A pause limit needs a speed"),
        (("--session", "s-1", "--expires", "31d"), r"Expiry 31 days is not valid \(1 second to 30 days\)"),
        (
            ("--session", "s-1", "--speed", "1", "--expires", "60s"),
            "The longest pause is 1 minute, and the sandbox",
        ),
        (("--session", "s-1", "--expires", "soon"), "'soon' is not a time"),
    ],
)
def test_a_refusal_is_a_sentence(valkey: redis.Redis, arguments: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(CommandError, match=sentence):
        replay("--reason", "x", *arguments, reason="")
    assert sandboxes(valkey, "sandbox:") == []


def test_too_many_entries_bytes_or_hours_are_refused_with_the_limit(
    valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replaying, "DURATION_MAX_S", 60)
    with pytest.raises(CommandError, match="Limit: 1 minute per replay"):
        replay("--session", "s-1", "--speed", "1")
    monkeypatch.setattr(replaying, "BYTES_MAX", 128)
    with pytest.raises(CommandError, match=r"Limit: .* MB per replay"):
        replay("--session", "s-1")
    monkeypatch.setattr(Replay.__init__, "__kwdefaults__", {**(Replay.__init__.__kwdefaults__ or {}), "entries_max": 4})
    with pytest.raises(CommandError, match="Limit: 4 entries per replay"):
        replay("--session", "s-1")
    assert keys(valkey) == {STREAM.encode()}


def test_what_came_since_it_was_counted_is_under_the_limits_too(
    valkey: redis.Redis, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replaying, "count_until", lambda *_: replaying.ReplaySize(entries=1, first_id=EntryId(1, 0)))
    monkeypatch.setattr(Replay.__init__, "__kwdefaults__", {**(Replay.__init__.__kwdefaults__ or {}), "entries_max": 3})
    with pytest.raises(CommandError, match="Limit: 3 entries per replay"):
        replay("--session", "s-1")
    assert pairs(copies(valkey)) == pairs(ENTRIES[:3])


def test_without_redis_it_is_refused_rather_than_cut(settings: Any) -> None:
    settings.EVDASH = replace(settings.EVDASH, redis_url="redis://127.0.0.1:1")
    with pytest.raises(CommandError, match="A replay would be incomplete"):
        replay("--session", "s-1")


def test_the_audit_log_has_what_was_asked_and_what_came_of_it(valkey: redis.Redis) -> None:
    replay("--session", "s-1")
    [access] = recent(5)
    assert access.title == "Replay events in session s-1 to sandbox:one"
    assert (access.begun.stream, access.begun.reason, access.succeeded) == (TO, "reproduce it", True)
    assert access.ended is not None
    assert access.ended.before == {}
    assert access.ended.after["length"] == 5


def test_the_lines_in_readme_are_understood() -> None:
    lines = re.findall(r"manage\.py (replay .+)$", (CHECKOUT / "docs/operations.md").read_text(), re.MULTILINE)
    assert len(lines) >= 2
    for line in lines:
        given = Command().create_parser("manage.py", "replay").parse_args(shlex.split(line.rstrip("`"))[1:])
        assert given.to.startswith("sandbox:")
        assert given.reason or given.dry_run
