"""Views for sign-in and sign-out, for setting a password, and for blocked users."""

from typing import Any, Final, cast

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import authenticate, login, update_session_auth_hash
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm, SetPasswordForm
from django.contrib.auth.models import User
from django.contrib.auth.views import LoginView, LogoutView
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from evdash.accounts.actions import AccountAction, announce
from evdash.accounts.client_address import client_address
from evdash.accounts.models import ApiToken
from evdash.accounts.one_time_links import owner, refusal, use_link
from evdash.accounts.roles import can_operate, operators_only
from evdash.accounts.sessions import SessionStore, idle_limit
from evdash.accounts.tokens import all_tokens, revoke_token

PASSWORD: Final = "password"  # noqa: S105 - the kind of authentication
ONE_TIME_LINK: Final = "one-time link"
TOKENS_SHOWN: Final = 200
"""Longest list of tokens on the account page, which states how many there are."""


class SignInForm(AuthenticationForm):
    """Form for name and password, with short error messages."""

    error_messages = {
        "invalid_login": "Wrong name or password.",
        "inactive": "This account is deactivated.",
    }


class ChangePasswordForm(PasswordChangeForm):
    """Form for a new password. A wrong old password counts as a failed sign-in (throttle.py)."""

    def __init__(self, request: HttpRequest) -> None:
        self._request = request
        super().__init__(cast(User, request.user), request.POST or None)

    def clean_old_password(self) -> str:
        """Return the old password. Raise ValidationError if it is wrong, or if the user is blocked."""
        old_password: str = self.cleaned_data["old_password"]
        if authenticate(self._request, username=self.user.get_username(), password=old_password) is None:
            raise ValidationError(self.error_messages["password_incorrect"], code="password_incorrect")
        return old_password


class SignIn(LoginView):
    """The page for name and password."""

    template_name = "accounts/sign_in.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True
    extra_context = {"title": "Sign in"}

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        user = form.get_user()
        with transaction.atomic():
            announce(_action(self.request, user, "sign-in", f"Sign in with {PASSWORD}", authentication=PASSWORD))
            return super().form_valid(form)


class SignOut(LogoutView):
    """The form of the sign-out button."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if isinstance(request.user, User):
            announce(_action(request, request.user, "sign-out", "Sign out"))
        return super().post(request, *args, **kwargs)


@login_not_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def sign_in_link(request: HttpRequest, secret: str) -> HttpResponse:
    """Render a confirmation first, and sign in by POST.

    So a program that only reads the link, such as a messenger's preview, does not use it up.
    """
    if request.method == "POST" and _signed_in_with_link(request, secret):
        return redirect(settings.LOGIN_REDIRECT_URL)
    user = owner(secret)
    if user is None and (refused := refusal(secret)):
        _announce_refused_link(request, *refused)
    context = {"title": "Sign in", "user_to_sign_in": user}
    return render(request, "accounts/sign_in_link.html", context, status=200 if user else 410)


def _signed_in_with_link(request: HttpRequest, secret: str) -> bool:
    with transaction.atomic():  # without a row in the audit log, the link is not used up
        user = use_link(secret)
        if user is not None:
            title = f"Sign in with {ONE_TIME_LINK}"
            announce(_action(request, user, "sign-in", title, authentication=ONE_TIME_LINK))
            login(request, user, backend="django.contrib.auth.backends.ModelBackend")
    return user is not None


def _announce_refused_link(request: HttpRequest, user: User, reason: str) -> None:
    announce(
        AccountAction(
            "sign-in-failed",
            f"Sign in as {user.get_username()}",
            "unknown",
            facts={"address": client_address(request), "authentication": ONE_TIME_LINK},
            outcome=reason,
            succeeded=False,
            is_once_per_block=True,
        )
    )


def _action(request: HttpRequest, user: User, action: str, title: str, **facts: str) -> AccountAction:
    return AccountAction(action, title, user.get_username(), user, {"address": client_address(request), **facts})


@require_http_methods(["GET", "HEAD", "POST"])
def account(request: HttpRequest) -> HttpResponse:
    """Render the signed-in user's name, and the form that sets or changes their password."""
    user = cast(User, request.user)  # the middleware admits only signed-in users
    form = ChangePasswordForm(request) if user.has_usable_password() else SetPasswordForm(user, request.POST or None)
    if form.is_valid():
        with transaction.atomic():
            announce(_action(request, user, "change-password", "Change password"))
            form.save()
            update_session_auth_hash(request, user)  # this browser stays signed in, all others are signed out
        messages.success(request, "Password changed.")
        return redirect("account")
    session = cast(SessionStore, request.session)
    context = {
        "title": "Account",
        "form": form,
        "can_operate": can_operate(user),
        "signed_in_at": session.signed_in_at,
        "latest_end": session.latest_end,
        "idle_limit": idle_limit(),
    }
    if can_operate(user):
        tokens = all_tokens()
        shown = list(tokens[: TOKENS_SHOWN + 1])
        context |= {
            "active_tokens": [token for token in shown[:TOKENS_SHOWN] if token.state == "active"],
            "ended_tokens": [token for token in shown[:TOKENS_SHOWN] if token.state != "active"],
            "tokens_left_out": tokens.count() - TOKENS_SHOWN if len(shown) > TOKENS_SHOWN else 0,
        }
    return render(request, "accounts/account.html", context)


@operators_only
@require_http_methods(["GET", "HEAD", "POST"])
def token(request: HttpRequest, number: int) -> HttpResponse:
    """Render a token with the button that revokes it, and revoke it by POST."""
    shown = get_object_or_404(ApiToken, pk=number)
    if request.method == "POST":
        if revoke_token(shown.name, by=cast(User, request.user), address=client_address(request)):
            messages.success(request, f"Token {shown.name} revoked.")
        else:
            messages.info(request, f"Token {shown.name} was revoked before.")
        return redirect("account")
    return render(request, "accounts/token.html", {"title": f"Token {shown.name}", "token": shown})


def locked_out(request: HttpRequest, *_: Any) -> HttpResponse:
    """Return the response (429) that django-axes sends instead of checking one more password."""
    minutes = int(settings.AXES_COOLOFF_TIME.total_seconds() // 60)
    context = {
        "title": "Sign-in blocked",
        "minutes": minutes,
        "username": getattr(request, "axes_credentials", {}).get("username", ""),
        "blocked_by": getattr(request, "blocked_by", ""),
    }
    response = render(request, "accounts/locked_out.html", context, status=429)
    response["Retry-After"] = str(minutes * 60)
    return response
