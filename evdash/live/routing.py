"""URL routes of the WebSockets."""

from typing import Any

from django.urls import path

from evdash.live.consumer import LiveConsumer

_socket: Any = LiveConsumer.as_asgi()  # Django's type stubs accept only views

websocket_urlpatterns: list[Any] = [path("live/socket/", _socket, name="live-socket")]
