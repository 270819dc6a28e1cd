"""What this process has pushed, in figures."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Counts:
    """Counted by the event loop alone; read by anybody."""

    open_sockets: int = 0
    rows_pushed: int = 0


counts = Counts()
"""Those of this process."""
