"""The ASGI application: pages over HTTP, live events over WebSocket."""

import os
from collections.abc import Callable, Mapping
from typing import Any

from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "evdash.config.settings")

static_files = get_asgi_application()

# From here on models can be imported.
from django.conf import settings  # noqa: E402

from evdash.accounts.sockets import SignedInSocket  # noqa: E402
from evdash.live.routing import websocket_urlpatterns  # noqa: E402
from evdash.serving.pages import Pages  # noqa: E402
from evdash.web.input_limits import SocketInputLimits  # noqa: E402

pages = Pages(settings.EVDASH.requests_at_once, settings.EVDASH.requests_waiting)


async def http(scope: dict[str, Any], receive: Callable[[], Any], send: Callable[[Any], Any]) -> None:
    """Send requests for static files, which take no thread, to Django, and all others to the pages."""
    is_static = scope["path"].startswith("/static/")
    await (static_files if is_static else pages)(scope, receive, _without_length(send) if is_static else send)


def _without_length(send: Callable[[Any], Any]) -> Callable[[Mapping[str, Any]], Any]:
    """Return `send` for a static file. Its length is that of the start: a browser would wait for a file's lost end."""

    async def sending(message: Mapping[str, Any]) -> None:
        kept = [header for header in message.get("headers", ()) if header[0].lower() != b"content-length"]
        await send({**message, "headers": kept} if "headers" in message else message)

    return sending


sockets = SocketInputLimits(SignedInSocket(URLRouter(websocket_urlpatterns)))
application = ProtocolTypeRouter({"http": http, "websocket": sockets})
