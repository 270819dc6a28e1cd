"""The audit log: rows that are written once and never again."""

from __future__ import annotations

from typing import Any, NoReturn

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.utils import timezone


class AppendOnly(Exception):
    """Somebody tried to change or delete a row of the audit log."""


class AppendOnlyRows(models.QuerySet["AuditLogEntry"]):
    """Rows that can be read and added to."""

    def update(self, **kwargs: Any) -> NoReturn:
        raise AppendOnly("Entries of the audit log are never changed.")

    def delete(self) -> NoReturn:
        raise AppendOnly("Entries of the audit log are never deleted.")

    def bulk_update(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise AppendOnly("Entries of the audit log are never changed.")


class AuditLogEntry(models.Model):
    """Something that a person did, or was about to do.

    What changes a stream or group is written in two rows: one before it is done, which says what and why, and one after
    it, which names the first in `begun` and says what came of it. A first row without a second one means that evdash
    ended in between, and that nobody knows how far it came.
    """

    at = models.DateTimeField(default=timezone.now)
    who = models.TextField()
    # A person who has done something can be shut out, but not deleted.
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    action = models.TextField()
    stream = models.TextField(blank=True)
    group = models.TextField(blank=True)
    detail = models.JSONField(default=dict, encoder=DjangoJSONEncoder)
    reason = models.TextField(blank=True)
    before = models.JSONField(default=dict, encoder=DjangoJSONEncoder)
    after = models.JSONField(default=dict, encoder=DjangoJSONEncoder)
    outcome = models.TextField(blank=True)
    succeeded = models.BooleanField(null=True)  # None: not known when the row was written
    begun = models.OneToOneField("self", models.PROTECT, null=True, related_name="ended")

    objects = AppendOnlyRows.as_manager()

    class Meta:
        ordering = ["-pk"]
        verbose_name_plural = "audit log entries"

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} UTC {self.who}: {self.action}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise AppendOnly("Entries of the audit log are never changed.")
        kwargs["force_insert"] = True
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise AppendOnly("Entries of the audit log are never deleted.")
