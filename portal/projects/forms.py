"""What staff type on the settings page."""

from collections.abc import Mapping
from datetime import date
from typing import Any

import phonenumbers
from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone

from portal.accounts.models import SinchProject, User
from portal.operations.models import Operation
from portal.sinch.payloads import PORT_ZONES

# Where staff and their numbers are; which of them Sinch ports in is in PORT_ZONES.
ZONES = {
    "US/Eastern": "Eastern",
    "US/Central": "Central",
    "US/Mountain": "Mountain",
    "US/Pacific": "Pacific",
    "America/Phoenix": "Arizona",
    "America/Anchorage": "Alaska",
    "Pacific/Honolulu": "Hawaii",
    "America/Halifax": "Atlantic",
    "America/St_Johns": "Newfoundland",
    "UTC": "UTC",
    "Europe/London": "London",
    "Europe/Berlin": "Berlin",
    "Asia/Manila": "Manila",
    "Asia/Kolkata": "India",
    "Australia/Sydney": "Sydney",
}


class AccountForm(forms.Form):
    """A person's own name and time zone."""

    first_name = forms.CharField(max_length=150, required=False, strip=True)
    last_name = forms.CharField(max_length=150, required=False, strip=True)
    time_zone = forms.ChoiceField(
        choices=list(ZONES.items()), help_text="Times without a zone of their own are told in it."
    )

    @classmethod
    def of(cls, person: User) -> "AccountForm":
        """Return the form filled with what is kept."""
        form = cls(
            initial={
                "first_name": person.first_name,
                "last_name": person.last_name,
                "time_zone": person.time_zone,
            }
        )
        field = form.fields["time_zone"]
        assert isinstance(field, forms.ChoiceField)
        if person.time_zone not in ZONES:
            field.choices = [(person.time_zone, person.time_zone), *ZONES.items()]
        return form

    def keep(self, person: User) -> None:
        """Store the values of a valid form."""
        for name, value in self.cleaned_data.items():
            setattr(person, name, value)
        person.save(update_fields=list(self.cleaned_data))


class ConfigurationForm(forms.Form):
    """What Sinch keeps for a project beside the webhook address."""

    # Where Sinch's word for a field ends, in the order in which they are tried.
    _SINCHS = (
        ("defaultPortTimeZone", "zone"),
        ("defaultPortTime", "time"),
        ("email", "email"),
        ("phone", "phone"),
        ("name", "name"),
    )

    email = forms.EmailField(
        label="Contact e-mail", max_length=200, help_text="Whom Sinch asks about ports."
    )
    name = forms.CharField(label="Contact name", max_length=100, required=False)
    phone = forms.CharField(label="Contact phone", max_length=30, required=False)
    time = forms.TimeField(
        label="Default time",
        widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M"),
        error_messages={"invalid": "A time such as 09:00."},
    )
    zone = forms.ChoiceField(label="Default zone", choices=[(zone, zone) for zone in PORT_ZONES])

    @classmethod
    def of(cls, project: SinchProject, ours: dict[str, Any] | None = None) -> "ConfigurationForm":
        """Return the form filled with what Sinch has, else with Sinch's own defaults.

        With `ours`, what this desk last had written, it is filled with that.
        """
        if ours:
            return cls(initial=cls._typed(ours))
        there: dict[str, Any] = project.porting_configuration or {}
        contact = there.get("contact") or {}
        zone = project.default_port_time_zone
        return cls(
            initial={
                "email": contact.get("email") or "",
                "name": contact.get("name") or "",
                "phone": contact.get("phone") or "",
                "time": project.default_port_time,
                "zone": zone if zone in PORT_ZONES else PORT_ZONES[0],
            }
        )

    @staticmethod
    def _typed(sent: dict[str, Any]) -> dict[str, str]:
        contact = sent.get("contact") or {}
        return {
            **{name: str(contact.get(name) or "") for name in ("email", "name", "phone")},
            "time": str(sent.get("defaultPortTime") or "")[:5],
            "zone": str(sent.get("defaultPortTimeZone") or ""),
        }

    @classmethod
    def refused(
        cls, operation: Operation, sends: Mapping[str, Any] | None
    ) -> "ConfigurationForm | None":
        """Return the form as it was sent, with Sinch's refusals beside their fields.

        `sends` is the operation's payload, None where it cannot be read. None when Sinch named no
        field of it.
        """
        sent = (sends or {}).get("configuration") or {}
        if "contact" not in sent:
            return None
        form = cls(cls._typed(sent))
        form.is_valid()
        for violation in operation.violations:
            said = str(violation.get("field") or "")
            name = next((ours for sinchs, ours in cls._SINCHS if said.endswith(sinchs)), None)
            if name:
                form.add_error(name, f"Sinch: “{violation.get('description') or said}”")
        return form if form.errors else None

    def clean_phone(self) -> str:
        """Return the number in E.164, "" for none."""
        text = self.cleaned_data["phone"]
        if not text:
            return ""
        try:
            number = phonenumbers.parse(text, "US")
        except phonenumbers.NumberParseException as error:
            raise ValidationError("A phone number such as +1 206 555 0142.") from error
        if not phonenumbers.is_possible_number(number):
            raise ValidationError("A phone number such as +1 206 555 0142.")
        return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


class DayOffForm(forms.Form):
    """A day on which nobody works, beside the public holidays."""

    day = forms.DateField(
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        error_messages={"invalid": "A day such as 2026-12-24.", "required": "Which day?"},
    )
    day_name = forms.CharField(
        label="Name",
        max_length=60,
        error_messages={"required": "What the day is called, such as Christmas Eve."},
    )

    def clean_day(self) -> date:
        """Return a day that is still to come, and not absurdly far."""
        day: date = self.cleaned_data["day"]
        today = timezone.localdate()
        if day < today:
            raise ValidationError("This day has passed; only days to come are counted.")
        if day.year > today.year + 5:
            raise ValidationError("A day within the next five years.")
        if day.weekday() > 4:
            raise ValidationError("A weekend; nobody works then anyway.")
        return day
