"""prettier for scripts and styles, with the Node.js that Playwright brings.

python -m tests.platform.prettier --check static
"""

from __future__ import annotations

import subprocess
import sys

from playwright._impl._driver import compute_driver_executable

from evdash.config.npm import NODE_MODULES


def main(arguments: list[str]) -> int:
    """Run prettier and return its exit code."""
    node, _ = compute_driver_executable()
    return subprocess.run([node, NODE_MODULES / "prettier/bin/prettier.cjs", *arguments], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
