"""Snapshots of long sessions, one per 1,000 events (fewer beyond 32,000): a later state needs few events to fold."""

from __future__ import annotations

from django.db import models

from evdash.eventlog.fields import EntryIdField


class SessionSnapshot(models.Model):
    """The state of a session after its events up to an entry ID (events/session/snapshot.py).

    A snapshot only saves time. One that no longer matches the log is deleted.
    """

    session_id = models.TextField()
    entry_id = EntryIdField()
    folded = models.BigIntegerField()  # events, duplicates included
    state = models.BinaryField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["session_id", "entry_id"], name="one_snapshot_per_session_and_entry")
        ]

    def __str__(self) -> str:
        return f"{self.session_id} after {self.folded} events"
