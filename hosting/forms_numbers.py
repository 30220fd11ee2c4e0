"""Forms of imported and qualified numbers."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from hosting.actions_imported import LONGEST_NAME, WHERE
from hosting.models import Combination
from portal.accounts.models import SinchProject
from portal.numbers import MAX_LINES, Line, is_canadian, is_too_long, numbers_of, read_numbers

MOST_QUALIFIED = MAX_LINES  # more lines of a draft are not read


def _id(label: str, lists: str, *, required: bool) -> forms.RegexField:
    return forms.RegexField(
        r"^[A-Za-z0-9_.:-]{1,100}$",
        label=label,
        required=required,
        widget=forms.TextInput(attrs={"list": lists}),
        error_messages={
            "invalid": "An id has letters and digits and no spaces; copy it from Sinch.",
            "required": f"{label}: this is needed.",
        },
    )


class LinkForm(forms.Form):
    """Where a number is linked: a service plan, and perhaps a campaign."""

    plan = _id("Service plan", "plans", required=True)
    campaign = _id("10DLC campaign", "campaigns", required=False)


class ImportForm(LinkForm):
    """One number to be imported."""

    number = forms.CharField(
        label="Number",
        max_length=40,
        help_text="Any spelling of a US or Canadian number.",
        error_messages={"required": "Write the number."},
    )
    name = forms.CharField(label="Name", max_length=LONGEST_NAME, required=False)

    field_order = ("number", "name", "plan", "campaign")

    def clean_number(self) -> str:
        """Return the number in E.164."""
        lines = read_numbers(self.cleaned_data["number"])
        found = numbers_of(lines)
        if len(found) != 1:
            raise ValidationError(lines[0].problem if lines and not found else "Write one number.")
        return found[0]

    @property
    def region(self) -> str:
        """The region of a valid number."""
        return "CA" if is_canadian(self.cleaned_data["number"]) else "US"


class SearchForm(LinkForm):
    """Sinch's own search: digits, and where they stand."""

    digits = forms.CharField(
        label="Digits", max_length=20, error_messages={"required": "Write the digits to look for."}
    )
    where = forms.ChoiceField(
        label="The number should", choices=[(key, word) for key, word in WHERE.items()]
    )


class PairForm(forms.Form):
    """A plan and campaign to be walked as well, with what staff call it."""

    plan = _id("Service plan", "plans", required=True)
    campaign = _id("10DLC campaign", "campaigns", required=False)
    name = forms.CharField(label="What you call it", max_length=100, required=False)

    def keep(self, project: SinchProject, by: Any) -> Combination:
        """Store a valid pair, or give a known one its name."""
        given = self.cleaned_data
        pair, made = Combination.objects.get_or_create(
            project=project,
            service_plan_id=given["plan"],
            campaign_id=given["campaign"],
            defaults={"name": given["name"], "added_by": by},
        )
        if not made and given["name"]:
            pair.name = given["name"]
            pair.save(update_fields=["name"])
        return pair


class QualifyForm(forms.Form):
    """Numbers to be qualified, pasted."""

    numbers = forms.CharField(
        label="Numbers",
        widget=forms.Textarea(attrs={"rows": 8, "spellcheck": "false"}),
        help_text="Paste them as they come. They go to Sinch 500 at a time.",
        error_messages={"required": "Paste the numbers to qualify."},
    )

    def clean_numbers(self) -> list[str]:
        """Return the distinct numbers. Raises ValidationError naming the lines that are none."""
        text = self.cleaned_data["numbers"]
        if is_too_long(text):
            raise ValidationError(
                f"At most {MAX_LINES:,} lines are read at once; paste the rest after these."
            )
        lines = read_numbers(text)
        found = numbers_of(lines)
        wrong = [line for line in lines if not line.number]
        if wrong:
            raise ValidationError([_wrong(line) for line in wrong[:10]])
        if not found:
            raise ValidationError("There is no number in it.")
        if len(found) > MOST_QUALIFIED:
            raise ValidationError(f"{len(found):,} numbers; at most {MOST_QUALIFIED:,} at once.")
        return found


def _wrong(line: Line) -> str:
    return f"{line.place.capitalize()}, “{line.text[:40]}”: {line.problem}"


class CodeForm(forms.Form):
    """The code that somebody heard in the call."""

    code = forms.RegexField(
        r"^\s*\d[\d\s-]{2,11}\s*$",
        label="Code from the call",
        widget=forms.TextInput(
            attrs={"inputmode": "numeric", "autocomplete": "one-time-code", "hx-preserve": True}
        ),
        error_messages={
            "required": "Write the code that was read out.",
            "invalid": "A code is digits only, such as 1234.",
        },
    )

    def clean_code(self) -> str:
        """Return its digits."""
        return "".join(c for c in self.cleaned_data["code"] if c.isdigit())
