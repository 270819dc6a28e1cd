"""Views for sign-in with a link, for setting a password, and for locked-out users."""

from typing import Any, cast

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login, update_session_auth_hash
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm, SetPasswordForm
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from evdash.accounts.one_time_links import owner, use_link
from evdash.accounts.roles import can_operate


class SignInForm(AuthenticationForm):
    """Form for name and password, with short error messages."""

    error_messages = {
        "invalid_login": "Wrong name or password.",
        "inactive": "This account is deactivated.",
    }


@login_not_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def sign_in_link(request: HttpRequest, secret: str) -> HttpResponse:
    """Render a confirmation first, and sign in by POST.

    So a program that only reads the link, such as a messenger's preview, does not use it up.
    """
    if request.method == "POST" and (user := use_link(secret)):
        login(request, user, backend="django.contrib.auth.backends.ModelBackend")
        return redirect(settings.LOGIN_REDIRECT_URL)
    user = owner(secret)
    context = {"title": "Sign in", "user_to_sign_in": user}
    return render(request, "accounts/sign_in_link.html", context, status=200 if user else 410)


@require_http_methods(["GET", "HEAD", "POST"])
def account(request: HttpRequest) -> HttpResponse:
    """Render the signed-in user's name, and the form that sets or changes their password."""
    user = cast(User, request.user)  # the middleware admits only signed-in users
    form_type = PasswordChangeForm if user.has_usable_password() else SetPasswordForm
    form = form_type(user, request.POST or None)
    if form.is_valid():
        form.save()
        update_session_auth_hash(request, user)  # this browser stays signed in, all others are signed out
        messages.success(request, "Password changed.")
        return redirect("account")
    return render(
        request, "accounts/account.html", {"title": "Account", "form": form, "can_operate": can_operate(user)}
    )


def locked_out(request: HttpRequest, *_: Any) -> HttpResponse:
    """Return the response (429) that django-axes sends instead of checking one more password."""
    minutes = int(settings.AXES_COOLOFF_TIME.total_seconds() // 60)
    context = {"title": "Sign in", "minutes": minutes, "username": request.POST.get("username", "")}
    return render(request, "accounts/locked_out.html", context, status=429)
