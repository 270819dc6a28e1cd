import json

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from evdash.events.decoding import decode
from evdash.streams import publisher as publishing
from evdash.streams.address import InvalidRedisUrl
from evdash.streams.client import StreamsUnavailable, open_client
from evdash.streams.embedded_server import EmbeddedServer
from evdash.streams.publisher import AsyncPublisher, InvalidNewEvent, NewEvent, Publisher
from evdash.streams.reads import read_entry, read_forward

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text('aé"\\\n'),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=3), inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture
def publisher(client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> Publisher:
    monkeypatch.setattr(publishing, "open_blocking_client", lambda url, block_ms: client)
    return Publisher("redis://localhost")


def test_a_published_event_is_read_as_it_was_meant(publisher: Publisher, client: redis.Redis) -> None:
    entry_id = publisher.publish(
        "tool.called",
        "s1",
        "mia",
        tool="search",
        arguments={"from": "JFK", "né": [1, None]},
        latency_ms=41.5,
        raw=b"\xff",
    )
    entry = read_entry(client, "memory:events", entry_id)
    assert entry is not None
    names = [name.decode() for name, _ in entry.pairs]
    assert names[:5] == ["id", "type", "session_id", "user_id", "timestamp"]
    event = decode(entry)
    assert (event.type, event.session_id, event.user_id, event.tool) == ("tool.called", "s1", "mia", "search")
    assert event.latency_ms == 41.5
    assert json.loads(event.data["arguments"]) == {"from": "JFK", "né": [1, None]}
    assert entry.pairs[-1] == (b"raw", b"\xff")
    assert event.time_source == "timestamp"
    assert abs(event.occurred_us - entry_id.ms * 1000) < 60_000_000
    assert len(event.event_id) == 32


def test_every_event_has_an_id_of_its_own_and_a_batch_keeps_its_order(
    publisher: Publisher, client: redis.Redis
) -> None:
    events = [NewEvent("message.added", "s1", "mia", {"content": str(number)}) for number in range(1_203)]
    ids = publisher.publish_many(iter(events))
    assert ids == sorted(set(ids))
    entries = read_forward(client, "memory:events", after=None, count=2_000)
    assert [entry.entry_id for entry in entries] == ids
    assert [dict(entry.pairs)[b"content"] for entry in entries] == [b"%d" % number for number in range(1_203)]
    assert len({dict(entry.pairs)[b"id"] for entry in entries}) == len(events)
    assert publisher.publish_many([]) == []


@pytest.mark.parametrize("approximate", [True, False])
def test_the_stream_is_kept_to_its_maximum_length(
    client: redis.Redis, monkeypatch: pytest.MonkeyPatch, approximate: bool
) -> None:
    monkeypatch.setattr(publishing, "open_blocking_client", lambda url, block_ms: client)
    publisher = Publisher("redis://localhost", "short", max_length=150, approximate=approximate)
    publisher.publish_many(NewEvent("message.added", "s", "u") for _ in range(1_000))
    length = int(client.execute_command("XLEN", "short"))
    assert 150 <= length < 400 if approximate else length == 150


@pytest.mark.parametrize("name", ["id", "timestamp", "type"])
def test_a_field_that_would_hide_the_events_own_is_refused(publisher: Publisher, name: str) -> None:
    with pytest.raises(InvalidNewEvent, match=f"Field name '{name}' is reserved for the event itself"):
        publisher.publish_many([NewEvent("message.added", "s", "u", {name: "1"})])


@pytest.mark.parametrize(
    ("event", "sentence"),
    [
        (NewEvent("", "s", "u"), "An event needs a type"),
        (NewEvent("a", 7, "u"), "The session_id of an event must be text, not 7"),  # type: ignore[arg-type]
        (NewEvent("a", "s", "u", {"when": object()}), "The value of 'when' cannot be written as text or JSON"),
        (NewEvent("a", "s", "u", {"rate": float("nan")}), "The value of 'rate'"),
        (NewEvent("a", "s", "u", {"half": "\ud800"}), "The value of 'half'"),
        (NewEvent("a", "s", "u", {"": "x"}), "A field name must be text, not ''"),
    ],
)
def test_what_cannot_be_written_is_refused_before_anything_is(
    publisher: Publisher, client: redis.Redis, event: NewEvent, sentence: str
) -> None:
    with pytest.raises(InvalidNewEvent) as caught:
        publisher.publish_many([NewEvent("fine", "s", "u"), event])
    assert str(caught.value).startswith(sentence)
    assert client.execute_command("EXISTS", "memory:events") == 0


@given(data=st.dictionaries(st.text("xyz", min_size=1), JSON | st.text(max_size=20)))
def test_any_json_and_any_text_comes_back(data: dict[str, object]) -> None:
    written = dict(NewEvent("t", "s", "u", data).pairs())
    for name, value in data.items():
        assert (written[name] if isinstance(value, str) else json.loads(written[name])) == value


def test_a_wrong_address_is_told_when_the_publisher_is_made() -> None:
    with pytest.raises(InvalidRedisUrl):
        Publisher("http://localhost")


def test_an_event_sent_again_keeps_its_id(server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing, "sleep", lambda _: server.start())
    with Publisher(server.url) as publisher:
        publisher.publish("session.started", "s", "u")
        server.stop()
        entry_id = publisher.publish("session.ended", "s", "u")
    entries = read_forward(open_client(server.url), "memory:events", after=None, count=10)
    assert entries[-1].entry_id == entry_id
    assert [decode(entry).type for entry in entries] == ["session.started", "session.ended"]


def test_an_answer_that_got_lost_doubles_the_entry_but_not_the_event(
    valkey: redis.Redis, valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher = Publisher(valkey_url)
    send = publisher._send
    lost = iter([True])

    def losing_one_answer(batch: list[publishing.Command]) -> list[publishing.EntryId]:
        ids = send(batch)
        if next(lost, False):
            raise StreamsUnavailable("the connection was lost")
        return ids

    monkeypatch.setattr(publisher, "_send", losing_one_answer)
    monkeypatch.setattr(publishing, "RETRY_DELAYS_S", (0.0,))
    publisher.publish("message.added", "s", "u")
    entries = read_forward(valkey, "memory:events", after=None, count=10)
    assert len(entries) == 2
    assert len({decode(entry).event_id for entry in entries}) == 1


def test_a_redis_that_stays_away_is_told_after_some_attempts(
    server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr(publishing, "sleep", waits.append)
    server.stop()
    with pytest.raises(StreamsUnavailable, match="is unreachable"):
        Publisher(server.url).publish("message.added", "s", "u")
    assert tuple(waits) == publishing.RETRY_DELAYS_S


def test_what_redis_refuses_is_not_tried_again(valkey: redis.Redis, valkey_url: str) -> None:
    valkey.set("memory:events", "text")
    with pytest.raises(StreamsUnavailable, match=r"Key memory:events of Redis at .* is not a stream"):
        Publisher(valkey_url).publish("message.added", "s", "u")


async def test_the_asynchronous_publisher_does_the_same(valkey: redis.Redis, valkey_url: str) -> None:
    async with AsyncPublisher(valkey_url, "s", max_length=10, approximate=False) as publisher:
        ids = await publisher.publish_many(NewEvent("message.added", "s", "u") for _ in range(20))
        ids.append(await publisher.publish("session.ended", "s", "u", outcome={"booked": True}))
    entries = read_forward(valkey, "s", after=None, count=100)
    assert [entry.entry_id for entry in entries] == ids[-10:]
    assert dict(entries[-1].pairs)[b"outcome"] == b'{"booked":true}'


async def test_the_asynchronous_publisher_tries_again(server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    async def wait_for_the_server(_: float) -> None:
        server.start()

    async with AsyncPublisher(server.url) as publisher:
        await publisher.publish("session.started", "s", "u")
        server.stop()
        monkeypatch.setattr(publishing.asyncio, "sleep", wait_for_the_server)
        await publisher.publish("session.ended", "s", "u")
    assert len(read_forward(open_client(server.url), "memory:events", after=None, count=10)) == 2
