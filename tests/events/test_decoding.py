import json

import pytest
from hypothesis import given

from evdash.events.decoding import decode
from evdash.events.entry import Entry, EntryId
from tests.builders import entry_ids, event, raw_entry, wild_pairs


def test_flat_fields_are_read() -> None:
    read = event(
        id="evt-1", type="tool.called", session_id="s", user_id="u", timestamp="1700000000",
        tool="search", model="m", agent="a", latency_ms="41.5", tokens="12", severity="WARN",
    )  # fmt: skip
    assert (read.event_id, read.type, read.session_id, read.user_id) == ("evt-1", "tool.called", "s", "u")
    assert (read.tool, read.model, read.agent, read.latency_ms, read.tokens) == ("search", "m", "a", 41.5, 12)
    assert read.severity == "warning"
    assert read.occurred_at.isoformat() == "2023-11-14T22:13:20+00:00"
    assert not read.is_error
    assert read.remarks == ()


def test_json_in_the_data_field_is_read_where_no_flat_field_says_it() -> None:
    data = {"type": "message.added", "session_id": "from-json", "tokens": 7, "nested": {"a": [1]}}
    read = event(type="flat", data=json.dumps(data))
    assert read.type == "flat"
    assert read.session_id == "from-json"
    assert read.tokens == 7
    assert read.data["nested"] == {"a": [1]}


@pytest.mark.parametrize(
    "text",
    ["1700000000", "1700000000.0", "1700000000000", "1700000000000000", "1700000000000000000",
     "2023-11-14T22:13:20Z", "2023-11-14T22:13:20", "2023-11-14 23:13:20+01:00", "20231114T221320Z"],
)  # fmt: skip
def test_every_form_of_a_timestamp_is_the_same_time(text: str) -> None:
    read = event(entry_id="5-0", type="t", timestamp=text)
    assert read.occurred_us == 1_700_000_000_000_000
    assert read.time_source == "timestamp"


@pytest.mark.parametrize(
    ("text", "microseconds"),
    [("1700000000.5", 500_000), ("1700000000.0000019", 1), ("1700000000.999999999999999", 999_999),
     (" 1700000000.25 ", 250_000), ("1700000000000.25", 250), ("1.7000000005e9", 500_000)],
)  # fmt: skip
def test_a_fraction_of_a_timestamp_is_cut_to_microseconds(text: str, microseconds: int) -> None:
    assert event(type="t", timestamp=text).occurred_us == 1_700_000_000_000_000 + microseconds


@pytest.mark.parametrize(
    "text",
    ["nonsense", "0", "-62135596800", "0001-01-01T00:00:00Z", "9" * 24, "NaN", "Infinity", "1e400", "２０２３-11-14"],
)
def test_a_timestamp_that_is_none_leaves_the_entry_ids_time_and_says_so(text: str) -> None:
    read = event(entry_id="1700000000000-0", type="t", timestamp=text)
    assert read.occurred_us == 1_700_000_000_000_000
    assert read.time_source == "entry ID"
    assert any("timestamp" in remark for remark in read.remarks)


def test_the_year_9999_is_a_time_and_an_id_past_it_is_told() -> None:
    assert event(type="t", timestamp="9999-12-31T23:59:59Z").occurred_at.year == 9999
    assert event(type="t", timestamp="253402300799").occurred_at.year == 9999
    late = event(entry_id=str(EntryId.MAX), type="t")
    assert late.occurred_at.year == 9999
    assert any("after the year 9999" in remark for remark in late.remarks)


def test_a_clock_that_runs_ahead_of_the_writing_is_told() -> None:
    ahead = event(entry_id="1700000000000-0", type="t", timestamp="9999-01-02T03:04:05Z")
    assert ahead.remarks == ("Producer time 9999-01-02 03:04:05 UTC is more than 1 day after the entry ID.",)
    assert ahead.occurred_at.year == 9999
    assert ahead.credible_us == 1_700_000_000_000_000


