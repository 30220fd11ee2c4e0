"""Details of single numbers that differ from those of the order: hundreds at need.

A page of 500 such entries would be megabytes of fields, so only some become forms: the first
ones and those with something to say. The rest is judged as text and kept as it is.
"""

from bisect import bisect
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, cast

from django import forms
from django.core.exceptions import ValidationError

from orders.details import (
    SERVICES,
    VOICES,
    clean_details,
    details_body,
    gaps,
)
from orders.forms_fields import EndUserFields
from portal import words

SHOWN_AT_FIRST: Final = 20
MOST_IN_A_MENU: Final = 60
AS_ABOVE: Final = ("", "As above")


class OverrideForm(EndUserFields):
    """Details of a single number that differ from those of the order; empty ones do not."""

    number = forms.ChoiceField(label="Number", required=False)
    service = forms.ChoiceField(label="Service", choices=[AS_ABOVE, *SERVICES], required=False)
    voice = forms.ChoiceField(
        label="Voice", choices=[AS_ABOVE, *(v for v in VOICES if v[0])], required=False
    )
    field_order = ["number"]
    is_live = False  # whether its errors come and go as it is typed

    def __init__(
        self,
        data: Mapping[str, Any],
        *,
        prefix: str,
        numbers: Sequence[str],
        saved: Mapping[str, str],
        complete: bool,
        taken: Collection[str] = (),
        before: Mapping[str, Any] | None = None,
    ) -> None:
        """Bind to one entry of a draft; `taken` are numbers with details of their own already."""
        self.key = prefix
        self.phone_number = str(data.get("number", ""))
        self.listed = set(numbers)
        self.is_taken = self.phone_number in taken
        super().__init__(
            {f"{prefix}-{name}": value for name, value in data.items()},
            saved=saved,
            complete=complete,
            before=before,
            prefix=prefix,
        )
        shown = list(numbers)
        if self.phone_number and self.phone_number not in self.listed:
            shown.append(self.phone_number)
        number_field = cast(forms.ChoiceField, self.fields["number"])
        if len(shown) > MOST_IN_A_MENU:
            # Hundreds of choices in each of many menus would outweigh the page.
            number_field.widget = forms.TextInput(
                attrs={"list": "listed-numbers", "inputmode": "tel", "autocomplete": "off"}
            )
        number_field.choices = [("", "Choose a number")] + [
            (number, words.phone_text(number)) for number in shown
        ]

    @property
    def title(self) -> str:
        """How the entry is named: its number as it is read."""
        return words.phone_text(self.phone_number) or "another number"

    def has_own(self, name: str) -> bool:
        """Tell whether a field is filled in here and does not come from the order."""
        unit = next((unit for unit in self.units if name in unit), (name,))
        return any(self.typed(field) for field in unit)

    def clean_number(self) -> str:
        """Return the number these details are for."""
        number: str = self.cleaned_data["number"]
        if said := why_not(number, self.listed, self.is_taken, self.complete):
            raise ValidationError(said)
        return number

    def clean(self) -> dict[str, Any]:
        """Judge what fields say together: an address of its own has to be a whole one."""
        given = super().clean()
        if self.complete:
            for name, sentence in list(gaps(given, set(self.errors))):
                self.add_error(name, sentence)
        return given


def why_not(number: str, listed: Collection[str], is_taken: bool, complete: bool) -> str:
    """Return what is wrong with the number that details are for; "" for nothing."""
    if not number:
        return "Choose the number these details are for, or remove them." if complete else ""
    if number not in listed:
        return "This number is not in the list any more. Choose another."
    if is_taken:
        return "This number has details of its own already. Keep one of them."
    return ""


class Overrides(list[OverrideForm]):
    """The forms that are shown of the entries of a draft, and what all of the entries say."""

    def __init__(
        self,
        entries: Iterable[Mapping[str, Any]],
        numbers: Sequence[str],
        *,
        complete: bool,
        every: bool = False,
        before: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        """Judge all entries and make forms of the first ones and those with a problem, or of all.

        `before` holds by number what Sinch has, for an edit.
        """
        super().__init__()
        self.entries = list(entries)
        self.numbers = list(numbers)
        self.complete = complete
        self._before = before
        self._values: dict[str, dict[str, str]] = {}
        self._places: list[int] = []
        listed, seen = set(numbers), set[str]()
        self._taken: set[int] = set()
        for place, entry in enumerate(self.entries):
            number = str(entry.get("number") or "")
            values, problems = clean_details(entry)
            if number in seen:
                self._taken.add(place)
            self._values.setdefault(number, values)
            bad = problems or why_not(number, listed, number in seen, complete)
            if every or place < SHOWN_AT_FIRST or bad:
                self._show(place)
            seen.add(number)

    def _show(self, place: int) -> OverrideForm:
        entry = self.entries[place]
        number = str(entry.get("number") or "")
        form = OverrideForm(
            entry,
            prefix=str(entry.get("key")),
            numbers=self.numbers,
            saved=entry,
            complete=self.complete,
            taken={number} if place in self._taken else (),
            before=None if self._before is None else self._before.get(number),
        )
        at = bisect(self._places, place)
        self._places.insert(at, place)
        self.insert(at, form)
        return form

    @property
    def total(self) -> int:
        """How many numbers have details of their own, shown or not."""
        return len(self.entries)

    @property
    def rest(self) -> int:
        """How many of them are not shown."""
        return len(self.entries) - len(self)

    def form_of(self, number: str) -> OverrideForm | None:
        """Return the form of a number, which is shown from now on; None for no such entry."""
        for form in self:
            if form.phone_number == number:
                return form
        for place, entry in enumerate(self.entries):
            if entry.get("number") == number:
                return self._show(place)
        return None

    def values_of(self, number: str) -> dict[str, str]:
        """Return the cleaned details of a number as text, by the names of the fields."""
        return self._values.get(number, {})

    def details(self) -> dict[str, dict[str, Any]]:
        """Return what single numbers get of their own, as `bodies.create_body` takes it."""
        return {number: details_body(values) for number, values in self._values.items()}

    @property
    def with_secret(self) -> set[str]:
        """The numbers with a PIN or an account number of their own."""
        return {
            number
            for number, values in self._values.items()
            if values.get("pin") or values.get("account")
        }
