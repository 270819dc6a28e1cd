"""Nothing but the declared variables is read from the environment."""

import re

from evdash.config.environment import CHECKOUT

READS = re.compile(r"""os\.environ(?:\.get\(|\[)\s*["'](\w+)|getenv\(\s*["'](\w+)""")


def test_only_declared_variables_are_read() -> None:
    """The table of settings comes from the declarations: whatever is read beside them would be missing there."""
    declared = (CHECKOUT / "evdash/config/environment.py").read_text()
    for path in (CHECKOUT / "evdash").rglob("*.py"):
        for names in READS.findall(path.read_text()):
            name = next(filter(None, names))
            assert f'"{name}"' in declared, f"{path} reads {name}"
