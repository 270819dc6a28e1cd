"""Compare the tables of a database with the fold over what was written; exit code 1 and the difference if any."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "evdash.settings"
django.setup()

from evdash.eventlog.models import Gap, GroupPosition  # noqa: E402 - after the setup
from evdash.events.entry import Entry  # noqa: E402
from evdash.events.entry_id import EntryId  # noqa: E402
from tests.workers.folds import actual, applied, assert_equal, expected  # noqa: E402


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


if __name__ == "__main__":
    main(Path(sys.argv[1]))
