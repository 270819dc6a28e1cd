"""Redis addresses as people write them: URLs, or the `host:port` used in other clients' settings."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qs, quote, unquote, urlsplit

ALLOWED: Final = (
    "Write redis://host:6379/0, rediss://host:6379/0 (TLS), unix:///path/to/redis.sock, or host:port, "
    "with a user name and password as redis://user:password@host:6379"
)
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]{0,19}")
UNENCODED: Final = (
    "Its user name or password has a special character that is not percent-encoded. Write @ as %40, : as %3A, / as "
    "%2F, ? as %3F, # as %23, % as %25."
)
"""The sentence for an address of which `has_unencoded_credentials` is true. It never contains the address."""


class InvalidRedisUrl(ValueError):
    """Text that is not a Redis address. The message is a sentence without user name and password."""


def redis_url(url: str, password: str = "") -> str:
    """Return the address as a full URL, with `password` added if the address has none.

    User name and password are percent-encoded in the result. Raises InvalidRedisUrl for a missing host or socket
    path, white space, or another scheme. Raises it as well for an invalid port, for a database that is not a number,
    and for a password whose end is unclear.
    """
    url = url.strip()
    if "://" not in url:
        url = f"redis://{url}"
    scheme, _, rest = url.partition("://")
    scheme = scheme.lower()
    if scheme == "unix":
        return _socket_url(url, rest, password)
    if scheme not in ("redis", "rediss"):
        raise _invalid(url, f"{scheme!r} is not a scheme of Redis" if _SCHEME.fullmatch(scheme) else "it has no scheme")
    if has_unencoded_credentials(url):
        raise InvalidRedisUrl(f"It is not a Redis address. {UNENCODED}")
    credentials, host_and_rest = _split_credentials(rest)
    if not host_and_rest.strip("/") or _has_blank(host_and_rest):
        raise _invalid(url, "it names no host")
    try:
        parts = urlsplit(f"{scheme}://{host_and_rest}")
        host, port = parts.hostname or "localhost", parts.port or 6379
    except ValueError:
        raise _invalid(url, "its port is not a number from 1 to 65535, or its host is not valid") from None
    if parts.path.strip("/") and not (parts.path.strip("/").isascii() and parts.path.strip("/").isdigit()):
        raise _invalid(url, f"the database {parts.path.strip('/')[:20]!r} is not a number")
    user, _, own_password = credentials.partition(":")
    encoded = ":".join([_encoded(unquote(user)), *filter(None, [_encoded(unquote(own_password) or password)])])
    location = f"[{host}]" if ":" in host else host
    query = f"?{parts.query}" if parts.query else ""
    path = f"/{parts.path.strip('/')}" if parts.path.strip("/") else ""
    return f"{scheme}://{f'{encoded}@' if encoded else ''}{location}:{port}{path}{query}"


def has_unencoded_credentials(url: str) -> bool:
    """Return whether the end of the user name and password in a URL is unclear.

    It is unclear if an @ follows a slash or a question mark, which end the host of a URL. A part of the password would
    then be taken for the host, the port or the path. A number sign ends the whole URL, and has no meaning here.
    """
    return "#" in url or "@" in _BEFORE_PATH.sub("", url.partition("://")[2], count=1)


# Everything before the first character that ends the host.
_BEFORE_PATH: Final = re.compile(r"[^/?#]*")


def _split_credentials(rest: str) -> tuple[str, str]:
    """Return user name and password, and the part of the URL from the host on."""
    authority = (_BEFORE_PATH.match(rest) or [""])[0]
    credentials, _, host = authority.rpartition("@")
    return credentials, host + rest[len(authority) :]


def _encoded(text: str) -> str:
    return quote(text, safe="", errors="surrogateescape")  # a variable may have bytes that are not UTF-8


def _has_blank(text: str) -> bool:
    return any(character.isspace() or ord(character) < 32 for character in text)


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


def _socket_url(url: str, rest: str, password: str) -> str:
    if not rest.strip("/") or _has_blank(rest):
        raise _invalid(url, "it names no host")
    if "#" in rest or has_unencoded_credentials(url.partition("?")[0]):  # an option may have an @
        raise InvalidRedisUrl(f"It is not a Redis address. {UNENCODED}")
    url = f"unix://{rest}"
    if not urlsplit(url).path.strip("/"):
        raise _invalid(url, "it names no socket")
    if not password or "password" in parse_qs(urlsplit(url).query):
        return url
    return f"{url}{'&' if '?' in url else '?'}password={_encoded(password)}"


def _invalid(url: str, why: str) -> InvalidRedisUrl:
    """Return the exception. It shows the text unless user name, password or options may be a part of it."""
    shown = "It" if any(sign in url for sign in "@?#") else repr(url[:100])
    return InvalidRedisUrl(f"{shown} is not a Redis address: {why}. {ALLOWED}.")
