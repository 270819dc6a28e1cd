"""The audit log's table: rows are inserted and never changed."""

from __future__ import annotations

from typing import Any, NoReturn

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.utils import timezone


class AppendOnly(Exception):
    """Error for an attempt to change or delete a row of the audit log."""


class AppendOnlyRows(models.QuerySet["AuditLogEntry"]):
    """Rows that can only be read and added."""

    def update(self, **kwargs: Any) -> NoReturn:
        raise AppendOnly("Audit log entries cannot be changed.")

    def delete(self) -> NoReturn:
        raise AppendOnly("Audit log entries cannot be deleted.")

    def bulk_update(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise AppendOnly("Audit log entries cannot be changed.")


class AuditLogEntry(models.Model):
    """An action of a person, or the attempt of one.

    A change of a stream or group has two rows. The first is written before the action, with its arguments and the
    reason. The second is written after it, names the first in `begun`, and has the outcome. A first row without a
    second one means that evdash ended in between. The extent of such an action is unknown.
    """

    at = models.DateTimeField(default=timezone.now)
    who = models.TextField()
    # A user with rows in the audit log can be deactivated, but not deleted.
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    action = models.TextField()
    stream = models.TextField(blank=True)
    group = models.TextField(blank=True)
    detail = models.JSONField(default=dict, encoder=DjangoJSONEncoder)
    reason = models.TextField(blank=True)
    before = models.JSONField(default=dict, encoder=DjangoJSONEncoder)
    after = models.JSONField(default=dict, encoder=DjangoJSONEncoder)
    outcome = models.TextField(blank=True)
    succeeded = models.BooleanField(null=True)  # None: not yet known when the row was written
    begun = models.OneToOneField("self", models.PROTECT, null=True, related_name="ended")

    objects = AppendOnlyRows.as_manager()

    class Meta:
        ordering = ["-pk"]
        verbose_name_plural = "audit log entries"

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} UTC {self.who}: {self.action}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise AppendOnly("Audit log entries cannot be changed.")
        kwargs["force_insert"] = True
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise AppendOnly("Audit log entries cannot be deleted.")
