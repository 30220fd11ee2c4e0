"""What the pages of an edit show: what will change for whom, what stays, and what it does."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from django.utils import timezone

from orders import chosen, page
from orders.actions_edit import Author, Authors, Judged, bare_words, look_at, may_be_cleared
from orders.causes import Cause, repeated
from orders.conflicts import OURS, SINCH, Change, Conflict, Merge, Unit, key_of, without
from orders.edit_words import (
    LOA_FIELDS,
    in_sentence,
    label_of,
    rank_of,
    secret_name,
    secret_remark,
    stays,
    text_of,
    whose,
)
from orders.edit_work import fields_of_edit
from orders.forms import listed
from orders.models import PortInNumber, PortInOrder
from portal import words

MOST_NAMED = 3  # numbers that a group is named by before the rest is counted


@dataclass
class Row:
    """One line of the comparison: a field of some numbers, or of the order.

    `choice` is None for a change; for a conflict it is OURS, SINCH, or "" while it is open. `said`
    stands beside what Sinch has, `remark` beside what will be sent, `told` tells a conflict in
    sentences; `shown` is a secret of our store that somebody asked to see.
    """

    key: str
    units: list[Unit]
    label: str
    old: str
    new: str
    is_secret: bool = False
    remark: str = ""
    choice: str | None = None
    said: str = ""
    told: str = ""
    shown: str | None = None

    @property
    def numbers(self) -> list[str]:
        """The numbers it is about; empty for a field of the order."""
        return [unit.number for unit in self.units if unit.number]

    @property
    def what(self) -> str:
        """The field in a sentence: `city`, `port-out PIN`."""
        return in_sentence(self.label)


@dataclass
class Group:
    """The lines that the same numbers share; no numbers for the fields of the order itself."""

    numbers: tuple[str, ...]
    total: int
    carriers: str = ""
    rows: list[Row] = field(default_factory=list)

    @property
    def title(self) -> str:
        """`2 numbers`, `All 12 numbers`, `The order`."""
        if not self.numbers:
            return "The order"
        count = words.count_text(len(self.numbers), "number")
        return f"All {count}" if len(self.numbers) == self.total > 1 else count

    @property
    def named(self) -> list[str]:
        """The numbers that are written out beside the title."""
        is_all = len(self.numbers) == self.total > 1
        return [] if is_all else list(self.numbers[:MOST_NAMED])

    @property
    def more(self) -> list[str]:
        """The other numbers, neighbours as ranges, when not all of the order is meant."""
        is_all = len(self.numbers) == self.total > 1
        return [] if is_all else chosen.in_words(self.numbers[MOST_NAMED:])


@dataclass(frozen=True)
class Point:
    """Something that sending does or does not do."""

    tone: str
    glyph: str
    text: str
    hint: str = ""


@dataclass
class Check:
    """The second step: everything somebody should know before a change is sent.

    `bare` are the numbers whose PIN it may clear, since nobody here knows one.
    """

    judged: Judged
    groups: list[Group]
    meanwhile: list[str]
    stays: list[tuple[str, str]]
    does: list[Point]
    drops: list[str]
    bare: list[str]

    @property
    def merged(self) -> Merge:
        """What the edit comes to."""
        return self.judged.merged

    @property
    def rows(self) -> list[Row]:
        """All lines."""
        return [row for group in self.groups for row in group.rows]

    @property
    def by_us(self) -> int:
        """How many lines are sent as they were typed."""
        ours = sum(row.choice in (None, OURS) for row in self.rows)
        return ours + bool(self.merged.added) + bool(self.merged.dropped)

    @property
    def redates(self) -> bool:
        """Whether the port date or its time is among what changes."""
        return any(row.units[0].section == "desiredPortSchedule" for row in self.rows)

    @property
    def open(self) -> list[Row]:
        """The lines on which a person has to choose."""
        return [row for row in self.rows if row.choice == ""]

    @property
    def first_choice(self) -> str:
        """What has to be chosen first: `First choose the city of +1 425 555 0118.`"""
        if not self.open:
            return ""
        row = self.open[0]
        found = " ".join(filter(None, (row.what, whose(row.numbers, len(self.merged.numbers)))))
        return f"First choose the {found}."

    @property
    def bare_said(self) -> str:
        """Why something is ticked before a PIN may be cleared that nobody here knows."""
        return bare_words(self.bare)

    @property
    def lede(self) -> str:
        """`3 fields on 3 numbers`."""
        fields = words.count_text(len(self.rows), "field")
        touched = self.merged.touched
        of_order = any(not row.numbers for row in self.rows)
        where = f" on {words.count_text(len(touched), 'number')}" if touched else ""
        where += f"{' and ' if where else ' '}of the order" if of_order else ""
        parts = [f"{fields}{where}"] if self.rows else []
        for verb, numbers in (("added", self.merged.added), ("dropped", self.merged.dropped)):
            if numbers:
                parts.append(f"{words.count_text(len(numbers), 'number')} {verb}")
        said = ", ".join(parts)
        return f"{said[:1].upper()}{said[1:]}." if said else "Nothing changes."

    def row(self, key: str) -> Row | None:
        """Return the line of a button."""
        return next((row for row in self.rows if row.key == key), None)


def numbers_in(order: PortInOrder) -> list[Mapping[str, Any]]:
    """Return the numbers of an order with what groups them; one statement."""
    return list(
        PortInNumber.objects.filter(order=order)
        .order_by("position")
        .values("phone_number", "status", "losing_carrier", "group", "foc_date")
    )


def refused_again(order: PortInOrder, cause: Cause, numbers: Sequence[str]) -> list[str]:
    """Return the numbers that are refused for a cause, and were before; one statement."""
    rows = (
        PortInNumber.objects.filter(order=order, status="REJECTED", phone_number__in=numbers)
        .exclude(refused_before=[])
        .order_by("position")
    )
    return [
        row.phone_number
        for row in rows
        if cause in repeated(row.reject_reason or row.exclusion_reason, row.refused_before)
    ]


def check_of(judged: Judged, numbers: Sequence[Mapping[str, Any]]) -> Check:
    """Return the second step of a valid edit."""
    merged, order = judged.merged, judged.order
    bare = may_be_cleared(order, merged)
    authors = Authors(order, judged.work.copied_at)
    rows = [*_changed_rows(judged), *_conflict_rows(merged, authors)]
    carriers = {n["phone_number"]: n["losing_carrier"] for n in numbers}
    groups: dict[tuple[str, ...], Group] = {}
    for row in sorted(rows, key=lambda row: rank_of(row.units[0])):
        whom = tuple(row.numbers)
        if whom not in groups:
            named = sorted({carriers.get(number) or "" for number in whom} - {""})
            total = len(merged.numbers)
            groups[whom] = Group(whom, total, listed(named) if len(named) < 4 else "")
        groups[whom].rows.append(row)
    return Check(
        judged,
        sorted(groups.values(), key=lambda group: (bool(group.numbers), -len(group.numbers))),
        meanwhile=_meanwhile(merged, authors),
        stays=stays(merged),
        does=_does(order, merged, numbers, bare),
        drops=chosen.in_words(merged.dropped),
        bare=bare,
    )


def _changed_rows(judged: Judged) -> list[Row]:
    alike: dict[tuple[Any, ...], list[Change]] = {}
    for change in judged.merged.changes:
        same = (*change.unit[1:], sorted(change.new.items()))
        alike.setdefault(tuple(map(repr, same)), []).append(change)
    rows = []
    for changes in alike.values():
        first = changes[0]
        unit = first.unit
        row = Row(
            key_of(*(change.unit for change in changes), first.new),
            [change.unit for change in changes],
            label_of(unit),
            _old_text(changes),
            text_of(unit, first.new, first.old),
            unit.is_secret,
        )
        if unit.is_secret:
            at = judged.work.typed_when(secret_name(unit))
            row.remark = secret_remark(
                _only([str(change.old.get(unit.field, "")) for change in changes]),
                str(first.new.get(unit.field, "")),
                words.age_text(at),
            )
        rows.append(row)
    return rows


def _old_text(changes: Sequence[Change]) -> str:
    """Return what Sinch has in a field of some numbers: one value, or how many there are."""
    texts = dict.fromkeys(text_of(c.unit, c.old, c.new) for c in changes)
    if len(texts) <= 2:
        return " or ".join(text or "nothing" for text in texts) if any(texts) else ""
    return f"{len(texts)} different values"


def _only(values: Sequence[str]) -> str:
    """Return the first of values of one length; "" where they differ in it."""
    return values[0] if len({len(value) for value in values}) == 1 else ""


def _alike(merged: Merge) -> list[list[Conflict]]:
    """Return the conflicts with those of other numbers that are about the very same values."""
    found: dict[tuple[str, ...], list[Conflict]] = {}
    for conflict in merged.conflicts:
        values = (conflict.base, conflict.now, conflict.mine)
        same = (*conflict.unit[1:], conflict.choice, *(sorted(v.items()) for v in values))
        found.setdefault(tuple(map(repr, same)), []).append(conflict)
    return list(found.values())


def _conflict_rows(merged: Merge, authors: Authors) -> list[Row]:
    rows = []
    for conflicts in _alike(merged):
        first = conflicts[0]
        unit = first.unit
        was = text_of(unit, first.base)
        before = "was hidden" if unit.is_secret else f"was “{was}”" if was else "was empty"
        author = authors.of(unit, first.now)
        old, new = text_of(unit, first.now, first.mine), text_of(unit, first.mine, first.now)
        numbers = [conflict.unit.number for conflict in conflicts]
        what = f"{in_sentence(label_of(unit))} {whose(numbers, len(merged.numbers))}".strip()
        to = "" if unit.is_secret else f" to “{old}”" if old else " to nothing"
        told = f"{author.who} changed the {what}{to} at {words.clock_text(author.at)}"
        typed = "you changed it too" if unit.is_secret else f"you wrote “{new}”" if new else ""
        rows.append(
            Row(
                key_of(*(conflict.key for conflict in conflicts)),
                [conflict.unit for conflict in conflicts],
                label_of(unit),
                old or "nothing",
                new or "nothing",
                unit.is_secret,
                choice=first.choice,
                said=f"{author.said}; {before}",
                told=f"{told}; {typed or 'you emptied it'}.",
            )
        )
    return rows


def choices_of(merged: Merge, asked: Callable[[str], str]) -> dict[str, str]:
    """Return the choices posted for the lines of a page, one for each of their conflicts.

    `asked` gives what was chosen on the line with a key, "" for nothing.
    """
    found: dict[str, str] = {}
    for conflicts in _alike(merged):
        choice = asked(key_of(*(conflict.key for conflict in conflicts)))
        if choice in (OURS, SINCH):
            found |= {conflict.key: choice for conflict in conflicts}
    return found


def _meanwhile(merged: Merge, authors: Authors) -> list[str]:
    """Say what others changed that stays: one sentence for each field and author."""
    found: dict[tuple[str, Author], list[Change]] = {}
    for change in merged.meanwhile:
        author = authors.of(change.unit, change.new)
        found.setdefault((label_of(change.unit), author), []).append(change)
    said = []
    total = len(merged.numbers)
    for (label, author), changes in found.items():
        unit, new = changes[0].unit, changes[0].new
        whom = whose((change.unit.number for change in changes), total)
        is_one = len({text_of(c.unit, c.new) for c in changes}) == 1
        to = f" to “{text_of(unit, new)}”" if is_one and new and not unit.is_secret else ""
        field_words = " ".join(filter(None, (in_sentence(label), whom)))
        said.append(f"{author.who} changed the {field_words}{to} meanwhile; that stays.")
    if merged.joined:
        named = listed(chosen.in_words(merged.joined)[:5])
        said.append(f"{named} joined the order meanwhile; that stays.")
    if merged.gone:
        named = listed(chosen.in_words(merged.gone)[:5])
        said.append(f"{named} left the order meanwhile; what you typed for it is not sent.")
    return said


# --- What sending does ---------------------------------------------------------------------------


def _does(
    order: PortInOrder,
    merged: Merge,
    numbers: Sequence[Mapping[str, Any]],
    bare: Sequence[str],
) -> list[Point]:
    touched, total = set(merged.touched), len(merged.numbers)
    moved = [*touched, *merged.added]
    units = [c.unit for c in merged.changes]
    units += [c.unit for c in merged.conflicts if c.choice != SINCH]
    redated = any(unit.section == "desiredPortSchedule" for unit in units)
    stay = "" if redated else _dates_that_stay(numbers, touched)
    whom = f"For the {words.count_text(len(moved), 'number')} changed." if moved else ""
    if redated:
        whom = "For every number: the date changes."
    found = [
        Point(
            "us",
            "us",
            "The carriers’ interval starts again",
            " ".join(filter(None, (whom or "For what the carriers have to look at again.", stay))),
        ),
        Point(
            "done",
            "done",
            f"All {total} numbers are sent again" if total > 1 else "The number is sent again",
            "Sinch replaces the whole order, so nothing may be missing; nothing is.",
        ),
        _loa_point(units, merged),
    ]
    if bare:
        hint = "Sinch replaces the whole order, and clears what is not sent."
        found[1] = replace(found[1], tone="us", glyph="us", hint=hint)
    frozen = page.freeze_of(order)
    if frozen:
        return [*found, Point("us", "us", "In the last 48 hours", frozen)]
    moment = page.moment_of(order)
    is_ahead = moment is not None and moment > timezone.now()
    told = "More than 48 hours before the port date" if is_ahead else "Not in the last 48 hours"
    return [*found, Point("done", "done", told)]


def _dates_that_stay(numbers: Sequence[Mapping[str, Any]], touched: set[str]) -> str:
    dates: dict[tuple[str, date], None] = {}
    for row in numbers:
        is_dated = row["status"] == PortInNumber.Status.CONFIRMED and row["foc_date"]
        if is_dated and row["phone_number"] not in touched and row["losing_carrier"]:
            dates.setdefault((row["losing_carrier"], row["foc_date"]))
    shown = [f"{carrier}’s {words.day_text(day)}" for carrier, day in list(dates)[:2]]
    return f"{listed(shown)} {'stays' if len(shown) == 1 else 'stay'}." if shown else ""


def _loa_point(units: Sequence[Unit], merged: Merge) -> Point:
    fields = {
        in_sentence(label_of(unit))
        for unit in units
        if unit.section in ("endUser", "portOutInfo") and unit.field in LOA_FIELDS
    }
    named = sorted(fields)
    if merged.added:
        named.append("list of numbers")
    if named:
        changed = f"The {listed(named[:3])} {'changes' if len(named) == 1 else 'change'}"
        return Point(
            "us",
            "us",
            "The LOA may not fit any more",
            f"{changed}. Upload one that says the same.",
        )
    if merged.dropped:
        hint = "It names more numbers than the order then has; the carrier may ask."
        return Point("us", "us", "The LOA names more numbers", hint)
    return Point("done", "done", "The LOA still fits", "Name, address and signer are unchanged.")


# --- What the check page does --------------------------------------------------------------------


def reveal(check: Check, key: str, by: Any) -> None:
    """Show the stored secret of a line, and tell the timeline who looked."""
    row = check.row(key)
    if row and row.is_secret:
        unit = row.units[0]
        row.shown = look_at(check.judged.order, unit.field, row.numbers, by=by) or "nothing"


def typed_without(check: Check, key: str) -> dict[str, Any]:
    """Return the fields of an edit without what one line of its check page changes.

    `key` names the line; "added" and "dropped" the numbers that come or go.
    """
    judged = check.judged
    typed, base = judged.work.typed, judged.work.base
    if key in ("added", "dropped"):
        return typed | {key: "" if key == "added" else []}
    row = check.row(key)
    if row is None:
        return typed
    kept = {name: typed[name] for name in ("added", "dropped") if name in typed}
    undone = set(row.units)
    # Somebody who thinks better of dropping a number finds it like those it goes with.
    if set(row.numbers) >= set(judged.kept):
        undone |= {row.units[0]._replace(number=number) for number in judged.dropped}
    return fields_of_edit(base, without(base, judged.with_dropped, undone)) | kept
