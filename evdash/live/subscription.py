"""A subscription: one page's place in the events of its filter, and what it is sent."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from evdash import metrics
from evdash.eventlog.records import Position
from evdash.events.entry import EntryId
from evdash.live.frames import FRAME_ROWS, Arrival, Cursor, Frame, Gap, later, rows_message, written
from evdash.web.event_display.row import ViewMode

# A page that stops reading costs the server no more than this, one frame, and its few small messages.
IN_FLIGHT_ROWS = 200
IN_FLIGHT_BYTES = 256 * 1024  # counted in characters, nearly all of which are one byte


class Credit:
    """Counts messages with rows. Acknowledgements name how many the page has shown since the socket was opened."""

    def __init__(self) -> None:
        self._in_flight: deque[tuple[int, int]] = deque()
        self._rows = 0
        self._bytes = 0
        self._acknowledged = 0

    @property
    def is_available(self) -> bool:
        """Whether another message may be sent."""
        return self._rows < IN_FLIGHT_ROWS and self._bytes < IN_FLIGHT_BYTES

    def spend(self, rows: int, size: int) -> None:
        """A message was sent."""
        self._in_flight.append((rows, size))
        self._rows += rows
        self._bytes += size

    def acknowledge(self, total: int) -> None:
        """The page has shown `total` messages by now. Raises ValueError for more than were sent."""
        if total > self._acknowledged + len(self._in_flight):
            raise ValueError(f"{total} messages were acknowledged, {self._acknowledged + len(self._in_flight)} sent")
        while self._acknowledged < total:
            rows, size = self._in_flight.popleft()
            self._rows -= rows
            self._bytes -= size
            self._acknowledged += 1


@dataclass(frozen=True, slots=True)
class CatchUp:
    """What lay between a page's cursor and now: the newest rows, oldest first, and how many were left out.

    Of the rows, `gaps` stand for entries that are no longer anywhere.
    """

    rows: tuple[str, ...]
    cursor: Cursor
    start: Position  # the place before all of it
    skipped: int = 0
    is_exact: bool = True  # False: at least so many were left out
    # Of streams made anew since the page's cursor, which their new entries lie below: how far the old ones are in this.
    before_anew: Cursor = field(default_factory=dict)
    gaps: int = 0

    @property
    def shown(self) -> int:
        """How many of the rows are events."""
        return len(self.rows) - self.gaps

    def message(self, cursor: Cursor) -> str:
        """What is sent to a page that has everything up to `cursor` with it; "" when it missed nothing."""
        if not (self.rows or self.skipped or not self.is_exact):
            return ""
        return rows_message("".join(self.rows), self.shown, cursor, Gap(self.skipped, self.start, self.is_exact))


@dataclass(frozen=True, slots=True)
class SkippedRange:
    """What matched and was only counted: of each stream what lies after `since` and not after `through`."""

    gap: Gap
    since: Cursor
    through: Cursor

    def as_catch_up(self, rows: tuple[str, ...]) -> CatchUp:
        """The newest of it as rows; the others stay counted."""
        count = self.gap.count - len(rows)
        return CatchUp(rows, self.through, self.gap.after, max(0, count), self.gap.is_exact and count >= 0)


@dataclass(frozen=True, slots=True)
class _Recreated:
    """Among held frames: from here on the stream is another one, with lower IDs."""

    stream: str


class Subscription:
    """Begins catching up: frames are held until `catch_up` brings what was before them.

    Sends with `deliver`, a function that takes the text of a message and does not wait. Every matching event after the
    first cursor is sent once as a row or counted once in a gap, in order, whatever the page acknowledges or not.
    """

    def __init__(self, cursor: Cursor, credit: Credit, deliver: Callable[[str], None]) -> None:
        self.cursor = dict(cursor)
        self.tailed: Cursor = {}  # where the tail stood when this joined the hub
        self._credit = credit
        self._deliver = deliver
        self._held: list[Frame | _Recreated] | None = []
        self._gap: Gap | None = None
        self._gap_since: Cursor = {}
        self._unsent: deque[Arrival] = deque(maxlen=FRAME_ROWS)  # the newest of the gap, as far as they came as frames
        self._reading: ViewMode = "events"
        self._told_waiting: int | None = None  # a count was sent, and the page has not answered

    @property
    def is_complete(self) -> bool:
        """Whether the page was sent everything up to `cursor`."""
        return self._held is None and self._gap is None

    def take(self, frame: Frame, ahead: Cursor | None = None) -> None:
        """The next frame of the filter. `ahead`: how far the page has streams that the frame does not know as anew."""
        if self._held is not None:
            self._held.append(frame)
            return
        rest = frame.beyond(self.cursor)
        since, self.cursor = self.cursor, later(self.cursor, frame.cursor)
        if rest is None:
            return
        if ahead:
            rest = replace(rest, cursor={**rest.cursor, **ahead})
        if not self._credit.is_available:
            self._skip(Gap(rest.count, rest.start), since)
            self._unsent.extend(rest.arrivals)
            self._reading = rest.reading
            self._tell_waiting()
            return
        self._send(rest.message, rest.shown)

    def recreated_unseen(self, missed: CatchUp) -> set[str]:
        """Streams of which the reading found that they were made anew, and the tail has not come to it yet."""
        behind = {stream for stream in missed.before_anew if missed.cursor[stream] < self.tailed[stream]}
        return behind - {each.stream for each in self._held or () if isinstance(each, _Recreated)}

    def catch_up(self, missed: CatchUp) -> None:
        """Send what the page missed, then what came meanwhile and is not in it."""
        held, self._held = self._held or [], None
        since, self.cursor = self.cursor, later(self.cursor, missed.cursor)
        self.cursor |= {stream: missed.cursor[stream] for stream in missed.before_anew}
        told = missed.message(self.cursor)
        if told and self._credit.is_available:
            self._send(told, missed.shown)
        elif told:
            self._skip(Gap(missed.skipped + missed.shown, missed.start, missed.is_exact), since)
            self._tell_waiting()
        self._replay(held, missed)

    def _replay(self, held: list[Frame | _Recreated], missed: CatchUp) -> None:
        """What came while the past was read; a stream may have been made anew meanwhile, read before it or after."""
        anew = {each.stream for each in held if isinstance(each, _Recreated)} & set(missed.before_anew)
        read_anew = {stream: missed.cursor[stream] for stream in anew}
        self.cursor |= {stream: missed.before_anew[stream] for stream in read_anew}
        for each in held:
            if isinstance(each, Frame):
                self.take(each, read_anew)
            else:
                self.cursor[each.stream] = read_anew.pop(each.stream, EntryId.MIN)

    def credit_returned(self) -> None:
        """The page has acknowledged something: what was counted until now is told before the next row is sent."""
        if self._gap and self._credit.is_available:
            gap = self._take_gap(self._gap)
            self._send(rows_message("", 0, self.cursor, gap), 0)

    def bring_newest(self) -> bool:
        """Send the newest of what was only counted, and the count of the rest. Return whether they were at hand.

        Where they are not, `jump` tells what to read.
        """
        gap, unsent = self._gap, tuple(self._unsent)
        if self._held is not None or gap is None or not self._credit.is_available:
            return False
        if len(unsent) < FRAME_ROWS and not (gap.is_exact and len(unsent) == gap.count):
            return False
        self._take_gap(gap)
        html, shown = Frame(unsent, (), self.cursor, self._reading).fitting
        self._send(rows_message(html, shown, self.cursor, replace(gap, count=gap.count - shown)), shown)
        return True

    def jump(self) -> SkippedRange | None:
        """What was only counted, to be read and given to `catch_up`: until then frames are held. None: nothing was."""
        if self._held is not None or self._gap is None:
            return None
        unsent = SkippedRange(self._take_gap(self._gap), self._gap_since, dict(self.cursor))
        self._held = []  # what it was told of waiting, the page may not have seen yet
        return unsent

    def waiting_seen(self) -> None:
        """The page shows the count of what waits for it, and may be told the next."""
        told, self._told_waiting = self._told_waiting, None
        if self._gap and self._gap.count != told:
            self._tell_waiting()

    def tell_alive(self, cursor: Cursor) -> None:
        """Let the page know that it has everything up to here, if it was sent all of it."""
        if self.is_complete:
            self.cursor = later(self.cursor, cursor)
            self._deliver(json.dumps({"type": "alive", "cursor": written(self.cursor)}))
        else:
            self._deliver(json.dumps({"type": "alive"}))

    def begin_anew(self, stream: str) -> None:
        """The stream was made anew: what comes of it now has lower entry IDs."""
        if self._held is not None:
            self._held.append(_Recreated(stream))
        else:
            self.cursor[stream] = EntryId.MIN
            self._unsent.clear()

    def _take_gap(self, gap: Gap) -> Gap:
        self._gap = None
        self._unsent.clear()
        return gap

    def _skip(self, gap: Gap, since: Cursor) -> None:
        if self._gap is None:
            self._gap_since = dict(since)
        self._gap = self._gap.joined(gap) if self._gap else gap

    def _tell_waiting(self) -> None:
        if self._gap and self._told_waiting is None:
            self._told_waiting = self._gap.count
            self._deliver(json.dumps({"type": "waiting", "count": self._gap.count}))

    def _send(self, message: str, rows: int) -> None:
        self._credit.spend(rows, len(message))
        metrics.ROWS_PUSHED.inc(rows)
        self._deliver(message)


class ChangeNotifier:
    """Tells a page how many events of its filter have come, and nothing more until it has looked.

    Takes the place of a Subscription. Needs no cursor: a page that was away reads itself anew when it is back.
    """

    def __init__(self, deliver: Callable[[str], None]) -> None:
        self.tailed: Cursor = {}
        self._deliver = deliver
        self._untold = 0
        self._is_told = False  # and the page has not looked yet

    def take(self, frame: Frame) -> None:
        """The next frame of the filter."""
        self._untold += frame.count
        self._tell()

    def waiting_seen(self) -> None:
        """The page has looked."""
        self._is_told = False
        self._tell()

    def credit_returned(self) -> None:
        """Rows were acknowledged, of which this page has none."""

    def tell_alive(self, cursor: Cursor) -> None:
        """Let the page know that the connection stands."""
        self._deliver(json.dumps({"type": "alive"}))

    def begin_anew(self, stream: str) -> None:
        """The stream was made anew; whatever comes from it is news."""

    def _tell(self) -> None:
        if self._untold and not self._is_told:
            self._deliver(json.dumps({"type": "news", "count": self._untold}))
            self._untold, self._is_told = 0, True
