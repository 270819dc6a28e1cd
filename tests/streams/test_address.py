"""Addresses of Redis as people write them, and passwords of any characters in them."""

from urllib.parse import quote, unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from redis.connection import parse_url

from evdash.streams.address import ALLOWED, UNENCODED, InvalidRedisUrl, redis_url, shown_address


@pytest.mark.parametrize(
    ("written", "password", "url"),
    [
        ("localhost:6379", "", "redis://localhost:6379"),
        ("localhost", "", "redis://localhost:6379"),
        (":6380", "", "redis://localhost:6380"),
        (" 10.0.0.7:7000 ", "", "redis://10.0.0.7:7000"),
        ("localhost:6379", "s3cret/@:", "redis://:s3cret%2F%40%3A@localhost:6379"),
        ("redis://localhost:6379/2", "", "redis://localhost:6379/2"),
        ("redis://me@localhost", "pw", "redis://me:pw@localhost:6379"),
        ("redis://me:own@localhost", "other", "redis://me:own@localhost:6379"),
        ("rediss://cache.example.org:6390?ssl_cert_reqs=none", "", None),
        ("redis://[::1]:6379", "", "redis://[::1]:6379"),
        ("unix:///run/redis.sock", "", "unix:///run/redis.sock"),
        ("unix:///run/redis.sock?db=1", "p&w", "unix:///run/redis.sock?db=1&password=p%26w"),
        ("REDIS://Localhost", "", "redis://localhost:6379"),
    ],
)
def test_an_address_is_read_as_people_write_it(written: str, password: str, url: str | None) -> None:
    assert redis_url(written, password) == (url or written)


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("", "names no host"),
        ("redis://", "names no host"),
        ("http://localhost:6379", "'http' is not a scheme"),
        ("localhost:notaport", "port"),
        ("localhost:99999", "port"),
        ("redis://localhost/first", "'first' is not a number"),
        ("unix://", "names no host"),
        ("local host:6379", "names no host"),
    ],
)
def test_what_is_no_address_is_refused_with_a_reason(written: str, why: str) -> None:
    with pytest.raises(InvalidRedisUrl, match="is not a Redis address") as caught:
        redis_url(written)
    assert why in str(caught.value)


def test_the_password_is_never_shown() -> None:
    with pytest.raises(InvalidRedisUrl) as caught:
        redis_url("redis://me:hunter2@localhost:sixthousand")
    assert "hunter2" not in str(caught.value)
    assert shown_address("redis://me:hunter2@localhost:6379/1") == "localhost:6379"
    assert shown_address("unix:///run/redis.sock?password=hunter2") == "/run/redis.sock"


# What people's password generators make, and what URLs, shells and Unicode do to it.
passwords = st.text(
    st.sampled_from("abzXY019@:/?#%&=+ []'\"\\$!~;,.{}|^`<>*()-_") | st.characters(exclude_categories=["Cs", "Cc"]),
    min_size=1,
    max_size=24,
)
PASSWORD = "p@ss:w/rd#%?"


@given(
    passwords,
    st.sampled_from(
        ["redis://{}:{}@redis.example:6380/2", "rediss://{}:{}@redis.example:6380/2", "{}:{}@redis.example:6380/2"]
    ),
)
def test_an_encoded_password_of_any_characters_is_read(password: str, pattern: str) -> None:
    url = redis_url(pattern.format(quote("us er@", safe=""), quote(password, safe="")))
    options = parse_url(url)
    assert (options["host"], options["port"], options["db"]) == ("redis.example", 6380, 2)
    assert (options["username"], options["password"]) == ("us er@", password)
    assert shown_address(url) == "redis.example:6380"
    assert redis_url(url) == url


@given(passwords)
def test_a_password_of_its_own_variable_is_taken_as_it_is(password: str) -> None:
    assert parse_url(redis_url("redis.example:6380", password))["password"] == password
    assert parse_url(redis_url("unix:///run/redis.sock", password))["password"] == password


@given(passwords)
@example(PASSWORD)
@example("12/x")
@example("12?x")
@example("12#x")
@example("a[b]c")
@example("x://y")
def test_a_password_that_is_not_encoded_is_read_whole_or_refused_without_it(password: str) -> None:
    refusals = (f"It is not a Redis address. {UNENCODED}", f"It is not a Redis address: it has no scheme. {ALLOWED}.")
    for pattern in ("redis://:{}@redis.example:6380", "redis://me:{}@redis.example:6380/1", "me:{}@redis.example"):
        url, refusal = read(pattern.format(password))
        if url:
            options = parse_url(url)
            assert (options["host"], options["password"]) == ("redis.example", unquote(password))
            assert shown_address(url).startswith("redis.example:")
        else:
            assert refusal in refusals


def read(written: str) -> tuple[str, str]:
    """The address, and the sentence that refuses it; one of them is empty."""
    try:
        return redis_url(written), ""
    except InvalidRedisUrl as refused:
        return "", str(refused)


def test_a_socket_whose_password_is_not_encoded_is_refused_without_it() -> None:
    for address in ("unix://:se/cret@/run/redis.sock", "unix:///run/redis.sock?password=se#cret"):
        with pytest.raises(InvalidRedisUrl) as refused:
            redis_url(address)
        assert "cret" not in str(refused.value)
    assert parse_url(redis_url("unix:///run/redis.sock?password=p@ss"))["password"] == "p@ss"
