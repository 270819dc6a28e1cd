"""The format of commit messages: `area: imperative summary`, and a body that gives the reason.

As a hook: `python -m tests.platform.commit_message FILE`.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

SUMMARY_MAX_CHARS = 72
_SUMMARY = re.compile(r"[a-z][a-z0-9_ -]*: [a-z].*[^.]")
_MADE_BY_GIT = ("Merge ", "Revert ", "fixup! ", "squash! ")


def problems(message: str) -> list[str]:
    """Return a sentence for each rule that the message breaks."""
    lines = [line for line in message.splitlines() if not line.startswith("#")]
    summary = lines[0] if lines else ""
    if summary.startswith(_MADE_BY_GIT):
        return []
    found = []
    if not _SUMMARY.fullmatch(summary):
        found.append("The first line must be `area: imperative summary`, in lower case and without a period.")
    if len(summary) > SUMMARY_MAX_CHARS:
        found.append(f"The first line has {len(summary)} characters. At most {SUMMARY_MAX_CHARS} are allowed.")
    if len(lines) > 1 and lines[1]:
        found.append("The second line must be empty.")
    return found


if __name__ == "__main__":
    broken = problems(Path(sys.argv[1]).read_text())
    print("\n".join(broken), end="\n" if broken else "")
    sys.exit(bool(broken))
