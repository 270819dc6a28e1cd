"""Guard that closes every socket to anonymous users and to pages of other sites."""

from typing import Any

from channels.auth import AuthMiddlewareStack
from django.conf import settings
from django.http.request import split_domain_port, validate_host

SIGNED_OUT = 4401
"""Close code for a page: its user is not, or no longer, signed in."""


class SignedInSocket:
    """ASGI middleware: passes a socket to `application` if its page is ours and its user is signed in."""

    def __init__(self, application: Any) -> None:
        self.application: Any = AuthMiddlewareStack(Guard(application))

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if is_own_page(scope):
            await self.application(scope, receive, send)
        else:
            await receive()
            await send({"type": "websocket.close"})  # before it is accepted: HTTP 403


class Guard:
    """ASGI middleware that accepts an anonymous socket only to close it with a code that the page can read."""

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
    """Return whether the Origin header has the scheme, host and port of this server.

    Pages of other sites could otherwise use the cookies of a signed-in user.
    """
    headers = dict(scope["headers"])
    host = headers.get(b"host", b"").decode("latin-1")
    scheme = "https" if settings.EVDASH.https else "http"
    domain, _ = split_domain_port(host)
    return (
        validate_host(domain, settings.ALLOWED_HOSTS) and headers.get(b"origin", b"") == f"{scheme}://{host}".encode()
    )
