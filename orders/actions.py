"""What staff do before Sinch has an order: type it, check it, send it; and how they change it.

A draft is saved as it is typed and judged whenever it is shown. Sending, like every write, is one
transaction: the rules once more under a lock, the operation, the timeline and the draft's state.
"""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography.fernet import InvalidToken
from django.core.serializers.json import DjangoJSONEncoder
from django.db import transaction
from django.utils import timezone

from orders import wire
from orders.forms import (
    DEFAULT_ZONE,
    MAX_NUMBERS,
    SECRET_FIELDS,
    ZONES,
    DraftForm,
    OverrideForm,
)
from orders.models import PortInDraft
from orders.numbers import numbers_of, read_numbers, replaced, without
from orders.review import Reason, Review, is_sending, review
from portal import words
from portal.accounts.models import SinchProject, User
from portal.crypto import cipher
from portal.operations.actions import submit
from portal.operations.models import Operation
from portal.sinch.payloads import PortInOrderWrite
from portal.work import items

MAX_OVERRIDES: Final = MAX_NUMBERS
# Text fields of a draft as they are posted; secrets and the tick box have rules of their own.
TEXT_FIELDS: Final = tuple(
    name for name in DraftForm.base_fields if name not in {*SECRET_FIELDS, "on_demand"}
)
OVERRIDE_FIELDS: Final = tuple(
    name for name in OverrideForm.base_fields if name not in SECRET_FIELDS
)


class NotEditable(Exception):
    """Raised when a draft or an order cannot be changed now; its text says why."""


class ChangedElsewhere(Exception):
    """Raised when somebody else, or another tab, saved the draft meanwhile."""

    def __init__(self, draft: PortInDraft) -> None:
        self.draft = draft
        super().__init__("The draft was saved elsewhere.")


class NotSendable(Exception):
    """Raised when an order is not ready to be sent; `reasons` names each open thing."""

    def __init__(self, reasons: Sequence[Reason]) -> None:
        self.reasons = list(reasons)
        super().__init__("; ".join(reason.text for reason in self.reasons))


class NumberInLiveOrder(NotSendable):
    """Raised when a number is on its way in another order already."""


@dataclass(frozen=True)
class Typed:
    """What one posted page says: fields as typed, and which version of the draft it began with.

    `overrides` None leaves them alone. `tab` tells pages apart, so that a page's own autosave is
    not taken for somebody else.
    """

    fields: Mapping[str, Any]
    overrides: list[dict[str, Any]] | None = None
    secrets: Mapping[str, str] = field(default_factory=dict)
    dropped_secrets: Sequence[str] = ()
    version: int = 0
    tab: str = ""
    overwrite: bool = False


# --- Drafts ---------------------------------------------------------------------------------


def default_fields(project: SinchProject) -> dict[str, Any]:
    """Return what an empty form holds: the project's default time and zone."""
    zone = project.default_port_time_zone
    return {
        "service": "B",
        "port_time": project.default_port_time,
        "port_zone": zone if zone in ZONES else DEFAULT_ZONE,
    }


def project_for_new_orders() -> SinchProject | None:
    """Return the Sinch project a new order goes to: the first active one; None without any."""
    return SinchProject.objects.filter(is_active=True).order_by("pk").first()


def open_drafts(by: User) -> list[PortInDraft]:
    """Return the drafts a person can go on with, the latest first."""
    return list(
        PortInDraft.objects.filter(
            by=by, state__in=[PortInDraft.State.OPEN, PortInDraft.State.SENDING]
        ).defer("data")[:20]
    )


def locked_draft(pk: uuid.UUID) -> PortInDraft:
    """Return the draft, locked; call inside a transaction. Raises PortInDraft.DoesNotExist."""
    return (
        PortInDraft.objects.select_for_update(of=("self",))
        .select_related("project", "operation", "check_operation", "order")
        .get(pk=pk)
    )


