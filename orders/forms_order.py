"""Forms of the order page: a note to Sinch, a note for the team, a document, a new owner."""

from typing import Any

from django import forms

from orders import actions_order as actions
from orders import documents
from orders.models import OrderDocument
from portal.accounts.models import User


class PersonField(forms.ModelChoiceField):
    """A colleague, by the name others know."""

    def label_from_instance(self, obj: Any) -> str:
        """Return the full name, else the user name."""
        return str(obj.short_name)


class HandOverForm(forms.Form):
    """Who goes on with an order, and a line for them."""

    to = PersonField(
        User.objects.filter(is_active=True).order_by("first_name", "username"),
        label="Owner",
        required=False,
        empty_label="Nobody",
    )
    line = forms.CharField(
        label="A line for whoever goes on", max_length=300, widget=forms.Textarea
    )


class Composer(forms.Form):
    """A note to Sinch: first written, then read back, then sent."""

    note = forms.CharField(
        label="Answer Sinch",
        max_length=actions.LONGEST_NOTE,
        widget=forms.Textarea(attrs={"rows": 3, "data-key": "n"}),
        error_messages={"required": "Write what Sinch should read."},
    )
    # Made when the form is, so that a form sent twice is one note.
    key = forms.CharField(widget=forms.HiddenInput, required=False, max_length=32)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("auto_id", "composer_%s")
        super().__init__(*args, **kwargs)
        self.fields["key"].initial = actions.new_key


class TeamComposer(forms.Form):
    """A note for colleagues."""

    text = forms.CharField(
        label="Write to your team",
        max_length=actions.LONGEST_NOTE,
        widget=forms.Textarea(attrs={"rows": 2}),
        error_messages={"required": "Write what your colleagues should know."},
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("auto_id", "team_%s")
        super().__init__(*args, **kwargs)


class UploadForm(forms.Form):
    """A document for Sinch."""

    document = forms.FileField(
        label="Add a document",
        widget=forms.ClearableFileInput(attrs={"accept": documents.ACCEPTED}),
        error_messages={
            "required": "Choose a file first.",
            "empty": "The file is empty. Choose it again.",
            "invalid": "Choose a file first.",
        },
    )
    kind = forms.ChoiceField(label="What it is", choices=OrderDocument.Kind)
    description = forms.CharField(label="Description", max_length=300, required=False)
    key = forms.CharField(widget=forms.HiddenInput, required=False, max_length=32)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("auto_id", "upload_%s")
        super().__init__(*args, **kwargs)
        self.fields["key"].initial = actions.new_key
        self.checked: documents.CheckedDocument | None = None

    def clean_document(self) -> Any:
        """Open the file for real; keep what was found in `checked`."""
        upload = self.cleaned_data["document"]
        if upload.size > documents.MOST_BYTES:
            raise forms.ValidationError(
                "The file is larger than 10 MB. Scan it in grey or send it in parts."
            )
        try:
            self.checked = documents.check(upload.name, upload.read())
        except documents.NotAccepted as wrong:
            raise forms.ValidationError(str(wrong)) from wrong
        return upload
