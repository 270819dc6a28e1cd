"""A live subscription: one page's cursor in the events of its filter, and the messages it receives."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from evdash import metrics
from evdash.eventlog.records import Position
from evdash.events.entry import EntryId
from evdash.live.frames import FRAME_ROWS, Arrival, Cursor, Frame, Skipped, escaped, later, rows_message, written
from evdash.web.event_display.row import ViewMode

# The memory bound for a page that stops reading: these limits, one frame, and a few small messages.
IN_FLIGHT_ROWS = 200
IN_FLIGHT_BYTES = 320 * 1024  # counted in characters, nearly all of which are one byte


class Credit:
    """A counter of unacknowledged messages with rows.

    An acknowledgement gives the number of such messages that the page has shown since the socket opened.
    """

    def __init__(self) -> None:
        self._in_flight: deque[tuple[int, int]] = deque()
        self._rows = 0
        self._bytes = 0
        self._acknowledged = 0

    @property
    def is_available(self) -> bool:
        """True if another message may be sent."""
        return self._rows < IN_FLIGHT_ROWS and self._bytes < IN_FLIGHT_BYTES

    def spend(self, rows: int, size: int) -> None:
        """Record a sent message with its number of rows and its size in characters."""
        self._in_flight.append((rows, size))
        self._rows += rows
        self._bytes += size

    def acknowledge(self, total: int) -> None:
        """Release the messages up to number `total`. Raises ValueError if `total` exceeds the number sent."""
        if total > self._acknowledged + len(self._in_flight):
            raise ValueError(f"messages acknowledged {total}, sent {self._acknowledged + len(self._in_flight)}")
        while self._acknowledged < total:
            rows, size = self._in_flight.popleft()
            self._rows -= rows
            self._bytes -= size
            self._acknowledged += 1


@dataclass(frozen=True, slots=True)
class CatchUp:
    """The events between a page's cursor and now: the newest rows, oldest first, and the number of skipped events.

    `gaps` is the number of rows that represent entries which neither log nor stream has.
    """

    rows: tuple[str, ...]
    cursor: Cursor
    start: Position  # before all of them
    skipped: int = 0
    is_exact: bool = True  # False: at least `skipped` events were skipped
    # For streams recreated since the page's cursor: the entry ID up to which this has the old stream.
    # The entry IDs of the new stream are lower than the page's cursor.
    before_recreation: Cursor = field(default_factory=dict)
    gaps: int = 0
    since: Cursor | None = None  # the page's cursor before them; None: the present cursor of the subscription

    @property
    def shown(self) -> int:
        """The number of rows that are events."""
        return len(self.rows) - self.gaps

    def message(self, cursor: Cursor) -> str:
        """Return the message for the page, which then has everything up to `cursor`; "" if the page missed nothing."""
        if not (self.rows or self.skipped or not self.is_exact):
            return ""
        gap = Skipped(self.skipped, self.start, self.is_exact)
        return rows_message(escaped("".join(self.rows)), self.shown, cursor, gap)


@dataclass(frozen=True, slots=True)
class SkippedRange:
    """A range of matching events that were counted but not sent.

    For each stream it contains the entry IDs after `since`, up to and including `through`.
    """

    gap: Skipped
    since: Cursor
    through: Cursor

    def as_catch_up(self, rows: tuple[str, ...]) -> CatchUp:
        """Return a catch-up with the newest events of the range as rows. The other events stay counted."""
        count = self.gap.count - len(rows)
        is_exact = self.gap.is_exact and count >= 0
        return CatchUp(rows, self.through, self.gap.after, max(0, count), is_exact, since=self.since)


@dataclass(frozen=True, slots=True)
class _Recreated:
    """A mark among held frames: the frames after it are of the recreated stream, with lower entry IDs."""

    stream: str


class Subscription:
    """A page's subscription with rows. It holds all frames until `catch_up` delivers the events before them.

    `deliver` takes the text of a message and does not block. Each matching event after the first cursor is delivered
    once, as a row or in a skipped count. Events are in order, regardless of acknowledgements.
    """

    def __init__(self, cursor: Cursor, credit: Credit, deliver: Callable[[str], None]) -> None:
        self.cursor = dict(cursor)
        self.tailed: Cursor = {}  # the tail's position when this joined the hub
        self._credit = credit
        self._deliver = deliver
        self._held: list[Frame | _Recreated] | None = []
        self._gap: Skipped | None = None
        self._gap_since: Cursor = {}
        self._unsent: deque[Arrival] = deque(maxlen=FRAME_ROWS)  # the newest skipped events that arrived in frames
        self._view: ViewMode = "events"
        self._sent_waiting: int | None = None  # a count was sent, and the page has not confirmed it

    @property
    def is_complete(self) -> bool:
        """True if the page was sent everything up to `cursor`."""
        return self._held is None and self._gap is None

    def on_frame(self, frame: Frame, ahead: Cursor | None = None) -> None:
        """Send the next frame of the filter; hold it during a catch-up, or only count it if the credit is spent.

        `ahead` contains the page's entry IDs in recreated streams. A frame from before the recreation lacks them.
        """
        if self._held is not None:
            self._held.append(frame)
            return
        unseen = frame.beyond(self.cursor)
        since, self.cursor = self.cursor, later(self.cursor, frame.cursor)
        if unseen is None:
            return
        if ahead:
            unseen = replace(unseen, cursor={**unseen.cursor, **ahead})
        if not self._credit.is_available:
            self._skip(Skipped(unseen.count, unseen.start), since)
            self._unsent.extend(unseen.arrivals)
            self._view = unseen.view
            self._send_waiting()
            return
        self._send(unseen.message, unseen.shown)

    def recreated_unseen(self, missed: CatchUp) -> set[str]:
        """Return the streams that the catch-up found recreated and the tail has not yet found recreated."""
        behind = {stream for stream in missed.before_recreation if missed.cursor[stream] < self.tailed[stream]}
        return behind - {each.stream for each in self._held or () if isinstance(each, _Recreated)}

    def catch_up(self, missed: CatchUp) -> None:
        """Send the events that the page missed, then the held events that are not among them."""
        held, self._held = self._held or [], None
        since = self.cursor if missed.since is None else missed.since
        self.cursor = later(self.cursor, missed.cursor)
        self.cursor |= {stream: missed.cursor[stream] for stream in missed.before_recreation}
        message = missed.message(self.cursor)
        if message and self._credit.is_available:
            self._send(message, missed.shown)
        elif message:
            self._skip(Skipped(missed.skipped + missed.shown, missed.start, missed.is_exact), since)
            self._send_waiting()
        self._replay(held, missed)

    def _replay(self, held: list[Frame | _Recreated], missed: CatchUp) -> None:
        """Take the frames held during the catch-up.

        A stream may have been recreated during the catch-up, before or after its read.
        """
        recreated = {each.stream for each in held if isinstance(each, _Recreated)} & set(missed.before_recreation)
        read_after = {stream: missed.cursor[stream] for stream in recreated}
        self.cursor |= {stream: missed.before_recreation[stream] for stream in read_after}
        for each in held:
            if isinstance(each, Frame):
                self.on_frame(each, read_after)
            else:
                self.cursor[each.stream] = read_after.pop(each.stream, EntryId.MIN)

    def credit_returned(self) -> None:
        """Send the skipped count, if any, before the next row. Called after the page has acknowledged messages."""
        if self._gap and self._credit.is_available:
            gap = self._take_gap(self._gap)
            self._send(rows_message("", 0, self.cursor, gap), 0)

    def bring_newest(self) -> bool:
        """Send the newest skipped events from memory, and the count of the rest. Return whether that was possible.

        If it was not, `jump` returns the range to read.
        """
        gap, unsent = self._gap, tuple(self._unsent)
        if self._held is not None or gap is None or not self._credit.is_available:
            return False
        if len(unsent) < FRAME_ROWS and not (gap.is_exact and len(unsent) == gap.count):
            return False
        self._take_gap(gap)
        rows, shown = Frame(unsent, (), self.cursor, self._view).fitting
        self._send(rows_message(rows, shown, self.cursor, replace(gap, count=gap.count - shown)), shown)
        return True

    def jump(self) -> SkippedRange | None:
        """Return the skipped range, to be read and passed to `catch_up`; None if there is none.

        Frames are held until `catch_up` is called. Also returns None during a catch-up.
        """
        if self._held is not None or self._gap is None:
            return None
        unsent = SkippedRange(self._take_gap(self._gap), self._gap_since, dict(self.cursor))
        self._held = []  # `_sent_waiting` stays: the page may not have confirmed the last count yet
        return unsent

    def waiting_seen(self) -> None:
        """Send the current waiting count if it changed since the one that the page now shows."""
        shown_count, self._sent_waiting = self._sent_waiting, None
        if self._gap and self._gap.count != shown_count:
            self._send_waiting()

    def send_heartbeat(self, cursor: Cursor) -> None:
        """Send a sign of life, with the cursor if the page was sent everything up to it."""
        if self.is_complete:
            self.cursor = later(self.cursor, cursor)
            self._deliver(json.dumps({"type": "alive", "cursor": written(self.cursor)}))
        else:
            self._deliver(json.dumps({"type": "alive"}))

    def restart_stream(self, stream: str) -> None:
        """Restart the stream's cursor, because its entries now have lower IDs: the stream was recreated."""
        if self._held is not None:
            self._held.append(_Recreated(stream))
        else:
            self.cursor[stream] = EntryId.MIN
            self._unsent.clear()

    def _take_gap(self, gap: Skipped) -> Skipped:
        self._gap = None
        self._unsent.clear()
        return gap

    def _skip(self, gap: Skipped, since: Cursor) -> None:
        if self._gap is None:
            self._gap_since = dict(since)
        self._gap = self._gap.joined(gap) if self._gap else gap

    def _send_waiting(self) -> None:
        if self._gap and self._sent_waiting is None:
            self._sent_waiting = self._gap.count
            self._deliver(json.dumps({"type": "waiting", "count": self._gap.count}))

    def _send(self, message: str, rows: int) -> None:
        self._credit.spend(rows, len(message))
        metrics.ROWS_PUSHED.inc(rows)
        self._deliver(message)


