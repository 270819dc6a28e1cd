"""The ASGI application: pages over HTTP, live events over WebSocket."""

import os

from channels.routing import ProtocolTypeRouter
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "evdash.settings")

application = ProtocolTypeRouter({"http": get_asgi_application()})
