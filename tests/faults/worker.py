"""`manage.py work` whose commits fail now and then: before they are made, or after, so that nobody knows."""

from __future__ import annotations

import os
import random
import sys

import django
from django.core.management import call_command
from django.db import OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper


def fail_at_commits(share: float, seed: int) -> None:
    """Have this share of all commits fail, half of them after they were made."""
    chance = random.Random(seed)
    commit = BaseDatabaseWrapper._commit  # type: ignore[attr-defined]

    def failing(self: BaseDatabaseWrapper) -> None:
        fate = chance.random()
        if fate < share / 2:
            raise OperationalError("injected: the commit failed")
        commit(self)
        if fate < share:
            raise OperationalError("injected: the commit was made, and its answer lost")

    BaseDatabaseWrapper._commit = failing  # type: ignore[attr-defined]


if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "evdash.config.settings"
    django.setup()
    fail_at_commits(float(os.environ["FAULTS_COMMIT_SHARE"]), int(os.environ["FAULTS_SEED"]))
    call_command("work", *sys.argv[1:])
