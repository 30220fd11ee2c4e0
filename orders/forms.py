"""Forms of the intake: text that staff typed, turned into values, or told what is wrong with it.

A form is bound to a draft's fields, not to a request: what was typed is saved first and judged
afterwards, so that no refusal can lose it. Secrets are never rendered again; an empty secret
field keeps what is saved.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from typing import Any, Final, cast
from zoneinfo import ZoneInfo

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone

from orders import dates
from orders.numbers import Line, is_canadian, numbers_of, read_numbers
from portal import words
from portal.operations.models import Operation

MAX_NUMBERS: Final = 500
MAX_REFERENCE: Final = 100
MAX_TEXT: Final = 100  # characters of any other field; longer ones are a slip of the clipboard

ZONES: Final = dates.ZONES
DEFAULT_ZONE: Final = dates.DEFAULT_ZONE
# The last zone of the US in which a day begins: a date that has come there has come everywhere.
WESTERNMOST: Final = ZoneInfo("Pacific/Honolulu")

_STATE_LETTERS: Final = (
    "AL AK AZ AR CA CO CT DE DC FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV "
    "NH NJ NM NY NC ND OH OK OR PA RI SC SD TN TX UT VT VA WA WV WI WY AS GU MP PR VI"
)
US_STATES: Final = frozenset(_STATE_LETTERS.split())
_PROVINCE_LETTERS: Final = "AB BC MB NB NL NS NT NU ON PE QC SK YT"
CA_PROVINCES: Final = frozenset(_PROVINCE_LETTERS.split())

SERVICES: Final = (("B", "Business"), ("R", "Residential"))
VOICES: Final = (("EST", "SIP trunk (EST)"), ("RTC", "App (RTC)"), ("FAX", "Fax"), ("", "None yet"))
VOICE_ID_LABELS: Final = {"EST": "Trunk id", "RTC": "App id", "FAX": "Service id", "": "Trunk id"}
VOICE_ID_KEYS: Final = {"EST": "trunkId", "RTC": "appId", "FAX": "serviceId"}

SECRET_FIELDS: Final = ("pin", "account")
ADDRESS_FIELDS: Final = ("street_num", "street", "unit", "city", "state", "zip")
NEEDED_ADDRESS: Final = ("street_num", "street", "city", "state", "zip")

# How the sentence under "Send" names a field, and what the field itself says while it is empty.
FIELD_WORDS: Final = {
    "numbers": ("the numbers", "Paste at least one number."),
    "name": ("the name on the bill", "Write the name as it stands on the bill."),
    "street_num": ("the street number", "Write the street number of the service address."),
    "street": ("the street", "Write the street of the service address."),
    "unit": ("the unit", ""),
    "city": ("the city", "Write the city of the service address."),
    "state": ("the state", "Write the two letters of the state, such as WA."),
    "zip": ("the ZIP", "Write the ZIP of the service address."),
    "service": ("the service", "Choose business or residential."),
    "pin": ("the PIN", "Write the port-out PIN, or else the account number."),
    "account": ("the account number", ""),
    "btn": ("the BTN", ""),
    "signer": ("the signer", ""),
    "signed_on": ("the day it was signed", ""),
    "reseller": ("the reseller name", "Canadian numbers need a reseller name."),
    "port_date": ("the port date", "Choose a port date."),
    "port_time": ("the time", "Choose a time, such as 09:00."),
    "port_zone": ("the zone", "Choose a zone."),
    "on_demand": ("activate on demand", ""),
    "voice": ("voice", ""),
    "voice_id": ("the id for voice", ""),
    "sms_app": ("the SMS app", ""),
    "reference": ("the reference", ""),
}

_US_ZIP = re.compile(r"(\d{5})(?:[- ]?(\d{4}))?")
_CA_POSTCODE = re.compile(r"([ABCEGHJ-NPRSTVXY]\d[ABCEGHJ-NPRSTV-Z])[ -]?(\d[ABCEGHJ-NPRSTV-Z]\d)")
_UNIT_NAMES: Final = (
    "apartment apt basement bldg bsmt building department dept fl floor front lobby lot "
    "lower office ofc penthouse ph pier rear rm room side slip space spc ste stop suite "
    "trailer trlr unit upper"
)
_UNIT_WORDS: Final = frozenset(_UNIT_NAMES.split())


class ShortText(forms.CharField):
    """One line of text with a limit that says by how much it was passed."""

    def __init__(self, limit: int = MAX_TEXT, **options: Any) -> None:
        self.limit = limit
        super().__init__(required=False, **options)

    def clean(self, value: Any) -> str:
        """Return the text with its spaces collapsed."""
        text = " ".join(str(super().clean(value)).split())
        if len(text) > self.limit:
            raise ValidationError(f"{len(text)} characters, at most {self.limit}. Shorten it.")
        return text


def _secret_widget() -> forms.PasswordInput:
    return forms.PasswordInput(render_value=False, attrs={"autocomplete": "off"})


def _date_field(label: str, help_text: str = "") -> forms.DateField:
    return forms.DateField(
        label=label,
        help_text=help_text,
        required=False,
        input_formats=["%Y-%m-%d", "%m/%d/%Y", "%m/%d/%y"],
        widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}),
        error_messages={"invalid": "This is no date; write it as 2026-06-18."},
    )


def _attrs(**attrs: str) -> forms.TextInput:
    return forms.TextInput(attrs={name.replace("_", "-"): value for name, value in attrs.items()})


def ends_of(secret: str) -> str:
    """Return what may be seen of a saved account number: its last four, if it is long enough."""
    return secret[-4:] if len(secret) >= 8 else ""


class EndUserFields(forms.Form):
    """Whose number it is, and how the losing carrier knows them."""

    name = ShortText(label="Name on the bill")
    street_num = ShortText(label="Number")
    street = ShortText(label="Street")
    unit = ShortText(label="Unit")
    city = ShortText(label="City")
    state = ShortText(label="State", widget=_attrs(autocapitalize="characters"))
    zip = ShortText(label="ZIP", widget=_attrs(autocomplete="off"))
    pin = ShortText(
        label="Port-out PIN",
        help_text="Kept encrypted; wireless always needs one",
        widget=_secret_widget(),
    )
    account = ShortText(
        label="Account number",
        help_text="From the latest bill",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    btn = ShortText(
        label="BTN", help_text="The number the carrier bills", widget=_attrs(inputmode="tel")
    )
    signer = ShortText(label="Signer")
    signed_on = _date_field("Signed on")

    def __init__(
        self, data: Mapping[str, Any], *, saved: Mapping[str, str], complete: bool, **options: Any
    ) -> None:
        self.saved = {name: saved.get(name, "") for name in SECRET_FIELDS}
        self.complete = complete
        self.cautions: dict[str, list[str]] = {}
        super().__init__(data, **options)
        # A text box shows what it is bound to, and a saved account number is not shown again.
        self._hide_secrets()

    def _hide_secrets(self) -> None:
        hidden = {k: v for k, v in self.data.items() if k not in ("overrides", "sent")}
        for name in SECRET_FIELDS:
            hidden[self.add_prefix(name)] = ""
        self.data = hidden

    @property
    def saved_pin(self) -> bool:
        """Whether a PIN is saved."""
        return bool(self.saved["pin"])

    @property
    def saved_account(self) -> bool:
        """Whether an account number is saved."""
        return bool(self.saved["account"])

    @property
    def account_end(self) -> str:
        """The visible end of the saved account number."""
        return ends_of(self.saved["account"])

    def clean_pin(self) -> str:
        """Return the saved PIN: what is typed is saved before it is judged."""
        return self._secret("pin")

    def clean_account(self) -> str:
        """Return the saved account number."""
        return self._secret("account")

    def _secret(self, name: str) -> str:
        text = " ".join(self.saved[name].split())
        if len(text) > MAX_TEXT:
            # The value itself must not stand in the sentence.
            raise ValidationError(f"{len(text)} characters, at most {MAX_TEXT}. Type it again.")
        return text

    def clean_state(self) -> str:
        """Return the two letters of a US state or a Canadian province."""
        text = self.cleaned_data["state"].upper().replace(".", "")
        if text and text not in US_STATES | CA_PROVINCES:
            raise ValidationError("Two letters of a US state or Canadian province, such as WA.")
        return text

    def clean_zip(self) -> str:
        """Return a ZIP as 98101 or 98101-1234, a postal code as K1A 0B1."""
        text = self.cleaned_data["zip"].upper()
        if not text:
            return ""
        if match := _US_ZIP.fullmatch(text):
            return "-".join(part for part in match.groups() if part)
        if match := _CA_POSTCODE.fullmatch(text):
            return f"{match[1]} {match[2]}"
        raise ValidationError("5 digits, such as 98101; in Canada a code such as K1A 0B1.")

    def clean_btn(self) -> str:
        """Return the billing number in E.164."""
        text = self.cleaned_data["btn"]
        lines = read_numbers(text)
        if not text:
            return ""
        if len(lines) != 1 or not lines[0].number:
            said = lines[0].problem if len(lines) == 1 else "One number only."
            raise ValidationError(said.replace("Correct it here or leave it out.", "").strip())
        return lines[0].number

    def clean_signed_on(self) -> date | None:
        """Return the day of the signature, which has to have come in every zone of the US."""
        day: date | None = self.cleaned_data["signed_on"]
        today = timezone.now().astimezone(WESTERNMOST).date()
        if day and day > today:
            if day == timezone.localdate():
                raise ValidationError(
                    f"Lies in the future for some of the US, where it is still "
                    f"{words.day_text(today)}. Today or earlier there, too."
                )
            raise ValidationError("Lies in the future. Today or earlier.")
        if day and day.year < 1990:
            raise ValidationError(f"The year {day.year} looks like a slip. Correct it.")
        return day

    def _agree_on_country(self) -> None:
        state, code = self.cleaned_data.get("state"), self.cleaned_data.get("zip")
        if state and code and (state in CA_PROVINCES) != bool(_CA_POSTCODE.fullmatch(code)):
            kind = "a Canadian province" if state in CA_PROVINCES else "a US state"
            self.add_error("zip", f"Does not go with {state}, {kind}. Correct one of the two.")

    def _need(self, *names: str) -> None:
        for name in names:
            if not self.errors.get(name) and not self.cleaned_data.get(name):
                self.add_error(name, FIELD_WORDS[name][1])

    def end_user(self) -> dict[str, str]:
        """Return Sinch's endUser of what is filled in. Only after `is_valid`."""
        given = self.cleaned_data
        unit_type, unit = split_unit(given["unit"])
        fields = {
            "name": given["name"],
            "streetNum": given["street_num"],
            "streetName": given["street"],
            "locationType1": unit_type,
            "locationValue1": unit,
            "city": given["city"],
            "state": given["state"],
            "zipCode": given["zip"],
            "typeOfService": given.get("service", ""),
        }
        return {key: value for key, value in fields.items() if value}

    def port_out(self) -> dict[str, str]:
        """Return Sinch's portOutInfo of what is filled in. Only after `is_valid`."""
        given = self.cleaned_data
        fields = {
            "existingPortOutPin": given["pin"],
            "accountNum": given["account"],
            "accountPhoneNumber": given["btn"],
            "authorizingName": given["signer"],
            "authorizingDate": authorizing_moment(given["signed_on"]),
        }
        return {key: value for key, value in fields.items() if value}


