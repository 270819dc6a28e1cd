"""Middleware that closes every view to anonymous users and keeps responses out of caches."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponseBase
from django_htmx.http import HttpResponseClientRedirect


class SignInRequired(LoginRequiredMiddleware):
    """Redirect of anonymous users to the sign-in page, and from there back.

    For an htmx request it sends HX-Redirect, so that the whole page changes. A view without sign-in gets no look-up of
    the user: /healthz answers while SQL is down.
    """

    def process_view(
        self,
        request: HttpRequest,
        view_func: Callable[..., HttpResponseBase],
        view_args: tuple[Any, ...],
        view_kwargs: dict[str, Any],
    ) -> HttpResponseBase | None:
        if not getattr(view_func, "login_required", True):
            return None
        refusal = super().process_view(request, view_func, view_args, view_kwargs)
        htmx = getattr(request, "htmx", None)
        if refusal is None or not htmx:
            return refusal
        to_sign_in = redirect_to_login(htmx.current_url_abs_path or settings.LOGIN_REDIRECT_URL)
        return HttpResponseClientRedirect(to_sign_in.url)


class NotStored:
    """A middleware that forbids browsers and proxies to store a response.

    It covers errors and redirects, too. Static files do not pass it: they have no personal data and are cached.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self._get_response(request)
        if "no-store" not in response.get("Cache-Control", ""):
            response["Cache-Control"] = "private, no-store"
        return response
