"""Forms of the intake: text that staff typed, turned into values, or told what is wrong with it.

A form is bound to a draft's fields, not to a request: what was typed is saved first and judged
afterwards, so that no refusal can lose it. Secrets are never rendered again; an empty secret
field keeps what is saved.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, time
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError

from orders import dates, papers
from orders.countries import canadian_toll_free
from orders.details import (
    ADDRESS_FIELDS,
    E911_FIELDS,
    E911_KEYS,
    END_USER_KEYS,
    FIELD_WORDS,
    NEEDED_ADDRESS,
    PLACE_KEYS,
    PORT_OUT_KEYS,
    UNITS,
    VOICE_ID_KEYS,
    VOICE_ID_LABELS,
    gaps,
    past_day,
    sections_of,
)
from orders.details import clean_details as clean_details
from orders.details import details_body as details_body
from orders.forms_fields import EndUserFields, ShortText, date_field
from orders.forms_own import Overrides
from portal import words
from portal.numbers import Line, is_canadian, numbers_of
from portal.operations.models import Operation
from portal.values import whole

MAX_NUMBERS: Final = 500
MAX_REFERENCE: Final = 100
# What the page has once for the order itself.
ORDER_FIELDS: Final = (
    "port_date",
    "port_time",
    "port_zone",
    "on_demand",
    "reseller",
    "loa_by",
    "loa_date",
    "reference",
)
ZONES: Final = dates.ZONES
DEFAULT_ZONE: Final = dates.DEFAULT_ZONE


class DetailsForm(EndUserFields):
    """Everything about an order but its numbers: for drafts and for edits."""

    reseller = ShortText(label="Reseller name")
    loa_by = ShortText(label="LOA uploaded by")
    loa_date = date_field("LOA attached on")
    port_date = date_field("Port date")
    port_time = forms.TimeField(
        label="Time",
        required=False,
        input_formats=["%H:%M", "%H:%M:%S", "%I:%M %p"],
        widget=forms.TimeInput(format="%H:%M", attrs={"type": "time"}),
        error_messages={"invalid": "This is no time; write it as 09:00."},
    )
    port_zone = forms.ChoiceField(
        label="Zone",
        required=False,
        choices=[(zone, zone) for zone in ZONES],
        error_messages={"invalid_choice": "Choose one of the four zones."},
    )
    on_demand = forms.BooleanField(
        label="Activate on demand",
        help_text=(
            "We press the button on the port date. Otherwise the numbers go live by themselves."
        ),
        required=False,
    )
    e911_same = forms.BooleanField(
        label="Same as the service address",
        help_text="Each number gets its own when it is sent; what stands below is not sent then.",
        required=False,
    )
    reference = ShortText(
        label="Our reference",
        limit=MAX_REFERENCE,
        help_text="Unique; up to 100 characters. We find the order by it when an answer is lost.",
    )

    units = (*UNITS, *((name,) for name in ORDER_FIELDS))

    def __init__(
        self,
        data: Mapping[str, Any],
        *,
        saved: Mapping[str, str],
        numbers: Sequence[str],
        complete: bool,
        overrides: Overrides | None = None,
        reference_owner: Callable[[str], str] = lambda reference: "",
        needs_secret: bool = True,
        **options: Any,
    ) -> None:
        """Bind the form to typed fields.

        `numbers` are the E.164 numbers of the order; `reference_owner` says whose a reference is
        already, "" for nobody's; `needs_secret` asks for a PIN or an account number. The port
        date is not judged: `advice` coaches, and Sinch decides.
        """
        self.needs_secret = needs_secret
        self.phone_numbers = list(numbers)
        self.overrides = (
            Overrides([], numbers, complete=complete) if overrides is None else overrides
        )
        self.reference_owner = reference_owner
        super().__init__(data, saved=saved, complete=complete, **options)
        self.fields["voice_id"].label = VOICE_ID_LABELS.get(str(data.get("voice", "")), "Trunk id")

    @property
    def canadian(self) -> list[str]:
        """The area codes of the Canadian numbers in the order."""
        return list(dict.fromkeys(n[2:5] for n in self.phone_numbers if is_canadian(n)))

    def clean_service(self) -> str:
        """Return B or R; business is what Sinch takes when nothing is said."""
        return self.cleaned_data["service"] or "B"

    def clean_loa_date(self) -> date | None:
        """Return the day the LOA was attached, which has come."""
        return past_day(self.cleaned_data["loa_date"])

    def clean_reference(self) -> str:
        """Return the reference, if no other order has it."""
        reference: str = self.cleaned_data["reference"]
        if reference and (owner := self.reference_owner(reference)):
            free = next(
                candidate
                for candidate in _variants(reference)
                if not self.reference_owner(candidate)
            )
            raise ValidationError(
                f"{owner} has this reference already; use another, such as {free}."
            )
        return reference

    def clean(self) -> dict[str, Any]:
        """Judge what fields say together."""
        given = super().clean()
        if self.complete:
            # The service address is asked for below, with or without a part of it.
            known = given if not given.get("e911_same") else {**given, **dict.fromkeys(E911_FIELDS)}
            for name, sentence in list(gaps(known, {*self.errors, *NEEDED_ADDRESS})):
                self.add_error(name, sentence)
            self._need("name", *NEEDED_ADDRESS, "port_date")
            if self.needs_secret and not self._everyone_has_a_secret():
                self._need("pin")
            if self.canadian:
                self._need("reseller")
        return self.cleaned_data

    def _everyone_has_a_secret(self) -> bool:
        given = self.cleaned_data
        if self.errors.get("pin") or self.errors.get("account"):
            return True
        if given.get("pin") or given.get("account"):
            return True
        return bool(self.phone_numbers) and self.overrides.with_secret >= set(self.phone_numbers)

    def advice(
        self,
        now: datetime,
        carriers: Iterable[str] = (),
        extra: Mapping[date, str] | None = None,
        dated: Sequence[tuple[str, date | None]] = (),
        countries: Mapping[str, str] | None = None,
    ) -> dates.Advice | None:
        """Return what to know about the port date that stands in the form; None for nothing.

        `extra` are the days off of the project with their names, `dated` the papers there are, as
        (kind, date); without any the signature that is typed stands for the LOA. `countries` are
        those that Sinch names, by number.
        """
        self.is_valid()
        given = self.cleaned_data
        wanted, numbers = given.get("port_date"), self.phone_numbers
        known = dated or [(papers.LOA, given.get("signed_on"))]
        canadian = self._canadian_toll_free(countries or {})
        too_old = (papers.too_old_text(kind, day, wanted, numbers, canadian) for kind, day in known)
        return dates.coach(
            numbers=self.phone_numbers,
            carriers=carriers,
            wanted=given.get("port_date"),
            at=given.get("port_time"),
            zone=given.get("port_zone") or "",
            on_demand=bool(given.get("on_demand")),
            now=now,
            extra=extra,
            papers=[text for text in dict.fromkeys(too_old) if text],
        )

    def _canadian_toll_free(self, countries: Mapping[str, str]) -> list[str]:
        """Return the toll-free numbers that are Canadian, each by the address it has."""
        own = {n: self.overrides.values_of(n) for n in self.phone_numbers}
        by_place: dict[tuple[str, str], list[str]] = {}
        for number, values in own.items():
            has_own = any(values.get(name) for name in ADDRESS_FIELDS)
            place = values if has_own else self.cleaned_data
            key = (place.get("state") or "", place.get("zip") or "")
            by_place.setdefault(key, []).append(number)
        return [
            number
            for place, numbers in by_place.items()
            for number in canadian_toll_free(numbers, countries, *place)
        ]

    def schedule(self) -> dict[str, str]:
        """Return Sinch's desiredPortSchedule. Only after `is_valid`."""
        given = self.cleaned_data
        day: date | None = given.get("port_date")
        at: time | None = given.get("port_time")
        fields = {
            "desiredPortDate": day.isoformat() if day else "",
            "desiredPortTime": f"{at:%H:%M}:00" if at else "",
            "desiredPortTimeZone": given.get("port_zone") or "",
        }
        return {key: value for key, value in fields.items() if value}

    def shared(self) -> dict[str, Any]:
        """Return what every number gets that has no details of its own. Only after `is_valid`."""
        found = sections_of(self.values())
        if self.cleaned_data["e911_same"]:
            found["e911_same"] = True
        return found

    def loa(self) -> dict[str, str]:
        """Return who uploaded the LOA and when, by Sinch's keys. Only after `is_valid`."""
        day: date | None = self.cleaned_data.get("loa_date")
        return {
            "loaUploadedBy": self.cleaned_data.get("loa_by") or "",
            "loaAttachmentDate": day.isoformat() if day else "",
        }

    def override_details(self) -> dict[str, dict[str, Any]]:
        """Return what single numbers get instead, by number. Only after `is_valid`."""
        return self.overrides.details()

    def add_refusal(self, operation: Operation, same: Callable[[str], bool] | None = None) -> None:
        """Put Sinch's words beside the fields they concern, the rest on top.

        `same` tells whether a field still holds what was sent; a field corrected since then is
        not blamed again.
        """
        self.full_clean()
        said = [(v.get("field", ""), v.get("description", "")) for v in operation.violations]
        if not said:
            self.add_error(None, operation.staff_message or "Sinch refused it and did not say why.")
        sent = operation.payload.get("body", {}).get("phoneNumbers", [])
        told: set[tuple[str, str, str]] = set()
        for path, description in said:
            form, name, number = self._blamed(path, sent)
            text = f"Sinch: {description or 'not accepted'}"
            if name == "numbers" and number:
                text = f"{words.phone_text(number)}. {text}"
            if name not in form.fields:
                self._blame(self, None, text if name else f"{text} ({path or 'no field'})", told)
            elif form is not self or not same or same(name):
                self._blame(form, name, text, told)

    @staticmethod
    def _blame(
        form: forms.Form, name: str | None, text: str, told: set[tuple[str, str, str]]
    ) -> None:
        key = (form.prefix or "", name or "", text)
        if key not in told:
            told.add(key)
            form.add_error(name, text)

    def _blamed(self, path: str, sent: Sequence[Mapping[str, Any]]) -> tuple[forms.Form, str, str]:
        """Return the form, the field ("" for none) and the number that a path of Sinch's means."""
        steps = [s for s in re.split(r"[.\[\]/$]+", path) if s]
        at = whole("".join(steps[1:2]), len(sent) - 1)
        number = "" if at is None else str(sent[at].get("phoneNumber", ""))
        name = _field_of(steps)
        own = self.overrides.form_of(number) if number else None
        if own is not None and name in own.fields and own.has_own(name):
            return own, name, number
        return self, name, number

    def open_points(self) -> list[tuple[str, str]]:
        """Return (words, id of the field) of everything that keeps this from being sent."""
        points = [
            (FIELD_WORDS[name][0], self[name].id_for_label)
            for name in self.errors
            if name in FIELD_WORDS and name in self.fields
        ]
        for form in self.overrides:
            points += [
                (
                    f"{FIELD_WORDS.get(name, (name,))[0]} of {words.phone_text(form.phone_number)}",
                    form[name].id_for_label,
                )
                for name in form.errors
                if name in form.fields
            ]
        return points


