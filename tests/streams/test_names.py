"""Names of any bytes: without control characters as text, unique, and the same bytes again in a command."""

import itertools
import os
import re

import pytest
import redis
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from evdash.config.environment import Configuration
from evdash.events.entry import EntryId
from evdash.streams.client import call
from evdash.streams.consumer_group import GroupConsumer, pending_entries
from evdash.streams.names import EMPTY, name_of, raw_name
from evdash.streams.stream_info import group_infos

tricky = st.one_of(
    st.binary(max_size=12),
    st.text(max_size=12).map(str.encode),
    st.lists(st.sampled_from([b"\\", b"\\x", b"\\xff", b"5c", b'"', b"\xff", b"\x00", b"a"])).map(b"".join),
)


@given(tricky)
def test_a_name_comes_back_as_the_same_bytes(raw: bytes) -> None:
    assert raw_name(name_of(raw)) == raw


@given(tricky)
def test_the_text_of_a_name_has_no_control_characters_and_is_never_empty(raw: bytes) -> None:
    text = name_of(raw)
    assert text
    assert not any(ord(character) < 0x20 or 0x7F <= ord(character) <= 0x9F for character in text)
    assert text.encode()


def test_names_that_are_plain_stay_as_they_are() -> None:
    assert [name_of(raw) for raw in (b"memory:events", "größe".encode(), rb"a\b")] == ["memory:events", "größe", r"a\b"]
    assert [name_of(raw) for raw in (b"", b"\xff\x80", b"\x00")] == [EMPTY, r"\xff\x80", r"\x00"]


def test_a_group_and_a_consumer_of_any_name_are_read_and_claimed_from(valkey: redis.Redis) -> None:
    for raw in (b"", b"\xff\xfe\x80", b"\\xff", b"a/b"):
        valkey.xadd("s", {"type": "x"}, id="*")
        valkey.xgroup_create("s", raw, id="0")
        valkey.execute_command("XREADGROUP", "GROUP", raw, raw, "STREAMS", "s", ">")
        name = name_of(raw)
        [info] = [each for each in group_infos(valkey, "s") if each.name == name]
        assert [consumer.name for consumer in info.consumers] == [name]
        [*_, pending] = pending_entries(valkey, "s", name, consumer=name, count=10)
        assert pending.consumer == name
        assert GroupConsumer(valkey, name, "other").claim_idle("s", 0, 1)[0].entry is not None


@given(st.lists(st.tuples(tricky.filter(bool), st.booleans()), min_size=1, max_size=4))
@example([(b"\x1c", False)])
@example([("\u2003".encode(), False), (b"\xc2", False), (b"\xa0", False)])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
def test_an_entry_has_the_configured_name_of_its_stream(
    valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch, pieces: list[tuple[bytes, bool]]
) -> None:
    def escaped(piece: bytes) -> str:
        return "".join(f"\\x{byte:02x}" for byte in piece)

    def as_written(piece: bytes, is_escaped: bool) -> str:
        # os.fsdecode gives bytes that are not UTF-8 as in os.environ.
        signs = os.fsdecode(piece)
        return escaped(piece) if is_escaped else re.sub(r'[\\\x00,"]', lambda sign: escaped(sign[0].encode()), signs)

    raw = b"".join(piece for piece, _ in pieces)
    written = os.fsdecode(
        os.fsencode("".join(itertools.starmap(as_written, pieces)))
    )  # a character of two pieces is one
    # White space of any kind around a name is not part of it, unless escaped.
    written = "".join(escaped(sign.encode()) if sign.isspace() else sign for sign in written)
    monkeypatch.setenv("EVDASH_STREAMS", written)
    [name] = Configuration.from_environment().streams
    valkey.flushall()
    valkey.execute_command("XADD", raw, "1-1", "type", "x")
    consumer = GroupConsumer(valkey, "g", "c")
    consumer.ensure(name, EntryId.MIN)
    assert [entry.stream for entry in consumer.read_new([name], 5, 0)] == [name]
    assert name == name_of(raw)


def test_a_stream_of_any_name_is_read(valkey: redis.Redis) -> None:
    for raw in (b"", b"\xff"):
        valkey.execute_command("XADD", raw, "1-1", "type", "x")
        name = name_of(raw)
        consumer = GroupConsumer(valkey, "g", "c")
        consumer.ensure(name, EntryId.MIN)
        assert [(entry.stream, entry.entry_id) for entry in consumer.read_new([name], 5, 0)] == [(name, EntryId(1, 1))]
        assert call(valkey, "XLEN", name) == 1
