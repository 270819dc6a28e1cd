"""States of long sessions, kept so that a later one is a few hundred events away."""

from __future__ import annotations

from django.db import models

from evdash.eventlog.fields import EntryIdField


class SessionCheckpoint(models.Model):
    """The state of a session after its events up to an entry ID (events/session/checkpoint.py). Only a saving of time:
    what does not fit the log any more is thrown away."""

    session_id = models.TextField()
    entry_id = EntryIdField()
    folded = models.BigIntegerField()  # events, duplicates included
    state = models.BinaryField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["session_id", "entry_id"], name="one_checkpoint_per_session_and_entry")
        ]

    def __str__(self) -> str:
        return f"{self.session_id} after {self.folded} events"
