"""Schema versions: older events are read as the newest, and their entries stay as they were written."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evdash.events import upcasters
from evdash.events.decoding import decode
from evdash.events.entry import Entry, EntryId
from evdash.events.event import Event
from evdash.events.filters.event_filter import EventFilter
from evdash.events.upcasters import UPCASTERS, VERSION_1, Upcasters, UpcastersInvalid, load
from tests.builders import entry, event, raw_values, wild_pairs


def read(own: Mapping[tuple[str, int], Any], **fields: str) -> Event:
    """The event, read with these steps of one's own."""
    known = Upcasters(shipped=dict(UPCASTERS.shipped))
    for (event_type, version), step in own.items():
        known.add(event_type, version, step)
    return decode(entry(**fields), upcasters=known)


def test_an_old_message_is_read_as_a_new_one_and_its_entry_is_unchanged() -> None:
    old = event(type="message.added", schema_version="1", text="hello", sender="user", duration_s="0.412")

    assert (old.data["content"], old.data["role"], old.latency_ms) == ("hello", "user", 412.0)
    assert "text" not in old.data
    assert [(field.name, field.value) for field in old.fields][2] == ("text", "hello")
    assert old.entry.pairs[2] == (b"text", b"hello")
    assert old.version == 1
    assert old.remarks == ("Upcast from version 1 to 2. The stored entry is unchanged.",)


@pytest.mark.parametrize(
    ("fields", "read_as"),
    [
        ({"type": "search.performed", "q": "flights", "hits": "3"}, {"query": "flights", "results": "3"}),
        ({"type": "session.ended", "status": "resolved"}, {"outcome": "resolved"}),
        ({"type": "summary.created", "content": "It went well."}, {"summary": "It went well."}),
        ({"type": "tool.called", "name": "search", "args": '{"q":1}'}, {"tool": "search", "arguments": '{"q":1}'}),
        ({"type": "tool.returned", "name": "search", "output": "3"}, {"tool": "search", "result": "3"}),
        ({"type": "error.occurred", "message": "no", "kind": "E1"}, {"error": "no", "error_code": "E1"}),
    ],
)
def test_every_old_spelling_has_a_new_one(fields: dict[str, str], read_as: dict[str, str]) -> None:
    old = event(**fields, schema_version="1")

    assert read_as.items() <= old.data.items()
    assert not {name for name in fields if name != "type"} & old.data.keys()


def test_what_the_pages_ask_of_an_event_is_asked_of_the_newest_version() -> None:
    tool = event(type="tool.failed", v="1", name="search", duration_s="2")
    error = event(type="error.occurred", version="1", message="It broke.", kind="E_BROKEN")

    assert (tool.tool, tool.latency_ms) == ("search", 2000)
    assert (error.error, error.code) == ("It broke.", "E_BROKEN")


def test_a_lifted_event_is_found_by_its_new_names_and_its_old_ones() -> None:
    old = event(type="search.performed", schema_version="1", q="flights to Rome")

    for text in ('field.query:"flights to Rome"', 'field.q:"flights to Rome"', "rome"):
        assert EventFilter.parse(text).matches(old)


def test_what_is_said_in_the_new_spelling_is_not_overwritten() -> None:
    both = event(type="tool.called", schema_version="1", name="label", tool_name="search", args="1", arguments="2")

    assert (both.tool, both.data["name"], both.data["arguments"]) == ("search", "label", "2")
    assert both.remarks == ()


@pytest.mark.parametrize("duration", ["soon", "-1", "nan", "1e400", ""])
def test_a_duration_that_is_none_stays_as_it_is(duration: str) -> None:
    old = event(type="tool.called", schema_version="1", duration_s=duration)

    assert old.data["duration_s"] == duration
    assert old.latency_ms is None


@pytest.mark.parametrize("name", ["schema_version", "version", "v"])
@pytest.mark.parametrize("value", ["1.0.3", "v1", "0", "-1", "2026", "1.0", "01", "１", "", "true"])
def test_what_is_no_small_whole_number_is_no_version(name: str, value: str) -> None:
    read = decode(entry(type="message.added", text="hello", **{name: value}))

    assert read.version is None
    assert read.data["text"] == "hello"


@pytest.mark.parametrize("value", ["-1", "abc", "0", "1000", "1.5"])
def test_a_schema_version_that_cannot_be_is_told(value: str) -> None:
    expected = f"schema_version {value!r} is not a whole number from 1 to 999; ignored."
    assert event(type="message.added", schema_version=value).remarks == (expected,)
    assert event(type="message.added", data=json.dumps({"schema_version": value})).remarks == (expected,)


def test_what_only_might_be_a_schema_version_is_not_told_when_it_is_none() -> None:
    assert event(type="message.added", version="v1.0.3", v="abc", schema_version="").remarks == ()


def test_a_version_within_the_data_is_one_only_by_its_full_name() -> None:
    payload = event(type="message.added", data='{"version": 1, "text": "hello"}')
    schema = event(type="message.added", data='{"schema_version": 1, "text": "hello"}')

    assert (payload.version, payload.data["text"]) == (None, "hello")
    assert (schema.version, schema.data["content"]) == (1, "hello")


def test_events_without_a_version_and_of_the_newest_are_read_as_they_are() -> None:
    assert event(type="message.added", text="hello").data["text"] == "hello"
    assert event(type="message.added", text="hello", schema_version="2").data["text"] == "hello"


