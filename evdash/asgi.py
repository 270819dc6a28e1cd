"""The ASGI application: pages over HTTP, live events over WebSocket."""

import os

from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "evdash.settings")

pages = get_asgi_application()

# Models can be imported from here on.
from evdash.accounts.sockets import SignedInSocket  # noqa: E402
from evdash.live.routing import websocket_urlpatterns  # noqa: E402

application = ProtocolTypeRouter({"http": pages, "websocket": SignedInSocket(URLRouter(websocket_urlpatterns))})