def save_draft(pk: uuid.UUID, project: SinchProject, typed: Typed, *, by: User) -> PortInDraft:
    """Save what was typed, whatever it is, and return the draft; the first time makes it.

    Raises ChangedElsewhere when the page began with an older version, NotEditable when the draft
    is being sent or gone.
    """
    with transaction.atomic():
        # A click and an autosave may both be the first: the id comes from the page.
        _, made = PortInDraft.objects.get_or_create(
            pk=pk, defaults={"project": project, "by": by, "data": default_fields(project)}
        )
        draft = locked_draft(pk)
        refuse_unless_open(draft)
        own = typed.tab and draft.data.get("tab") == typed.tab
        if not made and not own and not typed.overwrite and typed.version != draft.version:
            raise ChangedElsewhere(draft)
        data = merged(draft.data, typed)
        if data != draft.data:
            if not made:
                draft.version += 1
            _store(draft, data | {"tab": typed.tab, "saved_by": by.short_name})
    return draft


def refuse_unless_open(draft: PortInDraft) -> None:
    """Raise NotEditable when a draft is not there to be typed in."""
    state = PortInDraft.State
    if draft.state == state.SENDING or is_sending(draft):
        raise NotEditable("This draft is on its way to Sinch; it opens again if Sinch refuses it.")
    if draft.state == state.SENT:
        raise NotEditable("This draft has become an order. Changes are made there.")
    if draft.state == state.THROWN_AWAY:
        raise NotEditable("This draft was thrown away.")


def merged(data: Mapping[str, Any], typed: Typed) -> dict[str, Any]:
    """Return a draft's fields with what was typed; an empty secret field keeps the saved one."""
    result = dict(data)
    for name, value in typed.fields.items():
        result[name] = value if isinstance(value, bool) else str(value).replace("\0", "")
    for name in typed.dropped_secrets:
        result.pop(name, None)
    result |= {name: value for name, value in typed.secrets.items() if value}
    if typed.overrides is not None:
        before = {entry.get("key"): entry for entry in data.get("overrides") or []}
        result["overrides"] = [
            _merged_entry(before.get(entry.get("key"), {}), entry)
            for entry in typed.overrides[:MAX_OVERRIDES]
        ]
    return result


