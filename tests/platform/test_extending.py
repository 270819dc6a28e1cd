"""The worked examples of docs/extending.md, carried out in a copy of evdash: they name every file that changes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from evdash.config.environment import CHECKOUT

GUIDE = (CHECKOUT / "docs/extending.md").read_text()
EVENT_TYPE = "Add an event type with its own icon and colour"
FILTER_KEY = "Add a filter key with a facet"
FILES_MAX = 4

PROGRAM = """
import json
import sys

import django

django.setup()

from datetime import UTC, datetime

from django.http import QueryDict

from evdash.events.decoding import decode
from evdash.events.deduplication import changes
from evdash.events.entry import Entry, EntryId
from evdash.eventlog.filter_summary import summary_of
from evdash.web.event_display.row import row_of
from evdash.web.event_list.filter_bar import filter_bar
from evdash.web.event_list.list_query import ListQuery, ScopedFilter
from tests.web import test_style

test_style.test_every_text_colour_has_aa_contrast_on_every_ground(0)
test_style.test_every_text_colour_has_aa_contrast_on_every_ground(1)
test_style.test_every_sign_that_is_used_is_drawn()
test_style.test_every_category_has_a_colour()

pairs = ((b"type", b"review.requested"), (b"reviewer", b"Ada"), (b"guardrail", b"PII"))
event = decode(Entry("s", EntryId(1, 0), pairs))
asked = ScopedFilter.parse(QueryDict("q=guardrail:Pii"))
summary = summary_of(changes([event], {}), asked.own, datetime.now(UTC))
bar = filter_bar(ListQuery("/events/", asked), streams=["s"], summary=summary)
told = {
    "file": sys.modules["evdash.events.event_types"].__file__,
    "row": str(row_of(event).html()),
    "line": str(row_of(event).one_line),
    "matches": asked.own.matches(event),
    "describes": bar.sentence,
    "facets": {facet.label: [link.value for link in facet.values] for facet in bar.facets},
    "keys": bar.keys.split(),
}
print(json.dumps(told))
"""


def section(title: str) -> str:
    _, found, rest = GUIDE.partition(f"## {title}\n")
    assert found, title
    return rest.partition("\n## ")[0]


def files(title: str) -> list[str]:
    """The files of the example's first table."""
    table = re.search(r"(?:^\|.*\n)+", section(title), re.MULTILINE)
    assert table is not None
    return re.findall(r"^\| `([^`]+)`", table[0], re.MULTILINE)


def blocks(title: str) -> list[str]:
    return re.findall(r"^```\w+\n(.*?)^```", section(title), re.MULTILINE | re.DOTALL)


def insert_before(path: Path, mark: str, text: str) -> None:
    before, found, after = path.read_text().partition(mark)
    assert found, f"{path} does not have {mark!r}"
    path.write_text(f"{before}{text}{found}{after}")


@pytest.mark.parametrize("title", [EVENT_TYPE, FILTER_KEY])
def test_the_files_of_an_example_exist_and_are_few(title: str) -> None:
    named = files(title)
    assert 1 <= len(named) <= FILES_MAX
    assert [name for name in named if not (CHECKOUT / name).is_file()] == []


def test_both_examples_together_change_few_files() -> None:
    assert len({*files(EVENT_TYPE), *files(FILTER_KEY)}) <= FILES_MAX


def test_the_examples_do_what_they_promise(tmp_path: Path) -> None:
    """Only the named files change, and the copy shows the icon, the summary, the filter and the facet."""
    for name in ("evdash", "templates", "static", "tests"):
        shutil.copytree(CHECKOUT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    declarations, event_type, icon, colour = blocks(EVENT_TYPE)
    (key,) = blocks(FILTER_KEY)
    types, icons, colours = (tmp_path / name for name in files(EVENT_TYPE))
    (keys,) = (tmp_path / name for name in files(FILTER_KEY))
    insert_before(types, "EVENT_TYPES: Final = (", f"{declarations}\n\n")
    insert_before(types, ')\n"""All declared types.', f"{event_type.rstrip()},\n")
    insert_before(icons, "</svg>", icon)
    in_root, after_it = re.split(r"(?<=;\n)", colour, maxsplit=1)
    insert_before(colours, "  --category-0:", in_root)
    insert_before(colours, ".category-error {", after_it)
    insert_before(keys, ')\n"""All keys,', f"{key.rstrip()},\n")

    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=tmp_path,
        env={
            "PYTHONPATH": str(tmp_path),
            "DJANGO_SETTINGS_MODULE": "evdash.config.settings",
            "EVDASH_DATA_DIR": str(tmp_path / "data"),
        },
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    printed = json.loads(ran.stdout)

    assert printed["file"] == str(types)
    assert "category-review" in printed["row"]
    assert "#icon-review" in printed["row"]
    assert printed["line"] == "review: Ada"
    assert printed["matches"]
    assert printed["describes"] == "events with guardrail pii"
    assert printed["facets"]["Guardrail"] == ["pii"]
    assert "guardrail" in printed["keys"]