def _variants(reference: str) -> Iterable[str]:
    for count in range(2, 10_000):
        ending = f"-{count}"
        yield reference[: MAX_REFERENCE - len(ending)] + ending


# Sinch's keys, and the field of ours that holds them.
_FIELD_OF_KEY: Final = {
    "phoneNumbers": "numbers",
    "phoneNumber": "numbers",
    "endUser": "name",
    **{key: name for name, key in END_USER_KEYS.items()},
    **{key: name for name, keys in PLACE_KEYS.items() for key in keys},
    "portOutInfo": "pin",
    **{key: name for name, key in PORT_OUT_KEYS.items()},
    "newPortOutPin": "new_pin",
    "voiceConfiguration": "voice",
    "type": "voice",
    **dict.fromkeys(VOICE_ID_KEYS.values(), "voice_id"),
    "smsConfiguration": "sms_app",
    "smsAppId": "sms_app",
    "desiredPortSchedule": "port_date",
    "desiredPortDate": "port_date",
    "desiredPortTime": "port_time",
    "desiredPortTimeZone": "port_zone",
    "customerOrderReference": "reference",
    "onDemandActivation": "on_demand",
    "resellerName": "reseller",
    "loaUploadedBy": "loa_by",
    "loaAttachmentDate": "loa_date",
}
_FIELD_OF_E911_KEY: Final = {key: name for name, key in E911_KEYS.items()}


