"""The three guided forms of a hosting order: text that staff typed, turned into values.

A form is bound to a draft's fields, not to a request: what was typed is saved first and judged
afterwards, so that no refusal can lose it.
"""

import re
from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Any, Final
from zoneinfo import ZoneInfo

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils import timezone

from hosting.models import HostingDraft, HostingOrder
from portal import words
from portal.addresses import (
    CA_PROVINCES,
    PO_BOX,
    is_canadian_code,
    names_po_box,
    state_of,
    zip_of,
)
from portal.operations.models import Operation

Kind = HostingDraft.Kind
Loa = HostingOrder.Loa
LOAS: Final = (
    (Loa.DIRECT, "Direct", "The end user owns the numbers and signs for itself"),
    (Loa.RESELLER, "Reseller", "You sell to the end user; its business is named on the LOA"),
    (Loa.BLANKET, "Blanket", "Agreed with your Sinch account manager; nobody signs now"),
)
TICKS: Final = ("migrate", "left_provider")
MAX_TEXT: Final = 100
_ID: Final = re.compile(r"[A-Za-z0-9_.:-]{1,100}")

# Where Sinch's word for a field is on the form.
_SINCHS: Final = {
    "displayName": "display_name",
    "regionCode": "region",
    "numbers": "numbers",
    "servicePlanId": "plan",
    "campaignId": "campaign",
    "nnid": "nnid",
    "firstName": "first_name",
    "lastName": "last_name",
    "email": "email",
    "buildingNumber": "building",
    "street": "street",
    "city": "city",
    "state": "state",
    "postalCode": "postal",
    "country": "country",
    "currentVoiceCarrier": "carrier",
    "businessName": "business",
    "scheduledOsrUpdateTime": "on_date",
    "scheduledZipwhipProvisioningTime": "on_date",
    "migrateToSinchTmo": "migrate",
}

# How the sentence under "Send" names a field.
FIELD_WORDS: Final = {
    "numbers": "the numbers",
    "display_name": "the name of the order",
    "region": "the country of the numbers",
    "plan": "the service plan",
    "campaign": "the 10DLC campaign",
    "loa": "who signs the LOA",
    "business": "the end user’s business name",
    "first_name": "the signer’s first name",
    "last_name": "the signer’s last name",
    "email": "the signer’s e-mail",
    "email2": "the e-mail once more",
    "building": "the street number",
    "street": "the street",
    "city": "the city",
    "state": "the state",
    "postal": "the ZIP or postal code",
    "country": "the country of the address",
    "carrier": "the current voice carrier",
    "nnid": "the other routing id",
    "on_date": "the day it is wanted",
    "at_time": "the time it is wanted",
    "migrate": "the move at T-Mobile",
    "left_provider": "the customer’s word that they left",
}


def _text(label: str, limit: int = MAX_TEXT, **options: Any) -> forms.CharField:
    return forms.CharField(
        label=label,
        required=False,
        max_length=limit,
        error_messages={"max_length": f"At most {limit} characters fit."},
        **options,
    )


