"""Forms that the pages of both kinds of order have: a new owner, and a note for the team."""

from typing import Any

from django import forms

from portal.accounts.models import User
from portal.work.actions import LONGEST_NOTE


class PersonField(forms.ModelChoiceField):
    """A colleague, by the name others know."""

    def label_from_instance(self, obj: Any) -> str:
        """Return the full name, else the user name."""
        return str(obj.short_name)


class NoteField(forms.CharField):
    """Text of several lines. A line end counts once, as the browser counts it that sends two."""

    widget = forms.Textarea

    def to_python(self, value: Any) -> Any:
        """Return the text with line ends of one character."""
        return super().to_python(value.replace("\r\n", "\n") if isinstance(value, str) else value)


class HandOverForm(forms.Form):
    """Who goes on with an order, and a line for them."""

    to = PersonField(
        User.objects.filter(is_active=True).order_by("first_name", "username"),
        label="Owner",
        required=False,
        empty_label="Nobody",
    )
    line = NoteField(label="A line for whoever goes on", max_length=300)


class TeamComposer(forms.Form):
    """A note for colleagues."""

    text = NoteField(
        label="Write to your team",
        max_length=LONGEST_NOTE,
        widget=forms.Textarea(attrs={"rows": 2}),
        error_messages={"required": "Write what your colleagues should know."},
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("auto_id", "team_%s")
        super().__init__(*args, **kwargs)
