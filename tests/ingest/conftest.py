"""The worker's tests stand on the same stream and worker as the reader's."""

from tests.eventlog.conftest import make_reader, make_worker

__all__ = ["make_reader", "make_worker"]