class ChangeNotifier:
    """A notifier for summary pages: sends the number of new events, then nothing until the page has refreshed itself.

    Replaces a Subscription. It does not need a cursor: a page that reconnects refreshes itself.
    """

    def __init__(self, deliver: Callable[[str], None]) -> None:
        self.tailed: Cursor = {}
        self._deliver = deliver
        self._unsent = 0
        self._is_sent = False  # True: a count was sent, and the page has not refreshed itself yet

    def on_frame(self, frame: Frame) -> None:
        """Count the events of the next frame, and send the count unless one is unconfirmed."""
        self._unsent += frame.count
        self._send_news()

    def waiting_seen(self) -> None:
        """Send the count of newer events, if any, because the page has refreshed itself."""
        self._is_sent = False
        self._send_news()

    def credit_returned(self) -> None:
        """Do nothing: this page does not receive rows."""

    def send_heartbeat(self, cursor: Cursor) -> None:
        """Send a sign of life without a cursor."""
        self._deliver(json.dumps({"type": "alive"}))

    def restart_stream(self, stream: str) -> None:
        """Do nothing: every event of a recreated stream counts as new."""

    def _send_news(self) -> None:
        if self._unsent and not self._is_sent:
            self._deliver(json.dumps({"type": "news", "count": self._unsent}))
            self._unsent, self._is_sent = 0, True