def _field_of(steps: Sequence[str]) -> str:
    """Return the field that the steps of a path of Sinch's end in; "" for none of ours."""
    if "e911" in steps:
        return _FIELD_OF_E911_KEY.get(steps[-1], "e911_name")
    if "features" in steps:
        return ""
    known = [step for step in steps if step in _FIELD_OF_KEY]
    return _FIELD_OF_KEY[known[-1]] if known else ""


class DraftForm(DetailsForm):
    """A port-in order that is not one yet: pasted numbers and their details."""

    field_order = ["numbers"]
    is_live = True  # saved as it is typed; its errors come and go
    advised = ("street",)  # and so does what is worth a look here

    numbers = forms.CharField(
        label="Numbers, one a line",
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 9, "spellcheck": "false", "autocomplete": "off"}),
    )

    def __init__(self, data: Mapping[str, Any], *, lines: Sequence[Line], **options: Any) -> None:
        """Bind the form; `lines` is what was read in the numbers."""
        self.lines = lines
        super().__init__(data, numbers=numbers_of(list(lines)), **options)
        self.fields["reference"].help_text += " Left empty, the desk makes one."

    def clean_numbers(self) -> list[str]:
        """Return the distinct E.164 numbers in the order they were typed."""
        numbers = self.phone_numbers
        if self.complete and not self.lines:
            raise ValidationError(FIELD_WORDS["numbers"][1])
        bad = list(dict.fromkeys(line.place for line in self.lines if line.problem))
        if self.complete and bad:
            raise ValidationError(f"Correct {listed(bad)} below, or leave it out.")
        return numbers


def listed(parts: Sequence[str]) -> str:
    """Return "a", "a and b" or "a, b and c"."""
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} and {parts[-1]}"
