"""Fields of the intake's forms, and the form of a number's details that they make."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, cast

from django import forms

from orders.details import (
    ADDRESS_FIELDS,
    DETAIL_FIELDS,
    E911_FIELDS,
    FIELD_WORDS,
    MAX_TEXT,
    PLACES,
    READERS,
    SECRET_FIELDS,
    SERVICES,
    STREET_PARTS,
    UNITS,
    VOICES,
    clashes,
    past_day,
    short_text,
    street_doubts,
    street_line,
)


class ShortText(forms.CharField):
    """One line of text with a limit that says by how much it was passed."""

    def __init__(self, limit: int = MAX_TEXT, reads: str = "", **options: Any) -> None:
        """Make a field; `reads` names the one of `details.READERS` that its text goes through."""
        self.limit = limit
        self.reader = READERS.get(reads)
        super().__init__(required=False, **options)

    def clean(self, value: Any) -> str:
        """Return the text with its spaces collapsed, read as what it stands for."""
        text = short_text(super().clean(value), self.limit)
        return self.reader(text) if self.reader else text


def secret_widget() -> forms.PasswordInput:
    return forms.PasswordInput(render_value=False, attrs={"autocomplete": "off"})


def date_field(label: str, help_text: str = "") -> forms.DateField:
    return forms.DateField(
        label=label,
        help_text=help_text,
        required=False,
        input_formats=["%Y-%m-%d", "%m/%d/%Y", "%m/%d/%y"],
        widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}),
        error_messages={"invalid": "This is no date; write it as 2026-06-18."},
    )


def attrs_of(**attrs: str) -> forms.TextInput:
    return forms.TextInput(attrs={name.replace("_", "-"): value for name, value in attrs.items()})


def ends_of(secret: str) -> str:
    """Return what may be seen of a saved account number: its last four, if it is long enough."""
    return secret[-4:] if len(secret) >= 8 else ""


class EndUserFields(forms.Form):
    """Whose number it is, how the losing carrier knows them, and what it gets at Sinch."""

    name = ShortText(label="Name on the bill")
    service = forms.ChoiceField(label="Service", choices=SERVICES, required=False)
    street_num = ShortText(label="Number")
    street_pre = ShortText(label="Direction before")
    street = ShortText(label="Street")
    street_type = ShortText(label="Street type")
    street_post = ShortText(label="Direction after")
    unit = ShortText(label="Unit")
    place2 = ShortText(label="Second unit")
    place3 = ShortText(label="Third unit")
    city = ShortText(label="City")
    state = ShortText(label="State", reads="state", widget=attrs_of(autocapitalize="characters"))
    zip = ShortText(label="ZIP", reads="zip", widget=attrs_of(autocomplete="off"))
    pin = ShortText(
        label="Port-out PIN",
        help_text="Kept encrypted; wireless always needs one",
        widget=secret_widget(),
    )
    account = ShortText(
        label="Account number",
        help_text="From the latest bill",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    btn = ShortText(
        label="BTN",
        reads="btn",
        help_text="The number the carrier bills",
        widget=attrs_of(inputmode="tel"),
    )
    signer = ShortText(label="Signer")
    signed_on = date_field("Signed on")
    new_pin = ShortText(
        label="New PIN",
        help_text="Protects the number once it is at Sinch; kept encrypted",
        widget=secret_widget(),
    )
    voice = forms.ChoiceField(label="Voice", choices=VOICES, required=False)
    voice_id = ShortText(label="Trunk id")
    sms_app = ShortText(label="SMS app")
    e911_name = ShortText(label="E911 name")
    e911_street_num = ShortText(label="E911 number")
    e911_street = ShortText(label="E911 street")
    e911_location = ShortText(label="E911 location")
    e911_city = ShortText(label="E911 city")
    e911_state = ShortText(
        label="E911 state", reads="e911_state", widget=attrs_of(autocapitalize="characters")
    )
    e911_zip = ShortText(label="E911 ZIP", reads="e911_zip", widget=attrs_of(autocomplete="off"))
    e911_zip4 = ShortText(label="E911 ZIP, last four", reads="e911_zip4")

    # What is judged together; an order adds its own.
    units: tuple[tuple[str, ...], ...] = UNITS

    def __init__(
        self,
        data: Mapping[str, Any],
        *,
        saved: Mapping[str, str],
        complete: bool,
        before: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        """Bind to typed fields.

        `complete` asks for what is missing. `before` are the fields of an order that Sinch has:
        what Sinch took once and nobody has changed is not judged again.
        """
        self.saved = {name: saved.get(name, "") for name in SECRET_FIELDS}
        self.complete = complete
        self.before = before
        self.cautions: dict[str, list[str]] = {}
        # The emergency address as Sinch has validated it: (label, value), shown beside ours.
        self.validated: list[tuple[str, str]] = []
        super().__init__(data, **options)
        # A text box shows what it is bound to, and a saved account number is not shown again.
        self._hide_secrets()
        if before is not None:
            self._offer_what_is_there()

    def _hide_secrets(self) -> None:
        hidden = {k: v for k, v in self.data.items() if k not in ("overrides", "sent")}
        for name in SECRET_FIELDS:
            hidden[self.add_prefix(name)] = ""
        self.data = hidden

    def _offer_what_is_there(self) -> None:
        """Let a word that Sinch has and we do not know be chosen, so that it can stay."""
        for name in ("service", "voice"):
            field, word = cast(forms.ChoiceField, self.fields[name]), self.typed(name)
            known = cast("list[tuple[str, str]]", field.choices)
            if word and self._is_unchanged((name,)) and word not in dict(known):
                field.choices = [*known, (word, f"{word}, as Sinch has it")]

    def typed(self, name: str) -> str:
        """Return the text a field is bound to, its spaces collapsed; of a secret what is saved."""
        value = self.saved[name] if name in SECRET_FIELDS else self.data.get(self.add_prefix(name))
        return " ".join(str(value or "").split())

    def _is_unchanged(self, unit: Sequence[str]) -> bool:
        before = self.before or {}
        return all(" ".join(str(before.get(n) or "").split()) == self.typed(n) for n in unit)

    @property
    def saved_pin(self) -> bool:
        """Whether a PIN is saved."""
        return bool(self.saved["pin"])

    @property
    def saved_account(self) -> bool:
        """Whether an account number is saved."""
        return bool(self.saved["account"])

    @property
    def saved_new_pin(self) -> bool:
        """Whether a PIN for the time at Sinch is saved."""
        return bool(self.saved["new_pin"])

    @property
    def account_end(self) -> str:
        """The visible end of the saved account number."""
        return ends_of(self.saved["account"])

    @property
    def street_parts(self) -> str:
        """The street in one line, when it is held in several parts; "" otherwise."""
        values = {name: self.typed(name) for name in ADDRESS_FIELDS}
        return street_line(values) if any(values[name] for name in STREET_PARTS) else ""

    @property
    def shows_parts(self) -> bool:
        """Whether the parts of the address are in use, so that they are not folded away."""
        return any(self.typed(n) or n in self.errors for n in (*STREET_PARTS, *PLACES[1:]))

    @property
    def shows_e911(self) -> bool:
        """Whether an emergency address is there, so that it is not folded away."""
        same = self.data.get(self.add_prefix("e911_same"))
        return bool(same) or any(self.typed(n) or n in self.errors for n in E911_FIELDS)

    @property
    def shows_routing(self) -> bool:
        """Whether something is said of what the number gets at Sinch."""
        names = ("voice", "voice_id", "sms_app", "new_pin")
        return any(self.typed(name) or name in self.errors for name in names)

    def clean_pin(self) -> str:
        """Return the saved PIN: what is typed is saved before it is judged."""
        return self._secret("pin")

    def clean_new_pin(self) -> str:
        """Return the saved PIN that the number will have at Sinch."""
        return self._secret("new_pin")

    def clean_account(self) -> str:
        """Return the saved account number."""
        return self._secret("account")

    def _secret(self, name: str) -> str:
        return short_text(self.saved[name], is_secret=True)

    def clean_signed_on(self) -> date | None:
        """Return the day of the signature, which has to have come in every zone of the US."""
        return past_day(self.cleaned_data["signed_on"])

    def clean(self) -> dict[str, Any]:
        """Judge what fields say together."""
        given = super().clean() or self.cleaned_data
        for name, sentence in list(clashes(given)):
            self.add_error(name, sentence)
        if doubts := list(street_doubts(given)):
            self.cautions["street"] = doubts
        return given

    def full_clean(self) -> None:
        """Judge everything but what Sinch has taken before and nobody has changed."""
        super().full_clean()
        if self.before is None:
            return
        for unit in self.units:
            if self._is_unchanged(unit):
                for name in unit:
                    # What is missing is asked for all the same; in E911 Sinch asks for nothing.
                    if self.typed(name) or name in E911_FIELDS:
                        self.errors.pop(name, None)

    def _need(self, *names: str) -> None:
        for name in names:
            if not self.errors.get(name) and not self.cleaned_data.get(name):
                self.add_error(name, FIELD_WORDS[name][1])

    def values(self) -> dict[str, str]:
        """Return the cleaned details as text, by the names of the fields. Only after cleaning."""
        given = self.cleaned_data
        return {
            name: value.isoformat() if isinstance(value, date) else str(value)
            for name in DETAIL_FIELDS
            if (value := given.get(name))
        }
