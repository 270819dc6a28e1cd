"""The settings of the tests: nothing of the developer's environment or data directory, and quick password hashes."""

import os
import tempfile

from evdash.config.environment import declarations

for _, _, _declared in declarations():
    if _declared.name != "DATABASE_URL":
        os.environ.pop(_declared.name, None)
os.environ["EVDASH_DATA_DIR"] = tempfile.mkdtemp(prefix="evdash-test-")

from evdash.config.settings import *  # noqa: E402, F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
