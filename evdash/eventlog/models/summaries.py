"""The audit projection's read models: sessions, users, and counts."""

from __future__ import annotations

from django.db import models

from evdash.eventlog.fields import EntryIdField
from evdash.eventlog.models.log import Stream
from evdash.events.entry import EntryId


class AgentSession(models.Model):
    """A session's summary (events/summaries.py)."""

    session_id = models.TextField(unique=True)
    user_id = models.TextField()
    user_at = EntryIdField()
    agent = models.TextField()
    agent_at = EntryIdField()
    model = models.TextField()
    model_at = EntryIdField()
    # Values for events that lack them (events/inheritance.py).
    declared_user = models.TextField(db_default="")
    declared_user_at = EntryIdField(db_default=models.Value(EntryId.MAX.to_bytes()))
    declared_agent = models.TextField(db_default="")
    declared_agent_at = EntryIdField(db_default=models.Value(EntryId.MAX.to_bytes()))
    declared_version = models.TextField(db_default="")
    declared_version_at = EntryIdField(db_default=models.Value(EntryId.MAX.to_bytes()))
    declared_model = models.TextField(db_default="")
    declared_model_at = EntryIdField(db_default=models.Value(EntryId.MAX.to_bytes()))
    first_id = EntryIdField()
    last_id = EntryIdField()
    started_us = models.BigIntegerField()
    last_us = models.BigIntegerField()
    ended_id = EntryIdField(null=True)  # type: ignore[misc] # the field's types know no null
    outcome = models.TextField()
    events = models.BigIntegerField()
    errors = models.BigIntegerField()
    tokens = models.BigIntegerField()
    messages = models.BigIntegerField()
    tool_calls = models.BigIntegerField()
    calls_inside = models.BigIntegerField(db_default=0)
    searches = models.BigIntegerField()

    class Meta:
        indexes = [models.Index(fields=["last_id", "session_id"], name="sessions_by_activity")]

    def __str__(self) -> str:
        return self.session_id


class AgentUser(models.Model):
    """A user's summary (events/summaries.py)."""

    user_id = models.TextField(unique=True)
    first_id = EntryIdField()
    last_id = EntryIdField()
    first_us = models.BigIntegerField()
    last_us = models.BigIntegerField()
    events = models.BigIntegerField()
    errors = models.BigIntegerField()
    tokens = models.BigIntegerField()
    sessions = models.BigIntegerField()

    class Meta:
        indexes = [models.Index(fields=["last_id", "user_id"], name="users_by_activity")]

    def __str__(self) -> str:
        return self.user_id


class Participation(models.Model):
    """The participation of a user in a session, with the user's last entry in it."""

    user_id = models.TextField()
    session_id = models.TextField()
    last_id = EntryIdField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user_id", "session_id"], name="one_row_per_user_and_session")]
        indexes = [models.Index(fields=["user_id", "last_id", "session_id"], name="sessions_of_user")]

    def __str__(self) -> str:
        return f"{self.user_id} in {self.session_id}"


class UserDay(models.Model):
    """A user's events of one day (UTC)."""

    user_id = models.TextField()
    day = models.DateField()
    events = models.BigIntegerField()
    errors = models.BigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user_id", "day"], name="one_row_per_user_and_day")]

    def __str__(self) -> str:
        return f"{self.user_id} on {self.day}"


class TypeCount(models.Model):
    """The events of a type in a minute, an hour or a day (UTC) of a stream: their number and their range of entry IDs.

    The three widths allow the sum of any range from few rows: whole days, then hours, then minutes at its ends.
    The IDs convert a time range into an ID range. Pages and indexes are ordered by entry ID.
    """

    stream = models.ForeignKey(Stream, models.PROTECT, db_index=False)
    width_s = models.IntegerField()
    start_s = models.BigIntegerField()  # Unix seconds
    type = models.TextField()
    events = models.BigIntegerField()
    errors = models.BigIntegerField()
    first_id = EntryIdField()
    last_id = EntryIdField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["width_s", "start_s", "type", "stream"], name="one_row_per_slot_and_type")
        ]

    def __str__(self) -> str:
        return f"{self.type} in {self.width_s} s from {self.start_s}"


class Tally(models.Model):
    """The row count of a table, stored separately because counting a large table takes time proportional to it."""

    name = models.TextField(primary_key=True)
    value = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.name}: {self.value}"
