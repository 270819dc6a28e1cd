"""Redis addresses as people write them: URLs, or the `host:port` used in other clients' settings."""

from __future__ import annotations

from urllib.parse import parse_qs, quote, urlsplit

_ALLOWED = (
    "Write redis://host:6379/0, rediss://host:6379/0 (TLS), unix:///path/to/redis.sock, or host:port, "
    "with a user name and password as redis://user:password@host:6379"
)


class InvalidRedisUrl(ValueError):
    """Text that is not a Redis address. The message is a sentence that shows the text without its password."""


def redis_url(url: str, password: str = "") -> str:
    """Return the address as a full URL, with `password` added if the address has none.

    Raises InvalidRedisUrl for a missing host or socket path, white space, or another scheme. Raises it as well for
    an invalid port, or a database that is not a number.
    """
    url = url.strip()
    if "://" not in url:
        url = f"redis://{url}"
    scheme, _, rest = url.partition("://")
    scheme = scheme.lower()
    if not rest.strip("/") or any(character.isspace() or ord(character) < 32 for character in rest):
        raise _invalid(url, "it names no host")
    url = f"{scheme}://{rest}"
    if scheme == "unix":
        return _with_socket_password(url, password)
    if scheme not in ("redis", "rediss"):
        raise _invalid(url, f"{scheme[:20]!r} is not a scheme of Redis")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "localhost", parts.port or 6379
    except ValueError:
        raise _invalid(url, "its port is not a number from 1 to 65535, or its host is not valid") from None
    if parts.path.strip("/") and not (parts.path.strip("/").isascii() and parts.path.strip("/").isdigit()):
        raise _invalid(url, f"the database {parts.path.strip('/')[:20]!r} is not a number")
    credentials = parts.netloc.rpartition("@")[0]
    if password and not parts.password:
        credentials = f"{credentials.partition(':')[0]}:{quote(password, safe='')}"
    location = f"[{host}]" if ":" in host else host
    query = f"?{parts.query}" if parts.query else ""
    path = f"/{parts.path.strip('/')}" if parts.path.strip("/") else ""
    return f"{scheme}://{f'{credentials}@' if credentials else ''}{location}:{port}{path}{query}"


def shown_address(url: str) -> str:
    """Return the address to show, never with the password: `host:port`, or the path of a Unix socket."""
    scheme, _, rest = url.partition("://")
    if scheme == "unix":
        return rest.partition("?")[0].rpartition("@")[2]
    return rest.partition("?")[0].rpartition("@")[2].partition("/")[0]


def url_without_password(url: str) -> str:
    """Return the URL to show and copy, without user name, password, database and query string.

    An empty URL gives the default server, `redis://localhost:6379`.
    """
    scheme = url.partition("://")[0] if url else "redis"
    return f"{scheme}://{shown_address(url) if url else 'localhost:6379'}"


def _with_socket_password(url: str, password: str) -> str:
    if not urlsplit(url).path.strip("/"):
        raise _invalid(url, "it names no socket")
    if not password or "password" in parse_qs(urlsplit(url).query):
        return url
    return f"{url}{'&' if '?' in url else '?'}password={quote(password, safe='')}"


def _invalid(url: str, why: str) -> InvalidRedisUrl:
    scheme, _, rest = url.partition("://")
    shown = f"{scheme}://{rest.partition('?')[0].rpartition('@')[2]}"
    return InvalidRedisUrl(f"{shown[:100]!r} is not a Redis address: {why}. {_ALLOWED}.")