def _merged_entry(before: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:
    dropped = entry.get("dropped_secrets", ())
    kept = {name: before[name] for name in SECRET_FIELDS if before.get(name)}
    typed = {name: value for name, value in entry.items() if name != "dropped_secrets"}
    typed = {name: value for name, value in typed.items() if value or name not in SECRET_FIELDS}
    return {name: value for name, value in kept.items() if name not in dropped} | typed


def _store(draft: PortInDraft, data: dict[str, Any]) -> None:
    draft.data = data
    first = next(iter(numbers_of(read_numbers(str(data.get("numbers", ""))[:2000]))), "")
    draft.title = str(data.get("name") or words.phone_text(first))[:200]
    draft.save(update_fields=["data", "title", "version", "updated_at"])


def change_draft(draft: PortInDraft, changes: Mapping[str, Any]) -> PortInDraft:
    """Change fields of a draft on somebody's word, such as taking numbers out; return it."""
    with transaction.atomic():
        draft = locked_draft(draft.pk)
        refuse_unless_open(draft)
        draft.version += 1
        _store(draft, draft.data | dict(changes))
    return draft


def correct_lines(draft: PortInDraft, corrections: Mapping[str, tuple[str, str]]) -> PortInDraft:
    """Put corrected spellings into the pasted text.

    `corrections` maps a line's key to (what stood there, what should); a line that reads otherwise
    by now is left alone, "" takes it out.
    """
    text = str(draft.field("numbers"))
    by_key = {line.key: line for line in read_numbers(text)}
    wanted = [
        (by_key[key], new)
        for key, (was, new) in corrections.items()
        if key in by_key and by_key[key].text == was and new.strip() != was
    ]
    if not wanted:
        return draft
    # From the end, so that the places of the others stay right.
    for line, new in sorted(wanted, key=lambda pair: -pair[0].start):
        text = replaced(text, line, " ".join(new.split()))
    return change_draft(draft, {"numbers": text})


def continue_with_portable(draft: PortInDraft) -> PortInDraft:
    """Take the numbers out that cannot move, and keep them named beside the list."""
    found = review(draft)
    gone = found.not_portable
    if not gone:
        return draft
    left_out = list(draft.field("left_out", []) or [])
    left_out += [
        {"number": check.number, "carrier": check.carrier, "reason": check.reason}
        for check in gone
        if check.number not in {entry["number"] for entry in left_out}
    ]
    text = without(str(draft.field("numbers")), {check.number for check in gone})
    return change_draft(draft, {"numbers": text, "left_out": left_out})


def take_date(draft: PortInDraft, day: str) -> PortInDraft:
    """Put a suggested port date (2026-06-23) into the draft; anything else changes nothing."""
    if wire.read_date(day) is None:
        return draft
    return change_draft(draft, {"port_date": day})


def add_override(draft: PortInDraft, number: str = "") -> PortInDraft:
    """Add an empty entry of details for a single number."""
    entries = list(draft.field("overrides", []) or [])
    if not number:
        taken = {entry.get("number") for entry in entries}
        listed = numbers_of(read_numbers(str(draft.field("numbers"))))
        number = next((candidate for candidate in listed if candidate not in taken), "")
    return change_draft(
        draft, {"overrides": [*entries, {"key": new_key(), "number": number}][:MAX_OVERRIDES]}
    )


def remove_override(draft: PortInDraft, key: str) -> PortInDraft:
    """Take an entry of details for a single number out."""
    entries = [e for e in draft.field("overrides", []) or [] if e.get("key") != key]
    return change_draft(draft, {"overrides": entries})


def new_key() -> str:
    """Return a short name for an entry or a page, unlike any other."""
    return f"o{uuid.uuid4().hex[:10]}"


def throw_draft_away(draft: PortInDraft) -> None:
    """Throw a draft away; its text and secrets are gone. Raises NotEditable while it is sent."""
    with transaction.atomic():
        draft = locked_draft(draft.pk)
        if draft.state == PortInDraft.State.THROWN_AWAY:
            return
        refuse_unless_open(draft)
        draft.state = PortInDraft.State.THROWN_AWAY
        draft.data = {}
        draft.version += 1
        draft.save(update_fields=["state", "data", "version", "updated_at"])


# --- Portability --------------------------------------------------------------------------------


def check_portability(draft: PortInDraft, *, by: User) -> Operation:
    """Have Sinch asked which numbers of the draft can move; a second click asks once.

    Raises NotSendable when there is nothing to ask about, NotEditable when the draft is not open.
    """
    with transaction.atomic():
        draft = locked_draft(draft.pk)
        refuse_unless_open(draft)
        numbers = numbers_of(read_numbers(str(draft.field("numbers"))))
        if not numbers:
            raise NotSendable([Reason("the numbers", "id_numbers")])
        if len(numbers) > MAX_NUMBERS:
            raise NotSendable(
                [
                    Reason(
                        f"One order takes at most {MAX_NUMBERS} numbers; these are "
                        f"{len(numbers):,}.",
                        "id_numbers",
                        is_open=False,
                    )
                ]
            )
        running = draft.check_operation
        if running and running.is_under_way and running.payload.get("numbers") == numbers:
            return running
        operation, _ = submit(
            draft.project,
            "port_in.check",
            target=draft.target,
            payload={"numbers": numbers},
            by=by,
            subject=f"Portability of {words.count_text(len(numbers), 'number')}",
        )
        draft.check_operation = operation
        draft.save(update_fields=["check_operation"])
    return operation


# --- Sending ------------------------------------------------------------------------------------


def attempt_of(draft: PortInDraft) -> int:
    """Return the number the next attempt to send will have, counted from 1."""
    return int(draft.field("attempt", 0) or 0) + 1


def create_marker(draft: PortInDraft, attempt: int) -> str:
    """Return what makes an attempt to send unique."""
    return f"{draft.target}:create:{attempt}"


def submit_port_in_order(draft: PortInDraft, *, attempt: int, by: User) -> Operation:
    """Send a draft on its way to Sinch and return the operation.

    `attempt` is what the page was shown with: a double click, a reload and a form sent again from
    the history all get the operation that exists. Raises NotSendable with everything that is
    open, NumberInLiveOrder when that is a number on its way elsewhere, NotEditable.
    """
    with transaction.atomic():
        # One at a time in a project: two drafts must not take one reference or one number. Rows
        # that refer to the project are not held up by this lock.
        SinchProject.objects.select_for_update(no_key=True).get(pk=draft.project_id)
        draft = locked_draft(draft.pk)
        if done := Operation.objects.filter(marker=create_marker(draft, attempt)).first():
            return done
        if draft.operation and (is_sending(draft) or draft.state == PortInDraft.State.SENT):
            return draft.operation
        refuse_unless_open(draft)
        _refuse_unsettled(draft)
        found = review(draft, complete=True)
        if found.reasons:
            taken = [place for place in found.places.values() if place.blocks]
            raise (NumberInLiveOrder if taken else NotSendable)(found.reasons)
        attempt = attempt_of(draft)
        data = draft.data | {
            "attempt": attempt,
            "reference": found.form.cleaned_data["reference"] or made_reference(draft),
        }
        data["sent"] = {name: data.get(name, "") for name in (*TEXT_FIELDS, *SECRET_FIELDS)}
        count = words.count_text(len(found.numbers), "number")
        operation, _ = submit(
            draft.project,
            "port_in.create",
            target=draft.target,
            payload={"body": create_body(found, data["reference"]), "draft": str(draft.pk)},
            by=by,
            subject=f"Order {data['reference']}",
            marker=create_marker(draft, attempt),
        )
        items.tell_staff_action(
            None,
            operation,
            f"Order of {count} sent on its way to Sinch, reference {data['reference']}",
            glyph="out",
        )
        draft.state = PortInDraft.State.SENDING
        draft.operation = operation
        draft.version += 1
        draft.data = data
        draft.save(update_fields=["state", "operation", "version", "data", "updated_at"])
    return operation


def _refuse_unsettled(draft: PortInDraft) -> None:
    """Refuse a new attempt while an earlier one may have reached Sinch without our knowing."""
    stopped = draft.operation
    if stopped is None or stopped.state != Operation.State.DEAD:
        return
    if stopped.uncertain_since:
        raise NotSendable(
            [
                Reason(
                    "The last try may have arrived at Sinch. Press “Try again” above: it is "
                    "looked up before anything is sent.",
                    f"operation-{stopped.key}",
                    is_open=False,
                )
            ]
        )
    # It certainly did nothing; from now on nobody may take it up beside the new one.
    Operation.objects.filter(pk=stopped.pk, state=Operation.State.DEAD).update(
        state=Operation.State.REFUSED,
        staff_message="Nothing was sent. A later try has taken its place.",
    )


def made_reference(draft: PortInDraft) -> str:
    """Return the reference of a draft whose writer left it to the desk; always the same."""
    return f"PI-{timezone.localdate(draft.created_at):%y%m%d}-{draft.pk.hex[:8].upper()}"


def create_body(found: Review, reference: str) -> PortInOrderWrite:
    """Return the body of the order Sinch is to make. Only for a draft that can be sent."""
    form = found.form
    return wire.create_body(
        numbers=found.numbers,
        shared=form.shared(),
        overrides=form.override_details(),
        schedule=form.schedule(),
        reference=reference,
        on_demand=form.cleaned_data["on_demand"],
        reseller=form.cleaned_data["reseller"],
        loa={},
    )


# --- Secrets on their way between two pages -----------------------------------------------------

SEAL_HOLDS_SECONDS: Final = 12 * 3600


def sealed(values: Mapping[str, Any], by: User) -> str:
    """Return values that only this desk can read, for a hidden field of the same person's page."""
    text = json.dumps({"by": by.pk, "values": values}, cls=DjangoJSONEncoder)
    return cipher().encrypt(text.encode()).decode()


def unsealed(token: str, by: User) -> dict[str, Any]:
    """Return the sealed values; empty when too old or not this person's."""
    if not token:
        return {}
    try:
        found = json.loads(cipher().decrypt(token.encode(), ttl=SEAL_HOLDS_SECONDS))
    except (InvalidToken, ValueError):
        return {}
    return dict(found["values"]) if found.get("by") == by.pk else {}
