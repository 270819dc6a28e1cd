"""Two sessions side by side."""

from __future__ import annotations

from itertools import combinations
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from evdash.events.event import Event
from evdash.events.session.alignment import Alignment, align, corresponding, differing
from tests.events.session.sessions import at, sessions


def messages(*contents: str, session_id: str = "s", after_ms: int = 0) -> list[Event]:
    """Messages of user and assistant in turns."""
    return [
        at(
            after_ms + n,
            session_id=session_id,
            id=f"{session_id}-{n}",
            content=content,
            role=("user", "assistant")[n % 2],
        )
        for n, content in enumerate(contents)
    ]


def verdicts(alignment: Alignment) -> list[str]:
    return [row.verdict for row in alignment.rows]


def test_two_runs_that_say_the_same_are_the_same_whenever_and_by_whichever_ids() -> None:
    alignment = align(messages("hi", "hello"), messages("hi", "hello", session_id="other", after_ms=90_000))
    assert verdicts(alignment) == ["same", "same"]
    assert alignment.first_divergence is None
    assert not any(contrast.differs for contrast in alignment.contrasts)


def test_an_extra_exchange_stands_alone_and_what_follows_is_aligned_again() -> None:
    alignment = align(
        messages("hi", "hello", "bye", "take care"), messages("hi", "hello", "one more", "yes?", "bye", "take care")
    )
    assert verdicts(alignment) == ["same", "same", "only b", "only b", "same", "same"]
    assert alignment.first_divergence == 2


def test_another_answer_is_the_first_divergence() -> None:
    alignment = align(messages("hi", "hello", "book it", "done"), messages("hi", "hello", "book it", "I cannot"))
    assert verdicts(alignment) == ["same", "same", "same", "differs"]
    assert alignment.first_divergence == 3


def test_what_happened_is_told_apart_by_type_tool_and_role() -> None:
    found, booked = at(0, type="tool.called", tool="find"), at(0, type="tool.called", tool="book")
    assert verdicts(align([found], [booked])) == ["only a", "only b"]


def test_the_number_of_the_run_is_no_divergence_and_another_model_is() -> None:
    first, second = (at(0, type="session.started", agent="x", model="big", trial=trial) for trial in "12")
    assert align([first], [second]).first_divergence is None
    assert align([first], [at(0, type="session.started", agent="x", model="small")]).first_divergence == 0


def test_of_corresponding_events_the_fields_that_differ_are_named() -> None:
    first = at(0, type="tool.called", tool="find", call_id="c1", arguments='{"from":"JFK"}', data='{"x": null, "y": 1}')
    second = at(9, type="tool.called", tool="find", call_id="c7", arguments='{"from":"LGA"}', data='{"y": 1, "z": [2]}')
    assert [(one.name, one.a, one.b) for one in differing(first, second)] == [
        ("x", "null", None),
        ("arguments", '{"from":"JFK"}', '{"from":"LGA"}'),
        ("z", None, "[2]"),
    ]


def test_totals_stand_side_by_side() -> None:
    ended = at(9, type="session.ended", outcome="resolved")
    failed = at(9, type="error.occurred", error="no", latency_ms="50")
    alignment = align([*messages("hi"), ended], [*messages("hi"), failed])
    differences = {contrast.name: (contrast.a, contrast.b) for contrast in alignment.contrasts if contrast.differs}
    assert differences == {"outcome": ("resolved", "running"), "errors": (0, 1), "latency (ms)": (None, 50.0)}


@settings(max_examples=50)
@given(sessions(), sessions())
def test_every_event_of_both_is_in_one_row_in_its_order(a: list[Event], b: list[Event]) -> None:
    alignment = align(a, b)
    assert [row.a for row in alignment.rows if row.a] == a
    assert [row.b for row in alignment.rows if row.b] == b
    for row in alignment.rows:
        if row.a and row.b:
            assert bool(differing(row.a, row.b)) == (row.verdict == "differs")
        assert (row.a is None, row.b is None) == (row.verdict == "only b", row.verdict == "only a")


_few = st.lists(st.sampled_from("abc"), max_size=9)


@given(_few, _few)
def test_as_much_as_possible_corresponds(a: list[str], b: list[str]) -> None:
    found = corresponding(a, b)
    common = next(
        size for size in range(min(len(a), len(b)), -1, -1) if set(combinations(a, size)) & set(combinations(b, size))
    )
    assert len(found) == common
    _is_alignment(found, a, b)


def test_sequences_with_hundreds_of_differences_are_aligned() -> None:
    random = Random(7)
    a, b = ([random.choice("abcdefgh") for _ in range(640)] for _ in range(2))
    found = corresponding(a, b)
    assert len(found) > 300
    _is_alignment(found, a, b)


def _is_alignment(found: list[tuple[int, int]], a: list[str], b: list[str]) -> None:
    assert all(a[i] == b[j] for i, j in found)
    assert [i for i, _ in found] == sorted({i for i, _ in found})
    assert [j for _, j in found] == sorted({j for _, j in found})
