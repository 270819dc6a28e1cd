"""Changes of saved views. Those that other users see are in the audit log, in the same transaction."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

from evdash.accounts.roles import can_operate
from evdash.audit_log.audit_log import record
from evdash.saved_views.models import NAME_MAX_CHARS, QUERY_MAX_CHARS, SavedView
from evdash.saved_views.reading import ViewRecord, find_view

OWN_MAX: Final = 100
SHARED_MAX: Final = 200


class ViewRefused(Exception):
    """Rejected change of a saved view. The message is a sentence with the reason."""


def save_view(owner: User, name: str, page: str, query: str, *, is_shared: bool) -> ViewRecord:
    """Store a new view and return it. Raise ViewRefused.

    `page` is the name of a page, `query` its query string, percent-encoded. Browsers may send a form twice: an equal
    view of the owner is returned as it is.
    """
    name = _checked(name, query)
    with _transaction():
        same = SavedView.objects.select_for_update().filter(owner=owner, name=name).first()
        if same and (same.page, same.query, same.is_shared) == (page, query, is_shared):
            return _found(owner, same.pk)
        _check_is_free(same, owner)
        if SavedView.objects.filter(owner=owner).count() >= OWN_MAX:
            raise ViewRefused(f"You have {OWN_MAX} views, which is the limit. Delete one first.")
        if is_shared:
            _check_can_share(owner)
        row = SavedView.objects.create(owner=owner, name=name, page=page, query=query, is_shared=is_shared)
        view = _found(owner, row.pk)
        if is_shared:
            _record(owner, "Shared", view)
        return view


def change_view(user: User, view: ViewRecord, name: str, *, is_shared: bool) -> None:
    """Rename, share or stop sharing the view. Raise ViewRefused."""
    name = _checked(name, view.query)
    with _transaction():
        now = _changeable(user, view.number)
        _check_is_free(SavedView.objects.filter(owner=now.owner_id, name=name).exclude(pk=now.number).first(), user)
        if is_shared and not now.is_shared:
            _check_can_share(user)
        SavedView.objects.filter(pk=now.number).update(name=name, is_shared=is_shared)
        if is_shared != now.is_shared:
            _record(user, "Shared" if is_shared else "Stopped sharing", now, name)
        elif is_shared and name != now.name:
            _record(user, "Renamed", now, name)


def delete_view(user: User, view: ViewRecord) -> None:
    """Delete the view. Raise ViewRefused."""
    with transaction.atomic():
        now = _changeable(user, view.number)
        SavedView.objects.filter(pk=now.number).delete()
        if now.is_shared:
            _record(user, "Deleted", now)


@contextmanager
def _transaction() -> Iterator[None]:
    try:
        with transaction.atomic():
            yield
    except IntegrityError:
        raise ViewRefused("Another window has just saved a view of this name. Enter another name.") from None


def _checked(name: str, query: str) -> str:
    name = " ".join(name.split())
    if not name:
        raise ViewRefused("The view has no name. Enter one.")
    if len(name) > NAME_MAX_CHARS:
        raise ViewRefused(f"The name has {len(name):,} characters; the limit is {NAME_MAX_CHARS}. Shorten it.")
    if "\x00" in name or "%00" in query:
        raise ViewRefused("The view contains a NUL character, which is not allowed. Remove it.")
    if len(query) > QUERY_MAX_CHARS:
        raise ViewRefused(
            f"The address has {len(query):,} characters of parameters; the limit is {QUERY_MAX_CHARS:,}. "
            "Shorten the filter."
        )
    return name


def _check_is_free(other: SavedView | None, user: User) -> None:
    if other is not None:
        whose = "You have" if other.owner_id == user.pk else "The owner has"
        raise ViewRefused(f"{whose} a view of this name. Enter another name, or delete that view first.")


def _check_can_share(user: User) -> None:
    if not can_operate(user):
        raise ViewRefused("Only operators can share views. Save it as a private view.")
    if SavedView.objects.filter(is_shared=True).count() >= SHARED_MAX:
        raise ViewRefused(f"{SHARED_MAX} views are shared, which is the limit. Delete one, or stop sharing one.")


def _changeable(user: User, number: int) -> ViewRecord:
    """Return the view in its current state, locked until the transaction ends. Raise ViewRefused."""
    SavedView.objects.select_for_update().filter(pk=number).first()
    view = find_view(user, number)
    if view is None:
        raise ViewRefused("The view is deleted, or its owner stopped sharing it.")
    if not view.is_changeable_by(user):
        raise ViewRefused("Only operators can edit or delete a shared view.")
    return view


def _found(user: User, number: int) -> ViewRecord:
    view = find_view(user, number)
    assert view is not None, "written in this transaction"  # noqa: S101
    return view


def _record(user: User, verb: str, view: ViewRecord, new_name: str = "") -> None:
    arguments = {"view": view.number, "owner": view.owner, "page": view.page, "query": view.query}
    detail = {"title": f"{verb} view {view.name}", "asked": arguments}
    after = {"name": new_name} if new_name not in ("", view.name) else {}
    record(
        user.get_username(),
        "view",
        user=user,
        detail=detail,
        before={"name": view.name} if after else {},
        after=after,
        outcome=f"{verb}.",
    )