@pytest.mark.parametrize(
    ("entry_id", "timestamp"),
    [
        ("1700000000000-0", "1700080000"),  # hours ahead: a zone
        ("1700000000000-0", "1600000000"),  # written long after it happened
        ("253402000000000-0", "1700000000"),  # an explicit ID of the future
        ("5-0", "1700000000"),  # an explicit ID that is no time
    ],
)
def test_other_times_are_the_producers(entry_id: str, timestamp: str) -> None:
    read = event(entry_id=entry_id, type="t", timestamp=timestamp)
    assert read.remarks == ()
    assert read.credible_us == read.occurred_us == int(timestamp) * 1_000_000


@pytest.mark.parametrize(
    ("fields", "is_error"),
    [
        ({"type": "error.occurred"}, True),
        ({"type": "tool.returned", "error": "no such flight"}, True),
        ({"type": "tool.returned", "error": ""}, False),
        ({"type": "tool.returned", "error": "false"}, False),
        ({"type": "tool.returned", "data": '{"error": null}'}, False),
        ({"type": "tool.returned", "data": '{"error": {"code": 5}}'}, True),
        ({"type": "log", "severity": "ERROR"}, True),
        ({"type": "log", "level": "fatal"}, True),
        ({"type": "log", "severity": "warning"}, False),
    ],
)
def test_an_error_is_told_by_type_by_field_or_by_severity(fields: dict[str, str], is_error: bool) -> None:
    assert event(**fields).is_error is is_error


def test_a_repeated_field_is_kept_twice_read_last_and_marked() -> None:
    read = decode(raw_entry(("type", "first"), ("type", "last")))
    assert read.type == "last"
    assert [field.value for field in read.fields] == ["first", "last"]
    assert any("more than once" in remark for remark in read.remarks)


def test_a_binary_value_is_shown_escaped_kept_raw_and_marked() -> None:
    read = event(type="t", payload=b"\xff\x00\x01")
    assert read.fields[1].value == "\\xff\x00\x01"
    assert read.fields[1].raw == b"\xff\x00\x01"
    assert not read.fields[1].is_text
    assert any("not UTF-8" in remark for remark in read.remarks)


@pytest.mark.parametrize("inner", ['"\\ud800"', "1"])
@pytest.mark.parametrize("depth", [101, 500, 900, 5000])
def test_json_that_is_nested_too_deep_to_be_walked_stays_text(depth: int, inner: str) -> None:
    text = f'{{"type": {"[" * depth}{inner}{"]" * depth}}}'
    read = event(data=text)
    assert read.data["data"] == text
    assert any("deeper than 100 levels" in remark or "not valid JSON" in remark for remark in read.remarks)


def test_json_that_is_merely_long_or_deep_is_read() -> None:
    many = [[number] for number in range(500)]
    assert event(data=json.dumps({"many": many})).data["many"] == many
    assert event(data=f'{{"a": {"[" * 99}{"]" * 99}}}').remarks == ("The entry has no event type.",)


def test_long_identifiers_stay_apart() -> None:
    one, other = event(session_id="x" * 5000 + "1"), event(session_id="x" * 5000 + "2")
    assert len(one.session_id) == 200
    assert one.session_id != other.session_id


@given(entry_ids, wild_pairs)
def test_nothing_in_an_entry_can_make_decoding_fail(entry_id: EntryId, pairs: tuple[tuple[bytes, bytes], ...]) -> None:
    read = decode(Entry("s", entry_id, pairs))
    assert tuple(field.raw for field in read.fields) == tuple(value for _, value in pairs)
    texts = [read.type, read.session_id, read.user_id, read.tool, read.error, read.severity, *read.remarks]
    texts += [field.value for field in read.fields]
    for text in [*texts, json.dumps(read.data, ensure_ascii=False, default=str)]:
        text.encode("utf-8")
    assert read.occurred_at.tzinfo is not None
    for identifier in (read.type, read.session_id, read.user_id, read.tool):
        assert len(identifier) <= 200
        assert "\x00" not in identifier


@pytest.mark.parametrize(
    ("field", "value"), [("latency_ms", "inf"), ("latency_ms", "-5"), ("tokens", "many"), ("tokens", "NaN")]
)
def test_a_number_that_cannot_be_is_kept_left_out_and_told(field: str, value: str) -> None:
    read = event(**{"type": "a", field: value})
    assert (read.latency_ms, read.tokens) == (None, 0)
    assert read.data[field] == value
    assert len(read.remarks) == 1
    assert read.remarks[0].startswith(f"{field} {value!r} is not a ")
