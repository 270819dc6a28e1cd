"""The persistent list and map do as Python's own, and every earlier version stays what it was."""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from evdash.events.session.identities import Identities
from evdash.events.session.persistent import PersistentList, PersistentMap


class Numbered(NamedTuple):
    at: str
    number: int


_steps = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 150)),
        st.tuples(st.just("replace"), st.integers(0, 10**6)),
        st.tuples(st.just("drop"), st.integers(0, 90)),
    ),
    max_size=12,
)


@given(_steps)
def test_a_list_does_as_a_list(steps: list[tuple[str, int]]) -> None:
    plain: list[Numbered] = []
    persistent: PersistentList[Numbered] = PersistentList()
    versions = [(persistent, list(plain))]
    for step, number in steps:
        if step == "append":
            for _ in range(number):
                row = Numbered(str(number), len(plain))
                plain.append(row)
                persistent = persistent.appended(row)
        elif step == "replace" and plain:
            plain[number % len(plain)] = Numbered("new", number)
            persistent = persistent.replaced(number % len(plain), Numbered("new", number))
        elif step == "drop":
            number = min(number, len(plain))
            del plain[:number]
            persistent = persistent.without_first(number)
        versions.append((persistent, list(plain)))
    for version, expected in versions:
        assert list(version) == expected
        assert [version[number] for number in range(len(version))] == expected
        assert version == PersistentList.of(expected)
        assert list(reversed(version)) == expected[::-1]


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 300), st.integers()), max_size=400))
def test_a_map_does_as_a_dict(steps: list[tuple[bool, int, int]]) -> None:
    plain: dict[str, int] = {}
    persistent: PersistentMap[int] = PersistentMap()
    versions = [(persistent, dict(plain))]
    for is_put, number, value in steps:
        key = f"k{number}"
        if is_put:
            plain[key] = value
            persistent = persistent.put(key, value)
        else:
            plain.pop(key, None)
            persistent = persistent.without(key)
        versions.append((persistent, dict(plain)))
    for version, expected in versions[:: len(versions) // 3 + 1]:
        assert version.items() == sorted(expected.items())
        assert (len(version), version) == (len(expected), PersistentMap.of(expected))
        differ = {key for key in plain.keys() | expected.keys() if plain.get(key) != expected.get(key)}
        assert differ <= version.differing(persistent)
    assert {key: persistent.get(key) for key in plain} == plain
    assert persistent.get("none of them") is None


@given(st.sets(st.binary(min_size=16, max_size=16)), st.sets(st.binary(min_size=16, max_size=16)))
def test_identities_are_the_same_loaded_or_added(stored: set[bytes], new: set[bytes]) -> None:
    loaded = Identities(b"".join(sorted(stored)))
    for identity in new - stored:
        assert identity not in loaded
        loaded = loaded.added(identity)
    assert all(identity in loaded for identity in stored | new)
    assert loaded.to_bytes() == b"".join(sorted(stored | new))
