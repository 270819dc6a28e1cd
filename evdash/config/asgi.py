"""The ASGI application: pages over HTTP, live events over WebSocket."""

import os
from collections.abc import Callable
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
    application = static_files if scope["path"].startswith("/static/") else pages
    await application(scope, receive, send)


sockets = SocketInputLimits(SignedInSocket(URLRouter(websocket_urlpatterns)))
application = ProtocolTypeRouter({"http": http, "websocket": sockets})
