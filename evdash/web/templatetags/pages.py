"""Template filters for times, numbers and event text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from evdash.web import control_characters, formatting
from evdash.web.event_display.event_types import EventCategory, category_of
from evdash.web.links import session_address, user_address
from evdash.web.session_status import session_status, session_times

register = template.Library()

# django-stubs' decorator keeps the types of the registered functions.
register.filter("session_address", session_address)
register.filter("user_address", user_address)
register.filter("session_status", session_status)
register.filter("session_times", session_times)
register.filter("span", formatting.format_duration)
register.filter("milliseconds", formatting.format_milliseconds)
register.filter("filesize", formatting.format_size)
register.filter("percent", formatting.format_percent)


@register.filter
def visible(text: object) -> SafeString | str:
    """Return event text with unseen characters marked. The template escapes a text without such characters."""
    return control_characters.escape_control_chars_html(str(text))


@register.filter
def signs(text: object) -> str:
    """Return event text with unseen characters as signs, for a title or a label."""
    return control_characters.escape_control_chars_text(str(text))


@register.filter
def number(value: int | None) -> str:
    """Return a number as `12,400`; a dash if it is unknown."""
    return "–" if value is None else f"{value:,}"


@register.filter
def category(event_type: str) -> EventCategory:
    """Return the style of an event type."""
    return category_of(event_type)


@register.filter
def clock(moment: datetime, entry_id: object = "") -> SafeString:
    """Return a time (UTC) as a row shows it: day and milliseconds, with the full time and entry ID as tooltip.

    A time of another year has its year and no milliseconds.
    """
    moment = moment.astimezone(UTC)
    time = f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03d}"
    # In another year, the year is more useful than the milliseconds.
    is_this_year = moment.year == datetime.now(UTC).year
    day, shown = (f"{moment:%d %b}", time) if is_this_year else (_dated(moment), time[:8])
    title = f"{_dated(moment)} {time} UTC" + (f"\nentry ID {entry_id}" if entry_id else "")
    return format_html(
        '<time datetime="{}" title="{}" data-form="row"><span class="day">{}</span> {}</time>',
        _iso(moment),
        title,
        day,
        shown,
    )


@register.filter
def moment(value: datetime | None) -> SafeString | str:
    """Return a time (UTC) to the second with its day; a dash for None."""
    if value is None:
        return "–"
    value = value.astimezone(UTC)
    shown = f"{_dated(value)} {value:%H:%M:%S}"
    return format_html('<time datetime="{}" title="{} UTC" data-form="full">{}</time>', _iso(value), shown, shown)


@register.filter
def ago(value: datetime | None) -> SafeString | str:
    """Return a time relative to now, with the absolute time (UTC) as tooltip; a dash for None."""
    if value is None:
        return "–"
    value = value.astimezone(UTC)
    return format_html(
        '<time datetime="{}" title="{} {} UTC" data-form="ago">{}</time>',
        _iso(value),
        _dated(value),
        value.strftime("%H:%M:%S"),
        formatting.format_age(value, datetime.now(UTC)),
    )


@register.filter
def rate(per_second: float) -> str:
    """Return a rate in events a second: `0`, `0.4`, `12`, `1,250`."""
    return f"{per_second:,.0f}" if per_second >= 10 or per_second == 0 else f"{per_second:.2g}"


@register.filter
def seconds_long(value: float) -> str:
    """Return a number of seconds as a duration."""
    return formatting.format_duration(timedelta(seconds=value))


@register.filter
def events_word(value: int) -> str:
    """Return a number of events with its noun: `1 event`, `1,310 events`."""
    return formatting.format_count(value, "event")


def _dated(value: datetime) -> str:
    # strftime pads years below 1000 differently on different systems.
    return f"{value.year:04d}-{value.month:02d}-{value.day:02d}"


def _iso(value: datetime) -> str:
    return value.isoformat(timespec="microseconds").replace("+00:00", "Z")
