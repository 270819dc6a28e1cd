"""The audit log: what is in it stays as it was written."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError
from django.db.models import ProtectedError
from django.test import Client

from evdash.audit_log.audit_log import LISTED, plain, recent, record
from evdash.audit_log.models import AppendOnly, AuditLogEntry
from evdash.events.entry import EntryId
from tests.builders import STREAM

pytestmark = pytest.mark.django_db


def test_what_was_done_can_be_read_again() -> None:
    mia = User.objects.create_user("mia")

    record("mia", "Claim 3 entries", user=mia, stream=STREAM, group="audit", reason="audit-1 is gone")

    [access] = recent(10)
    row = access.begun
    assert (row.who, row.user, row.action) == ("mia", mia, "Claim 3 entries")
    assert (row.stream, row.group, row.reason) == (STREAM, "audit", "audit-1 is gone")
    assert abs(row.at - datetime.now(UTC)).total_seconds() < 60
    assert access.succeeded


def test_a_row_is_neither_changed_nor_deleted() -> None:
    row = record("mia", "Trim")
    row.who = "somebody else"

    with pytest.raises(AppendOnly):
        row.save()
    with pytest.raises(AppendOnly):
        row.delete()
    with pytest.raises(AppendOnly):
        AuditLogEntry.objects.get().save()
    with pytest.raises(AppendOnly):
        AuditLogEntry.objects.update(who="somebody else")
    with pytest.raises(AppendOnly):
        AuditLogEntry.objects.filter(who="mia").delete()
    with pytest.raises(AppendOnly):
        AuditLogEntry.objects.bulk_update([row], ["who"])
    with pytest.raises(AppendOnly):
        AuditLogEntry.objects.update_or_create(who="mia", defaults={"action": "nothing"})

    assert AuditLogEntry.objects.get().who == "mia"


def test_a_row_does_not_take_the_place_of_another() -> None:
    row = record("mia", "Trim")

    with pytest.raises(IntegrityError):
        AuditLogEntry(pk=row.pk, who="somebody else", action="nothing").save()


def test_who_is_in_the_log_cannot_be_deleted() -> None:
    mia = User.objects.create_user("mia")
    record("mia", "Trim", user=mia)

    with pytest.raises(ProtectedError):
        mia.delete()


def test_the_newest_comes_first_and_older_pages_follow() -> None:
    for number in range(5):
        record("mia", f"Step {number}")

    newest = recent(2)
    older = recent(10, before_row=newest[-1].begun.pk)

    assert [access.begun.action for access in newest] == ["Step 4", "Step 3"]
    assert [access.begun.action for access in older] == ["Step 2", "Step 1", "Step 0"]


def test_what_came_of_it_belongs_to_what_was_begun() -> None:
    begun = record("mia", "Trim", succeeded=None)
    assert recent(1)[0].is_open
    assert recent(1)[0].outcome == "No outcome was recorded."

    record("mia", "Trim", begun=begun, outcome="7 entries removed.", succeeded=True)

    [access] = recent(10)
    assert access.begun == begun
    assert (access.is_open, access.succeeded, access.outcome) == (False, True, "7 entries removed.")


def test_values_of_every_kind_are_kept() -> None:
    @dataclass(frozen=True)
    class Arguments:
        ids: tuple[EntryId, ...]
        name: bytes
        since: datetime

    since = datetime(2026, 11, 24, tzinfo=UTC)

    record("mia", "Claim", detail={"asked": Arguments((EntryId(1, 2),), b"a\xff", since), "of": {"b", "a"}, "n": None})

    [access] = recent(1)
    assert access.begun.detail == {
        "asked": {"ids": ["1-2"], "name": "a\\xff", "since": "2026-11-24T00:00:00Z"},
        "of": ["a", "b"],
        "n": None,
    }


def test_what_a_database_refuses_in_a_text_is_written_out() -> None:
    record("mia\x00", "Claim", reason="\ud800", detail={"\x00": "a\x00b"})

    row = recent(1)[0].begun
    assert (row.who, row.reason, row.detail) == ("mia␀", "\\ud800", {"␀": "a␀b"})


def test_a_long_list_is_cut_and_its_rest_counted() -> None:
    kept = plain([EntryId(number, 0) for number in range(LISTED + 5)])

    assert len(kept) == LISTED + 1
    assert kept[-1] == "and 5 more"


def test_the_old_addresses_lead_to_the_log(client: Client) -> None:
    client.force_login(User.objects.create_user("ada"), backend="django.contrib.auth.backends.ModelBackend")
    assert client.get("/access-log/?before=7")["Location"] == "/audit-log/?before=7"
    assert client.get("/access-log/3/")["Location"] == "/audit-log/3/"
