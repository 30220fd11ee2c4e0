"""Forms of the order page: a note to Sinch, and documents."""

import datetime
from typing import Any, cast

from django import forms
from django.utils import timezone

from orders import documents, papers
from orders.actions_documents import BY_NAME
from orders.models import OrderDocument
from portal.formkey import new_key
from portal.work.actions import LONGEST_NOTE
from portal.work.forms import NoteField


class Composer(forms.Form):
    """A note to Sinch: first written, then read back, then sent."""

    note = NoteField(
        label="To Sinch",
        max_length=LONGEST_NOTE,
        widget=forms.Textarea(attrs={"rows": 3, "data-key": "n"}),
        error_messages={"required": "Write what Sinch should read."},
    )
    # Made when the form is, so that a form sent twice is one note.
    key = forms.CharField(widget=forms.HiddenInput, required=False, max_length=32)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("auto_id", "composer_%s")
        super().__init__(*args, **kwargs)
        self.fields["key"].initial = new_key


class SeveralFiles(forms.ClearableFileInput):
    """A chooser that takes more than one file."""

    allow_multiple_selected = True


class SeveralDocuments(forms.FileField):
    """Documents for Sinch, opened for real; each that is refused says which it is."""

    widget = SeveralFiles

    def clean(self, data: Any, initial: Any = None) -> list[documents.CheckedDocument]:
        """Return the documents under safe names. Raises ValidationError with every refusal."""
        uploads = [upload for upload in (data or []) if upload]
        if not uploads:
            raise forms.ValidationError(self.error_messages["required"], code="required")
        if len(uploads) > documents.MOST_AT_ONCE:
            raise forms.ValidationError(
                f"{len(uploads)} files; at most {documents.MOST_AT_ONCE} at once."
            )
        checked, wrong = [], []
        for upload in uploads:
            try:
                # An oversized file is not even read.
                content = upload.read() if upload.size <= documents.MOST_BYTES else None
                checked.append(documents.check(upload.name, content))
            except documents.NotAccepted as refusal:
                name = f"{upload.name}: " if len(uploads) > 1 else ""
                wrong.append(f"{name}{refusal}")
        if wrong:
            raise forms.ValidationError([*wrong, *_others_wait(checked)])
        return checked


def _others_wait(checked: list[documents.CheckedDocument]) -> list[str]:
    return ["Nothing was sent; choose the others again as well."] if checked else []


def day_field(label: str, help_text: str = "") -> forms.DateField:
    """Return a field for a day on a paper, which cannot lie ahead."""
    return forms.DateField(
        label=label,
        help_text=help_text,
        required=False,
        widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}),
        error_messages={"invalid": "This is no date; write it as 2026-06-18."},
    )


def refuse_the_future(day: datetime.date | None) -> datetime.date | None:
    """Return a day that has come. Raises ValidationError for another."""
    if day and day > timezone.localdate():
        raise forms.ValidationError("Lies in the future. Today or earlier.")
    return day


class UploadForm(forms.Form):
    """Documents for Sinch."""

    document = SeveralDocuments(
        label="Add documents",
        widget=SeveralFiles(attrs={"accept": documents.ACCEPTED}),
        error_messages={"required": "Choose a file first."},
    )
    kind = forms.ChoiceField(
        label="What it is", choices=[*OrderDocument.Kind.choices, (BY_NAME, "As the names say")]
    )
    dated_on = day_field("Dated", "Signed on, or the date of the bill")
    description = forms.CharField(label="Description", max_length=300, required=False)
    key = forms.CharField(widget=forms.HiddenInput, required=False, max_length=32)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("auto_id", "upload_%s")
        super().__init__(*args, **kwargs)
        self.fields["key"].initial = new_key

    def clean_dated_on(self) -> datetime.date | None:
        """Return the date, if it is not ahead."""
        return refuse_the_future(self.cleaned_data["dated_on"])


class PaperForm(forms.Form):
    """What somebody sees on a document: what it is, its date, what agrees with the order."""

    kind = forms.ChoiceField(label="What it is", choices=OrderDocument.Kind)
    dated_on = day_field("Dated", "Signed on, or the date of the bill; its age counts from it")
    tick = forms.MultipleChoiceField(
        required=False,
        choices=[(name, name) for kind in papers.EYES.values() for name in kind],
    )
    part = forms.TypedMultipleChoiceField(required=False, coerce=int)
    seen = forms.CharField(widget=forms.HiddenInput, required=False, max_length=64)

    def __init__(self, *args: Any, parts: int, **kwargs: Any) -> None:
        """Bind the form; `parts` is how many letters the order needs."""
        kwargs.setdefault("auto_id", "paper_%s")
        super().__init__(*args, **kwargs)
        part = cast(forms.TypedMultipleChoiceField, self.fields["part"])
        part.choices = [(at, str(at)) for at in range(1, parts + 1)]
        self.parts = parts

    def clean(self) -> dict[str, Any]:
        """Take the numbers for ticked where it is said whose they are."""
        given = super().clean() or self.cleaned_data
        if self.parts > 1 and "tick" in given:
            others = [name for name in given["tick"] if name != "numbers"]
            given["tick"] = [*others, "numbers"] if given.get("part") else others
        return given

    def clean_dated_on(self) -> datetime.date | None:
        """Return the date, if it is not ahead."""
        return refuse_the_future(self.cleaned_data["dated_on"])
