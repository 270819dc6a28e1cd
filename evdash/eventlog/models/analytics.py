"""The tables of the analytics projection."""

from __future__ import annotations

from django.db import models

from evdash.eventlog.fields import EntryIdField
from evdash.eventlog.models.log import Stream


class LatencyCount(models.Model):
    """The number of operations per latency bucket in a minute, an hour or a day (UTC).

    Buckets are those of events/latency_sketch.py: a percentile of any range needs few rows and is within 5 %.
    """

    stream = models.ForeignKey(Stream, models.PROTECT, db_index=False)
    width_s = models.IntegerField()
    start_s = models.BigIntegerField()  # Unix seconds
    operation = models.TextField()  # the tool, else the event type
    bucket = models.IntegerField()
    events = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["width_s", "start_s", "operation", "bucket", "stream"], name="one_row_per_slot_and_bucket"
            )
        ]

    def __str__(self) -> str:
        return f"{self.operation} in {self.width_s} s from {self.start_s}"


class CallTiming(models.Model):
    """An entry of a call that is counted in LatencyCount: a call has one latency (events/call_latencies.py)."""

    session_id = models.TextField()
    call_id = models.TextField()
    stream = models.ForeignKey(Stream, models.PROTECT, db_index=False)
    entry_id = EntryIdField()
    is_call = models.BooleanField()
    occurred_us = models.BigIntegerField()
    latency_ms = models.FloatField(null=True)
    tool = models.TextField()
    type = models.TextField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["session_id", "call_id", "entry_id", "stream"], name="a_part_of_a_call_is_counted_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.call_id} of {self.session_id}"
