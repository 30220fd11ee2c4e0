"""What staff type on the settings page."""

from typing import Any

import phonenumbers
from django import forms
from django.core.exceptions import ValidationError

from portal.accounts.models import SinchProject, User

# Sinch takes these four and no others. Source: Porting API, "Configuration".
SINCH_ZONES = ("US/Eastern", "US/Central", "US/Mountain", "US/Pacific")
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
    zone = forms.ChoiceField(label="Default zone", choices=[(zone, zone) for zone in SINCH_ZONES])

    @classmethod
    def of(cls, project: SinchProject) -> "ConfigurationForm":
        """Return the form filled with what Sinch has, else with Sinch's own defaults."""
        there: dict[str, Any] = project.porting_configuration or {}
        contact = there.get("contact") or {}
        zone = project.default_port_time_zone
        return cls(
            initial={
                "email": contact.get("email") or "",
                "name": contact.get("name") or "",
                "phone": contact.get("phone") or "",
                "time": project.default_port_time,
                "zone": zone if zone in SINCH_ZONES else SINCH_ZONES[0],
            }
        )

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
