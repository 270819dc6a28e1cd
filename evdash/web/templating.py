"""The environment of the templates: its filters for times, numbers and event text, and its functions."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import jinja2
from django.template import defaultfilters
from django.templatetags.static import static
from django.urls import reverse
from django.utils.safestring import SafeString
from jinja2.ext import Extension
from jinja2.lexer import Token, TokenStream

from evdash.events.event import Event
from evdash.events.event_types import category_of
from evdash.events.message_parts import PICTURE_MAX_BYTES
from evdash.events.summaries import SessionSummary, UserSummary
from evdash.web import control_characters, formatting
from evdash.web.clocks import other_redis_time, redis_time
from evdash.web.input_limits import PARAMETER_MAX_CHARS, PASSWORD_MAX_CHARS, USER_NAME_MAX_CHARS
from evdash.web.links import session_address, trace_address, user_address
from evdash.web.session_status import outcome_text, session_times, status_pill


def visible(text: object) -> SafeString | str:
    """Return event text with unseen characters marked. The template escapes a text without such characters."""
    return control_characters.escape_control_chars_html(str(text))


def signs(text: object) -> str:
    """Return event text with unseen characters as signs, for a title or a label."""
    return control_characters.escape_control_chars_text(str(text))


def number(value: int | None) -> str:
    """Return a number as `12,400`; a dash if it is unknown."""
    return "–" if value is None else f"{value:,}"


def row_times(event: Event) -> SafeString:
    """Return the time of an event (UTC) as a row shows it: day and milliseconds, both clocks and entry ID as tooltip.

    If Redis's time of the entry is known and differs from the producer's, both are returned: the class of the list
    (row.css) shows one of them. A time of another year has its year and no milliseconds.
    """
    now = datetime.now(UTC)
    produced, entry_id = event.occurred_at.astimezone(UTC), f"entry ID {event.entry_id}"
    by_producer = f"{_to_milliseconds(produced)} UTC"
    written = redis_time(event.entry_id, now)
    if written is None or written == produced:
        of_producer = " (producer)" if event.time_source == "timestamp" else ""
        title, times = f"{by_producer}{of_producer}\n{entry_id}", _row_time(produced, now)
    else:
        title = f"{by_producer} (producer)\n{_to_milliseconds(written)} UTC (Redis)\n{entry_id}"
        times = _row_time(produced, now, ' class="by-producer"') + _row_time(written, now, ' class="by-redis"')
    return SafeString(f'<span class="row-time" title="{title}">{times}</span>')


def _row_time(value: datetime, now: datetime, attributes: str = "") -> str:
    # A frame of live push has 100 rows: an element has no more than it needs.
    # Many producers state whole seconds.
    milliseconds = f".{value.microsecond // 1000:03d}" if value.microsecond else ""
    clock = f"{value:%H:%M:%S}"
    # In another year, the year is more useful than the milliseconds.
    shown = (f"{value:%d %b}", clock + milliseconds) if value.year == now.year else (_dated(value), clock)
    exact = f"{_dated(value)}T{clock}{milliseconds}Z"
    return f'<time{attributes} datetime="{exact}"><span class="day">{shown[0]}</span> {shown[1]}</time>'


def _to_milliseconds(value: datetime) -> str:
    return f"{_dated(value)} {value:%H:%M:%S}.{value.microsecond // 1000:03d}"


def moment(value: datetime | None) -> SafeString | str:
    """Return a time (UTC) to the second with its day; a dash for None."""
    if value is None:
        return "–"
    value = value.astimezone(UTC)
    shown = f"{_dated(value)} {value:%H:%M:%S}"
    return _time(value, f"{shown} UTC", "full", shown)


def ago(value: datetime | None) -> SafeString | str:
    """Return a time relative to now, with the absolute time (UTC) as tooltip; a dash for None."""
    if value is None:
        return "–"
    value = value.astimezone(UTC)
    return _time(value, f"{_dated(value)} {value:%H:%M:%S} UTC", "ago", formatting.format_age(value, datetime.now(UTC)))


def last_entry(summary: SessionSummary | UserSummary) -> SafeString:
    """Return how long ago the last entry of a session or user was written, by Redis's clock.

    The tooltip has the absolute time, and the time of the last event by the producers' clocks. A list in the order of
    entry IDs shows this time. If a producer chose the ID, the ID is not a time, and the producers' time is shown.
    """
    now = datetime.now(UTC)
    produced = f"{_dated(summary.last_at)} {summary.last_at:%H:%M:%S} UTC"
    written = redis_time(summary.last_id, now)
    title = f"{_dated(written)} {written:%H:%M:%S} UTC" if written else f"{produced} (producer)"
    if written and title != produced:
        title += f"\nproducer: {produced}"
    shown = written or summary.last_at
    return _time(shown, title, "ago", formatting.format_age(shown, now))


def first_entry(summary: SessionSummary | UserSummary) -> SafeString | str:
    """Return when the first entry of a session or user was written, by Redis's clock.

    If a producer chose the ID, the time of the first event by the producers' clocks is shown.
    """
    produced = summary.started_at if isinstance(summary, SessionSummary) else summary.first_at
    return moment(redis_time(summary.first_id) or produced)


def duration_title(summary: SessionSummary) -> str:
    """Return the clocks of a session's duration; by Redis's clock it may be another one."""
    duration = session_times(summary).duration
    if duration.producer_value is None:
        return "By the producers’ times"
    return f"By the producers’ times; by Redis {formatting.format_duration(duration.value)}"


def rate(per_second: float) -> str:
    """Return a rate in the unit that gives at least one: `0`, `5 per minute`, `1.5 per second`, `1,250 per second`."""
    if per_second == 0:
        return "0"
    units = (("second", 1), ("minute", 60), ("hour", 3600))
    unit, seconds = next((each for each in units if per_second * each[1] >= 1), units[-1])
    value = per_second * seconds
    return f"{value:,.0f} per {unit}" if value >= 9.95 else f"{value:.2g} per {unit}"


def seconds_long(value: float) -> str:
    """Return a number of seconds as a duration."""
    return formatting.format_duration(timedelta(seconds=value))


def middle(text: str, max_chars: int) -> str:
    """Return the text with `…` in its middle instead of what exceeds this number of characters.

    IDs differ at their ends. The caller puts the whole text into the title.
    """
    if len(text) <= max_chars:
        return text
    end = max_chars // 2
    return f"{text[: max_chars - 1 - end]}…{text[-end:]}"


def events_word(value: int) -> str:
    """Return a number of events with its noun: `1 event`, `1,310 events`."""
    return formatting.format_count(value, "event")


def _dated(value: datetime) -> str:
    # strftime pads years below 1000 differently on different systems.
    return f"{value.year:04d}-{value.month:02d}-{value.day:02d}"


def _time(value: datetime, title: str, form: str, shown: str) -> SafeString:
    # Nothing is escaped: all of it is made of numbers and of evdash's own words. A page has hundreds of times.
    exact = value.isoformat(timespec="microseconds").replace("+00:00", "Z")
    return SafeString(f'<time datetime="{exact}" title="{title}" data-form="{form}">{shown}</time>')


def cited_time(event: Event) -> str:
    """Return the time of an event (UTC) to the microsecond, with its clock if it is the producer's."""
    value = event.occurred_at.astimezone(UTC)
    of_producer = " (producer)" if event.time_source == "timestamp" else ""
    return f"{_dated(value)} {value:%H:%M:%S.%f} UTC{of_producer}"


