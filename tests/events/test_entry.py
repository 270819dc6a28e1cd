import pytest
from hypothesis import given

from evdash.events.entry import MAX_HALF, EntryId, InvalidEntryId
from tests.builders import entry_ids


@given(entry_ids)
def test_an_id_reads_back_from_its_text_and_its_bytes(entry_id: EntryId) -> None:
    assert EntryId.parse(str(entry_id)) == entry_id
    assert EntryId.parse(str(entry_id).encode()) == entry_id
    assert EntryId.from_bytes(entry_id.to_bytes()) == entry_id


@given(entry_ids, entry_ids)
def test_the_order_of_the_bytes_is_the_order_of_the_ids(one: EntryId, other: EntryId) -> None:
    assert (one < other) == ((one.ms, one.seq) < (other.ms, other.seq))
    assert (one.to_bytes() < other.to_bytes()) == (one < other)


@given(entry_ids)
def test_next_and_previous_are_neighbours_and_stop_at_the_ends(entry_id: EntryId) -> None:
    if entry_id != EntryId.MAX:
        assert entry_id.next() > entry_id
        assert entry_id.next().previous() == entry_id
    if entry_id != EntryId.MIN:
        assert entry_id.previous() < entry_id
    assert EntryId.MAX.next() == EntryId.MAX
    assert EntryId.MIN.previous() == EntryId.MIN


def test_the_sequence_number_may_be_left_out() -> None:
    assert EntryId.parse("1700000000000") == EntryId(1700000000000, 0)


@pytest.mark.parametrize(
    "text",
    ["", "-", "1-", "-1", "1-2-3", "1.5", "a-b", "１-０", " 1-0", "1-0\n", str(MAX_HALF + 1), f"0-{MAX_HALF + 1}"],
)
def test_what_is_no_id_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(InvalidEntryId, match="is not an entry ID"):
        EntryId.parse(text)


def test_the_time_of_an_id_is_known_up_to_the_year_9999() -> None:
    moment = EntryId(1700000000123, 0).time
    assert moment is not None
    assert moment.isoformat() == "2023-11-14T22:13:20.123000+00:00"
    last = EntryId(253_402_300_799_999, 0).time
    assert last is not None
    assert last.year == 9999
    assert EntryId(253_402_300_800_000, 0).time is None
    assert EntryId.MAX.time is None
