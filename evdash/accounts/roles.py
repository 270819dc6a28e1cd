"""Roles: viewers may read everything, operators may also change streams and groups."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, cast

from django.contrib.auth.models import AbstractUser, AnonymousUser, Group, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from evdash.accounts.models import Operating

OPERATORS = "operators"
OPERATE = "accounts.operate"

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


class OperatorRoleRequired(PermissionDenied):
    """Error for a request of a viewer to a page for operators. The message is the sentence to show.

    `command` is the remedy, to run on the evdash host; "" for a program with a token.
    """

    def __init__(self, sentence: str, command: str = "") -> None:
        super().__init__(sentence)
        self.command = command


def can_operate(user: AbstractUser | AnonymousUser) -> bool:
    """Return whether the user may change streams and groups.

    A program with a token counts as an anonymous user, so it may not.
    """
    return user.has_perm(OPERATE)


def make_operator(user: User) -> bool:
    """Give the user the operator role, from their next request on. Return False if they had it before."""
    group = operators()
    if user.groups.contains(group):
        return False
    user.groups.add(group)
    return True


def make_viewer(user: User) -> bool:
    """Remove the operator role of the user, from their next request on. Return False if they did not have it."""
    group = operators()
    if not user.groups.contains(group):
        return False
    user.groups.remove(group)
    return True


def operators() -> Group:
    """Return the group of all operators. The first call creates it."""
    with transaction.atomic():  # a group without its permission would stay without it
        group, is_new = Group.objects.get_or_create(name=OPERATORS)
        if is_new:
            of = ContentType.objects.get_for_model(Operating)
            permission, _ = Permission.objects.get_or_create(
                content_type=of, codename="operate", defaults={"name": "May change streams and consumer groups"}
            )
            group.permissions.add(permission)
    return group


def operators_only(view: View[P]) -> View[P]:
    """Restrict a view to operators. For all other users it raises OperatorRoleRequired, which results in 403."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if can_operate(request.user):
            return view(request, *args, **kwargs)
        if not request.user.is_authenticated:
            raise OperatorRoleRequired("API tokens cannot change streams or groups. Sign in as an operator.")
        raise OperatorRoleRequired(
            "Your role is viewer. To change it, run this command on the evdash host:",
            f".venv/bin/python manage.py sign_in_link --operator {shlex.quote(str(request.user))}",
        )

    return cast(View[P], guarded)
