"""The progress of each consumer group in its streams, and the entries that it could not apply."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from evdash.eventlog.fields import EntryIdField
from evdash.eventlog.models.log import Stream


class GroupPosition(models.Model):
    """A consumer group in a stream: its watermark and its totals.

    Every entry of the stream up to the watermark is committed here. A batch's transaction locks the rows of its group.
    Workers of one group therefore commit one after the other.
    """

    group = models.TextField()
    stream = models.ForeignKey(Stream, models.PROTECT)
    watermark = EntryIdField()
    # Totals since the tables were created; they only grow.
    applied = models.BigIntegerField(default=0)
    batches = models.BigIntegerField(default=0)
    apply_us = models.BigIntegerField(default=0)
    parked = models.BigIntegerField(default=0)
    # The entry ID and Redis's count of added entries at the last reconciliation (ingest/reconciliation.py).
    checked_through = EntryIdField(null=True)  # type: ignore[misc] # the field's types know no null
    checked_added = models.BigIntegerField(default=0)
    # When the stream was last found recreated (emptied, replaced, restored), and how many entries of the log only the
    # former stream contained. Set only for the group that fills the log.
    recreated_at = models.DateTimeField(null=True)
    former_entries = models.BigIntegerField(default=0)
    # The Decoder of all events in the read models; 0: several, or an unknown one; None: there are no events.
    decoder_id = models.SmallIntegerField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["group", "stream"], name="one_position_per_group_and_stream")]

    def __str__(self) -> str:
        return f"{self.group} in {self.stream}: {self.watermark}"


class AppliedEntry(models.Model):
    """The record that a group's projection has applied an entry: it makes the entry's effect happen once.

    A row of about 50 bytes is kept for every entry, also below the watermark. A stream may be emptied and refilled, or
    restored from an older file. It may then deliver entries below any watermark that were never applied.
    The audit projection has no such rows: the event log itself records the applied entries.
    """

    position = models.ForeignKey(GroupPosition, models.CASCADE, db_index=False)
    entry_id = EntryIdField()
    identity = models.BinaryField(max_length=16, null=True)  # events/deduplication.py
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
    """The number of times that a group attempted an entry without applying it: the attempt failed or never finished.

    Redis counts deliveries, and an outage delivers a healthy entry again and again. Only these attempts are evidence
    against the entry itself. The row is deleted when the entry needs no further attempt.
    """

    position = models.ForeignKey(GroupPosition, models.CASCADE, db_index=False)
    entry_id = EntryIdField()
    tries = models.IntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["position", "entry_id"], name="one_count_of_tries_per_entry")]

    def __str__(self) -> str:
        return f"{self.position_id}/{self.entry_id}: {self.tries}"


class GroupMinute(models.Model):
    """The events that a group applied in one minute: its throughput. Rows are kept for a day."""

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
    """Entries of a stream that a group has not applied and will not apply, unless they are redelivered.

    They were somewhere from `first_id` to `last_id`, both included. Entries that the event log's group lacks are
    missing from every page. A page whose range crosses the gap reports it.
    """

    class Kind(models.TextChoices):
        """The reason why the entries are missing."""

        BEFORE = "before", "removed from the stream before evdash first read it"
        REMOVED = "removed", "removed from the stream before they were read"
        ACKNOWLEDGED = "acknowledged", "acknowledged by an operator without being applied"
        PARKED = "parked", "could not be applied and were parked"

    position = models.ForeignKey(GroupPosition, models.PROTECT)
    kind = models.TextField(choices=Kind.choices)
    first_id = EntryIdField()
    last_id = EntryIdField()
    entries = models.BigIntegerField(null=True)  # None: the number is unknown
    # The IDs of the entries, 16 bytes each; None if only their number is known.
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


class ConsumerClaim(models.Model):
    """The last claim of evdash for a consumer. A claim resets the idle time that Redis keeps, and reads nothing."""

    stream = models.TextField()
    group = models.TextField()
    consumer = models.TextField()
    claimed_at = models.DateTimeField()
    read_at = models.DateTimeField(null=True)  # when the consumer had read last; None: never

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["stream", "group", "consumer"], name="one_last_claim_per_consumer")
        ]

    def __str__(self) -> str:
        return f"{self.consumer} of {self.group} on {self.stream}: {self.claimed_at}"


class WorkerProblem(models.Model):
    """A reason for which Redis keeps a worker from its work, as of `noted_at`. Workers that work have no row.

    Redis cannot keep it: it may refuse every command of the worker.
    """

    group = models.TextField()
    consumer = models.TextField()
    stream = models.TextField(blank=True)  # "": all streams of the worker
    code = models.TextField()  # the first word of the error reply, such as NOPERM; "" without a reply
    cause = models.TextField()  # the sentence to show
    since = models.DateTimeField()
    noted_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["group", "consumer", "stream"], name="one_problem_per_worker_and_stream")
        ]

    def __str__(self) -> str:
        return f"{self.consumer} of {self.group}: {self.cause}"
