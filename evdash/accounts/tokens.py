"""API tokens, and the guard of the URLs that programs read."""

from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Concatenate, ParamSpec, cast

from django.contrib.auth.decorators import login_not_required
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone

from evdash.accounts.models import ApiToken
from evdash.accounts.secrets import new_secret, secret_hash

PREFIX = "evdash_"
LAST_USED_STEP = timedelta(minutes=1)
"""Precision of `last_used_at`: a program that reads often does not write as often."""

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


class TokenExists(Exception):
    """Name conflict: a token of that name exists or has existed."""


def create_token(name: str) -> str:
    """Store a new token and return it, the only time that it is shown. Raise TokenExists."""
    secret = new_secret(PREFIX)
    try:
        with transaction.atomic():
            ApiToken.objects.create(name=name, secret_hash=secret_hash(secret))
    except IntegrityError as error:
        raise TokenExists(
            f"Token name {name} is taken (by an active or revoked token). Choose another name."
        ) from error
    return secret


def revoke_token(name: str) -> bool:
    """Revoke the token at once. Return False if no token of that name is in use."""
    return bool(ApiToken.objects.filter(name=name, revoked_at=None).update(revoked_at=timezone.now()))


def token_of(request: HttpRequest) -> ApiToken | None:
    """Return the token in use from the request's `Authorization: Bearer …`, if any.

    The call updates `last_used_at`.
    """
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return None
    token = ApiToken.objects.filter(secret_hash=secret_hash(secret.strip()), revoked_at=None).first()
    if token:
        now = timezone.now()
        seldom = Q(last_used_at=None) | Q(last_used_at__lt=now - LAST_USED_STEP)
        ApiToken.objects.filter(seldom, pk=token.pk).update(last_used_at=now)
    return token


def token_or_session(view: View[P]) -> View[P]:
    """Restrict a view to signed-in users and programs with a token. All others get 401 and a sentence."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if request.user.is_authenticated or token_of(request):
            return view(request, *args, **kwargs)
        return HttpResponse(
            "Authentication required. Sign in, or send `Authorization: Bearer TOKEN`. "
            "Create a token with `manage.py create_token NAME`.\n",
            status=401,
            content_type="text/plain; charset=utf-8",
            headers={"WWW-Authenticate": 'Bearer realm="evdash"'},
        )

    return login_not_required(cast(View[P], guarded))
