"""Addresses of sockets."""

from typing import Any

from django.urls import path

from evdash.live.consumer import LiveConsumer

_socket: Any = LiveConsumer.as_asgi()  # Django's types know views only

websocket_urlpatterns: list[Any] = [path("live/socket/", _socket, name="live-socket")]
