"""Limits on the size and the time of a request, before its sender is known.

Twisted limits the head to 16 KiB and 500 header fields, and a silent connection to 60 s. It limits neither the body,
which it writes to a temporary file, nor the total time of a client that sends one byte now and then.
"""

from __future__ import annotations

from typing import Any, Final

from django.conf import settings
from twisted.web import http

_Channel: Any = http.HTTPChannel  # most of its methods have no types
HEAD_MAX_S: Final = 10.0
"""Seconds from the first byte of a request to the end of its header fields."""
BODY_MAX_S: Final = 30.0
"""Seconds from there to the end of the body."""
LINGER_S: Final = 2.0
"""Seconds for which the rest of a refused body is read and dropped.

A connection that is closed with unread data is reset, and the client may lose the response.
"""


class LimitedChannel(_Channel):  # type: ignore[misc]
    """Connection of a client. It refuses a request that is too large (413) or too slow (408), and closes."""

    def __init__(self) -> None:
        super().__init__()
        self._deadline: Any = None
        self._body_bytes = 0
        self._is_refused = False

    def dataReceived(self, data: bytes) -> None:  # noqa: N802 - the name is Twisted's
        if self._is_refused:
            return
        if self._deadline is None and not self._handlingRequest:
            self._deadline = self.callLater(HEAD_MAX_S, self._end_slow_request)
        super().dataReceived(data)

    def allHeadersReceived(self) -> None:  # noqa: N802 - the name is Twisted's
        self._stop_deadline()
        if self.length is not None and self.length > body_max_bytes():
            self._refuse_body()
            return
        self._body_bytes = 0
        self._deadline = self.callLater(BODY_MAX_S, self._end_slow_request)
        super().allHeadersReceived()

    def rawDataReceived(self, data: bytes) -> None:  # noqa: N802 - the name is Twisted's
        if self._is_refused:
            return
        if not self._handlingRequest:  # otherwise it is of the next request, which Twisted bounds
            self._body_bytes += len(data)
            if self.length is None and self._body_bytes > body_max_bytes():  # chunked
                self._refuse_body()
                return
        super().rawDataReceived(data)

    def allContentReceived(self) -> None:  # noqa: N802 - the name is Twisted's
        self._stop_deadline()
        super().allContentReceived()

    def connectionLost(self, reason: Any) -> None:  # noqa: N802 - the name is Twisted's
        self._stop_deadline()
        super().connectionLost(reason)

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _refuse_body(self) -> None:
        self._stop_deadline()
        self._refuse(
            "413 Content Too Large", f"The body of the request is larger than {body_max_bytes():,} bytes, the limit."
        )
        self._deadline = self.callLater(LINGER_S, self._close)

    def _end_slow_request(self) -> None:
        self._deadline = None
        self._refuse(
            "408 Request Timeout",
            f"The request took too long. Limits: {HEAD_MAX_S:g} s for the head, {BODY_MAX_S:g} s for the body.",
        )
        self.loseConnection()

    def _refuse(self, status: str, sentence: str) -> None:
        self._is_refused = True
        body = f"{sentence}\n".encode()
        head = (
            f"HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
            "Cache-Control: no-store\r\nConnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)

    def _close(self) -> None:
        self._deadline = None
        self.loseConnection()


def body_max_bytes() -> int:
    """Return the size limit of a body, which is the one of Django for forms."""
    limit: int = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    return limit