def authorizing_moment(day: date | None) -> str:
    """Return a signature's day as a date-time that has passed in every zone of the US.

    Noon UTC is the same calendar day from Maine to Hawaii; on the day itself noon may still be to
    come, and its first minute is taken. Source: Porting API, "Create a port-in order", where the
    format of authorizingDate is uncertain.
    """
    if day is None:
        return ""
    noon = datetime.combine(day, time(12), UTC)
    if noon < timezone.now() and day < timezone.now().astimezone(WESTERNMOST).date():
        return f"{day.isoformat()}T12:00:00Z"
    return f"{day.isoformat()}T00:00:00Z"


def split_unit(unit: str) -> tuple[str, str]:
    """Return Sinch's location type and value of a unit: ("Suite", "210") for "Suite 210"."""
    if not unit:
        return "", ""
    head, _, rest = unit.partition(" ")
    if rest and head.lower().strip(".") in _UNIT_WORDS:
        return head.strip("."), rest
    return "Unit", unit.removeprefix("#").strip() or unit


class DetailsForm(EndUserFields):
    """Everything about an order but its numbers: for drafts and for edits."""

    service = forms.ChoiceField(label="Service", choices=SERVICES, required=False)
    reseller = ShortText(label="Reseller name")
    port_date = _date_field("Port date")
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
    voice = forms.ChoiceField(label="Voice", choices=VOICES, required=False)
    voice_id = ShortText(label="Trunk id")
    sms_app = ShortText(label="SMS app")
    reference = ShortText(
        label="Our reference",
        limit=MAX_REFERENCE,
        help_text="Unique; up to 100 characters. We find the order by it when an answer is lost.",
    )

    def __init__(
        self,
        data: Mapping[str, Any],
        *,
        saved: Mapping[str, str],
        numbers: Sequence[str],
        complete: bool,
        overrides: "Sequence[OverrideForm]" = (),
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
        self.overrides = overrides
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
        given = super().clean() or self.cleaned_data
        self._agree_on_country()
        if given.get("voice") and "voice_id" in given and not given["voice_id"]:
            label = VOICE_ID_LABELS[given["voice"]].lower()
            if self.complete:
                self.add_error("voice_id", f"Write the {label}, or choose “None yet” for voice.")
        if self.complete:
            if given.get("voice_id") and given.get("voice") == "":
                self.add_error("voice", "Choose what the id beside it belongs to, or empty it.")
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
        own = {o.phone_number for o in self.overrides if any(o.saved.values())}
        return bool(self.phone_numbers) and own >= set(self.phone_numbers)

    def advice(self, now: datetime, carriers: Iterable[str] = ()) -> dates.Advice | None:
        """Return what to know about the port date that stands in the form; None for nothing."""
        self.is_valid()
        given = self.cleaned_data
        return dates.coach(
            numbers=self.phone_numbers,
            carriers=carriers,
            wanted=given.get("port_date"),
            at=given.get("port_time"),
            zone=given.get("port_zone") or "",
            on_demand=bool(given.get("on_demand")),
            now=now,
        )

    def schedule(self) -> dict[str, str]:
        """Return Sinch's desiredPortSchedule. Only after `is_valid`."""
        given = self.cleaned_data
        at: time | None = given["port_time"]
        fields = {
            "desiredPortDate": given["port_date"].isoformat() if given["port_date"] else "",
            "desiredPortTime": f"{at:%H:%M}:00" if at else "",
            "desiredPortTimeZone": given["port_zone"],
        }
        return {key: value for key, value in fields.items() if value}

    def shared(self) -> dict[str, dict[str, str]]:
        """Return what every number gets that has no details of its own. Only after `is_valid`."""
        given = self.cleaned_data
        shared = {"end_user": self.end_user(), "port_out": self.port_out()}
        if given["voice"] and given["voice_id"]:
            shared["voice"] = {"type": given["voice"], "id": given["voice_id"]}
        if given["sms_app"]:
            shared["sms"] = {"smsAppId": given["sms_app"]}
        return shared

    def override_details(self) -> dict[str, dict[str, dict[str, str]]]:
        """Return what single numbers get instead, by number. Only after `is_valid`."""
        return {form.phone_number: form.details() for form in self.overrides}

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
        number = ""
        if len(steps) > 1 and steps[1].isdigit() and int(steps[1]) < len(sent):
            number = str(sent[int(steps[1])].get("phoneNumber", ""))
        known = [] if "features" in steps else [s for s in steps if s in _FIELD_OF_KEY]
        name = _FIELD_OF_KEY[known[-1]] if known else ""
        own = next((form for form in self.overrides if form.phone_number == number), None)
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
    "name": "name",
    "streetNum": "street_num",
    "streetName": "street",
    "streetPreDir": "street",
    "streetType": "street",
    "streetPostDir": "street",
    "locationType1": "unit",
    "locationValue1": "unit",
    "locationType2": "unit",
    "locationValue2": "unit",
    "locationType3": "unit",
    "locationValue3": "unit",
    "city": "city",
    "state": "state",
    "zipCode": "zip",
    "typeOfService": "service",
    "portOutInfo": "pin",
    "existingPortOutPin": "pin",
    "accountNum": "account",
    "accountPhoneNumber": "btn",
    "authorizingName": "signer",
    "authorizingDate": "signed_on",
    "voiceConfiguration": "voice",
    "appId": "voice_id",
    "trunkId": "voice_id",
    "serviceId": "voice_id",
    "smsConfiguration": "sms_app",
    "smsAppId": "sms_app",
    "desiredPortSchedule": "port_date",
    "desiredPortDate": "port_date",
    "desiredPortTime": "port_time",
    "desiredPortTimeZone": "port_zone",
    "customerOrderReference": "reference",
    "onDemandActivation": "on_demand",
    "resellerName": "reseller",
}


