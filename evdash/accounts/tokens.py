"""API tokens, and the guard of the URLs that programs read."""

from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any, Concatenate, Final, ParamSpec, cast

from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import Case, Q, QuerySet, Value, When
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone

from evdash.accounts.actions import AccountAction, announce, terminal_user
from evdash.accounts.models import ApiToken
from evdash.accounts.secrets import new_secret, secret_hash
from evdash.accounts.token_grants import TokenGrant, outside_patterns
from evdash.events.filters.event_filter import EventFilter
from evdash.events.formatting import format_duration

PREFIX = "evdash_"
LAST_USED_STEP = timedelta(minutes=1)
"""Precision of `last_used_at`: a program that reads often does not write as often."""
NAME_MAX_CHARS: Final = 100

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


class TokenExists(Exception):
    """Name conflict: a token of that name exists or has existed."""


class InvalidTokenName(ValueError):
    """A name that is empty or too long."""


def create_token(name: str, grant: TokenGrant = TokenGrant()) -> str:  # noqa: B008 - frozen
    """Store a new token and return it, the only time that it is shown. Raise TokenExists or InvalidTokenName.

    The audit log names the user of the terminal, where tokens are created.
    """
    if not name.strip() or len(name) > NAME_MAX_CHARS or not name.isprintable():
        raise InvalidTokenName(
            f"Token name {name[:40]!r} is not valid. Use 1 to {NAME_MAX_CHARS} printable characters."
        )
    secret = new_secret(PREFIX)
    try:
        with transaction.atomic():
            announce(AccountAction("create-token", f"Create token {name}", terminal_user(), facts=_facts(grant)))
            ApiToken.objects.create(
                name=name,
                secret_hash=secret_hash(secret),
                scopes=list(grant.scopes),
                stream_patterns=list(grant.streams),
                user_patterns=list(grant.users),
                expires_at=timezone.now() + grant.lifetime if grant.lifetime else None,
            )
    except IntegrityError as error:
        raise TokenExists(
            f"Token name {name} is taken (by an active, expired or revoked token). Choose another name."
        ) from error
    return secret


def _facts(grant: TokenGrant) -> dict[str, str]:
    return {
        "scope": ", ".join(grant.scopes),
        "streams": ", ".join(grant.streams),
        "users": ", ".join(grant.users),
        "valid for": format_duration(grant.lifetime) if grant.lifetime else "",
    }


def revoke_token(name: str, *, by: User | None = None, address: str = "") -> bool:
    """Revoke the token at once. Return False if no token of that name is in use.

    The audit log names `by`, or the user of the terminal.
    """
    who = by.get_username() if by else terminal_user()
    with transaction.atomic():
        if not ApiToken.objects.filter(name=name, revoked_at=None).update(revoked_at=timezone.now()):
            return False
        announce(AccountAction("revoke-token", f"Revoke token {name}", who, by, {"address": address}))
    return True


def all_tokens() -> QuerySet[ApiToken]:
    """Return all tokens: those in use first, in alphabetical order, then the ended ones."""
    has_ended = Q(revoked_at__isnull=False) | Q(expires_at__lte=timezone.now())
    return ApiToken.objects.alias(has_ended=Case(When(has_ended, then=Value(1)), default=Value(0))).order_by(
        "has_ended", "name"
    )


def token_of(request: HttpRequest) -> ApiToken | None:
    """Return the active token of the request's `Authorization: Bearer …`, if any.

    The call updates `last_used_at`.
    """
    token = _sent_token(request)
    if token is None or token.state != "active":
        return None
    now = timezone.now()
    seldom = Q(last_used_at=None) | Q(last_used_at__lt=now - LAST_USED_STEP)
    ApiToken.objects.filter(seldom, pk=token.pk).update(last_used_at=now)
    return token


def _sent_token(request: HttpRequest) -> ApiToken | None:
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return None
    return ApiToken.objects.filter(secret_hash=secret_hash(secret.strip())).first()


def token_or_session(*scopes: str, checks_patterns: bool = False) -> Callable[[View[P]], View[P]]:
    """Return the decorator that restricts a view to signed-in users and to tokens with one of the scopes.

    All others get 401 and a sentence, a token without the scope 403. A token with patterns gets 403 as well, unless
    the view `checks_patterns` with `refused_by_patterns`.
    """

    def decorate(view: View[P]) -> View[P]:
        @wraps(view)
        def guarded(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            if request.user.is_authenticated:
                return view(request, *args, **kwargs)
            token = token_of(request)
            if token is None:
                return _unauthorized(_sent_token(request))
            if not set(scopes) & set(token.scopes):
                has, needs = ", ".join(token.scopes), " or ".join(scopes)
                return _forbidden(
                    f"Token {token.name} has the scope {has}. This URL needs {needs}. "
                    "Create another token with `manage.py create_token NAME --scope SCOPE`.",
                    scopes,
                )
            if token.is_restricted and not checks_patterns:
                return _forbidden(
                    f"Token {token.name} is restricted to some streams or users. This URL has data of all of them. "
                    "Use /events.ndjson or /events.csv with stream= or user=.",
                    scopes,
                )
            cast(Any, request).api_token = token
            return view(request, *args, **kwargs)

        return login_not_required(cast(View[P], guarded))

    return decorate


def used_token(request: HttpRequest) -> ApiToken | None:
    """Return the token that `token_or_session` has admitted, or None for a signed-in user."""
    return getattr(request, "api_token", None)


def refused_by_patterns(request: HttpRequest, event_filter: EventFilter, *, in_sandbox: bool) -> HttpResponse | None:
    """Return the refusal (403) of a filter that may match events outside the patterns of the token, or None.

    Such a request is refused, never narrowed: a program must not take a part of the events for all of them. In a
    sandbox it is always refused, because copies there are of any stream.
    """
    token = used_token(request)
    if token is None or not token.is_restricted:
        return None
    if in_sandbox:
        return _forbidden("This token is restricted to some streams or users, and cannot read sandboxes.", ())
    sentence = outside_patterns(event_filter, token.stream_patterns, token.user_patterns)
    return _forbidden(sentence, ()) if sentence else None


def _unauthorized(sent: ApiToken | None) -> HttpResponse:
    reason = f"Token {sent.name} {'has expired' if sent.state == 'expired' else 'was revoked'}. " if sent else ""
    return _refusal(
        f"Authentication required. {reason}Sign in, or send `Authorization: Bearer TOKEN`. "
        "Create a token with `manage.py create_token NAME`.",
        401,
        'Bearer realm="evdash"',
    )


def _forbidden(sentence: str, scopes: tuple[str, ...]) -> HttpResponse:
    scope = f', scope="{" ".join(scopes)}"' if scopes else ""
    return _refusal(sentence, 403, f'Bearer realm="evdash", error="insufficient_scope"{scope}')


def _refusal(sentence: str, status: int, challenge: str) -> HttpResponse:
    return HttpResponse(
        f"{sentence}\n",
        status=status,
        content_type="text/plain; charset=utf-8",
        headers={"WWW-Authenticate": challenge},
    )
