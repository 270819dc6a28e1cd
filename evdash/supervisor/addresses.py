"""The recorded addresses of this data directory's servers, for commands in another terminal.

The web server's address is for links, the embedded server's for commands that need Redis.
"""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from evdash.config.environment import Configuration, ConfigurationError

_FILE = "address"


def record(configuration: Configuration) -> None:
    """Record the address of this configuration's web server in its data directory."""
    with suppress(OSError):  # the record is optional: the server also works with a read-only directory
        (configuration.data_dir / _FILE).write_text(configuration.address())


def served_address(configuration: Configuration) -> str:
    """Return the recorded address if a server accepts connections there, otherwise the configured one."""
    try:
        address = (configuration.data_dir / _FILE).read_text().strip()
        parts = urlsplit(address)
        if parts.scheme == "http" and parts.hostname and parts.port:
            socket.create_connection((parts.hostname, parts.port), timeout=1).close()
            return address
    except (OSError, ValueError):
        pass
    return configuration.address()


# Every other command of evdash reads or writes streams. A new command is therefore included by default.
COMMANDS_WITHOUT_REDIS: Final = frozenset({"create_token", "revoke_token", "serve", "sign_in_link", "up"})
_COMMANDS: Final = Path(__file__).parents[1] / "management" / "commands"


def commands() -> frozenset[str]:
    """Return the names of evdash's own commands."""
    return frozenset(path.stem for path in _COMMANDS.glob("*.py")) - {"__init__"}


def take_embedded_address(argv: Sequence[str]) -> None:
    """Set REDIS_URL to the data directory's embedded server, if the command needs Redis and has no URL.

    Raises ConfigurationError if that server does not run. Another server that happens to listen on this machine is
    never used.
    """
    if len(argv) < 2 or argv[1] not in commands() - COMMANDS_WITHOUT_REDIS or {"-h", "--help"} & set(argv):
        return
    configuration = Configuration.from_environment()
    if configuration.redis_url:
        return
    directory = configuration.data_dir / "valkey"
    try:
        with (directory / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:  # the server holds it until it ends (streams/embedded_server.py)
        port = int((directory / "port").read_text())
        os.environ |= {"REDIS_URL": f"redis://127.0.0.1:{port}", "REDIS_PASSWORD": ""}
        return
    except OSError:
        pass
    raise ConfigurationError(
        f"No running embedded server for data directory {configuration.data_dir}, and REDIS_URL is not set. Run "
        "`make run`, or set EVDASH_DATA_DIR or REDIS_URL."
    )
