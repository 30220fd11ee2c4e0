"""Changing an order Sinch has: what an edit comes to, what keeps it from being sent, sending."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from django.db import transaction
from django.utils import timezone

from orders import bodies, comparing, edit_words, standing, sync, wire
from orders.actions_order import SECRETS, why_no_change
from orders.conflicts import Merge, Unit, key_of, merge, units_of
from orders.details import SECRET_FIELDS
from orders.edit_work import Json, Payload, Work, copy_of, fields_of_body, fields_of_edit, packed
from orders.edits import Edit, fields_by_number, override_forms, validated_by_number
from orders.forms import MAX_NUMBERS, DetailsForm, listed
from orders.models import PortInOrder
from orders.places import one_at_a_time
from orders.review import Reason, places_of, reference_owner
from orders.verdicts import gone_results
from portal import words
from portal.accounts.models import User
from portal.numbers import numbers_of, read_numbers
from portal.operations import heard, readings, runner
from portal.operations.actions import submit
from portal.operations.models import Operation, Reading
from portal.work import items
from portal.work.drafts import NotEditable, NotSendable
from portal.work.models import TimelineEntry

UPDATE, CANCEL = "port_in.update", "port_in.cancel"
_MOST_AUTHORS = 5  # changes by colleagues that are looked through for who changed what


class ChangedAtSinch(Exception):
    """Raised when Sinch's copy is not the one the check page compared with."""


class Unsettled(Exception):
    """Raised when both sides changed a field and nobody has chosen yet."""


class WouldClear(Exception):
    """Raised when a PIN may be cleared that nobody here knows, and nobody has said that it may."""


def order_to_edit(pk: int) -> PortInOrder:
    """Return an order with all that an edit needs. Raises PortInOrder.DoesNotExist."""
    return PortInOrder.objects.select_related("item", "project").get(pk=pk)


def why_no_edit(order: PortInOrder) -> str:
    """Return why an order cannot be edited now; "" when it can."""
    if why := why_no_change(order):
        return why
    under_way = Operation.objects.filter(target=order.target, state__in=Operation.UNDER_WAY)
    others = under_way.filter(kind__in=(CANCEL, UPDATE)).select_related("by").defer("payload")
    if running := others.order_by("kind", "-pk").first():  # a cancelation before a change
        if running.kind == CANCEL:
            return "Canceling is under way."
        who = f"{running.by.short_name} changed it" if running.by else "Somebody changed it"
        return f"{who} a moment ago, and the change is on its way to Sinch; wait until it arrived."
    return ""


def refused_update(order: PortInOrder) -> Operation | None:
    """Return the last change of an order if it did not arrive and nobody has closed it yet.

    None as well where no key decrypts what it was: there is nothing to go on with.
    """
    updates = Operation.objects.filter(target=order.target, kind=UPDATE).select_related("by")
    asked = {"sends": heard.SENDS, "obstacle": runner.obstacle()}
    last: Any = updates.order_by("-pk").defer("payload").annotate(**asked).first()
    ended = (Operation.State.REFUSED, Operation.State.DEAD)
    is_open = last and last.state in ended and last.seen_at is None
    return last if is_open and last.sends is not None else None


# --- How fresh Sinch's copy is -------------------------------------------------------------------


@dataclass(frozen=True)
class Freshness:
    """Whether a reading that left after an edit was opened is there, and why not."""

    read_at: datetime | None
    is_fresh: bool
    trouble: str = ""


def ask_for_copy(order: PortInOrder, since: datetime) -> None:
    """Have Sinch's copy read anew for an edit that was opened at that moment."""
    # The very moment that `freshness` asks by: a reading that left a little earlier is no answer.
    readings.want(order.project_id, sync.READER, {order.sinch_id: since}, "staff")


def freshness(order: PortInOrder, since: datetime) -> Freshness:
    """Return how fresh the mirror of an order is for an edit that was opened then."""
    reading = Reading.objects.filter(
        project_id=order.project_id, kind=sync.READER, resource_id=order.sinch_id
    ).first()
    if reading is None:
        return Freshness(order.fetched_at, order.fetched_at >= since)
    read_at = max(filter(None, (order.fetched_at, reading.read_at)))
    return Freshness(read_at, reading.fulfils(since), reading.last_error)


# --- What an edit comes to -----------------------------------------------------------------------


