"""The app that holds the commands and the system checks of the whole."""

from django.apps import AppConfig


class EvdashConfig(AppConfig):
    name = "evdash"

    def ready(self) -> None:
        from evdash import checks  # noqa: F401 - registers them
