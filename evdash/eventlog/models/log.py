"""The event log itself."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from evdash.eventlog.fields import EntryIdField


class Stream(models.Model):
    """A stream in the log. Its number keeps the log's rows small and orders equal entry IDs."""

    name = models.TextField(unique=True)

    def __str__(self) -> str:
        return self.name


class Decoder(models.Model):
    """A decoder of rows: a version of the code with its wire profile and upcasters (events/decoder.py).

    `rows` replaces an index of the log by decoder. Each transaction that writes rows changes it, too.
    """

    id = models.SmallAutoField(primary_key=True)
    fingerprint = models.CharField(max_length=32, unique=True)
    first_used_at = models.DateTimeField()
    last_used_at = models.DateTimeField()  # refreshed by its workers while they run
    rows = models.BigIntegerField(default=0)  # of the log, last written by this decoder
    redecoded_through = models.BigIntegerField(default=0)  # the log's primary key up to which re-decoding has come

    def __str__(self) -> str:
        return f"{self.id}: {self.fingerprint}"


class LoggedEvent(models.Model):
    """One complete entry (`pairs`), with the decoded columns that filters query; the entry is decoded once."""

    id = models.BigAutoField(primary_key=True)
    stream = models.ForeignKey(Stream, models.PROTECT, db_index=False)
    entry_id = EntryIdField()
    occurred_us = models.BigIntegerField()
    is_error = models.BooleanField()
    type = models.TextField()
    session_id = models.TextField()
    user_id = models.TextField()
    severity = models.TextField()
    tool = models.TextField()
    model = models.TextField()
    agent = models.TextField()
    agent_version = models.TextField(db_default="")
    code = models.TextField()
    error_group = models.TextField(db_default="")
    event_id = models.TextField()
    latency_ms = models.FloatField(null=True)
    tokens = models.BigIntegerField(db_default=0)
    pairs = models.BinaryField()  # eventlog/row_mapping.py
    search_text = models.TextField()  # events/filters/search_text.py
    identity = models.BinaryField(max_length=16, null=True)  # events/deduplication.py
    is_duplicate = models.BooleanField(default=False)  # an earlier entry of the stream has the same identity
    # Sum of INHERITED_BITS (row_mapping.py): properties that the entry lacks, and that are from its session or call.
    inherited = models.SmallIntegerField(db_default=0)
    # The Decoder of the decoded columns; 0: one of a version that did not record it. No index: see `Decoder.rows`.
    decoder_id = models.SmallIntegerField(db_default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["entry_id", "stream"], name="an_entry_is_logged_once")]
        indexes = [
            models.Index(fields=["session_id", "entry_id", "stream"], name="events_of_session"),
            models.Index(fields=["user_id", "entry_id", "stream"], name="events_of_user"),
            models.Index(fields=["type", "entry_id", "stream"], name="events_of_type"),
            models.Index(fields=["entry_id", "stream"], condition=Q(is_error=True), name="error_events"),
            models.Index(fields=["identity"], condition=Q(identity__isnull=False), name="events_by_identity"),
            models.Index(fields=["entry_id"], condition=Q(is_duplicate=True), name="duplicate_events"),
        ]

    def __str__(self) -> str:
        return f"{self.stream_id}/{self.entry_id}"


class CallEntry(models.Model):
    """An entry of the log with the ID of a call: it names the tool of the call, or inherits it."""

    session_id = models.TextField()
    call_id = models.TextField()
    stream = models.ForeignKey(Stream, models.PROTECT, db_index=False)
    entry_id = EntryIdField()
    tool = models.TextField()  # "": the entry does not name its tool
    is_inside = models.BooleanField(db_default=False)  # it is a message that contains the call

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["session_id", "call_id", "entry_id", "stream"], name="one_row_per_call_and_entry"
            )
        ]

    def __str__(self) -> str:
        return f"{self.call_id} of {self.session_id}"
