"""Templates of notes to Sinch: what may stand in one."""

import re
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from orders.models import NoteTemplate
from orders.notes import GAPS
from portal.accounts.models import SinchProject
from portal.work.actions import LONGEST_NOTE

_GAP = re.compile(r"\{([^{}\n]*)\}")


class TemplateForm(forms.Form):
    """A frequent note with its title."""

    title = forms.CharField(
        max_length=100,
        help_text="Staff choose it by this.",
        error_messages={"required": "A title to choose it by."},
    )
    text = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 6}),
        max_length=LONGEST_NOTE,
        error_messages={"required": "Write what Sinch should read."},
    )

    def __init__(
        self, data: Any = None, *, project: SinchProject, template: NoteTemplate | None = None
    ) -> None:
        """Make the form, filled with a template that is kept already, if one is given."""
        initial = {"title": template.title, "text": template.text} if template else None
        super().__init__(data, initial=initial)
        self.project, self.template = project, template

    def clean_title(self) -> str:
        """Return a title that no other template of the project has."""
        title = str(self.cleaned_data["title"])
        others = NoteTemplate.objects.filter(project=self.project, title__iexact=title)
        if self.template is not None:
            others = others.exclude(pk=self.template.pk)
        if others.exists():
            raise ValidationError("There is a template of this title already.")
        return title

    def clean_text(self) -> str:
        """Return a text in which every gap is one that an order can fill."""
        text = str(self.cleaned_data["text"]).replace("\r\n", "\n").strip()
        unknown = [name for name in _GAP.findall(text) if name not in GAPS]
        if unknown:
            known = ", ".join(f"{{{name}}}" for name in GAPS)
            raise ValidationError(f"No order can fill {{{unknown[0]}}}. The gaps are {known}.")
        return text
