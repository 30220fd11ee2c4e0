"""Forms of what is kept for new orders: an end user, and a routing."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Final

from django import forms

from orders.details import (
    E911_FIELDS,
    PLACES,
    SERVICES,
    STREET_PARTS,
    VOICES,
    clean_details,
)
from orders.edits import dots
from orders.profiles import END_USERS, ROUTINGS, Kind

LONGEST_NAME: Final = 100


def _text(label: str, **attrs: str) -> forms.CharField:
    widget = forms.TextInput(attrs={"autocomplete": "off", **attrs})
    return forms.CharField(label=label, required=False, widget=widget)


class SavedForm(forms.Form):
    """What both kinds share: the name it is kept under, and the rules of a draft's fields.

    `kept` is what it holds now; its account number is the one to keep from now on, typed or not,
    since it is never shown again. `is_taken` tells whether another one has the name.
    """

    kind: ClassVar[Kind]
    start: ClassVar[Mapping[str, str]] = {}  # what an empty one begins with

    title = forms.CharField(
        label="Saved as",
        max_length=LONGEST_NAME,
        help_text="How colleagues find it",
        error_messages={"required": "Write the name it is saved under."},
    )
    replace = forms.BooleanField(label="Replace the one that has this name", required=False)

    def __init__(
        self,
        data: Any = None,
        *,
        kept: Mapping[str, str],
        is_taken: Callable[[str], bool],
        **options: Any,
    ) -> None:
        self.kept, self.is_taken = dict(kept), is_taken
        self.name_is_taken = False
        self.details: dict[str, str] = {}
        shown = {name: text for name, text in kept.items() if name != "account"} or self.start
        options["initial"] = {**shown} | (options.get("initial") or {})
        options.setdefault("auto_id", "saved_%s")
        super().__init__(data, **options)

    def clean_title(self) -> str:
        """Return the name with its spaces collapsed."""
        return " ".join(str(self.cleaned_data["title"]).split())

    def typed(self) -> dict[str, str]:
        """Return the text of its fields as typed, and the account number that is to be kept."""
        fields = {name: str(self.cleaned_data.get(name) or "") for name in self.kind.fields}
        return fields | ({"account": self.kept_account} if "account" in fields else {})

    @property
    def kept_account(self) -> str:
        """The account number that is kept."""
        return self.kept.get("account", "")

    @property
    def account_end(self) -> str:
        """What may be seen of it."""
        return dots("account", self.kept_account)

    @property
    def has_parts(self) -> bool:
        """Whether the street is kept in parts."""
        return self._says_any((*STREET_PARTS, *PLACES[1:]))

    @property
    def has_e911(self) -> bool:
        """Whether an emergency address is kept."""
        return self._says_any(E911_FIELDS)

    def _says_any(self, names: Iterable[str]) -> bool:
        return any(self[name].value() or self.errors.get(name) for name in names)

    def clean(self) -> dict[str, Any]:
        """Judge the fields as a draft does, and the name among the others."""
        given = super().clean() or {}
        self.details, problems = clean_details(self.typed())
        # What a number cannot have of its own, such as the reseller, is plain text.
        for name, text in self.typed().items():
            if name == "reseller" and text:
                self.details[name] = " ".join(text.split())[:LONGEST_NAME]
        for name, sentence in problems:
            self.add_error(name, sentence)
        if not self.details and not problems:
            self.add_error(None, f"Fill in at least one field of the {self.kind.one}.")
        title = given.get("title")
        self.name_is_taken = bool(title) and self.is_taken(str(title))
        if self.name_is_taken and not given.get("replace"):
            self.add_error(
                "title", f"“{title}” is saved already. Choose another name, or replace it below."
            )
        return given


class EndUserForm(SavedForm):
    """An end user as the losing carrier has it."""

    kind = END_USERS

    name = _text("Name on the bill")
    service = forms.ChoiceField(label="Service", choices=SERVICES, required=False)
    street_num = _text("Number")
    street_pre = _text("Direction before")
    street = _text("Street")
    street_type = _text("Street type")
    street_post = _text("Direction after")
    unit = _text("Unit")
    place2 = _text("Second unit")
    place3 = _text("Third unit")
    city = _text("City")
    state = _text("State", autocapitalize="characters")
    zip = _text("ZIP")
    account = _text("Account number")
    account_remove = forms.BooleanField(label="Remove the saved account number", required=False)
    btn = _text("BTN", inputmode="tel")
    signer = _text("Signer")
    reseller = _text("Reseller name")


class RoutingForm(SavedForm):
    """Where numbers go at Sinch."""

    kind = ROUTINGS
    start: ClassVar[Mapping[str, str]] = {"voice": VOICES[0][0]}

    voice = forms.ChoiceField(label="Voice", choices=VOICES, required=False)
    voice_id = _text("Trunk, app or service id")
    sms_app = _text("SMS app")
    e911_name = _text("Name")
    e911_street_num = _text("Number")
    e911_street = _text("Street")
    e911_location = _text("Location")
    e911_city = _text("City")
    e911_state = _text("State", autocapitalize="characters")
    e911_zip = _text("ZIP")
    e911_zip4 = _text("Last four")


FORMS: Final[dict[str, type[SavedForm]]] = {
    form.kind.key: form for form in (EndUserForm, RoutingForm)
}
