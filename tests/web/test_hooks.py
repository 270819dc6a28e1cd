"""static/events.js documents each custom event and each `data-*` hook, and nothing else."""

from __future__ import annotations

import re

import pytest

from evdash.config.environment import CHECKOUT

STATIC = CHECKOUT / "static"
INTERFACE = (STATIC / "events.js").read_text()
SCRIPTS = {
    str(path.relative_to(STATIC)): path.read_text() for path in sorted(STATIC.rglob("*.js")) if path.name != "events.js"
}
STYLES = {str(path.relative_to(STATIC)): path.read_text() for path in sorted(STATIC.rglob("*.css"))}
TEMPLATES = "".join(path.read_text() for path in (CHECKOUT / "templates").rglob("*.html"))
SERVER = "".join(path.read_text() for path in (CHECKOUT / "evdash").rglob("*.py"))

EVENTS = dict(re.findall(r'^export const (\w+) = "(evdash:[\w-]+)";$', INTERFACE, re.MULTILINE))
HOOKS = {
    line[0].strip(): [cell.strip() for cell in line[1:]]
    for line in (row.split("|") for row in re.findall(r"^ \* (data-[^|]+\|.*)$", INTERFACE, re.MULTILINE))
}


def attribute(name: str) -> str:
    """Return the attribute of a property of `dataset`: `liveQuery` is `data-live-query`."""
    return "data-" + re.sub(r"[A-Z]", lambda letter: f"-{letter[0].lower()}", name)


def reads(source: str) -> set[str]:
    """Return the `data-*` attributes that a script or a stylesheet reads or sets."""
    names = re.findall(r'(?:\[|hasAttribute\("|getAttribute\(")(data-[a-z-]+)', source)
    properties = re.findall(r'dataset\??\.(\w+)|"(\w+)" in [\w.]+\.dataset', source)
    destructured = re.findall(r"\{ ([\w, ]+) \} = [\w.]+\.dataset", source)
    found = [first or second for first, second in properties]
    found += [name for names in destructured for name in names.split(", ")]
    return {*names, *map(attribute, found)}


def sets(source: str) -> set[str]:
    """Return the `data-*` attributes that a script sets."""
    return set(map(attribute, re.findall(r"dataset\.(\w+) = ", source)))


def documentation(constant: str) -> str:
    """Return the comment above an event."""
    return INTERFACE.partition(f"export const {constant} =")[0].rpartition("/**")[2]


def test_scripts_have_no_name_of_an_event_but_those_of_the_interface() -> None:
    assert len(EVENTS) >= 10
    for path, source in SCRIPTS.items():
        assert "evdash:" not in source, path
    assert set(re.findall(r'"(evdash:[\w-]+)"', SERVER + TEMPLATES)) <= set(EVENTS.values())


@pytest.mark.parametrize("constant", EVENTS)
def test_an_event_names_its_payload_its_senders_and_its_listeners(constant: str) -> None:
    text = documentation(constant)
    assert "@typedef" in text
    sending, _, listening = text.partition("Sent by ")[2].partition(";")
    listening = listening.partition("@typedef")[0]
    senders = {path for path, source in SCRIPTS.items() if re.search(rf"send\([^;]*\b{constant}\b", source)}
    listeners = {path for path, source in SCRIPTS.items() if re.search(rf"addEventListener\({constant},", source)}
    assert listeners
    assert senders or f'"{EVENTS[constant]}"' in SERVER
    assert set(re.findall(r"[\w/-]+\.js", sending)) == senders
    assert set(re.findall(r"[\w/-]+\.js", listening)) == listeners


def test_every_hook_that_a_script_reads_is_documented() -> None:
    assert len(HOOKS) > 40
    for path, source in SCRIPTS.items():
        assert reads(source) <= set(HOOKS), path


@pytest.mark.parametrize("hook", HOOKS)
def test_a_documented_hook_is_set_and_has_the_readers_that_it_names(hook: str) -> None:
    _, value, readers = HOOKS[hook]
    by_script = value.partition("set by ")[2]
    if by_script:
        assert hook in sets(SCRIPTS[by_script])
    else:
        assert re.search(rf"\b{hook}(?![\w-])", TEMPLATES + SERVER), "no template sets it"
    named = set(readers.split(", "))
    sources = SCRIPTS if named <= set(SCRIPTS) else {**SCRIPTS, **STYLES}  # styles may use any hook
    found = {path for path, source in sources.items() if hook in reads(source)}
    assert found - {by_script} == named - {by_script}


def test_a_hook_is_found_however_a_script_reads_it() -> None:
    source = """
        element.matches("[data-one]"); element.dataset?.twoWords; "three" in element.dataset;
        element.hasAttribute("data-four"); const { five, six } = list.dataset;
    """
    assert reads(source) == {"data-one", "data-two-words", "data-three", "data-four", "data-five", "data-six"}
