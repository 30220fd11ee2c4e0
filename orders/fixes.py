"""Fields typed once for chosen numbers of an order: those that mend a cause, or any others."""

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from typing import Any, Final

from django.utils.safestring import SafeString

from orders import wire
from orders.causes import ORDER_FIELDS, Cause
from orders.chosen import in_words, runs
from orders.details import (
    ADDRESS_FIELDS,
    E911_FIELDS,
    NEEDED_ADDRESS,
    PLACES,
    SECRET_FIELDS,
    STREET_PARTS,
    UNITS,
)
from orders.edit_words import in_sentence
from orders.edits import Json, by_number, dots, plain, values_of
from orders.forms import DetailsForm, listed
from orders.forms_fields import EndUserFields
from orders.page_numbers import again_text
from portal import words

# The parts of an address that are shown before and after a field of it where they are in use.
_PARTS: Final = {
    "street": (("street_pre",), ("street_type", "street_post")),
    "unit": ((), PLACES[1:]),
}
# What of an address may be emptied.
_SPARE: Final = frozenset({*STREET_PARTS, *PLACES})


def choices() -> list[tuple[str, str]]:
    """Return what can be set for single numbers: (name for `names_of`, label), as pages list it."""
    fields = EndUserFields.base_fields
    whole: dict[tuple[str, ...], str] = {ADDRESS_FIELDS: "Service address"}
    whole[E911_FIELDS] = "E911 address"
    return [
        (unit[0], whole.get(unit) or str(fields[unit[0]].label))
        for unit in UNITS
        if unit[0] in fields
    ]


def names_of(asked: Iterable[str]) -> tuple[str, ...]:
    """Return the fields of the page that are meant by some of `choices`, the unknown left out."""
    wanted = set(asked)
    return tuple(name for unit in UNITS if wanted.intersection(unit) for name in unit)


class FixForm(EndUserFields):
    """Only the fields that were asked for, once for all the numbers they are about."""

    def __init__(self, data: Mapping[str, Any], names: Sequence[str]) -> None:
        super().__init__(
            {f"fix-{name}": value for name, value in data.items()},
            saved={name: plain(data.get(name)) for name in SECRET_FIELDS},
            complete=True,
            prefix="fix",
        )
        for name in set(self.fields) - set(names):
            del self.fields[name]
        for name in names:
            if name in ORDER_FIELDS:
                self.fields[name] = deepcopy(DetailsForm.base_fields[name])

    def clean(self) -> dict[str, Any]:
        """Judge an address as a whole."""
        given = super().clean() or self.cleaned_data
        if any(given.get(name) for name in ADDRESS_FIELDS):
            self._need(*NEEDED_ADDRESS)
        return given


