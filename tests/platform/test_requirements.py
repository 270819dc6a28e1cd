"""The pinned packages: whole, and each with its reason."""

import re
import sys
from importlib.metadata import distribution

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from evdash.config.environment import CHECKOUT

FILES = ("requirements.txt", "requirements-dev.txt", "requirements-postgresql.txt", "constraints.txt")


def requirements(*names: str) -> dict[str, Requirement]:
    lines = [line for name in names for line in (CHECKOUT / name).read_text().splitlines()]
    texts = [line.partition("#")[0].strip() for line in lines]
    parsed = [Requirement(text) for text in texts if text and not text.startswith("-")]
    return {canonicalize_name(requirement.name): requirement for requirement in parsed}


def test_every_requirement_is_pinned() -> None:
    for requirement in requirements(*FILES).values():
        assert re.fullmatch(r"==[^*,]+", str(requirement.specifier)), requirement


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt", "requirements-postgresql.txt"])
def test_every_line_says_what_it_is_for(name: str) -> None:
    for line in (CHECKOUT / name).read_text().splitlines():
        assert not line or line.startswith(("#", "-c ", "-r ")) or re.search(r"==.*  # \w+", line), line


def test_what_the_packages_need_in_turn_is_pinned_too() -> None:
    pinned = requirements(*FILES)
    seen: set[tuple[str, str]] = set()
    left = [
        (name, extra)
        for name, requirement in requirements("requirements.txt", "requirements-dev.txt").items()
        for extra in ("", *requirement.extras)
    ]
    while left:
        name, extra = left.pop()
        assert name in pinned, f"{name} is in neither file (Python {sys.version.split()[0]})"
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        for text in distribution(name).requires or ():
            needed = Requirement(text)
            if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                needed_name = canonicalize_name(needed.name)
                left += [(needed_name, each) for each in ("", *needed.extras)]
