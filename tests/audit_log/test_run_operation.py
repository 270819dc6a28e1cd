"""Operations: only with a reason, and in the audit log before they begin and after they end."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import pytest
import redis
from django.contrib.auth.models import User
from django.db import DatabaseError, transaction

from evdash.audit_log import run_operation
from evdash.audit_log.audit_log import recent, record
from evdash.audit_log.models import AuditLogEntry
from evdash.audit_log.run_operation import OutcomeNotRecorded, operate
from evdash.events.entry import EntryId
from evdash.streams.client import StreamsUnavailable
from evdash.streams.commands import CreateGroup, OperationRefused, Outcome, Preview
from evdash.streams.stream_info import group_infos
from tests.builders import STREAM

pytestmark = pytest.mark.django_db

CLIENT = redis.Redis()  # never used: it connects with its first command


CLAIMED = Outcome(
    done=2,
    done_ids=(EntryId(1, 0), EntryId(2, 0)),
    sentence="2 entries claimed.",
    before={"pending": 2},
    after={"pending": 0},
)


@dataclass(frozen=True)
class Claim:
    """An operation whose end the test decides."""

    stream: str = STREAM
    group: str = "audit"
    entry_ids: tuple[EntryId, ...] = (EntryId(1, 0), EntryId(2, 0))
    refused: str = ""
    ends: Outcome | BaseException = CLAIMED
    rows_seen: list[int] = field(default_factory=list)

    action: ClassVar[str] = "claim"
    title: ClassVar[str] = "Claim entries"

    def preview(self, client: redis.Redis) -> Preview:
        return Preview(sentence="Claims 2 entries.", affected=2, refused=self.refused)

    def execute(self, client: redis.Redis) -> Outcome:
        self.rows_seen.append(AuditLogEntry.objects.count())
        if isinstance(self.ends, BaseException):
            raise self.ends
        return self.ends


def test_what_is_done_is_in_the_log_before_it_begins_and_after_it_ends() -> None:
    mia = User.objects.create_user("mia")
    claim = Claim()

    outcome = operate("mia", claim, " audit-1 is gone ", CLIENT, user=mia)

    assert outcome.done == 2
    assert claim.rows_seen == [1]
    [access] = recent(10)
    for row in (access.begun, access.ended):
        assert row is not None
        assert (row.who, row.user, row.action, row.stream, row.group) == ("mia", mia, "claim", STREAM, "audit")
        assert row.reason == "audit-1 is gone"
        assert row.detail["asked"]["entry_ids"] == ["1-0", "2-0"]
        assert row.detail["preview"] == "Claims 2 entries."
    assert access.ended is not None
    assert access.ended.detail["done_ids"] == ["1-0", "2-0"]
    assert access.ended.before == {"pending": 2}
    assert access.ended.after == {"pending": 0}
    assert access.title == "Claim entries"
    assert (access.succeeded, access.outcome) == (True, "2 entries claimed.")


@pytest.mark.parametrize("reason", ["", "  \n"])
def test_without_a_reason_nothing_is_done(reason: str) -> None:
    claim = Claim()

    with pytest.raises(OperationRefused, match="Enter a reason"):
        operate("mia", claim, reason, CLIENT)

    assert claim.rows_seen == []
    [refused] = recent(10)
    assert (refused.begun.who, refused.begun.succeeded) == ("mia", False)
    assert refused.outcome.startswith("Enter a reason")


def test_what_is_refused_is_not_begun_and_is_in_the_log() -> None:
    claim = Claim(refused="audit-2 has 3 pending entries.")

    with pytest.raises(OperationRefused, match=r"audit-2 has 3 pending entries\."):
        operate("mia", claim, "tidying up", CLIENT)

    assert claim.rows_seen == []
    [access] = recent(10)
    assert (access.succeeded, access.is_open, access.outcome) == (False, False, "audit-2 has 3 pending entries.")


@pytest.mark.parametrize(
    ("raised", "words"),
    [
        (StreamsUnavailable("Redis at x:1 cannot be reached."), "Interrupted: Redis at x:1 cannot be reached."),
        (ValueError("x"), "Interrupted: ValueError x."),
        (KeyboardInterrupt(), "Interrupted: KeyboardInterrupt."),
        (OperationRefused("audit-1 is back."), "audit-1 is back."),
    ],
)
def test_what_breaks_off_midway_is_in_the_log(raised: BaseException, words: str) -> None:
    with pytest.raises(type(raised)):
        operate("mia", Claim(ends=raised), "audit-1 is gone", CLIENT)

    [access] = recent(10)
    assert access.ended is not None
    assert (access.succeeded, access.outcome) == (False, words)


def test_what_succeeds_in_part_is_told_entry_by_entry() -> None:
    partly = replace(CLAIMED, done=1, failed=((EntryId(2, 0), "It is gone from the stream."),))

    operate("mia", Claim(ends=partly), "audit-1 is gone", CLIENT)

    [access] = recent(10)
    assert not access.succeeded
    assert access.ended is not None
    assert access.ended.detail["done"] == 1
    assert access.ended.detail["failed"] == [["2-0", "It is gone from the stream."]]


def test_what_ended_before_its_end_says_why() -> None:
    operate("mia", Claim(ends=replace(CLAIMED, stopped="Redis is gone.")), "audit-1 is gone", CLIENT)

    [access] = recent(10)
    assert (access.succeeded, access.outcome) == (False, "2 entries claimed. Redis is gone.")


def test_an_operation_whose_beginning_cannot_be_logged_is_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise DatabaseError("disk full")

    monkeypatch.setattr(run_operation, "record", fail)
    claim = Claim()

    with pytest.raises(DatabaseError):
        operate("mia", claim, "audit-1 is gone", CLIENT)

    assert claim.rows_seen == []


def test_an_operation_whose_end_cannot_be_logged_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail_at_the_end(*args: Any, **kwargs: Any) -> AuditLogEntry:
        if "begun" in kwargs:
            raise DatabaseError("disk full")
        return record(*args, **kwargs)

    monkeypatch.setattr(run_operation, "record", fail_at_the_end)

    with pytest.raises(
        OutcomeNotRecorded, match=r"^2 entries claimed\. The audit log has the start of this operation"
    ) as raised:
        operate("mia", Claim(), "audit-1 is gone", CLIENT)

    assert "disk full" in str(raised.value)
    assert recent(1)[0].is_open


@pytest.mark.django_db(transaction=True)
def test_an_operation_within_a_transaction_that_could_take_its_rows_back_is_not_begun() -> None:
    claim = Claim()

    with pytest.raises(RuntimeError), transaction.atomic():
        operate("mia", claim, "audit-1 is gone", CLIENT)

    assert claim.rows_seen == []


def test_a_real_operation_is_carried_out_and_logged(valkey: redis.Redis) -> None:
    valkey.xadd(STREAM, {"type": "x"})

    operate("mia", CreateGroup(stream=STREAM, group="reports", at=EntryId.MIN), "monthly reports", valkey)

    [access] = recent(10)
    assert access.succeeded
    assert (access.begun.action, access.begun.stream, access.begun.group) == ("create-group", STREAM, "reports")
    assert [info.name for info in group_infos(valkey, STREAM)] == ["reports"]
