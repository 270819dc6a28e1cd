"""Compare the tables of a database with the fold over what was written; exit code 1 and the difference if any."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "evdash.config.settings"
django.setup()

from django.conf import settings  # noqa: E402 - after the setup

from evdash.eventlog.gaps import record_gap  # noqa: E402
from evdash.eventlog.models import Gap, GroupPosition  # noqa: E402
from evdash.events.entry import Entry, EntryId  # noqa: E402
from evdash.ingest.projections.registry import projections  # noqa: E402
from evdash.ingest.rebuild import rebuild  # noqa: E402
from tests.ingest.folds import actual, applied, assert_equal, expected  # noqa: E402


def main(written: Path) -> None:
    entries = []
    for line in written.read_text().splitlines():
        stream, entry_id, pairs = json.loads(line)
        raw = tuple((name.encode(), value.encode()) for name, value in pairs)
        entries.append(Entry(stream, EntryId.parse(entry_id), raw))
    assert_equal(actual(), expected(entries))
    everything = {(entry.stream, entry.entry_id) for entry in entries}
    for group in ("evdash-analytics", "evdash-debug"):
        assert applied(group) == everything, f"{group} has applied other entries than were written"
    assert not Gap.objects.exists(), f"gaps: {list(Gap.objects.all()[:5])}"
    for position in GroupPosition.objects.all():
        newest = max(entry.entry_id for entry in entries if entry.stream == position.stream.name)
        assert position.watermark == newest, f"{position} is not at {newest}"
        mine = sum(entry.stream == position.stream.name for entry in entries)
        assert position.applied == mine, f"{position} says that it applied {position.applied} of {mine}"
    # A gap that the next rebuild must leave as it is: around entries that were applied, and not one of them.
    position = GroupPosition.objects.first()
    assert position is not None
    record_gap(position, Gap.Kind.REMOVED, EntryId.MIN, EntryId.MAX, 3)
    for projection in projections().values():
        rebuild(projection, settings.EVDASH.redis_url, settings.EVDASH.streams)
    assert_equal(actual(), expected(entries))
    assert [gap.entries for gap in Gap.objects.all()] == [3], f"a rebuild has changed {list(Gap.objects.all())}"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