class Fix:
    """Some fields, to be typed once for some numbers: those of a cause, or those a person chose.

    `before` are the fields that the page began with, `everyone` all numbers of the order, `again`
    those that were refused for the cause before.
    """

    def __init__(
        self,
        names: Sequence[str],
        before: Json,
        numbers: Sequence[str],
        everyone: Sequence[str],
        typed: Mapping[str, Any] | None = None,
        *,
        cause: Cause | None = None,
        again: Sequence[str] = (),
    ) -> None:
        self.cause, self.before = cause, before
        self.again = list(again)
        self.numbers, self.everyone = list(numbers), list(everyone)
        self._own = by_number(before)
        parts = {part for sides in _PARTS.values() for side in sides for part in side}
        wanted = [name for name in names if name not in parts]
        self.names = [name for one in wanted for name in self._with_parts(one)]
        self.typed = {name: plain((typed or {}).get(name)) for name in self.names}
        shown = {} if typed is not None else {n: self.sent(n) for n in self.names}
        self.form = FixForm(self.typed | shown, self.names)

    def _with_parts(self, name: str) -> list[str]:
        """Return a field with the parts of an address that go with it where they are in use."""
        before, after = _PARTS.get(name, ((), ()))
        return [part for part in (*before, name, *after) if part == name or self._sent(part) != ""]

    def sent(self, name: str) -> str:
        """What Sinch has for all of these numbers; "" where they differ, and for no secret."""
        if name in ORDER_FIELDS:
            return plain(self.before.get(name))
        return "" if name in SECRET_FIELDS else (self._sent(name) or "")

    def _sent(self, name: str) -> str | None:
        """The one value that all of these numbers have; None where they differ."""
        unit = next(unit for unit in UNITS if name in unit)
        values = set()
        for number in self.numbers:
            entry = self._own.get(number)
            has_own = entry is not None and any(values_of(entry, unit))
            values.add(plain((entry if has_own and entry else self.before).get(name)))
        return values.pop() if len(values) == 1 else None

    @property
    def rows(self) -> list[tuple[Any, str, str]]:
        """Each field with its width and what was sent, for the page."""
        widths = {"street_num": "w-xs", "state": "w-xs", "zip": "w-xs"}
        widths |= dict.fromkeys(_SPARE, "w-sm")
        widths |= {"signed_on": "w-sm", "port_date": "w-sm", "port_time": "w-sm", "pin": "w-sm"}
        return [
            (self.form[name], widths.get(name, "w-md"), self._hint(name)) for name in self.names
        ]

    def _hint(self, name: str) -> str:
        sent = plain(self.before.get(name)) if name in ORDER_FIELDS else self._sent(name)
        if sent is None:
            return "Sent so far: not the same for all of them"
        if name in SECRET_FIELDS:
            sent = dots(name, sent)
        elif name in ("port_date", "signed_on"):
            sent = words.day_text(wire.read_date(sent)) or sent
        elif name == "btn":
            sent = words.phone_text(sent)
        return f"Sent so far: {sent or 'nothing'}"

    @property
    def title(self) -> str:
        """`Fix PIN on 2 numbers`, `Change city and PIN of 14 numbers`."""
        count = len(self.numbers)
        if self.cause is not None:
            return self.cause.button(count)
        asked = [in_sentence(label) for key, label in choices() if key in self.names]
        return f"Change {listed(asked)} of {words.count_text(count, 'number')}"

    @property
    def whom(self) -> list[str]:
        """Its numbers as they are read, neighbours as ranges."""
        return in_words(self.numbers)

    @property
    def again_text(self) -> SafeString:
        """That some of its numbers were refused for its cause before; "" when none was."""
        return again_text({self.cause: self.again} if self.cause else {}, self.numbers)

    @property
    def asked(self) -> str:
        """Its fields as an address of a page holds them; "" for those of a cause."""
        return "" if self.cause else ".".join(self.names)

    @property
    def is_of_order(self) -> bool:
        """Whether its fields belong to the order and not to single numbers."""
        return self.cause is not None and self.cause.is_of_order

    @property
    def digits(self) -> str:
        """Its numbers as an address of a page holds them, neighbours as a range."""
        return ".".join(
            first.lstrip("+") if first == last else f"{first.lstrip('+')}-{last.lstrip('+')}"
            for first, last in runs(self.numbers, self.everyone)
        )

    def applied(self, fields: Json) -> Json:
        """Return the fields of an edit with what was typed here put in for these numbers."""
        changed = {n for n, value in self.typed.items() if value and value != self.sent(n)}
        # Emptying what may be empty, such as the unit of an address, is a change as well.
        changed |= {n for n in self.typed if n in _SPARE and self.typed[n] != self.sent(n)}
        result = dict(fields)
        for name in changed & ORDER_FIELDS:
            result[name] = self.typed[name]
        for unit in UNITS:
            if changed.intersection(unit):
                result = self._with_unit(result, {name: self.typed.get(name, "") for name in unit})
        return result

    def _with_unit(self, fields: Json, values: Json) -> Json:
        entries = [dict(entry) for entry in fields.get("overrides") or []]
        if set(self.numbers) == set(self.everyone):
            for entry in entries:
                for name in values:
                    entry.pop(name, None)
            # Nothing of its own left: the number is as all the others are.
            kept = [
                e for e in entries if any(v for k, v in e.items() if k not in ("key", "number"))
            ]
            return fields | values | {"overrides": kept}
        by_number = {entry.get("number"): entry for entry in entries}
        for number in self.numbers:
            if number not in by_number:
                by_number[number] = {"key": f"n{number.lstrip('+')}", "number": number}
                entries.append(by_number[number])
            by_number[number].update(values)
        return fields | {"overrides": entries}
