"""Two sessions side by side, as data for templates/pages/compare/compare.html."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import groupby
from typing import Final, Self

from django.http import HttpRequest

from evdash.eventlog.reader import Reader
from evdash.eventlog.records import Position
from evdash.eventlog.session_queries import (
    EVENTS_COMPARED,
    ComparedRow,
    ComparedSession,
    ComparedUnit,
    SessionComparison,
)
from evdash.events.entry import EntryId
from evdash.events.event import Event
from evdash.events.event_types import EventCategory, category_of, describe_event
from evdash.events.identifiers import identifier_of
from evdash.events.one_line import LINE_CHARS, OneLineText
from evdash.events.session.alignment import Contrast, Verdict
from evdash.events.session.call_matching import took_ms
from evdash.events.session.comparison_units import MATTERS, Difference, Kind, Unit, differences
from evdash.events.text import one_line
from evdash.web.event_list.list_query import InvalidQuery
from evdash.web.formatting import format_count, format_duration, format_milliseconds
from evdash.web.links import compare_address, session_event_address
from evdash.web.page import Notice
from evdash.web.pages.compare.text_diff import MarkedText, marked

ROWS: Final = 200
OPENED_AT_MOST: Final = 50
"""Maximum rows of a fold that the page contains. A longer fold links to a page that shows its rows."""
_FOLDED_FROM: Final = 2


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


def folded(is_quiet: Sequence[bool]) -> list[Stretch]:
    """Return all rows in order, with runs of quiet rows folded: equal ones, and those of other wording."""
    stretches: list[Stretch] = []
    start = 0
    for quiet, run in groupby(is_quiet):
        end = start + sum(1 for _ in run)
        stretches.append(Stretch(start, end, quiet and end - start >= _FOLDED_FROM))
        start = end
    return stretches


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


_DURATIONS: Final[Mapping[str, str]] = {"latency (ms)": "latency", "duration (ms)": "duration"}


@dataclass(frozen=True, slots=True)
class Total:
    """One of the totals; a dash for an unknown value."""

    name: str
    a: str
    b: str
    difference: str  # of b from a
    differs: bool
    failed: str  # the sides with errors: "", "a", "b" or "ab"


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
        failed="".join(side for side in "ab" if contrast.name == "errors" and getattr(contrast, side)),
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
_FIELDS_SHOWN_ON_TOP: Final = 12
_ENDS_SHOWN: Final = 5
_MARKS: Final[Mapping[Verdict, tuple[str, str, str]]] = {
    "same": ("=", "equal", "same"),
    "wording": ("≈", "other wording", "wording"),
    "differs": ("≠", "different", "differs"),
    "only a": ("A", "only in A", "only-a"),
    "only b": ("B", "only in B", "only-b"),
}
_QUIET: Final[frozenset[Verdict]] = frozenset({"same", "wording"})


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
class EndView:
    """An event after the first one of a unit: the return or the error of a call, or a duplicate."""

    event: Event
    text: str
    address: str
    is_duplicate: bool


@dataclass(frozen=True, slots=True)
class Side:
    """One unit of a row."""

    event: Event  # the call, else the only event
    category: EventCategory
    one_line: OneLineText
    metrics: str  # duration of a call; tokens and latency of another event
    after: str  # time since the session's start
    address: str  # of the event in its session
    is_duplicate: bool
    ends: tuple[EndView, ...]
    more_ends: int


@dataclass(frozen=True, slots=True)
class ComparedField:
    """A value that differs between two units; None on a side without it."""

    name: str
    is_read: bool  # it has the text of the one-line summaries, and replaces them
    a: MarkedText | None
    b: MarkedText | None


@dataclass(frozen=True, slots=True)
class RowView:
    """One row; a side is None without a counterpart, or if `is_gone`: the entry was removed in between."""

    number: int  # from 1
    mark: TextMark
    a: Side | None
    b: Side | None
    fields: tuple[ComparedField, ...]
    more_fields: int
    is_first_difference: bool
    is_gone: bool
    moved_to: int | None = None  # the number of the row, from 1, with the equal call of the other session
    moved_address: str = ""  # of that row

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
class ToolChip:
    """A call of one session in the sequence of tools."""

    tool: str  # "" for a call without a tool
    is_failed: bool


@dataclass(frozen=True, slots=True)
class ChipPair:
    """Two corresponding calls in the sequence of tools; None on a side that has none."""

    a: ToolChip | None
    b: ToolChip | None
    mark: TextMark
    is_first_difference: bool
    address: str  # of its row


@dataclass(frozen=True, slots=True)
class ToolSequence:
    """The calls of both sessions in order, aligned: at most CALLS_SHOWN of them."""

    pairs: tuple[ChipPair, ...]
    earlier: int  # omitted calls before them
    later: int


@dataclass(frozen=True, slots=True)
class FirstDifference:
    """The first row in which a call, result, error or outcome differs."""

    row: RowView
    title: str
    address: str


@dataclass(frozen=True, slots=True)
class ComparisonView:
    """The data of templates/pages/compare/compare.html."""

    totals: tuple[Total, ...]
    tools: ToolSequence
    first: FirstDifference | None
    has_other_differences: bool  # without a first difference: something else differs
    marks: tuple[TextMark, ...]
    parts: tuple[ComparedPart, ...]
    swapped: str
    unfolded: str  # the address that shows, or folds again, all quiet rows; "" without folds
    is_unfolded: bool
    previous: str
    next: str
    place: str  # the shown rows and the total; "" with one page


CALLS_SHOWN: Final = 80
_CALLS_BEFORE: Final = 10  # the first difference, if a long sequence begins with equal calls


def comparison_view(reader: Reader, compared: SessionComparison, query: CompareQuery) -> ComparisonView:
    """Return the requested page of the comparison: the last one if `from` is past the end."""
    rows = compared.rows
    short = folded([row.verdict in _QUIET for row in rows])
    cut = pages([Stretch(0, len(rows), False)] if query.is_unfolded else short)
    starts = [page[0].start for page in cut if page]
    here = max((number for number, start in enumerate(starts) if start <= query.start), default=0)
    shown = cut[here]
    first = compared.first_difference
    start, end = (shown[0].start, shown[-1].end) if shown else (0, 0)
    page = _PageOfRows(compared, query, {row for part in shown if part.opens for row in range(part.start, part.end)})
    events = reader.events_by_position(
        [place for row in {*page.numbers, *([] if first is None else [first])} for place in _positions(rows[row])]
    )
    verdicts = Counter(row.verdict for row in rows)
    return ComparisonView(
        totals=totals(compared.contrasts),
        tools=_tool_sequence(page),
        first=None
        if first is None
        else FirstDifference(_row(page, first, events, _FIELDS_SHOWN_ON_TOP), _title(rows[first]), page.address(first)),
        has_other_differences=verdicts["same"] < len(rows),
        marks=tuple(TextMark(*mark, verdicts[verdict]) for verdict, mark in _MARKS.items()),
        parts=tuple(_part(page, stretch, events) for stretch in shown),
        swapped=query.swapped,
        unfolded=query.url(start, is_unfolded=not query.is_unfolded)
        if any(stretch.is_folded for stretch in short)
        else "",
        is_unfolded=query.is_unfolded,
        previous=query.url(starts[here - 1]) if here else "",
        next=query.url(starts[here + 1]) if here + 1 < len(starts) else "",
        place=f"Rows {start + 1:,}–{end:,} of {len(rows):,}" if len(cut) > 1 else "",
    )


@dataclass(frozen=True, slots=True)
class _PageOfRows:
    """The rows of one page, for links to rows."""

    compared: SessionComparison
    query: CompareQuery
    numbers: set[int]

    def address(self, number: int) -> str:
        """Return the address of a row. A row in a long fold has a page without folds."""
        is_folded = self.compared.rows[number].verdict in _QUIET
        there = "" if number in self.numbers else self.query.url(number, is_unfolded=is_folded or None)
        return f"{there}#row-{number + 1}"


def _tool_sequence(page: _PageOfRows) -> ToolSequence:
    compared = page.compared
    calls = [number for number, row in enumerate(compared.rows) if row.is_call]
    first = compared.first_difference
    start = 0
    if len(calls) > CALLS_SHOWN and first is not None:
        start = max(0, min(bisect_left(calls, first) - _CALLS_BEFORE, len(calls) - CALLS_SHOWN))
    shown = calls[start : start + CALLS_SHOWN]
    return ToolSequence(
        tuple(
            ChipPair(
                _chip(compared.rows[number].a),
                _chip(compared.rows[number].b),
                _mark(compared.rows[number]),
                number == first,
                page.address(number),
            )
            for number in shown
        ),
        earlier=start,
        later=len(calls) - start - len(shown),
    )


def _mark(row: ComparedRow) -> TextMark:
    sign, words, name = _MARKS[row.verdict]
    return TextMark(sign, words if row.moved_to is None else f"moved, {words} here", name)


def _chip(unit: ComparedUnit | None) -> ToolChip | None:
    return ToolChip(unit.tool, unit.is_failed) if unit else None


_NOUNS: Final[Mapping[Kind, str]] = {
    "call": "arguments",
    "result": "result",
    "error": "error",
    "outcome": "outcome",
    "wording": "wording",
    "fields": "fields",
}


def _title(row: ComparedRow) -> str:
    """Return the difference of a row in words: `book_reservation: arguments, error`."""
    unit = row.a or row.b
    tool = unit.tool if unit else ""
    if row.verdict in ("only a", "only b"):
        nouns = ["call" if row.is_call else _NOUNS[row.kinds[0]]]
        where = f" only in {row.verdict[-1].upper()}" if row.moved_to is None else " at another position"
    else:
        nouns, where = [_NOUNS[kind] for kind in row.kinds if kind in MATTERS], ""
    return f"{tool}: {', '.join(nouns)}{where}" if tool else f"{', '.join(nouns).capitalize()}{where}"


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
    units = (row.a if name == "A" else row.b for row in compared.rows)
    return [place for unit in units if unit for place in unit.positions]


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


def _positions(row: ComparedRow) -> Iterator[Position]:
    for unit in (row.a, row.b):
        if unit:
            yield from unit.positions[: _ENDS_SHOWN + 1]


def _part(page: _PageOfRows, stretch: Stretch, events: Mapping[Position, Event]) -> ComparedPart:
    compared = page.compared
    numbers = range(stretch.start, stretch.end) if stretch.opens else range(0)
    equal = sum(row.verdict == "same" for row in compared.rows[stretch.start : stretch.end])
    reworded = stretch.rows - equal
    words = (format_count(equal, "equal row") if equal else "", f"{reworded:,} with other wording" if reworded else "")
    return ComparedPart(
        rows=tuple(_row(page, number, events) for number in numbers),
        is_folded=stretch.is_folded,
        words=", ".join(filter(None, words)),
        address=page.query.url(stretch.start, is_unfolded=True),
    )


def _row(
    page: _PageOfRows, number: int, events: Mapping[Position, Event], fields_shown: int = _FIELDS_SHOWN
) -> RowView:
    compared = page.compared
    row = compared.rows[number]
    units = _unit(row.a, events), _unit(row.b, events)
    a, b = _side(compared.a, row.a, units[0]), _side(compared.b, row.b, units[1])
    fields: tuple[ComparedField, ...] = ()
    if a and b and units[0] and units[1] and row.verdict != "same":
        fields = tuple(_field(each, a, b) for each in differences(units[0], units[1]))
    return RowView(
        number=number + 1,
        mark=_mark(row),
        a=a,
        b=b,
        fields=fields[:fields_shown],
        more_fields=max(0, len(fields) - fields_shown),
        is_first_difference=number == compared.first_difference,
        is_gone=bool((row.a and not a) or (row.b and not b)),
        moved_to=None if row.moved_to is None else row.moved_to + 1,
        moved_address="" if row.moved_to is None else page.address(row.moved_to),
    )


def _unit(unit: ComparedUnit | None, events: Mapping[Position, Event]) -> Unit | None:
    """Return the unit of these events; None if its first event is gone."""
    found = tuple(events[place] for place in (unit.positions if unit else ()) if place in events)
    return Unit(found, unit.is_call) if unit and unit.positions[0] in events else None


def _field(difference: Difference, a: Side, b: Side) -> ComparedField:
    texts = difference.a or "", difference.b or ""
    ours, theirs = marked(*texts)
    return ComparedField(
        name=difference.name,
        is_read=all(one_line(text, LINE_CHARS) == side.one_line.text for text, side in zip(texts, (a, b), strict=True)),
        a=None if difference.a is None else ours,
        b=None if difference.b is None else theirs,
    )


def _side(session: ComparedSession, compared: ComparedUnit | None, unit: Unit | None) -> Side | None:
    if compared is None or unit is None:
        return None
    event, *others = unit.events
    after = timedelta(microseconds=event.occurred_us - session.started_us)
    line = describe_event(event)
    return Side(
        event=event,
        category=category_of(event.type),
        one_line=line,
        metrics=_duration(unit) if unit.is_call and others else line.metrics,
        after=f"{'+' if after >= timedelta(0) else ''}{format_duration(after)}",
        address=session_event_address(session.session_id, event.entry_id),
        is_duplicate=Position.of(event) in session.duplicates,
        ends=tuple(_end(session, each, unit.tool) for each in others[:_ENDS_SHOWN]),
        more_ends=len(compared.positions) - 1 - len(others[:_ENDS_SHOWN]),
    )


def _end(session: ComparedSession, event: Event, tool: str) -> EndView:
    line = describe_event(event)
    return EndView(
        event,
        line.text.removeprefix(f"{tool} → ").removesuffix(f" ({tool})"),
        session_event_address(session.session_id, event.entry_id),
        Position.of(event) in session.duplicates,
    )


def _duration(unit: Unit) -> str:
    """Return the duration of a call: the latency of its end, else of the call, else the time between them."""
    call, *ends = unit.counted
    if not ends:
        return ""
    end = ends[-1]
    latency_ms = call.latency_ms if end.latency_ms is None else end.latency_ms
    if latency_ms is None:
        latency_ms = took_ms(call.occurred_us, call.entry_id.ms, end)
    return format_milliseconds(latency_ms)