def test_steps_follow_each_other_and_may_change_the_type() -> None:
    own = {
        ("order.made", 1): lambda data: {**data, "type": "order.placed", "total": float(data["total"])},
        ("order.placed", 2): lambda data: {**data, "total_cents": round(data["total"] * 100)},
        ("order.placed", 4): lambda data: {**data, "never": True},
    }
    old = read(own, type="order.made", schema_version="1", total="12.34")

    assert (old.type, old.data["total_cents"], "never" in old.data) == ("order.placed", 1234, False)
    assert old.remarks == ("Upcast from version 1 to 3. The stored entry is unchanged.",)


def test_a_type_with_steps_of_ones_own_is_lifted_by_them_alone() -> None:
    own = {("message.added", 2): lambda data: {**data, "content": data["text"].upper()}}

    assert read(own, type="message.added", schema_version="1", text="a").data.get("content") is None
    assert read(own, type="message.added", schema_version="2", text="a").data["content"] == "A"
    assert read(own, type="search.performed", schema_version="1", q="a").data["query"] == "a"


def test_of_several_steps_that_fit_the_longest_type_counts() -> None:
    own = {
        ("*", 1): lambda data: {**data, "by": "all"},
        ("order.*", 1): lambda data: {**data, "by": "orders"},
        ("order.placed", 2): lambda data: {**data, "then": "placed"},
    }

    assert read(own, type="order.placed", schema_version="1").data["by"] == "orders"
    assert read(own, type="order.placed", schema_version="1").data["then"] == "placed"
    assert read(own, type="visit", schema_version="1").data["by"] == "all"


def _spoils_and_fails(data: dict[str, Any]) -> dict[str, Any]:
    data["data"]["items"].clear()
    data.clear()
    raise KeyError("total")


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (_spoils_and_fails, "KeyError: 'total'"),
        (lambda data: None, "TypeError: 'NoneType' object is not iterable"),
        (lambda data: {"at": object()}, "TypeError: Object of type object is not JSON serializable"),
        (lambda data: {"a": json.loads("[" * 200 + "]" * 200)}, "deeper than 100 levels"),
    ],
)
def test_a_step_that_fails_leaves_the_event_as_it_was_with_a_remark(step: Any, words: str) -> None:
    fields = {"type": "order.placed", "schema_version": "1", "data": '{"items": [1]}'}
    failed = read({("order.placed", 1): step}, **fields)

    assert failed.data == event(**fields).data
    assert failed.data["items"] == [1]
    [remark] = failed.remarks
    assert remark.startswith("Upcast from version 1 failed (")
    assert words in remark


def test_a_step_that_fails_after_another_leaves_the_event_as_it_was_written() -> None:
    own = {("a", 1): lambda data: {**data, "b": 1}, ("a", 2): lambda data: 1 / 0}

    failed = read(own, type="a", schema_version="1")

    assert "b" not in failed.data
    assert failed.remarks == (
        "Upcast from version 2 failed (ZeroDivisionError: division by zero). The event is shown as stored.",
    )


def test_halves_of_characters_that_a_step_gives_back_are_written_out() -> None:
    given_back = read({("a", 1): lambda data: {**data, "text": "\ud800"}}, type="a", schema_version="1")

    assert given_back.data["text"] == "\\ud800"


_versions = st.one_of(st.sampled_from([b"1", b"2", b"999", b" 1 ", b"1000"]), raw_values)
_types = st.sampled_from([b"order.made", *(name.replace("*", "x").encode() for name in VERSION_1)])
_old_names = st.sampled_from([old.encode() for renamed in VERSION_1.values() for old, _ in renamed.names])


@given(
    st.sampled_from([b"schema_version", b"version", b"v"]),
    _versions,
    _types,
    st.lists(st.tuples(_old_names | st.just(b"duration_s"), raw_values), max_size=5),
    wild_pairs,
)
def test_no_version_makes_decoding_fail_and_every_pair_is_kept(
    name: bytes,
    version: bytes,
    event_type: bytes,
    old: list[tuple[bytes, bytes]],
    wild: tuple[tuple[bytes, bytes], ...],
) -> None:
    pairs = (*wild, (b"type", event_type), (name, version), *old)
    known = Upcasters(shipped=dict(UPCASTERS.shipped))
    known.add("order.*", 1, lambda data: {key: value[0] for key, value in data.items()})

    decoded = decode(Entry("s", EntryId(1, 1), pairs), upcasters=known)

    assert decoded.entry.pairs == pairs
    assert tuple(field.raw for field in decoded.fields) == tuple(value for _, value in pairs)
    for text in [*decoded.remarks, json.dumps(decoded.data, ensure_ascii=False)]:
        text.encode("utf-8")


def test_two_steps_from_one_version_are_refused() -> None:
    known = Upcasters()
    known.add("a", 1, dict)

    with pytest.raises(UpcastersInvalid, match="Two upcasters of a start from version 1"):
        known.add("a", 1, lambda data: data)
    with pytest.raises(UpcastersInvalid, match="version 0 is not a whole number from 1 to 999"):
        known.add("a", 0, dict)


@pytest.fixture
def own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(upcasters, "UPCASTERS", Upcasters())
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_steps", raising=False)
    return tmp_path / "own_steps.py"


def test_a_module_of_ones_own_adds_its_steps(own_module: Path) -> None:
    own_module.write_text(
        "from evdash.events.upcasters import upcaster\n"
        "@upcaster('order.placed', from_version=1)\n"
        "def step(data):\n    return {**data, 'total_cents': round(float(data['total']) * 100)}\n"
    )

    load("own_steps")

    old = decode(entry(type="order.placed", v="1", total="1.5"), upcasters=upcasters.UPCASTERS)
    assert old.data["total_cents"] == 150


def test_a_module_that_fails_is_refused(own_module: Path) -> None:
    own_module.write_text("1 / 0\n")

    with pytest.raises(UpcastersInvalid, match=r"it cannot be imported \(ZeroDivisionError: division by zero\)"):
        load("own_steps")
