from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from evdash.events.filters.event_filter import EventFilter, FilterError, TimeBound
from evdash.events.filters.keys import ATTRIBUTES, BY_NAME, Condition, FilterKey
from evdash.events.filters.search_text import field_value, search_text
from tests.builders import event, words

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)

NAIVE = FilterKey("naive", field="Naïve x", example="b", phrase="with naive", facet="Naive", is_parameter=True)
"""A key of a field that the event log has no column for, and that random entries have."""


@contextmanager
def declared(*keys: FilterKey) -> Iterator[None]:
    """Within this, the table has these keys as well."""
    with pytest.MonkeyPatch.context() as patch:
        for key in keys:
            patch.setitem(BY_NAME, key.name, key)
        yield


def of_attribute(key: str, value: str, negated: bool, prefix: bool) -> Condition:
    """A condition as a filter has it, with the value as events have it."""
    return Condition(key, BY_NAME[key].normalized(value, is_prefix=prefix), negated, prefix)


_values = st.one_of(words.filter(bool), st.text(min_size=1, max_size=8))
conditions = st.one_of(
    st.builds(
        of_attribute,
        st.sampled_from([key for key in ATTRIBUTES if key != "severity" and not BY_NAME[key].is_number]),
        st.one_of(st.just(""), _values),
        st.booleans(),
        st.booleans(),
    ),
    st.builds(Condition, st.text(min_size=1, max_size=6).map("field.{}".format), _values, st.booleans(), st.booleans()),
    st.builds(Condition, st.just(NAIVE.name), _values.map(str.casefold), st.booleans(), st.booleans()),
    st.builds(Condition, st.just("text"), _values, st.booleans()),
    st.builds(Condition, st.just("is"), st.just("error"), st.booleans()),
    st.builds(
        Condition,
        st.sampled_from(["latency", "tokens", "field.x", "field.latency_ms", "field.data.tokens", "field.a.b"]),
        st.sampled_from(["0", "5", "7.5", "-1", "-0.5", "1e3", ".5", "0.30000000000000004", "1764000000123456789"]),
        st.booleans(),
        comparison=st.sampled_from([">", ">=", "<", "<="]),
    ),
    st.builds(
        Condition,
        st.sampled_from(["latency", "tokens"]),
        st.sampled_from(["0", "5", "12", "7.5", "0.5", ".5", "-1", "12.0"]),
        st.booleans(),
        comparison=st.just("="),
    ),
)
bounds = st.one_of(
    st.none(),
    st.builds(TimeBound, ago=st.integers(0, 100_000).map(lambda minutes: timedelta(minutes=minutes))),
    st.builds(TimeBound, moment=st.datetimes(datetime(1971, 1, 1), datetime(9998, 1, 1), timezones=st.just(UTC))),
)
filters = st.builds(
    EventFilter, st.lists(conditions, max_size=5, unique=True).map(tuple), since=bounds, until=bounds
)  # fmt: skip


@given(filters)
@example(EventFilter((Condition("field.0", "<", prefix=True),)))
@example(EventFilter((Condition("tool", ">=5", prefix=True), Condition("tool", "<b>"))))
def test_the_text_of_a_filter_parses_to_the_same_filter(event_filter: EventFilter) -> None:
    with declared(NAIVE):
        assert EventFilter.parse(event_filter.text()) == event_filter


@given(filters)
def test_every_filter_can_be_described_and_taken_apart(event_filter: EventFilter) -> None:
    with declared(NAIVE):
        assert event_filter.describe()
        assert len(event_filter.chips()) == len(event_filter.conditions) + bool(event_filter.since) + bool(
            event_filter.until
        )


@given(words, words, st.booleans())
def test_a_key_of_a_field_means_what_the_field_means(value: str, wanted: str, prefix: bool) -> None:
    written = event(**{NAIVE.field: value})
    with declared(NAIVE):
        by_key, by_field = (
            EventFilter((Condition(key, wanted, prefix=prefix),)) for key in (NAIVE.name, f"field.{NAIVE.field}")
        )
        assert by_key.matches(written) == by_field.matches(written)


def test_a_key_of_a_field_ignores_case_and_is_a_parameter() -> None:
    written = event(**{NAIVE.field: "PII"})
    with declared(NAIVE):
        parsed = EventFilter.parse("naive:Pii naive:x*")
        assert parsed.text() == "naive:pii naive:x*"
        assert parsed.describe() == "events with naive pii or x*"
        assert parsed.matches(written)
        assert not parsed.matches(event(note="pii"))
        assert EventFilter.from_query({"naive": ["PII"]}).conditions == (Condition("naive", "pii"),)


