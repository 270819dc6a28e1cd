"""Whether a port can be listened on."""

import socket


class PortTaken(Exception):
    """The address cannot be listened on; the message is the sentence to show."""


def refuse_taken_port(host: str, port: int) -> None:
    """Raise PortTaken unless the web server could listen there now."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise PortTaken(
                f"The web server cannot listen on {host} port {port}: {error.strerror or error}. "
                "Another one is chosen with --port, another address with --host."
            ) from error
