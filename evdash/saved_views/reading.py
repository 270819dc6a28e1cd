"""Queries of saved views. A user sees their own views and the shared ones, and no others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.contrib.auth.models import AbstractUser, AnonymousUser
from django.db.models import Case, Q, QuerySet, Value, When

from evdash.accounts.roles import can_operate
from evdash.saved_views.models import SavedView


@dataclass(frozen=True, slots=True)
class ViewRecord:
    """One saved view."""

    number: int
    name: str
    page: str
    query: str
    owner: str
    owner_id: int
    is_shared: bool

    def is_changeable_by(self, user: AbstractUser | AnonymousUser) -> bool:
        """Return whether the user may change or delete the view: any operator a shared one, its owner a private one."""
        return can_operate(user) if self.is_shared else self.owner_id == user.pk


def visible_views(user: AbstractUser | AnonymousUser) -> tuple[ViewRecord, ...]:
    """Return all views that the user sees, by name. The limits of `writing` apply to their number."""
    return _by_name(_records(_visible(user)))


def first_views(
    user: AbstractUser | AnonymousUser, limit: int, *, page: str, query: str
) -> tuple[tuple[ViewRecord, ...], bool]:
    """Return up to `limit` views that the user sees, by name, and whether there are more.

    Views of this page and query string are among them in any case.
    """
    is_elsewhere = Case(When(page=page, query=query, then=Value(0)), default=Value(1))
    found = _records(_visible(user).order_by(is_elsewhere, "name", "pk")[: limit + 1])
    return _by_name(found[:limit]), len(found) > limit


def find_view(user: AbstractUser | AnonymousUser, number: int) -> ViewRecord | None:
    """Return the view of this number; None without one, and for a private view of another user."""
    return next(iter(_records(_visible(user).filter(pk=number))), None)


def _visible(user: AbstractUser | AnonymousUser) -> QuerySet[SavedView]:
    return SavedView.objects.filter(Q(owner=user.pk) | Q(is_shared=True)).select_related("owner")


def _records(rows: QuerySet[SavedView]) -> list[ViewRecord]:
    return [
        ViewRecord(row.pk, row.name, row.page, row.query, row.owner.get_username(), row.owner.pk, row.is_shared)
        for row in rows
    ]


def _by_name(views: Sequence[ViewRecord]) -> tuple[ViewRecord, ...]:
    return tuple(sorted(views, key=lambda view: (view.name.casefold(), view.number)))
