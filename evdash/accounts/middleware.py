"""Middleware that closes every view to anonymous users."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponseBase
from django_htmx.http import HttpResponseClientRedirect


class SignInRequired(LoginRequiredMiddleware):
    """Redirect of anonymous users to the sign-in page, and from there back.

    For an htmx request it sends HX-Redirect, so that the whole page changes.
    """

    def process_view(
        self,
        request: HttpRequest,
        view_func: Callable[..., HttpResponseBase],
        view_args: tuple[Any, ...],
        view_kwargs: dict[str, Any],
    ) -> HttpResponseBase | None:
        refusal = super().process_view(request, view_func, view_args, view_kwargs)
        htmx = getattr(request, "htmx", None)
        if refusal is None or not htmx:
            return refusal
        to_sign_in = redirect_to_login(htmx.current_url_abs_path or settings.LOGIN_REDIRECT_URL)
        return HttpResponseClientRedirect(to_sign_in.url)