@dataclass
class Judged:
    """An edit judged: its form, its numbers, what is wrong with them, and what it comes to."""

    order: PortInOrder
    work: Work
    form: DetailsForm
    edit: Edit
    kept: list[str]
    added: list[str]
    dropped: list[str]
    problems: list[str] = field(default_factory=list)

    @property
    def numbers(self) -> list[str]:
        """All numbers the order will have."""
        return [*self.kept, *self.added]

    @property
    def is_valid(self) -> bool:
        """Whether everything typed can be read; Sinch may still refuse it."""
        forms = [self.form, *self.form.overrides]
        return not self.problems and all(form.is_valid() for form in forms)

    @cached_property
    def mine(self) -> Json:
        """The body that was typed, over the copy the edit began with. Only for a valid one."""
        gone = set(self.dropped)
        entries = self.with_dropped["phoneNumbers"]
        return self.with_dropped | {
            "phoneNumbers": [entry for entry in entries if entry["phoneNumber"] not in gone]
        }

    @cached_property
    def with_dropped(self) -> Json:
        """The same with the numbers that are to be dropped, as they would be if they stayed."""
        base = self.work.base
        body: Json = dict(bodies.write_body(base, wire.order_secrets(base), self.edit.changes))
        if self.added:
            new = bodies.create_body(
                numbers=self.added,
                shared=self.form.shared(),
                overrides=self.form.override_details(),
                schedule={},
                reference="",
                on_demand=False,
                reseller="",
                loa={},
            )
            body["phoneNumbers"] = [*body["phoneNumbers"], *new["phoneNumbers"]]
        return body

    @cached_property
    def now(self) -> Json:
        """Sinch's copy as the mirror has it."""
        return copy_of(self.order)

    @cached_property
    def merged(self) -> Merge:
        """What is sent, and where the two sides differ. Only for a valid one."""
        return merge(self.work.base, self.mine, self.now, self.work.choices)


def judge(order: PortInOrder, work: Work, *, complete: bool, every_own: bool = False) -> Judged:
    """Return an edit with the form that judges it; `complete` asks for all that sending needs.

    `every_own` makes forms of all numbers with details of their own, not of the first ones only.
    """
    typed, base = work.typed, Payload(work.base)
    secrets, start = wire.order_secrets(work.base), fields_of_body(work.base)
    everyone = [wire.phone_of(entry) for entry in work.base["phoneNumbers"]]
    leaving, known = set(typed.get("dropped") or []), set(everyone)
    dropped = [n for n in everyone if n in leaving]
    kept = [n for n in everyone if n not in leaving]
    lines = read_numbers(str(typed.get("added") or ""))
    added = [n for n in numbers_of(lines) if n not in known]
    numbers = [*kept, *added]
    gone = set(dropped)
    own = [e for e in typed.get("overrides") or [] if e.get("number") not in gone]
    form = DetailsForm(
        typed,
        saved={name: str(typed.get(name, "")) for name in SECRET_FIELDS},
        numbers=numbers,
        complete=complete,
        overrides=override_forms(own, numbers, complete=complete, every=every_own, before=start),
        reference_owner=lambda reference: reference_owner(order.project, reference, order=order),
        needs_secret=False,
        before=start,
    )
    actual = fields_by_number(base, secrets)
    edit = Edit(start, dict(typed), form, actual, validated_by_number(order))
    judged = Judged(order, work, form, edit, kept, added, dropped)
    judged.problems += [
        f"“{line.text}” cannot be added: {line.problem}" for line in lines if line.problem
    ]
    if why := why_not_so_many(numbers):
        judged.problems.append(why)
    if added:
        judged.problems += _why_not_added(order, added)
    return judged


def why_not_so_many(numbers: Sequence[str]) -> str:
    """Return why these cannot be all numbers of an order: none, or too many; "" when they can."""
    if not numbers:
        return "At least one number stays in an order. To end it, cancel it on its page."
    if len(numbers) > MAX_NUMBERS:
        return f"One order takes at most {MAX_NUMBERS} numbers; these would be {len(numbers)}."
    return ""


def _why_not_added(order: PortInOrder, numbers: Sequence[str]) -> list[str]:
    places = places_of(order.project, numbers, order=order)
    found = [
        f"{words.phone_text(number)} is on its way already: {place.text.lower()} {place.title}. "
        f"{place.hint}".strip()
        for number, place in places.items()
        if place.blocks
    ]
    gone = gone_results(order.project).filter(phone_number__in=numbers)
    refused = gone.values_list("phone_number", "reason")
    return found + [
        f"{words.phone_text(number)} cannot move to Sinch{f': “{why}”' if why else ''}. "
        "One such number would fail the whole order."
        for number, why in refused
    ]