class DraftForm(forms.Form):
    """Everything about a hosting order but its numbers; which fields count says its kind.

    With `complete` what is missing is wrong as well. `zone` is the one times are typed in.
    """

    is_live = True  # saved as it is typed; its errors come and go
    advised = ("street", "on_date", "at_time")  # and so does what is worth a look here

    numbers = forms.CharField(
        label="Numbers",
        required=False,
        widget=forms.Textarea(attrs={"rows": 6, "spellcheck": "false"}),
        help_text="Paste them as they come; any spelling of a US or Canadian number works.",
    )
    display_name = _text(
        "Name of the order",
        80,
        help_text="How your team and Sinch find it again. Without one the desk makes one.",
    )
    region = forms.ChoiceField(
        label="Country of the numbers",
        required=False,
        choices=[("", "As the numbers say"), ("US", "United States"), ("CA", "Canada")],
    )
    plan = _text("Service plan", widget=forms.TextInput(attrs={"list": "plans"}))
    campaign = _text("10DLC campaign", widget=forms.TextInput(attrs={"list": "campaigns"}))
    loa = forms.ChoiceField(label="Who signs the LOA", required=False, choices=[])
    business = _text("End user’s business name")
    first_name = _text("First name", 60, widget=forms.TextInput(attrs={"autocomplete": "off"}))
    last_name = _text("Last name", 60, widget=forms.TextInput(attrs={"autocomplete": "off"}))
    email = _text(
        "E-mail", 254, widget=forms.EmailInput(attrs={"autocomplete": "off", "spellcheck": "false"})
    )
    email2 = _text(
        "E-mail once more",
        254,
        widget=forms.EmailInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    building = _text("Number", 20)
    street = _text("Street")
    city = _text("City")
    state = _text("State", 20, help_text="Two letters")
    postal = _text("ZIP or postal code", 12)
    country = forms.ChoiceField(
        label="Country", required=False, choices=[("US", "US"), ("CA", "CA")]
    )
    carrier = _text("Current voice carrier")
    nnid = _text(
        "Another routing id (NNID)",
        20,
        help_text="Only one that your account manager agreed; else leave it empty.",
    )
    on_date = forms.DateField(
        label="Routing change on",
        required=False,
        input_formats=["%Y-%m-%d", "%m/%d/%Y"],
        widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}),
        error_messages={"invalid": "This is no date; write it as 2026-12-18."},
    )
    at_time = forms.TimeField(
        label="at",
        required=False,
        input_formats=["%H:%M", "%H:%M:%S", "%I:%M %p"],
        widget=forms.TimeInput(format="%H:%M", attrs={"type": "time"}),
        error_messages={"invalid": "This is no time; write it as 09:00."},
    )
    migrate = forms.BooleanField(
        label="Move them to Sinch at T-Mobile",
        required=False,
        help_text="Only for numbers that failed with 60135: another provider holds them there.",
    )
    left_provider = forms.BooleanField(
        label="The customer confirmed in writing that they left the other provider",
        required=False,
        help_text="Moving a number that is still in use there stops its messages.",
    )

    def __init__(
        self,
        data: Mapping[str, Any],
        *,
        kind: str,
        zone: str,
        complete: bool,
        now: datetime | None = None,
    ) -> None:
        self.kind, self.complete = kind, complete
        self.zone = zone
        self.now = now or timezone.now()
        self.cautions: dict[str, list[str]] = {}
        self.scheduled_at: datetime | None = None
        super().__init__(data, auto_id="id_%s", use_required_attribute=False)
        loa = self.fields["loa"]
        assert isinstance(loa, forms.ChoiceField)
        loa.choices = [(value, label) for value, label, _ in self.loas]
        if kind == Kind.TOLL_FREE:
            self.fields["on_date"].label = "Provisioning on"

    @property
    def loas(self) -> list[tuple[str, str, str]]:
        """The kinds of LOA there are: value, label, what it means. Imports have none."""
        if self.kind == Kind.IMPORT:
            return []
        return [row for row in LOAS if self.kind == Kind.TEXT_ENABLE or row[0] != Loa.BLANKET]

    @property
    def chosen_loa(self) -> str:
        """The kind of LOA that is chosen, direct where nothing is said."""
        said = str(self.data.get("loa") or "")
        return said if said in {row[0] for row in self.loas} else str(Loa.DIRECT)

    @property
    def is_signed(self) -> bool:
        """Whether somebody has to sign."""
        return self.kind != Kind.IMPORT and self.chosen_loa != Loa.BLANKET

    def clean_plan(self) -> str:
        """Return the id of the service plan, which has no spaces."""
        return self._id("plan")

    def clean_campaign(self) -> str:
        """Return the id of the campaign."""
        return "" if self.kind == Kind.TOLL_FREE else self._id("campaign")

    def clean_nnid(self) -> str:
        """Return the routing id."""
        return self._id("nnid") if self.kind == Kind.TEXT_ENABLE else ""

    def _id(self, name: str) -> str:
        value: str = self.cleaned_data[name]
        if value and not _ID.fullmatch(value):
            raise ValidationError("An id has letters and digits and no spaces; copy it from Sinch.")
        return value

    def clean_email(self) -> str:
        """Return an address that can be one."""
        value: str = self.cleaned_data["email"]
        if value:
            try:
                validate_email(value)
            except ValidationError as error:
                raise ValidationError(
                    "This is no e-mail address; write it as name@company.example."
                ) from error
        return value

    def clean_state(self) -> str:
        """Return the two letters of a state or a province; nobody sees it when nobody signs."""
        value: str = self.cleaned_data["state"]
        return state_of(value) if self.is_signed else value

    def clean_postal(self) -> str:
        """Return a ZIP or a postal code; nobody sees it when nobody signs."""
        value: str = self.cleaned_data["postal"]
        return zip_of(value) if self.is_signed else value

    def clean(self) -> dict[str, Any]:
        """Judge what fields say together."""
        given = super().clean() or {}
        self._two_addresses(given)
        self._service_address(given)
        self._schedule(given)
        if self.complete:
            self._need("plan")
            if self.is_signed:
                self._need(
                    "first_name",
                    "last_name",
                    "email",
                    "email2",
                    "building",
                    "street",
                    "city",
                    "state",
                    "postal",
                    "carrier",
                )
                if self.chosen_loa == Loa.RESELLER:
                    self._need("business")
            if self.kind == Kind.IMPORT and given.get("migrate") and not given.get("left_provider"):
                self.add_error(
                    "left_provider",
                    "Tick this once the customer has said so in writing; else leave the move out.",
                )
        return self.cleaned_data

    def _need(self, *names: str) -> None:
        for name in names:
            if name not in self.errors and not self.cleaned_data.get(name):
                label = str(self.fields[name].label)
                self.add_error(name, f"{label}: this is needed.")

    def _two_addresses(self, given: dict[str, Any]) -> None:
        first, second = given.get("email") or "", given.get("email2") or ""
        if first and second and first.casefold() != second.casefold() and self.is_signed:
            said = _difference(first, second)
            self.add_error("email2", f"Not the same{said}. A wrong address stalls the order.")

    def _service_address(self, given: dict[str, Any]) -> None:
        if not self.is_signed:
            return
        is_there = given.get("country") == "CA"
        where = "Canada" if is_there else "the US"
        for name, value, is_canadian in (
            ("state", state := given.get("state"), state in CA_PROVINCES),
            ("postal", code := given.get("postal"), is_canadian_code(code or "")),
        ):
            if value and is_canadian != is_there:
                self.add_error(name, f"Does not go with {where}. Correct it or the country.")
        if names_po_box(f"{given.get('building') or ''} {given.get('street') or ''}"):
            self._caution("street", PO_BOX)

    def _schedule(self, given: dict[str, Any]) -> None:
        day, at = given.get("on_date"), given.get("at_time")
        if self.kind == Kind.IMPORT or (day is None and at is None):
            return
        if day is None and "on_date" not in self.errors:
            self.add_error("on_date", "A time needs its day; or leave both empty.")
        if day is None:
            return
        self.scheduled_at = moment = self._moment(day, at or time(9))
        if moment is None:
            return
        if moment <= self.now:
            self._caution("on_date", "This has passed; Sinch will begin as soon as it can.")
        if moment.astimezone(ZoneInfo(self.zone)).weekday() > 4:
            self._caution("on_date", "A weekend: nobody is there to repair it.")
        if self.is_signed and 0 < (moment - self.now).total_seconds() < 86400:
            later = (
                " the time moves to the next day"
                if self.kind == Kind.TOLL_FREE
                else (" Sinch does not say what becomes of the time")
            )
            self._caution("on_date", f"Within a day: if the LOA is signed later,{later}.")
        if at is None:
            self._caution("at_time", "Without a time 09:00 is sent.")

    def _moment(self, day: date, at: time) -> datetime | None:
        zone = ZoneInfo(self.zone)
        local = datetime.combine(day, at, zone)
        back = local.astimezone(ZoneInfo("UTC")).astimezone(zone)
        if back.replace(tzinfo=None) != local.replace(tzinfo=None):
            self.add_error(
                "at_time", "This time does not exist on that day: clocks go forward over it."
            )
            return None
        if local.utcoffset() != local.replace(fold=1).utcoffset():
            self._caution("at_time", "This hour comes twice on that day; the first is meant.")
        return local

    def _caution(self, name: str, text: str) -> None:
        self.cautions.setdefault(name, []).append(text)

    @property
    def scheduled_text(self) -> str:
        """The scheduled time in the reader's zone and as it is sent; "" without one."""
        if self.scheduled_at is None:
            return ""
        here = words.moment_text(self.scheduled_at, self.zone)
        return f"{here}, sent to Sinch as {words.moment_text(self.scheduled_at, 'UTC')}"

    def add_refusal(self, operation: Operation) -> None:
        """Put what Sinch refused beside the fields it named; the rest stays with the operation."""
        for violation in operation.violations:
            said = str(violation.get("field") or "")
            key = re.sub(r"\[\d+\]$", "", said).rsplit(".", 1)[-1]
            name = _SINCHS.get(key)
            if name and name in self.fields:
                self.add_error(name, f"Sinch: “{violation.get('description') or said}”")