class DraftForm(DetailsForm):
    """A port-in order that is not one yet: pasted numbers and their details."""

    field_order = ["numbers"]

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
        if len(numbers) > MAX_NUMBERS:
            raise ValidationError(
                f"One order takes at most {MAX_NUMBERS} numbers; these are {len(numbers):,}. "
                "Make a second order of the rest."
            )
        if self.complete and not self.lines:
            raise ValidationError(FIELD_WORDS["numbers"][1])
        bad = list(dict.fromkeys(line.place for line in self.lines if line.problem))
        if self.complete and bad:
            raise ValidationError(f"Correct {listed(bad)} below, or leave it out.")
        return numbers


class OverrideForm(EndUserFields):
    """Details of a single number that differ from those of the order; empty ones do not."""

    number = forms.ChoiceField(label="Number", required=False)
    field_order = ["number"]

    def __init__(
        self,
        data: Mapping[str, Any],
        *,
        prefix: str,
        numbers: Sequence[str],
        saved: Mapping[str, str],
        complete: bool,
        taken: Iterable[str] = (),
    ) -> None:
        """Bind to one entry of a draft; `taken` are numbers with details of their own already."""
        self.key = prefix
        self.phone_number = str(data.get("number", ""))
        self.listed = set(numbers)
        self.taken = set(taken)
        super().__init__(
            {f"{prefix}-{name}": value for name, value in data.items()},
            saved=saved,
            complete=complete,
            prefix=prefix,
        )
        shown = list(numbers)
        if self.phone_number and self.phone_number not in self.listed:
            shown.append(self.phone_number)
        cast(forms.ChoiceField, self.fields["number"]).choices = [("", "Choose a number")] + [
            (number, words.phone_text(number)) for number in shown
        ]

    @property
    def title(self) -> str:
        """How the entry is named: its number as it is read."""
        return words.phone_text(self.phone_number) or "another number"

    def has_own(self, name: str) -> bool:
        """Tell whether a field is filled in here and does not come from the order."""
        if name in SECRET_FIELDS:
            return bool(self.saved[name])
        if name in ADDRESS_FIELDS:
            return any(self.data.get(self.add_prefix(field)) for field in ADDRESS_FIELDS)
        return bool(self.data.get(self.add_prefix(name)))

    def clean_number(self) -> str:
        """Return the number these details are for."""
        number: str = self.cleaned_data["number"]
        if not number:
            if self.complete:
                raise ValidationError("Choose the number these details are for, or remove them.")
        elif number not in self.listed:
            raise ValidationError("This number is not in the list any more. Choose another.")
        elif number in self.taken:
            raise ValidationError("This number has details of its own already. Keep one of them.")
        return number

    def clean(self) -> dict[str, Any]:
        """Judge what fields say together: an address of its own has to be a whole one."""
        given = super().clean() or self.cleaned_data
        self._agree_on_country()
        if self.complete and any(given.get(name) for name in ADDRESS_FIELDS):
            self._need(*NEEDED_ADDRESS)
        return self.cleaned_data

    def details(self) -> dict[str, dict[str, str]]:
        """Return what this number gets instead, by Sinch's keys. Only after `is_valid`."""
        end_user = self.end_user()
        if self.has_own_address:
            # An address of its own without a unit must not inherit the unit of the order's.
            end_user = {"locationType1": "", "locationValue1": ""} | end_user
        found = {"end_user": end_user, "port_out": self.port_out()}
        return {group: fields for group, fields in found.items() if fields}

    @property
    def has_own_address(self) -> bool:
        """Whether the whole address comes from here. Only after `is_valid`."""
        return any(self.cleaned_data.get(name) for name in ADDRESS_FIELDS)


def listed(parts: Sequence[str]) -> str:
    """Return "a", "a and b" or "a, b and c"."""
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} and {parts[-1]}"
