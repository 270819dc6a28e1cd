"""What each consumer group has done with the entries of its streams, and what it could not do."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from evdash.eventlog.fields import EntryIdField
from evdash.eventlog.models.log import Stream


class GroupPosition(models.Model):
    """A consumer group in a stream: its watermark, and what it has done so far.

    The watermark: every entry up to it that the stream gave is committed here. A batch's transaction locks the rows of
    its group, so that workers of one group commit one after the other.
    """

    group = models.TextField()
    stream = models.ForeignKey(Stream, models.PROTECT)
    watermark = EntryIdField()
    # Totals since the tables were made; they only grow.
    applied = models.BigIntegerField(default=0)
    batches = models.BigIntegerField(default=0)
    apply_us = models.BigIntegerField(default=0)
    parked = models.BigIntegerField(default=0)
    # Up to where, and with what ever added to the stream, the log was last compared with it (workers/accounting.py).
    checked_through = EntryIdField(null=True)  # type: ignore[misc] # the field's types know no null
    checked_added = models.BigIntegerField(default=0)
    # When the stream was last found to be another one than before (emptied, replaced), and how many entries of the
    # former one, which it does not have itself, the event log holds. Only of the group that fills the log.
    made_anew_at = models.DateTimeField(null=True)
    former_entries = models.BigIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["group", "stream"], name="one_position_per_group_and_stream")]

    def __str__(self) -> str:
        return f"{self.group} in {self.stream}: {self.watermark}"


class AppliedEntry(models.Model):
    """That a group's projection has applied an entry: what makes its effect happen once.

    Kept for every entry, some 50 bytes each, and not only for those above a watermark: a stream that was emptied and
    filled again, or came back from an older file, may bring entries below any watermark that were never applied.
    The audit projection has none of these: the event log itself says what it has applied.
    """

    position = models.ForeignKey(GroupPosition, models.CASCADE, db_index=False)
    entry_id = EntryIdField()
    identity = models.BinaryField(max_length=16, null=True)  # events/duplicates.py
    occurred_us = models.BigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["position", "entry_id"], name="an_entry_is_applied_once")]
        indexes = [
            models.Index(
                fields=["identity", "position"], condition=Q(identity__isnull=False), name="applied_by_identity"
            )
        ]

    def __str__(self) -> str:
        return f"{self.position_id}/{self.entry_id}"


class EntryTries(models.Model):
    """How often a group tried an entry that it has not applied: to no avail, or without living to tell.

    Redis counts deliveries, and an outage delivers a healthy entry again and again: these are the tries that speak
    against the entry itself. The row goes when the entry is done with.
    """

    position = models.ForeignKey(GroupPosition, models.CASCADE, db_index=False)
    entry_id = EntryIdField()
    tries = models.IntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["position", "entry_id"], name="one_count_of_tries_per_entry")]

    def __str__(self) -> str:
        return f"{self.position_id}/{self.entry_id}: {self.tries}"


class GroupMinute(models.Model):
    """What a group applied in one minute: its throughput. Kept for a day."""

    position = models.ForeignKey(GroupPosition, models.CASCADE, db_index=False)
    start_s = models.BigIntegerField()  # Unix seconds
    events = models.BigIntegerField()
    batches = models.BigIntegerField()
    apply_us = models.BigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["position", "start_s"], name="one_row_per_group_and_minute")]

    def __str__(self) -> str:
        return f"{self.position_id} at {self.start_s}"


class Gap(models.Model):
    """Entries of a stream that a group has not applied and never will, unless they are redelivered.

    They lay somewhere from `first_id` to `last_id`, both included. What the event log's group lacks is missing from
    every page, and a page whose range crosses the gap says so.
    """

    class Kind(models.TextChoices):
        """Why they are missing."""

        BEFORE = "before", "removed from the stream before evdash first read it"
        REMOVED = "removed", "removed from the stream before they were read"
        ACKNOWLEDGED = "acknowledged", "acknowledged by an operator without being applied"
        PARKED = "parked", "could not be applied and were parked"

    position = models.ForeignKey(GroupPosition, models.PROTECT)
    kind = models.TextField(choices=Kind.choices)
    first_id = EntryIdField()
    last_id = EntryIdField()
    entries = models.BigIntegerField(null=True)  # None: nobody knows how many
    # Which they are, 16 bytes each; None where they were only counted.
    known_ids = models.BinaryField(null=True)
    noticed_at = models.DateTimeField()
    reason = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["position", "kind", "first_id", "last_id"], name="a_gap_is_recorded_once")
        ]
        indexes = [models.Index(fields=["last_id"], name="gaps_by_end")]

    def __str__(self) -> str:
        return f"{self.entries if self.entries is not None else 'unknown'} of {self.position} from {self.first_id}"
