"""Where this data directory's web server was last reached, for links made in another terminal."""

from __future__ import annotations

import socket
from contextlib import suppress
from urllib.parse import urlsplit

from evdash.configuration import Configuration

_FILE = "address"


def record(configuration: Configuration) -> None:
    """Write down that the server of this configuration serves its data directory."""
    with suppress(OSError):  # a convenience: a server with a read-only directory serves all the same
        (configuration.data_dir / _FILE).write_text(configuration.address())


def served_address(configuration: Configuration) -> str:
    """The recorded address, if something answers there; else the one that is configured."""
    try:
        address = (configuration.data_dir / _FILE).read_text().strip()
        parts = urlsplit(address)
        if parts.scheme == "http" and parts.hostname and parts.port:
            socket.create_connection((parts.hostname, parts.port), timeout=1).close()
            return address
    except (OSError, ValueError):
        pass
    return configuration.address()
