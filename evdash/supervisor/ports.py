"""The listening socket of the web server, and the check that its port is free."""

import socket

# The most connections that wait while every web process is busy. The system may allow fewer (net.core.somaxconn).
BACKLOG = 1024


class PortTaken(Exception):
    """An address on which the web server cannot listen. The message is the sentence to show."""


def refuse_taken_port(host: str, port: int) -> None:
    """Raise PortTaken unless the web server could listen there now."""
    _bound(host, port).close()


def listen(host: str, port: int) -> socket.socket:
    """Return a listening, non-blocking socket. Raises PortTaken."""
    listener = _bound(host, port)
    listener.listen(BACKLOG)
    listener.setblocking(False)
    return listener


def _bound(host: str, port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise PortTaken(
            f"Cannot listen on {host} port {port}: {error.strerror or error}. Choose another port with --port, or "
            "another address with --host."
        ) from error
    return bound
