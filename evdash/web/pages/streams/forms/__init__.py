"""Operations on streams and groups as forms: what is asked for, what it would do, and what cannot be undone."""

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
    """The kind of an operation in an address."""

    regex = "|".join(FORMS)

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


__all__ = ["FORMS", "OperationConverter", "OperationForm"]