class LeftForm(forms.Form):
    """The customer's written word that held numbers left their other provider at T-Mobile."""

    left = forms.BooleanField(
        label="The customer confirmed in writing that they left the other provider",
        help_text="Required. Moving a number that is still in use there stops its messages.",
        error_messages={
            "required": "Tick that the customer confirmed it in writing; else ask them first."
        },
    )
    by = forms.CharField(
        label="Confirmed by",
        max_length=MAX_TEXT,
        error_messages={
            "required": "Name who confirmed it.",
            "max_length": f"At most {MAX_TEXT} characters fit.",
        },
    )
    on = forms.DateField(
        label="On",
        input_formats=["%Y-%m-%d", "%m/%d/%Y"],
        widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}),
        error_messages={
            "required": "Name the day on which they confirmed it.",
            "invalid": "This is no date; write it as 2026-12-18.",
        },
    )

    def __init__(self, data: Mapping[str, Any] | None = None, *, signer: str) -> None:
        """Bind to what was typed; `signer` is whose word it mostly is."""
        today = timezone.localdate()
        super().__init__(
            data,
            initial={"by": signer, "on": today},
            auto_id="left-%s",
            use_required_attribute=False,
        )
        self.fields["on"].widget.attrs["max"] = today.isoformat()
        for one in self.fields.values():
            one.widget.attrs["hx-preserve"] = True  # news of the order come while somebody types

    def clean_on(self) -> date:
        """Return a day that has come."""
        day: date = self.cleaned_data["on"]
        if day > timezone.localdate():
            raise ValidationError("The day lies ahead; when did they confirm it?")
        return day

    def full_clean(self) -> None:
        """Judge it; the first field that is wrong takes the focus."""
        super().full_clean()
        for name in list(self.errors)[:1]:
            self.fields[name].widget.attrs["data-focus"] = True


def _difference(first: str, second: str) -> str:
    """Return the parts in which two addresses differ: `: “milbrook” here, “millbrook” above`."""
    ours, theirs = re.split(r"([@.])", first), re.split(r"([@.])", second)
    for one, other in zip(ours, theirs, strict=False):
        if one.casefold() != other.casefold():
            return f": “{other}” here, “{one}” above"
    return ""