def url(name: str, *args: object, **kwargs: object) -> str:
    """Return the address of the page with this URL name."""
    return reverse(name, args=args, kwargs=kwargs)


_FILTERS: Final[dict[str, Callable[..., Any]]] = {
    "ago": ago,
    "capfirst": defaultfilters.capfirst,
    "cited_time": cited_time,
    "category": category_of,
    "events_word": events_word,
    "filesize": formatting.format_size,
    "duration_title": duration_title,
    "first_entry": first_entry,
    "last_entry": last_entry,
    "middle": middle,
    "milliseconds": formatting.format_milliseconds,
    "moment": moment,
    "number": number,
    "percent": formatting.format_percent,
    "pluralize": defaultfilters.pluralize,
    "rate": rate,
    "row_times": row_times,
    "seconds_long": seconds_long,
    "session_address": session_address,
    "other_redis_time": other_redis_time,
    "outcome_text": outcome_text,
    "session_times": session_times,
    "signs": signs,
    "slugify": defaultfilters.slugify,
    "span": formatting.format_duration,
    "status_pill": status_pill,
    "trace_address": trace_address,
    "truncatechars": defaultfilters.truncatechars,
    "user_address": user_address,
    "visible": visible,
}


# Kept as it is: the text of <pre>, up to its end or to the end of the template's text.
_PRE: Final = re.compile(r"(<pre\b.*?(?:</pre>|\Z))", re.DOTALL)
_WHITE_SPACE: Final = re.compile(r"[ \n]{2,}")


class WithoutIndentation(Extension):
    """Drop the indentation of templates from pages. Compiling a template does it once, so a page does not wait for it.

    White space becomes one line break or one space. To HTML both are the same, except inside <pre>.
    """

    def filter_stream(self, stream: TokenStream) -> Iterator[Token]:
        """Yield the tokens of a template, its own text without indentation."""
        is_in_pre = False
        for token in stream:
            if token.type != "data":
                yield token
                continue
            text, is_in_pre = _without_indentation(token.value, is_in_pre=is_in_pre)
            yield Token(token.lineno, "data", text)


def _without_indentation(text: str, *, is_in_pre: bool) -> tuple[str, bool]:
    kept = "<pre" if is_in_pre else ""  # as if the tag were in this text
    parts = _PRE.split(kept + text)
    parts[::2] = [_WHITE_SPACE.sub(lambda match: "\n" if "\n" in match[0] else " ", part) for part in parts[::2]]
    is_in_pre = len(parts) > 1 and not parts[-2].endswith("</pre>")
    return "".join(parts).removeprefix(kept), is_in_pre


def environment(**options: Any) -> jinja2.Environment:
    """Return the environment of all templates; `options` are those of Django's Jinja2 backend.

    A template that uses a name which does not exist raises jinja2.UndefinedError.
    """
    chosen: dict[str, Any] = {
        **options,
        "autoescape": True,
        "extensions": [WithoutIndentation],
        "keep_trailing_newline": True,
        "lstrip_blocks": True,
        "trim_blocks": True,
        "undefined": jinja2.StrictUndefined,
    }
    made = jinja2.Environment(**chosen)  # noqa: S701 - it is set
    made.filters.update(_FILTERS)
    made.globals.update(
        static=static,
        unix_now=time.time,
        url=url,
        picture_max_bytes=PICTURE_MAX_BYTES,
        parameter_max_chars=PARAMETER_MAX_CHARS,
        password_max_chars=PASSWORD_MAX_CHARS,
        user_name_max_chars=USER_NAME_MAX_CHARS,
    )
    return made
