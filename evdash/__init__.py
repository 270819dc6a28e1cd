"""evdash: a dashboard for auditing and debugging AI agents whose events live in Redis Streams."""

import sys

# structlog imports its part for Twisted where Twisted is installed. evdash does not use it. It would take every process
# 3 MiB and 60 ms. None makes that import fail, which structlog expects.
sys.modules.setdefault("structlog.twisted", None)  # type: ignore[arg-type]
