"""The key that signs sessions."""

import re
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from evdash.config.environment import ConfigurationError
from evdash.config.secret_key import secret_key
from tests.conftest import ManagePy


def test_the_key_is_created_once_for_its_owner_only(tmp_path: Path) -> None:
    data_dir = tmp_path / "new" / "data"

    first = secret_key(data_dir)

    assert len(first) >= 50
    assert secret_key(data_dir) == first
    assert stat.S_IMODE((data_dir / "secret_key").stat().st_mode) == 0o600
    assert [path.name for path in data_dir.iterdir()] == ["secret_key"]


def test_processes_that_start_together_agree_on_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(secret_key, [tmp_path] * 32))

    assert len(set(keys)) == 1


def test_a_place_that_cannot_hold_it_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(ConfigurationError, match=r"EVDASH_DATA_DIR \(or --data-dir\) is '.*/file'") as refused:
        secret_key(tmp_path / "file")

    assert "is not a writable directory" in str(refused.value)


def cookie_names(manage_py: ManagePy, **variables: str) -> list[str]:
    """The names of the cookies that carry a sign-in and its forms."""
    printed = manage_py("diffsettings", **variables).stdout
    return re.findall(r"^(?:SESSION|CSRF)_COOKIE_NAME = '(.+)'", printed, re.MULTILINE)


def test_cookie_names_differ_between_installations_and_agree_within_one(manage_py: ManagePy, tmp_path: Path) -> None:
    one, same, other = (
        cookie_names(manage_py, EVDASH_DATA_DIR=str(tmp_path / name)) for name in ("one", "one", "other")
    )

    assert len(one) == 2
    assert one == same
    assert not set(one) & set(other)
    assert (tmp_path / "one" / "secret_key").read_text() not in str(one)


def test_web_servers_that_share_a_key_share_the_cookie_names(manage_py: ManagePy, tmp_path: Path) -> None:
    key = "k" * 50
    one, other = (
        cookie_names(manage_py, EVDASH_SECRET_KEY=key, EVDASH_DATA_DIR=str(tmp_path / name)) for name in ("one", "two")
    )

    assert len(one) == 2
    assert one == other