@pytest.mark.parametrize("sources", [{}, {"attribute": "tool", "field": "tool"}])
def test_a_key_has_an_attribute_or_a_field(sources: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="either an attribute or a field"):
        FilterKey("guardrail", example="pii", phrase="with guardrail", **sources)


@given(words)
def test_a_value_in_the_search_text_is_the_one_that_a_condition_finds(value: str) -> None:
    written = event(first="1", **{NAIVE.field: value}, last="x")
    found = field_value(search_text(written), NAIVE.field, 20)
    with declared(NAIVE):
        assert EventFilter((Condition(NAIVE.name, found),)).matches(written)
    assert field_value(search_text(written), "naïve", 20) == ""


def test_a_value_that_is_too_long_for_a_facet_is_left_out() -> None:
    text = search_text(event(**{NAIVE.field: "x" * 20}))
    assert field_value(text, NAIVE.field, 20) == "x" * 20
    assert field_value(text, NAIVE.field, 19) == ""


@given(st.text(max_size=60))
def test_any_text_is_a_filter_or_is_refused_with_a_place(text: str) -> None:
    try:
        EventFilter.parse(text)
        place = 0
    except FilterError as error:
        place = error.position if str(error) else -1
    assert 0 <= place <= len(text)


def test_the_grammar_of_the_documentation() -> None:
    text = 'type:error.occurred user:mia_li_3668 tool:search* "payment amount" -severity:info since:2h'
    event_filter = EventFilter.parse(text)
    assert event_filter.text() == text
    assert event_filter.describe() == (
        "events of type error.occurred of user mia_li_3668 with tool search* "
        'with the text "payment amount" not of severity info in the last 2 hours'
    )
    fitting = {
        "type": "error.occurred",
        "user_id": "mia_li_3668",
        "tool": "search_flight",
        "error": "Payment AMOUNT is off",
        "severity": "error",
        "timestamp": str(int(NOW.timestamp()) - 60),
    }
    assert event_filter.matches(event(**fitting), NOW)
    assert not event_filter.matches(event(**fitting | {"tool": "book"}), NOW)
    assert not event_filter.matches(event(**fitting | {"severity": "info"}), NOW)
    assert not event_filter.matches(event(**fitting | {"error": "amount of payment"}), NOW)
    assert not event_filter.matches(event(**fitting), NOW + timedelta(hours=3))


def test_parameters_field_by_field_say_the_same_as_the_grammar() -> None:
    params = {
        "type": ["a", "b"], "session": ["s 1"], "user": ["u"], "stream": ["memory:events"], "errors": ["1"],
        "severity": ["ERROR"], "since": ["2h"], "until": ["2026-11-23"], "text": ["x y"],
    }  # fmt: skip
    expected = EventFilter.parse(
        'type:a type:b severity:error user:u session:"s 1" stream:memory:events "x y" is:error '
        "since:2h until:2026-11-23"
    )
    assert EventFilter.from_query(params) == expected


def test_values_of_one_key_are_alternatives_and_negated_ones_are_not() -> None:
    either = EventFilter.parse("type:a type:b")
    assert either.matches(event(type="a"))
    assert either.matches(event(type="b"))
    assert not either.matches(event(type="c"))
    neither = EventFilter.parse("-type:a -type:b")
    assert not neither.matches(event(type="a"))
    assert not neither.matches(event(type="b"))
    assert neither.matches(event(type="c"))


def test_a_text_meets_values_and_no_field_names() -> None:
    assert EventFilter.parse("FLIGHT").matches(event(content="my flight is late"))
    assert not EventFilter.parse("content").matches(event(content="my flight is late"))


@pytest.mark.parametrize("sign", ["\x00", "\x1e", "\x1f"])
def test_a_control_character_is_found_where_it_is_and_nowhere_else(sign: str) -> None:
    event_filter = EventFilter.from_query({"text": [sign]})
    assert event_filter.matches(event(content=f"a{sign}b", note="n"))
    assert not event_filter.matches(event(content="a b", note="n"))
    assert not EventFilter.from_query({"text": ["a b"]}).matches(event(content=f"a{sign}b"))


