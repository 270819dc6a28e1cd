"""Notes in SQL.

Notes refer to sessions and entries by the names in the streams, not by rows of the event log. So they outlive trimming,
a rebuild of the log, and a log in another order.
"""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone

from evdash.eventlog.fields import EntryIdField


class Note(models.Model):
    """A note on a session or, if `stream` is not empty, on one entry. Its last version holds its text."""

    session_id = models.TextField(blank=True)  # of a note on an entry: the entry's session, "" for none
    stream = models.TextField(blank=True)
    entry_id = EntryIdField(null=True)  # type: ignore[misc] # the field's types know no null
    # The author of a note can be deactivated, but not deleted.
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    written_at = models.DateTimeField(default=timezone.now)
    deleted_at = models.DateTimeField(null=True)  # by its author; a deleted note has no versions

    class Meta:
        ordering = ["pk"]
        indexes = [
            models.Index(fields=["session_id", "id"], name="notes_of_session"),
            models.Index(fields=["stream", "entry_id"], name="notes_of_entry"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(stream="", entry_id=None) & ~models.Q(session_id="")
                | ~models.Q(stream="") & models.Q(entry_id__isnull=False),
                name="a_note_is_on_a_session_or_on_an_entry",
            )
        ]

    def __str__(self) -> str:
        return f"note {self.pk}"


class NoteVersion(models.Model):
    """Text of a note from a time on. An edit adds a version and never changes one."""

    note = models.ForeignKey(Note, models.CASCADE, related_name="versions")
    text = models.TextField()
    written_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"version {self.pk} of note {self.note_id}"
