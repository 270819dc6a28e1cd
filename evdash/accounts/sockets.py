"""Every socket is closed to strangers, and to pages of other sites."""

from typing import Any

from channels.auth import AuthMiddlewareStack
from django.conf import settings
from django.http.request import split_domain_port, validate_host

SIGNED_OUT = 4401
"""The close code that tells a page that its person is not, or no longer, signed in."""


class SignedInSocket:
    """Lets a socket through to `application` if the page it comes from is ours and its person is signed in."""

    def __init__(self, application: Any) -> None:
        self.application: Any = AuthMiddlewareStack(Guard(application))

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if is_own_page(scope):
            await self.application(scope, receive, send)
        else:
            await receive()
            await send({"type": "websocket.close"})  # before it is accepted: HTTP 403


class Guard:
    """Accepts the socket of a stranger only to close it with a code that the page can read."""

    def __init__(self, application: Any) -> None:
        self.application = application

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["user"].is_authenticated:
            await self.application(scope, receive, send)
        else:
            await receive()
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.close", "code": SIGNED_OUT})


def is_own_page(scope: dict[str, Any]) -> bool:
    """Whether the Origin header names this server, scheme, host and port: other sites' pages could ride on cookies."""
    headers = dict(scope["headers"])
    host = headers.get(b"host", b"").decode("latin-1")
    scheme = "https" if settings.EVDASH.https else "http"
    domain, _ = split_domain_port(host)
    return (
        validate_host(domain, settings.ALLOWED_HOSTS) and headers.get(b"origin", b"") == f"{scheme}://{host}".encode()
    )
