"""Django app that holds the commands and the system checks of the whole project."""

from django.apps import AppConfig
from django.conf import settings
from django.db.backends.signals import connection_created

from evdash.config.environment import ConfigurationError
from evdash.events.namespaces import NAMESPACES, parse_namespaces
from evdash.events.upcasters import UpcastersInvalid, load
from evdash.streams.names import canonical_name


class EvdashConfig(AppConfig):
    name = "evdash"

    def ready(self) -> None:
        from evdash.config import checks  # noqa: F401 - registers them
        from evdash.eventlog.event_query import add_functions

        connection_created.connect(add_functions, dispatch_uid="evdash.eventlog")

        try:
            namespaces = parse_namespaces(settings.EVDASH.session_namespaces)
        except ValueError as error:
            raise ConfigurationError(f"EVDASH_SESSION_NAMESPACES is not valid: {error}.") from error
        NAMESPACES.update((canonical_name(stream), namespace) for stream, namespace in namespaces.items())
        if settings.EVDASH.upcasters:
            _load_upcasters(settings.EVDASH.upcasters)


def _load_upcasters(module: str) -> None:
    try:
        load(module)
    except UpcastersInvalid as error:
        raise ConfigurationError(f"EVDASH_UPCASTERS cannot be {module!r}: {error}.") from error
