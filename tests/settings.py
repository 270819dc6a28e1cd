"""The settings of the tests: nothing of the developer's environment or data directory, and quick password hashes."""

import atexit
import os
import shutil
import tempfile

from evdash.config.environment import declarations

for _, _, _declared in declarations():
    if _declared.name != "DATABASE_URL":
        os.environ.pop(_declared.name, None)
os.environ["EVDASH_DATA_DIR"] = tempfile.mkdtemp(prefix="evdash-test-")
atexit.register(shutil.rmtree, os.environ["EVDASH_DATA_DIR"], ignore_errors=True)

from evdash.config.settings import *  # noqa: E402, F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

if DATABASES["default"]["ENGINE"].endswith("sqlite3"):  # noqa: F405
    # In memory, the threads of a test would share a cache, and no time-out waits for its locks ("table is locked").
    DATABASES["default"]["TEST"] = {"NAME": os.path.join(os.environ["EVDASH_DATA_DIR"], "test.sqlite3")}  # noqa: F405
