"""What holds for any two sessions: rows are on one page each, and texts are shown as they are."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from evdash.web.pages.compare.presenter import ROWS, folded, pages
from evdash.web.pages.compare.text_diff import SHOWN_CHARS, MarkedText, marked

_runs = st.lists(st.tuples(st.booleans(), st.integers(1, 450)), max_size=12)


@given(_runs)
def test_every_row_is_on_one_page_in_its_order_and_no_page_has_more_than_its_rows(runs: list[tuple[bool, int]]) -> None:
    is_same = [same for same, length in runs for _ in range(length)]
    cut = pages(folded(is_same))
    stretches = [stretch for page in cut for stretch in page]
    assert [row for stretch in stretches for row in range(stretch.start, stretch.end)] == list(range(len(is_same)))
    assert all(is_same[row] for stretch in stretches if stretch.is_folded for row in range(stretch.start, stretch.end))
    for page in cut:
        assert sum(stretch.rows if stretch.opens else 1 for stretch in page) <= ROWS
    assert all(page for page in cut) or not is_same


@given(_runs)
def test_quiet_rows_are_folded_from_two_on_and_no_other_rows(runs: list[tuple[bool, int]]) -> None:
    is_quiet = [quiet for quiet, length in runs for _ in range(length)]
    stretches = folded(is_quiet)
    assert all(stretch.rows > 1 for stretch in stretches if stretch.is_folded)
    for stretch, following in pairwise(stretches):
        assert is_quiet[stretch.end - 1] != is_quiet[following.start]


_texts = st.text(st.sampled_from("ab .\n日"), max_size=SHOWN_CHARS + 200)


def shown(text: MarkedText) -> str:
    return "".join(piece.text for piece in text.pieces)


@given(_texts, _texts, _texts)
def test_texts_are_shown_as_they_are_and_what_is_not_marked_is_in_both(begin: str, one: str, other: str) -> None:
    a, b = begin + one, begin + other
    ours, theirs = marked(a, b)
    for text, whole in ((ours, a), (theirs, b)):
        assert shown(text) == whole[text.before : len(whole) - text.after]
        assert len(shown(text)) <= SHOWN_CHARS
    same_a, same_b = (
        "".join(piece.text for piece in text.pieces if not piece.is_changed).split() for text in (ours, theirs)
    )
    assert "".join(same_a) == "".join(same_b)


def test_the_words_that_differ_are_marked() -> None:
    ours, theirs = marked("the fare is 5 dollars, one way", "the fare is 50 dollars, one way")
    assert [piece.text for piece in ours.pieces if piece.is_changed] == ["5"]
    assert [piece.text for piece in theirs.pieces if piece.is_changed] == ["50"]


def test_texts_with_little_in_common_are_marked_whole() -> None:
    ours, _ = marked("I cannot look that up for you.", "Here are the reservations: NM1VX1, KC18K6 and S61CZX.")
    assert [(piece.text, piece.is_changed) for piece in ours.pieces] == [("I cannot look that up for you.", True)]
