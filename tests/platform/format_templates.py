"""The formatter of templates, with the Node.js that Playwright brings.

python -m tests.platform.format_templates [--check]
"""

from __future__ import annotations

import subprocess
import sys

from playwright._impl._driver import compute_driver_executable

from evdash.config.environment import CHECKOUT


def main(arguments: list[str]) -> int:
    """Run the formatter and return its exit code."""
    node, _ = compute_driver_executable()
    script = CHECKOUT / "tests/platform/format_templates.mjs"
    return subprocess.run([node, script, *arguments], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