def test_a_field_is_compared_whole_or_by_its_beginning() -> None:
    chat = event(channel="Chat", note="a chat")
    assert EventFilter.parse("field.channel:chat").matches(chat)
    assert EventFilter.parse("field.channel:ch*").matches(chat)
    assert not EventFilter.parse("field.channel:ch").matches(chat)
    assert not EventFilter.parse("field.note:chat").matches(chat)
    assert EventFilter.parse("field.deep:5").matches(event(data='{"deep": 5}'))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("type:*", "events of any type"),
        ("-user:*", "events without any user"),
        ("id:*", "events of any event ID"),
        ("field.channel:*", "events with channel = any"),
        ("type:a type:*", "events of type a or any"),
        ('type:""', "events of type (none)"),
    ],
)
def test_a_star_alone_is_any_value(text: str, sentence: str) -> None:
    assert EventFilter.parse(text).describe() == sentence


@pytest.mark.parametrize(
    ("text", "is_empty"),
    [
        ("since:2h until:3h", True),
        ("since:2026-11-24 until:2026-11-24", True),
        ("since:2h until:2026-11-23", True),
        ("since:3h until:2h", False),
        ("until:3h", False),
    ],
)
def test_a_range_that_ends_before_it_begins_is_known_to_be_empty(text: str, is_empty: bool) -> None:
    assert EventFilter.parse(text).has_empty_range(NOW) is is_empty


def test_a_range_includes_its_start_and_excludes_its_end() -> None:
    event_filter = EventFilter.parse("since:2026-11-23T10:00Z until:2026-11-23T11:00Z")
    assert event_filter.matches(event(timestamp="2026-11-23T10:00:00Z"))
    assert not event_filter.matches(event(timestamp="2026-11-23T11:00:00Z"))


@pytest.mark.parametrize(
    ("text", "position", "words"),
    [
        ("type:a foo:bar", 7, "Unknown key 'foo'"),
        ('a "open', 2, "Closing quotation mark missing"),
        ("type:", 5, "needs a value"),
        ("a since:yesterday", 8, "is not a time"),
        ("since:1h since:2h", 9, "is given twice"),
        ("-since:1h", 0, "cannot be excluded"),
        ("is:strange", 3, "accepts only error"),
        ("- a", 0, "minus sign"),
        ('type:"a"b', 8, "Add a space after the quotation mark"),
        ("field.:x", 0, "field name after field."),
        ("a " * 60, 100, "more than 50"),
    ],
)
def test_what_cannot_be_read_is_refused_where_it_fails(text: str, position: int, words: str) -> None:
    with pytest.raises(FilterError, match=words) as refusal:
        EventFilter.parse(text)
    assert refusal.value.position == position


@pytest.mark.parametrize("params", [{"since": ["soon"]}, {"until": ["99d99"]}, {"errors": ["perhaps"]}])
def test_a_parameter_that_cannot_be_read_is_refused(params: dict[str, list[str]]) -> None:
    with pytest.raises(FilterError):
        EventFilter.from_query(params)


@pytest.mark.parametrize(
    ("name", "is_present"),
    [
        ("arguments", True),
        ("arguments.order", True),
        ("arguments.order.id", True),
        ("arguments.id", False),
        ("argument", False),
        ("data", True),
        ("data.order", True),
        ("order", True),
        ("order.items", True),
        ("data.order.items", True),
        ("items", False),
        ("empty", True),
        ("note", True),
        ("other", False),
    ],
)
def test_an_object_or_a_list_is_present(name: str, is_present: bool) -> None:
    found = event(
        type="a", arguments='{"order": {"id": 42}}', data='{"order": {"items": [{"sku": 1}]}}', empty="{}", note="x"
    )
    assert EventFilter.parse(f"field.{name}:*").matches(found) is is_present
    assert EventFilter.parse(f"-field.{name}:*").matches(found) is not is_present


@pytest.mark.parametrize(
    ("text", "is_of_errors"),
    [
        ("is:error", True),
        ("group:a user:u1", True),
        ("group:a group:b*", True),
        ("group:*", True),
        ('group:""', False),
        ('group:a group:""', False),
        ("-group:a", False),
        ("code:timeout", False),
    ],
)
def test_an_error_group_is_of_errors_only(text: str, is_of_errors: bool) -> None:
    event_filter = EventFilter.parse(text)
    assert event_filter.is_of_errors == is_of_errors
    if "user" not in text:
        assert (event_filter.driver() == Condition("is", "error")) == is_of_errors