def secrets_to_ask(order: PortInOrder, body: Mapping[str, Any]) -> list[str]:
    """Return the numbers whose PIN or account number Sinch has, this desk not, and `body` neither.

    Sinch replaces the whole order, so what is not sent is cleared there.
    """
    sent = wire.order_secrets(body)
    staying = wire.numbers_of(body)
    return [
        number
        for number, keys in bodies.unknown_secrets(order, order.secrets).items()
        if number in staying and any(not sent.get(number, {}).get(key) for key in keys)
    ]


def unknown_secret_words(numbers: Sequence[str]) -> str:
    """Say for which numbers a PIN or an account number has to be typed again, and why."""
    return (
        f"Sinch has a PIN or an account number of {_first_of(numbers)} that this desk does not "
        "know. Type it, or the change would clear it at Sinch."
    )


def may_be_cleared(order: PortInOrder, merged: Merge) -> list[str]:
    """Return the numbers whose PIN or account number a change would clear, if Sinch has one."""
    return sorted({*bare_numbers(order, merged.body)} - {*merged.added})


def bare_numbers(order: PortInOrder, body: Mapping[str, Any]) -> list[str]:
    """Return the numbers that `body` has neither a PIN nor an account number of, though Sinch may.

    It need not show one it has: what was ordered elsewhere may have what nobody here can see. A
    number that this desk has sent has what was sent.
    """
    sent = wire.order_secrets(body)
    bare = [n for n in wire.numbers_of(body) if sent.get(n, {}).keys().isdisjoint(wire.PIN_KEYS)]
    ours = {n for one in sync.sent_bodies(order) for n in wire.numbers_of(one)} if bare else set()
    return [number for number in bare if number not in ours]


def bare_words(numbers: Sequence[str]) -> str:
    """Say of which numbers Sinch may have a PIN that it does not show, and what becomes of it."""
    return (
        f"Nobody here knows a PIN or an account number of {_first_of(numbers)}, and Sinch shows "
        "none: one that Sinch has and does not show would be cleared. Type it if there is one."
    )


def _first_of(numbers: Sequence[str]) -> str:
    shown = listed([words.phone_text(number) for number in numbers[:3]])
    return shown + (f" and {len(numbers) - 3} more" if len(numbers) > 3 else "")


# --- Who changed it meanwhile --------------------------------------------------------------------


@dataclass(frozen=True)
class Author:
    """Who brought a field to what it is now: a colleague, or Sinch's side (`name` is "")."""

    name: str
    at: datetime

    @property
    def who(self) -> str:
        """The subject of a sentence."""
        return self.name or "Sinch"

    @property
    def said(self) -> str:
        """`Changed at Sinch 14:02`, `Changed by Mara Lindqvist 14:02`."""
        when = timezone.localtime(self.at)
        day = "" if when.date() == timezone.localdate() else f" {words.day_text(when)},"
        where = f"by {self.name}" if self.name else "at Sinch"
        return f"Changed {where}{day} {words.clock_text(when)}"


class Authors:
    """Answers who changed a field since an edit's copy was read; a few statements in all."""

    def __init__(self, order: PortInOrder, since: datetime) -> None:
        done = Operation.objects.filter(
            target=order.target,
            kind=UPDATE,
            state=Operation.State.SUCCEEDED,
            finished_at__gte=since,
        ).select_related("by")
        done = done.defer("payload").annotate(sends=heard.SENDS)
        self._ours = [
            (operation, units_of((operation.sends or {}).get("body") or {}))
            for operation in done.order_by("-pk")[:_MOST_AUTHORS]
        ]
        told = TimelineEntry.objects.filter(
            item_id=order.item_id, at__gte=since, source=TimelineEntry.Source.SINCH
        ).values_list("at", flat=True)
        self._seen_at = told.first() or order.fetched_at

    def of(self, unit: Unit, now: Mapping[str, Any]) -> Author:
        """Return who made the field what it is now."""
        for operation, units in self._ours:
            if units.get(unit, {}) == now and operation.by and operation.finished_at:
                return Author(operation.by.short_name, operation.finished_at)
        return Author("", self._seen_at)


