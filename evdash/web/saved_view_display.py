"""Saved views in the form that pages show: links in the rail, and the form that saves the page's list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from django.contrib.auth.models import AbstractUser, AnonymousUser
from django.http import QueryDict

from evdash.accounts.roles import can_operate
from evdash.events.text import one_line
from evdash.saved_views.models import NAME_MAX_CHARS
from evdash.saved_views.reading import ViewRecord, first_views
from evdash.web.event_list.list_query import chosen_pairs
from evdash.web.links import list_address, query_string
from evdash.web.pages.registry import BY_NAME, Page

RAIL_MAX: Final = 12
_SHOWN_CHARS: Final = 300
_LABELS: Final = {"q": "Filter", "by": "Break down by", "since": "Since", "until": "Until", "sort": "Sort by"}
"""Names of the usual parameters of a list. Others are shown as they are."""


@dataclass(frozen=True, slots=True)
class ViewLink:
    """A saved view as a link."""

    record: ViewRecord
    is_current: bool = False

    @property
    def address(self) -> str:
        """The address of the list."""
        return view_address(self.record.page, self.record.query)

    @property
    def page_label(self) -> str:
        """The name of the page."""
        return _label(self.record.page)

    @property
    def icon(self) -> str:
        """The icon of the page."""
        page = BY_NAME.get(self.record.page)
        return page.rail.icon if page and page.rail else "events"

    @property
    def conditions(self) -> tuple[tuple[str, str], ...]:
        """The parameters of the list, named for a reader, with their values, long ones shortened."""
        return tuple(
            (_LABELS.get(name, name), one_line(value, _SHOWN_CHARS))
            for name, values in QueryDict(self.record.query).lists()
            for value in values
        )

    @property
    def title(self) -> str:
        """The page, and the owner of a shared view."""
        return f"{self.page_label}, shared by {self.record.owner}" if self.record.is_shared else self.page_label


@dataclass(frozen=True, slots=True)
class ViewForm:
    """The context of templates/saved_views/_save.html: the form that saves the list on the page."""

    page: str
    query: str
    can_share: bool
    name: str = ""
    is_shared: bool = False
    problem: str = ""
    saved: str = ""  # the name of the view that the form has just saved
    name_max_chars: int = NAME_MAX_CHARS

    @property
    def address(self) -> str:
        """The address of the list."""
        return view_address(self.page, self.query)

    @property
    def page_label(self) -> str:
        """The name of the page."""
        return _label(self.page)


@dataclass(frozen=True, slots=True)
class ViewsInRail:
    """The first saved views of a user."""

    links: tuple[ViewLink, ...]
    has_more: bool


def saved_query(page: Page, params: QueryDict) -> str:
    """Return the query string that a view of the page keeps: its parameters in one order, without a position."""
    return query_string(chosen_pairs(params, page.saved_parameters))


def view_address(page: str, query: str) -> str:
    """Return the address of a view. A page that no longer exists, or is not a list, becomes the list of events."""
    is_list = page in BY_NAME and BY_NAME[page].is_list
    address = list_address(page if is_list else "events")
    return f"{address}?{query}" if query else address


def views_in_rail(user: AbstractUser | AnonymousUser, page: Page | None, params: QueryDict) -> ViewsInRail:
    """Return the user's first RAIL_MAX views. The one with this page and these parameters is current."""
    name, query = (page.name, saved_query(page, params)) if page and page.is_list else ("", "")
    views, has_more = first_views(user, RAIL_MAX, page=name, query=query)
    return ViewsInRail(tuple(ViewLink(view, (view.page, view.query) == (name, query)) for view in views), has_more)


def form_to_save(user: AbstractUser | AnonymousUser, page: Page | None, params: QueryDict) -> ViewForm | None:
    """Return the form that saves this list; None on a page that is not a list."""
    return ViewForm(page.name, saved_query(page, params), can_operate(user)) if page and page.is_list else None


def _label(name: str) -> str:
    page = BY_NAME.get(name)
    return page.rail.label if page and page.rail else name
