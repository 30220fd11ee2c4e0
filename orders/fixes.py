"""The fields that mend a cause of refusals, typed once for all the numbers it is about."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from orders import wire
from orders.causes import ORDER_FIELDS, Cause
from orders.edits import OWN_UNITS, Json, by_number, dots, plain, values_of
from orders.forms import (
    ADDRESS_FIELDS,
    NEEDED_ADDRESS,
    SECRET_FIELDS,
    DetailsForm,
    EndUserFields,
)
from portal import words


class FixForm(EndUserFields):
    """Only the fields that mend a cause, once for all the numbers it is about."""

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
        self._agree_on_country()
        if any(given.get(name) for name in ADDRESS_FIELDS):
            self._need(*NEEDED_ADDRESS)
        return given


class Fix:
    """The fields of a cause, to be typed once for the numbers that were refused for it.

    `before` are the fields that the page began with, `everyone` all numbers of the order.
    """

    def __init__(
        self,
        cause: Cause,
        before: Json,
        numbers: Sequence[str],
        everyone: Sequence[str],
        typed: Mapping[str, Any] | None = None,
    ) -> None:
        self.cause, self.before = cause, before
        self.numbers, self.everyone = list(numbers), list(everyone)
        self._own = by_number(before)
        self.typed = {name: plain((typed or {}).get(name)) for name in cause.edits}
        shown = {} if typed is not None else {n: self.sent(n) for n in cause.edits}
        self.form = FixForm(self.typed | shown, cause.edits)

    def sent(self, name: str) -> str:
        """What Sinch has for all of these numbers; "" where they differ, and for no secret."""
        if name in ORDER_FIELDS:
            return plain(self.before.get(name))
        return "" if name in SECRET_FIELDS else (self._sent(name) or "")

    def _sent(self, name: str) -> str | None:
        """The one value that all of these numbers have; None where they differ."""
        unit = next(unit for unit in OWN_UNITS if name in unit)
        values = set()
        for number in self.numbers:
            entry = self._own.get(number)
            has_own = entry is not None and any(values_of(entry, unit))
            values.add(plain((entry if has_own and entry else self.before).get(name)))
        return values.pop() if len(values) == 1 else None

    @property
    def rows(self) -> list[tuple[Any, str, str]]:
        """Each field with its width and what was sent, for the page."""
        widths = {"street_num": "w-xs", "state": "w-xs", "zip": "w-xs", "unit": "w-sm"}
        widths |= {"signed_on": "w-sm", "port_date": "w-sm", "port_time": "w-sm", "pin": "w-sm"}
        return [
            (self.form[name], widths.get(name, "w-md"), self._hint(name))
            for name in self.cause.edits
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
        """`Fix PIN on 2 numbers`."""
        return self.cause.button(len(self.numbers))

    @property
    def digits(self) -> str:
        """Its numbers as an address of a page holds them."""
        return ".".join(number.lstrip("+") for number in self.numbers)

    def applied(self, fields: Json) -> Json:
        """Return the fields of an edit with what was typed here put in for these numbers."""
        changed = {n for n, value in self.typed.items() if value and value != self.sent(n)}
        # Emptying what may be empty, such as the unit of an address, is a change as well.
        changed |= {n for n in self.typed if n == "unit" and self.typed[n] != self.sent(n)}
        result = dict(fields)
        for name in changed & ORDER_FIELDS:
            result[name] = self.typed[name]
        for unit in OWN_UNITS:
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
