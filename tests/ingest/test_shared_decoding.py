from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from evdash.events.decoding import decode
from evdash.events.entry import Entry, EntryId
from evdash.ingest.shared_decoding import SharedDecoding


def entry(number: int, text: bytes = b"hello", stream: str = "s") -> Entry:
    return Entry(stream, EntryId(number, 0), ((b"type", b"message.added"), (b"content", text)))


def test_every_projection_gets_the_same_event_and_then_it_is_dropped() -> None:
    decoding = SharedDecoding(projections=3)
    first, second, third = (decoding.decode(entry(1)) for _ in range(3))
    assert first is second is third
    assert first == decode(entry(1))
    assert decoding.size_bytes == 0
    assert decoding.decode(entry(1)) is not first


def test_a_single_projection_keeps_nothing() -> None:
    decoding = SharedDecoding(projections=1)
    decoding.decode(entry(1))
    assert decoding.size_bytes == 0


def test_an_entry_with_the_same_id_and_other_content_is_decoded_again() -> None:
    decoding = SharedDecoding(projections=2)
    decoding.decode(entry(1, b"before the stream was recreated"))
    assert decoding.decode(entry(1, b"after it")).data["content"] == "after it"
    assert decoding.decode(entry(1, b"after it")).data["content"] == "after it"
    assert decoding.size_bytes == 0


def test_equal_ids_of_different_streams_do_not_mix() -> None:
    decoding = SharedDecoding(projections=2)
    assert decoding.decode(entry(1, stream="a")).stream == "a"
    assert decoding.decode(entry(1, stream="b")).stream == "b"


def test_what_is_kept_for_a_projection_that_lags_is_bounded_and_the_newest() -> None:
    decoding = SharedDecoding(projections=2, max_bytes=1_000)
    events = [decoding.decode(entry(number, b"x" * 100)) for number in range(1, 101)]
    assert 0 < decoding.size_bytes <= 1_000
    assert decoding.decode(entry(100, b"x" * 100)) is events[-1]
    assert decoding.decode(entry(1, b"x" * 100)) is not events[0]


def test_the_number_of_events_kept_is_bounded_even_if_they_are_empty() -> None:
    decoding = SharedDecoding(projections=2, max_events=10)
    empty = [Entry("s", EntryId(number, 0), ((b"", b""),)) for number in range(100)]
    events = [decoding.decode(each) for each in empty]
    assert decoding.decode(empty[-1]) is events[-1]
    assert decoding.decode(empty[89]) is not events[89]


def test_an_entry_beyond_the_bound_is_decoded_and_not_kept() -> None:
    decoding = SharedDecoding(projections=2, max_bytes=1_000)
    assert decoding.decode(entry(1, b"x" * 2_000)).data["content"] == "x" * 2_000
    assert decoding.size_bytes == 0


def test_threads_that_read_the_same_entries_leave_nothing_behind() -> None:
    decoding = SharedDecoding(projections=3)
    entries = [entry(number) for number in range(1_500)]
    with ThreadPoolExecutor(3) as threads:
        found = list(threads.map(lambda _: [decoding.decode(each) for each in entries], range(3)))
    assert all(events == [decode(each) for each in entries] for events in found)
    assert decoding.size_bytes == 0
