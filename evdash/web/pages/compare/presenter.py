"""Two sessions side by side, as data for templates/pages/compare/compare.html."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import groupby
from typing import Final, Self

from django.http import HttpRequest

from evdash.eventlog.reader import Reader
from evdash.eventlog.records import Position
from evdash.eventlog.selections import ListPosition
from evdash.eventlog.session_queries import EVENTS_COMPARED, ComparedRow, ComparedSession, SessionComparison
from evdash.events.entry import EntryId
from evdash.events.event import Event
from evdash.events.event_types import EventCategory, category_of, describe_event
from evdash.events.filters.summary_filter import sessions_of_user
from evdash.events.identifiers import identifier_of
from evdash.events.one_line import LINE_CHARS, OneLineText
from evdash.events.session.alignment import Contrast, FieldDifference, Verdict, differing
from evdash.events.summaries import SessionSummary
from evdash.events.text import one_line
from evdash.web.event_list.list_query import InvalidQuery
from evdash.web.formatting import format_count, format_duration, format_milliseconds
from evdash.web.links import compare_address, session_event_address
from evdash.web.page import Notice
from evdash.web.pages.compare.text_diff import MarkedText, marked

ROWS: Final = 200
OPENED_AT_MOST: Final = 50
"""Maximum rows of a fold that the page contains. A longer fold links to a page that shows its rows."""
_FOLDED_FROM: Final = 4
_CONTEXT: Final = 1  # rows next to a difference that are not folded


@dataclass(frozen=True, slots=True)
class Stretch:
    """Rows from `start` (included) to `end` (excluded)."""

    start: int
    end: int
    is_folded: bool

    @property
    def rows(self) -> int:
        return self.end - self.start

    @property
    def opens(self) -> bool:
        """True if the page contains its rows."""
        return not self.is_folded or self.rows <= OPENED_AT_MOST


def folded(is_same: Sequence[bool]) -> list[Stretch]:
    """Return all rows in order, with long runs of equal rows folded except next to a difference."""
    stretches: list[Stretch] = []
    start = 0
    for same, run in groupby(is_same):
        end = start + sum(1 for _ in run)
        low, high = start + _CONTEXT * (start > 0), end - _CONTEXT * (end < len(is_same))
        if same and high - low >= _FOLDED_FROM:
            stretches += [Stretch(start, low, False), Stretch(low, high, True), Stretch(high, end, False)]
        else:
            stretches.append(Stretch(start, end, False))
        start = end
    return [stretch for stretch in stretches if stretch.rows]


def pages(stretches: Sequence[Stretch]) -> list[list[Stretch]]:
    """Return the stretches on pages of at most ROWS rows. An unfolded one may continue on the next page."""
    result: list[list[Stretch]] = [[]]
    room = ROWS
    for stretch in stretches:
        remaining = stretch
        while not remaining.is_folded and remaining.rows > room:
            if room:
                result[-1].append(replace(remaining, end=remaining.start + room))
            remaining = replace(remaining, start=remaining.start + room)
            result.append([])
            room = ROWS
        takes = remaining.rows if remaining.opens else 1
        if takes > room:
            result.append([])
            room = ROWS
        result[-1].append(remaining)
        room -= takes
    return result


_DURATIONS: Final[Mapping[str, str]] = {"latency (ms)": "latency", "length (ms)": "length"}


@dataclass(frozen=True, slots=True)
class Total:
    """One of the totals; a dash for an unknown value."""

    name: str
    a: str
    b: str
    difference: str  # of b from a
    differs: bool
    is_errors: bool


def totals(contrasts: Sequence[Contrast]) -> tuple[Total, ...]:
    """Return the contrasts as rows of a table."""
    return tuple(_total(contrast) for contrast in contrasts)


def _total(contrast: Contrast) -> Total:
    is_duration = contrast.name in _DURATIONS
    format_number: Callable[[float], str] = format_milliseconds if is_duration else _number
    name = _DURATIONS.get(contrast.name, contrast.name)
    return Total(
        name=name[:1].upper() + name[1:],
        a=_value(contrast.a, format_number),
        b=_value(contrast.b, format_number),
        difference=_difference(contrast, format_number),
        differs=contrast.differs,
        is_errors=contrast.name == "errors",
    )


def _number(value: float) -> str:
    return f"{value:,}"


def _value(value: str | float | None, format_number: Callable[[float], str]) -> str:
    return "–" if value is None else value if isinstance(value, str) else format_number(value)


def _difference(contrast: Contrast, format_number: Callable[[float], str]) -> str:
    a, b = contrast.a, contrast.b
    if not contrast.differs:
        return "="
    if isinstance(a, str) or isinstance(b, str):
        return "≠"
    if a is None or b is None:
        return "unknown"
    return f"{'+' if b > a else '−'}{format_number(abs(b - a))}"


_FIELDS_SHOWN: Final = 3
_MARKS: Final[Mapping[Verdict, tuple[str, str, str]]] = {
    "same": ("=", "equal", "same"),
    "differs": ("≠", "different", "differs"),
    "only a": ("A", "only in A", "only-a"),
    "only b": ("B", "only in B", "only-b"),
}
FIRST_DIFFERENCE: Final = "first-difference"


@dataclass(frozen=True, slots=True)
class CompareQuery:
    """The query of an address: two sessions, "" for none yet, and the position among their rows."""

    a: str
    b: str
    start: int  # selects the page with this row, counted from 0
    is_unfolded: bool

    @classmethod
    def from_request(cls, request: HttpRequest) -> Self:
        """Return the query in `a=`, `b=`, `from=` and `same=`. Raise InvalidQuery."""
        params = request.GET
        start, same = params.get("from", "0"), params.get("same", "")
        if not (start.isascii() and start.isdecimal() and len(start) < 10):
            raise InvalidQuery(f"from= must be a row number with at most 9 digits, counted from 0, not {start[:40]!r}.")
        if same not in ("", "shown"):
            raise InvalidQuery(f"same= must be shown or absent, not {same[:40]!r}.")
        # Forms send every line break as CR LF, and an ID may hold one.
        a, b = (identifier_of(params.get(name, "").replace("\r\n", "\n")) for name in ("a", "b"))
        return cls(a, b, int(start), same == "shown")

    def url(self, start: int = 0, *, is_unfolded: bool | None = None) -> str:
        """Return the URL of the page with this row."""
        unfolded = self.is_unfolded if is_unfolded is None else is_unfolded
        row = [("from", str(start))] if start else []
        return compare_address(self.a, self.b, *row, *([("same", "shown")] if unfolded else []))

    @property
    def swapped(self) -> str:
        """The URL of the comparison with A and B swapped."""
        return replace(self, a=self.b, b=self.a).url()


@dataclass(frozen=True, slots=True)
class TextMark:
    """The mark of a row, or of a number of rows: a sign, words, and a CSS class `compared-<name>`."""

    sign: str
    words: str
    name: str
    rows: int = 0


@dataclass(frozen=True, slots=True)
class Side:
    """One event of a row."""

    event: Event
    category: EventCategory
    one_line: OneLineText
    after: str  # time since the session's start
    address: str  # of the event in its session
    is_duplicate: bool


@dataclass(frozen=True, slots=True)
class ComparedField:
    """A field that differs between two events; None on a side without this field."""

    name: str
    is_read: bool  # it has the text of the one-line summaries, and replaces them
    a: MarkedText | None
    b: MarkedText | None


@dataclass(frozen=True, slots=True)
class RowView:
    """One row; a side is None without a counterpart, or if `is_gone`: the entry was removed in between."""

    mark: TextMark
    a: Side | None
    b: Side | None
    fields: tuple[ComparedField, ...]
    more_fields: int
    is_first_difference: bool
    is_gone: bool

    @property
    def says_it_below(self) -> bool:
        """True if the text of the one-line summaries is shown below them, complete and marked."""
        return any(field.is_read for field in self.fields)


@dataclass(frozen=True, slots=True)
class ComparedPart:
    """Consecutive rows. A folded part without `rows` links to a page that shows them."""

    rows: tuple[RowView, ...]
    is_folded: bool
    words: str
    address: str


@dataclass(frozen=True, slots=True)
class ComparisonView:
    """The data of templates/pages/compare/compare.html."""

    totals: tuple[Total, ...]
    marks: tuple[TextMark, ...]
    parts: tuple[ComparedPart, ...]
    first_difference: str  # the address; "" without a difference
    first_row: int  # its row, from 1; 0 without a difference
    swapped: str
    unfolded: str  # the address that shows, or folds again, all equal rows; "" without folds
    is_unfolded: bool
    previous: str
    next: str
    place: str  # the shown rows and the total; "" with one page


def comparison_view(reader: Reader, compared: SessionComparison, query: CompareQuery) -> ComparisonView:
    """Return the requested page of the comparison: the last one if `from` is past the end."""
    rows = compared.rows
    whole = [Stretch(0, len(rows), False)]
    short = folded([row.verdict == "same" for row in rows])
    cut = pages(whole if query.is_unfolded else short)
    starts = [page[0].start for page in cut if page]
    here = max((number for number, start in enumerate(starts) if start <= query.start), default=0)
    shown = cut[here]
    events = reader.events_by_position(_positions(rows, shown))
    first = compared.first_divergence
    start, end = (shown[0].start, shown[-1].end) if shown else (0, 0)
    at_first = "" if first is None or start <= first < end else query.url(first)
    verdicts = Counter(row.verdict for row in rows)
    return ComparisonView(
        totals=totals(compared.contrasts),
        marks=tuple(TextMark(*mark, verdicts[verdict]) for verdict, mark in _MARKS.items()),
        parts=tuple(_part(compared, stretch, events, query) for stretch in shown),
        first_difference="" if first is None else f"{at_first}#{FIRST_DIFFERENCE}",
        first_row=0 if first is None else first + 1,
        swapped=query.swapped,
        unfolded=query.url(start, is_unfolded=not query.is_unfolded)
        if any(stretch.is_folded for stretch in short)
        else "",
        is_unfolded=query.is_unfolded,
        previous=query.url(starts[here - 1]) if here else "",
        next=query.url(starts[here + 1]) if here + 1 < len(starts) else "",
        place=f"Rows {start + 1:,}–{end:,} of {len(rows):,}" if len(cut) > 1 else "",
    )


def notices(compared: SessionComparison) -> tuple[Notice, ...]:
    """Return sentences about the parts that were not compared completely, with the reasons.

    One more sentence reports that A and B are the same session.
    """
    result: list[Notice] = []
    for name, session in (("A", compared.a), ("B", compared.b)):
        if session.has_earlier:
            result.append(Notice(f"{name}: earlier events were not read. The event log is too far behind.", "warning"))
        if session.has_later and session.events >= EVENTS_COMPARED:
            first = format_count(EVENTS_COMPARED, "event")
            result.append(Notice(f"{name}: only the first {first} are compared and counted.", "warning"))
        elif session.has_later:
            result.append(Notice(f"{name}: later events were not read. The event log is too far behind.", "warning"))
        result += [Notice(words, "warning") for words in _gaps_in_words(name, session, _places_of(compared, name))]
    if compared.a.session_id == compared.b.session_id:
        result.append(Notice("A and B are the same session."))
    return tuple(result)


def _places_of(compared: SessionComparison, name: str) -> list[Position]:
    places = (row.a if name == "A" else row.b for row in compared.rows)
    return [place for place in places if place]


def _gaps_in_words(name: str, session: ComparedSession, places: Sequence[Position]) -> Iterator[str]:
    """Yield sentences about the gaps within and before a session. `places` are the positions of its events."""
    if not session.gaps:
        return
    first = min((place.entry_id for place in places), default=EntryId.MIN)
    streams = {place.stream for place in places}
    before = [gap for gap in session.gaps if gap.last_id < first]
    strange = [gap for gap in session.gaps if gap.stream not in streams and not session.has_later]
    if before:
        yield f"{name}: earlier events may be missing. {before[0].stream} has a gap before its first event."
    if own := len(session.gaps) - len(before) - len(strange):
        yield (
            f"{name}: {format_count(own, 'gap')} in the streams may include its events. "
            "Rows in only A or B may have a counterpart there."
        )
    if strange:
        names = ", ".join(sorted({gap.stream for gap in strange}))
        yield (
            f"{name}: {format_count(len(strange), 'gap')} in {names} may include its events. "
            f"{name} has no known event there."
        )


def _positions(rows: Sequence[ComparedRow], shown: Sequence[Stretch]) -> list[Position]:
    shown_rows = (row for stretch in shown if stretch.opens for row in rows[stretch.start : stretch.end])
    return [place for row in shown_rows for place in (row.a, row.b) if place]


def _part(
    compared: SessionComparison, stretch: Stretch, events: Mapping[Position, Event], query: CompareQuery
) -> ComparedPart:
    numbers = range(stretch.start, stretch.end) if stretch.opens else range(0)
    return ComparedPart(
        rows=tuple(_row(compared, number, events) for number in numbers),
        is_folded=stretch.is_folded,
        words=format_count(stretch.rows, "equal row"),
        address=query.url(stretch.start, is_unfolded=True),
    )


def _row(compared: SessionComparison, number: int, events: Mapping[Position, Event]) -> RowView:
    row = compared.rows[number]
    a, b = _side(compared.a, row.a, events), _side(compared.b, row.b, events)
    fields = _fields(a, b) if a and b and row.verdict == "differs" else ()
    return RowView(
        mark=TextMark(*_MARKS[row.verdict]),
        a=a,
        b=b,
        fields=fields[:_FIELDS_SHOWN],
        more_fields=max(0, len(fields) - _FIELDS_SHOWN),
        is_first_difference=number == compared.first_divergence,
        is_gone=bool((row.a and not a) or (row.b and not b)),
    )


def _fields(a: Side, b: Side) -> tuple[ComparedField, ...]:
    differences = differing(a.event, b.event)
    # The end of each line already shows the tokens.
    without_tokens = tuple(difference for difference in differences if difference.name != "tokens")
    return tuple(_field(each, a, b) for each in without_tokens or differences)


def _field(difference: FieldDifference, a: Side, b: Side) -> ComparedField:
    texts = difference.a or "", difference.b or ""
    ours, theirs = marked(*texts)
    return ComparedField(
        name=difference.name,
        is_read=all(one_line(text, LINE_CHARS) == side.one_line.text for text, side in zip(texts, (a, b), strict=True)),
        a=None if difference.a is None else ours,
        b=None if difference.b is None else theirs,
    )


def _side(session: ComparedSession, place: Position | None, events: Mapping[Position, Event]) -> Side | None:
    event = events.get(place) if place else None
    if place is None or event is None:
        return None
    after = timedelta(microseconds=event.occurred_us - session.started_us)
    return Side(
        event=event,
        category=category_of(event.type),
        one_line=describe_event(event),
        after=f"{'+' if after >= timedelta(0) else ''}{format_duration(after)}",
        address=session_event_address(session.session_id, event.entry_id),
        is_duplicate=place in session.duplicates,
    )


_SUGGESTED: Final = 20
_LOOKED_AT: Final = 50


def suggest_comparisons(reader: Reader, of: SessionSummary | None = None) -> tuple[SessionSummary, ...]:
    """Return recent sessions of the same user, then of the same agent; without a session, the most recent ones."""
    recent = reader.sessions(position=ListPosition(limit=_LOOKED_AT)).sessions
    if of is None:
        return recent[:_SUGGESTED]
    own = reader.sessions(sessions_of_user(of.user_id), ListPosition(limit=_SUGGESTED + 1)) if of.user_id else None
    suggestions = own.sessions if own else ()
    agent = of.agent.text
    suggestions += tuple(each for each in recent if agent and each.agent.text == agent and each not in suggestions)
    return tuple(suggestion for suggestion in suggestions if suggestion.session_id != of.session_id)[:_SUGGESTED]
