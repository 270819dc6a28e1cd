"""Saved views in SQL."""

from __future__ import annotations

from typing import Final

from django.conf import settings
from django.db import models

NAME_MAX_CHARS: Final = 80
QUERY_MAX_CHARS: Final = 8_000


class SavedView(models.Model):
    """A name for a list: a page and its query string without a position. It is private unless it is shared.

    It never has a whole address, so it cannot lead to another host or into a sandbox.
    """

    # A user with a row in the audit log, such as one who shared a view, can be deactivated, but not deleted.
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    name = models.CharField(max_length=NAME_MAX_CHARS)
    page = models.CharField(max_length=40)  # a name in web/pages/registry.py
    query = models.CharField(max_length=QUERY_MAX_CHARS, blank=True)  # percent-encoded
    is_shared = models.BooleanField(default=False)

    class Meta:
        ordering = ["name", "pk"]
        indexes = [models.Index(fields=["is_shared"], name="shared_views")]
        constraints = [models.UniqueConstraint(fields=["owner", "name"], name="one_view_of_a_name_per_owner")]

    def __str__(self) -> str:
        return f"view {self.name}"
