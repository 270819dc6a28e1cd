"""Forms of the operations on streams and groups: arguments, effects, and effects that cannot be undone."""

from evdash.web.pages.streams.forms.base import OperationForm
from evdash.web.pages.streams.forms.entries import AcknowledgeForm, ClaimForm, DiscardForm, ParkForm, RedeliverForm
from evdash.web.pages.streams.forms.groups import CreateGroupForm, DeleteConsumerForm, DeleteGroupForm, SetPositionForm
from evdash.web.pages.streams.forms.trim import TrimForm

FORMS: dict[str, type[OperationForm]] = {
    form.kind: form
    for form in (
        ClaimForm,
        AcknowledgeForm,
        ParkForm,
        RedeliverForm,
        DiscardForm,
        DeleteConsumerForm,
        SetPositionForm,
        CreateGroupForm,
        DeleteGroupForm,
        TrimForm,
    )
}


class OperationConverter:
    """URL converter for the kind of an operation."""

    regex = "|".join(FORMS)

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


__all__ = ["FORMS", "OperationConverter", "OperationForm"]
