"""What the forms of people and of Sinch projects in the admin have in common."""

import hashlib
from typing import Any

from django import forms
from django.db.models import Model


class AsOpened(forms.ModelForm):
    """A form that takes nothing from a page if its row was changed since the page was opened.

    All that stands on the page is sent with it: a right that was taken away, or somebody who was
    let in no more, would come back with the next change of a name.
    """

    was = forms.CharField(required=False, widget=forms.HiddenInput)
    unseen = frozenset({"was", "password"})  # not shown, so not sent back

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk is not None:
            self.initial["was"] = self._digest()

    def _digest(self) -> str:
        shown = [(name, self.initial.get(name)) for name in sorted(self.fields)]
        said = repr([(name, _plain(value)) for name, value in shown if name not in self.unseen])
        return hashlib.sha256(said.encode()).hexdigest()[:16]

    def clean(self) -> dict[str, Any] | None:
        """Return the values, unless they began with others than those that are kept now."""
        values = super().clean()
        was = self.cleaned_data.pop("was", "")
        if self.instance.pk is not None and was and was != self.initial["was"]:
            raise forms.ValidationError(
                f"{self.instance} was changed since this page was opened, so nothing is saved. "
                "Open it anew and change it there."
            )
        return values


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return sorted(str(one.pk if isinstance(one, Model) else one) for one in value)
    return value
