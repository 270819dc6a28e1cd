"""The tables of the debug projection."""

from __future__ import annotations

from django.db import models

from evdash.eventlog.fields import EntryIdField


class ErrorGroup(models.Model):
    """A group of errors that differ only in numbers and names (events/error_fingerprints.py)."""

    fingerprint = models.CharField(max_length=32, unique=True)
    type = models.TextField()
    code = models.TextField()
    tool = models.TextField()
    masked = models.TextField()
    first_stream = models.TextField()
    first_id = EntryIdField()
    last_id = EntryIdField()
    first_us = models.BigIntegerField()
    last_us = models.BigIntegerField()
    events = models.BigIntegerField()
    sessions = models.BigIntegerField()
    users = models.BigIntegerField()

    class Meta:
        indexes = [models.Index(fields=["last_id", "fingerprint"], name="error_groups_by_last")]

    def __str__(self) -> str:
        return f"{self.code} {self.masked}"


class ErrorGroupMember(models.Model):
    """A session or a user that was affected by an error of the group.

    A session whose error names no user is also recorded as `unnamed`: its user is the one that the session declares.
    """

    fingerprint = models.CharField(max_length=32)
    kind = models.CharField(max_length=7)  # session, user or unnamed
    name = models.TextField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["fingerprint", "kind", "name"], name="a_member_is_counted_once")]

    def __str__(self) -> str:
        return f"{self.kind} {self.name} in {self.fingerprint}"
