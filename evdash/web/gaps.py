"""The gaps of a group as its page and the page of streams list them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from evdash.eventlog.gaps import missing_entries, missing_in_all
from evdash.eventlog.models import Gap
from evdash.eventlog.records import MissingEntries
from evdash.events.entry_id import EntryId
from evdash.web.wording import count

# Single entries noticed no longer after one another than this, one after the other and for one reason, are one row.
ONE_TIME: Final = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class GapView:
    """A gap in words; or single entries one after the other, as when several are parked for one reason."""

    gaps: tuple[MissingEntries, ...]  # the newest first

    @property
    def number(self) -> str:
        """How many entries are missing."""
        known = [gap.entries for gap in self.gaps if gap.entries is not None]
        return f"{sum(known):,}" if len(known) == len(self.gaps) else "unknown"

    @property
    def why(self) -> str:
        """How it came."""
        return str(Gap.Kind(self.gaps[0].kind).label)

    @property
    def reason(self) -> str:
        return self.gaps[0].reason

    @property
    def first_id(self) -> EntryId:
        return min(gap.first_id for gap in self.gaps)

    @property
    def last_id(self) -> EntryId:
        return max(gap.last_id for gap in self.gaps)

    @property
    def noticed_at(self) -> datetime:
        return max(gap.noticed_at for gap in self.gaps)


@dataclass(frozen=True, slots=True)
class GapList:
    """The newest gaps, and how many there are altogether."""

    rows: tuple[GapView, ...]
    gaps: int
    entries: str  # in words

    @property
    def more(self) -> int:
        """How many gaps are not listed."""
        return self.gaps - sum(len(row.gaps) for row in self.rows)

    @property
    def in_all(self) -> str:
        """The sum, in words."""
        return f"{self.entries} in {count(self.gaps, 'gap')}"


def gap_list(group: str, stream: str, *, rows: int | None = None) -> GapList:
    """The gaps of a group in a stream, the newest in at most so many rows."""
    merged: list[list[MissingEntries]] = []
    for gap in missing_entries(group, stream):
        if merged and _belong_together(merged[-1][-1], gap):
            merged[-1].append(gap)
        else:
            merged.append([gap])
    in_all = missing_in_all([stream], group)
    more = "" if in_all.is_exact else "at least "
    return GapList(
        rows=tuple(GapView(tuple(gaps)) for gaps in merged[:rows]),
        gaps=in_all.gaps,
        entries=f"{more}{count(in_all.entries, 'entry', 'entries')}",
    )


def _belong_together(one: MissingEntries, next_one: MissingEntries) -> bool:
    return (
        (one.kind, one.reason) == (next_one.kind, next_one.reason)
        and all(gap.first_id == gap.last_id for gap in (one, next_one))
        and abs(one.noticed_at - next_one.noticed_at) <= ONE_TIME
    )
