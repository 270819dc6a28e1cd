"""The key that signs sessions."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from evdash.config.environment import ConfigurationError
from evdash.config.secret_key import secret_key


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
