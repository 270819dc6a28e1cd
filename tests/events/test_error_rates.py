"""Error rates of groups: errors as a share of the calls of their tools."""

from __future__ import annotations

import pytest

from evdash.events.error_rates import CountedEvents, ErrorCounts, GroupRate, breakdown_of_counts, group_rates

CALLS = (
    CountedEvents(("book",), "tool.called", "", False, 20),
    CountedEvents(("search",), "tool.called", "", False, 5),
    CountedEvents(("search",), "message.added", "", False, 70),
)


def errors(*numbers: tuple[str, int]) -> ErrorCounts:
    """Counts with errors of the group g, by tool."""
    return ErrorCounts(
        ("tool",), (*CALLS, *(CountedEvents((tool,), "error.occurred", "g", True, number) for tool, number in numbers))
    )


@pytest.mark.parametrize(
    ("found", "tools", "rate"),
    [
        (errors(("book", 10)), (), GroupRate(10, 20)),
        (errors(("book", 10), ("search", 2)), (), GroupRate(12, 25)),
        (errors(("book", 10), ("search", 2)), ("search",), GroupRate(2, 5)),
        (errors(("search", 6)), (), None),  # more errors than calls
        (errors(("book", 10), ("", 1)), (), None),  # an error without a tool
        (errors(("read", 1)), (), None),  # no call of the tool
    ],
)
def test_a_group_has_a_rate_if_the_calls_of_its_tools_are_known(
    found: ErrorCounts, tools: tuple[str, ...], rate: GroupRate | None
) -> None:
    assert group_rates(found, tools).get("g") == rate


def test_counts_are_broken_down_by_one_of_their_keys() -> None:
    found = breakdown_of_counts(errors(("book", 10), ("search", 2)), "tool")
    assert found.of_calls
    assert [(row.value, row.errors, row.base, row.rate) for row in found.rows] == [
        ("book", 10, 20, 0.5),
        ("search", 2, 5, 0.4),
    ]