def changed_by(order: PortInOrder, since: datetime) -> Author | None:
    """Return the colleague whose change arrived last since then; None for nobody's."""
    done = Operation.objects.filter(
        target=order.target, kind=UPDATE, state=Operation.State.SUCCEEDED, finished_at__gte=since
    )
    last = done.select_related("by").defer("payload").order_by("-pk").first()
    if last is None or last.by is None or last.finished_at is None:
        return None
    return Author(last.by.short_name, last.finished_at)


# --- Looking at a secret, sending ----------------------------------------------------------------


def look_at(order: PortInOrder, field_name: str, numbers: Sequence[str], *, by: User) -> str:
    """Return what our store has in a secret field of some numbers, and tell who looked.

    `field_name` is Sinch's, such as accountNum; KeyError for one that is no secret.
    """
    what = dict(SECRETS.values())[field_name]
    known = order.secrets or {}
    values = dict.fromkeys(known.get(n, {}).get(field_name, "") for n in numbers)
    items.tell(
        order.item,
        [
            items.Event(
                text=f"Looked at {what} of {words.count_text(len(numbers), 'number')}",
                fact=("reveal", order.pk, field_name, by.pk, timezone.now()),
                glyph="dot",
                source=TimelineEntry.Source.STAFF,
                by=by,
            )
        ],
    )
    return ", ".join(value for value in values if value)


def submit_update(
    order: PortInOrder, work: Work, *, seen: str, key: str, by: User, clears: bool = False
) -> Operation:
    """Send a change of an order on its way to Sinch and return the operation.

    `seen` is the digest of the copy the check page compared with, `key` names the page: the same
    sent twice changes once. `clears` says that PINs which nobody here knows may be cleared. Raises
    NotEditable, ChangedAtSinch, Unsettled, WouldClear, and NotSendable with what is open.
    """
    # Another change on a page that has sent one, as after going back, is another one.
    what = key_of(key, seen, work.typed, work.choices, clears)
    marker = f"{order.target}:update:{what}"
    with transaction.atomic():
        # Nobody else orders a number that it adds while it is looked for.
        one_at_a_time(order.project_id)
        order = (
            PortInOrder.objects.select_for_update(of=("self",))
            .select_related("item", "project")
            .get(pk=order.pk)
        )
        if done := Operation.objects.filter(marker=marker).defer("payload").first():
            return done
        if why := why_no_edit(order):
            raise NotEditable(why)
        if not freshness(order, work.opened_at).is_fresh:
            raise NotEditable("Sinch’s copy has not been read yet since you opened this edit.")
        judged = judge(order, work, complete=True)
        if points := judged.form.open_points():
            raise NotSendable([Reason(text, anchor) for text, anchor in points])
        if judged.problems:
            raise NotSendable([Reason(text, "s1", is_open=False) for text in judged.problems])
        if comparing.digest(order) != seen:
            raise ChangedAtSinch
        merged = judged.merged
        if merged.open:
            raise Unsettled
        if merged.is_nothing:
            raise NotSendable([Reason("Nothing has been changed.", "", is_open=False)])
        # Numbers may have come and gone at Sinch since the edit was opened.
        if why := why_not_so_many(merged.numbers):
            raise NotSendable([Reason(why, "s1", is_open=False)])
        body = merged.body
        if unknown := secrets_to_ask(order, body):
            raise NotSendable([Reason(unknown_secret_words(unknown), "id_pin", is_open=False)])
        if may_be_cleared(order, merged) and not clears:
            raise WouldClear
        labels = edit_words.labels_of(merged)
        operation, _ = submit(
            order.project,
            UPDATE,
            target=order.target,
            # `against` and `form` bring the same edit back when it does not arrive.
            payload={
                "body": body,
                "base": seen,
                "against": packed(judged.now),
                "form": _form_of(judged, body),
            },
            by=by,
            subject=f"The change of {words.count_text(len(labels), 'field')}",
            marker=marker,
        )
        said = listed(labels)
        items.tell_staff_action(
            order.item, operation, f"Change sent on its way to Sinch: {said[:1].upper()}{said[1:]}"
        )
        # A note that this answers is answered by nobody else while it is on its way.
        standing.recompute(order)
    return operation


def _form_of(judged: Judged, body: Mapping[str, Any]) -> Json:
    """Return the fields that a body came from, beside the copy it was compared with."""
    fields = fields_of_edit(judged.now, body)
    return fields | {"added": "\n".join(judged.merged.added), "dropped": judged.merged.dropped}
