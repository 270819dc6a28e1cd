"""The hook for commit messages."""

import pytest

from tests.platform.commit_message import problems


@pytest.mark.parametrize(
    "message",
    [
        "ingest: write the event log with executemany\n\nbulk_create spent 36 % of the time building SQL.\n",
        "live: fix the gap row\n# a comment of git\n",
        "Merge branch 'main'",
    ],
)
def test_a_message_in_the_format_passes(message: str) -> None:
    assert problems(message) == []


@pytest.mark.parametrize(
    ("message", "rule"),
    [
        ("A form carries out what it asks for", "area: imperative summary"),
        ("web: Add a page", "in lower case"),
        ("web: add a page.", "without a period"),
        ("web: " + "a" * 80, "At most 72"),
        ("web: add a page\nand another", "second line must be empty"),
        ("", "area: imperative summary"),
    ],
)
def test_a_message_that_breaks_a_rule_is_refused_with_the_rule(message: str, rule: str) -> None:
    assert any(rule in problem for problem in problems(message))
