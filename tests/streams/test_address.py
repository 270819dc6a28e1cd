import pytest

from evdash.streams.address import InvalidRedisUrl, redis_url, shown_address


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
