"""The address from which a request comes."""

from __future__ import annotations

from functools import cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

from django.conf import settings
from django.http import HttpRequest
from structlog.stdlib import get_logger

logger = get_logger(__name__)

UNKNOWN: Final = "::"
"""The unspecified address (RFC 4291), which no client has."""
IPV6_PREFIX: Final = 64
"""Length of the network that one customer of a provider has at least (RFC 6177)."""


def client_address(request: HttpRequest) -> str:
    """Return the IP address of the client, or "" if it is unknown.

    With EVDASH_HTTPS it is the last one of X-Forwarded-For, which the proxy before evdash appends. The address of the
    proxy itself would be the same for all clients. Without a proxy, the header is not trusted.
    """
    if not settings.EVDASH.https:
        return str(_parsed(request.META.get("REMOTE_ADDR") or "") or "")
    address = _parsed(request.headers.get("X-Forwarded-For", "").rpartition(",")[2])
    if address is None:
        report_unknown_address()
    return str(address or "")


@cache
def report_unknown_address() -> None:
    """Log, once in a process, that the limit of failed sign-ins per address does not work."""
    logger.warning(
        "client address unknown",
        reason="EVDASH_HTTPS is on, and a request has no valid X-Forwarded-For. The limit per address does not count.",
        hint="Let the proxy append the address of the client to X-Forwarded-For.",
    )


def client_network(request: HttpRequest) -> str:
    """Return the address that failed sign-ins count for, or UNKNOWN.

    It is the IPv4 address, or the first address of the IPv6 network with IPV6_PREFIX bits. One client has all
    addresses of such a network.
    """
    address = _parsed(client_address(request))
    if isinstance(address, IPv6Address):
        return str(ip_network((address, IPV6_PREFIX), strict=False).network_address)
    return str(address or UNKNOWN)


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    """Return the address of `192.0.2.1`, `192.0.2.1:443`, `2001:db8::1` or `[2001:db8::1]:443`, else None."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address
