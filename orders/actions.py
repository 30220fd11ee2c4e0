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
from django.db.models import Exists, OuterRef, Q, Subquery, Value
from django.db.models.functions import Coalesce, Left, NullIf

from orders import portability, wire
from orders.details import SECRET_FIELDS
from orders.forms import DEFAULT_ZONE, MAX_NUMBERS, ZONES, DraftForm
from orders.forms_own import OverrideForm
from orders.models import ListRows, NumberList, PortInDraft
from orders.places import blocked_numbers
from orders.review import Reason, review
from orders.verdicts import gone_results, numbers_to_ask
from portal import words
from portal.accounts.models import SinchProject, User
from portal.crypto import cipher
from portal.numbers import numbers_of, read_numbers, replaced, without
from portal.operations.actions import submit
from portal.work import drafts
from portal.work.drafts import NotSendable, locked_draft, refuse_unless_open

MAX_OVERRIDES: Final = MAX_NUMBERS
TICKS: Final = ("on_demand", "e911_same")
# Text fields of a draft as they are posted; secrets and tick boxes have rules of their own.
TEXT_FIELDS: Final = tuple(
    name for name in DraftForm.base_fields if name not in {*SECRET_FIELDS, *TICKS}
)
OVERRIDE_FIELDS: Final = tuple(
    name for name in OverrideForm.base_fields if name not in SECRET_FIELDS
)


class NumberInLiveOrder(NotSendable):
    """Raised when a number is on its way in another order already."""


@dataclass(frozen=True)
class Typed(drafts.Typed):
    """What one posted page says of a port-in draft; `overrides` None leaves them alone."""

    overrides: list[dict[str, Any]] | None = None
    secrets: Mapping[str, str] = field(default_factory=dict)
    dropped_secrets: Sequence[str] = ()

    def merged(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return a draft's fields with what was typed; an empty secret keeps the saved one."""
        result = dict(data)
        for name, value in self.fields.items():
            result[name] = value if isinstance(value, bool) else str(value).replace("\0", "")
        for name in self.dropped_secrets:
            result.pop(name, None)
        result |= {name: value for name, value in self.secrets.items() if value}
        if self.overrides is not None:
            # A page need not show all of them: what it does not speak of stays, until removed.
            said = {entry.get("key"): entry for entry in self.overrides}
            result["overrides"] = [
                _merged_entry(entry, said.pop(key)) if (key := entry.get("key")) in said else entry
                for entry in data.get("overrides") or []
            ]
            result["overrides"] += [_merged_entry({}, entry) for entry in said.values()]
            del result["overrides"][MAX_OVERRIDES:]
        return result


# --- Drafts ---------------------------------------------------------------------------------


def default_fields(project: SinchProject) -> dict[str, Any]:
    """Return what an empty form holds: the project's default time and zone."""
    zone = project.default_port_time_zone
    return {
        "service": "B",
        "port_time": project.default_port_time,
        "port_zone": zone if zone in ZONES else DEFAULT_ZONE,
    }


def save_draft(pk: uuid.UUID, project: SinchProject, typed: Typed, *, by: User) -> PortInDraft:
    """Save what was typed and return the draft. Raises ChangedElsewhere, NotEditable."""
    new = {"project": project, "data": default_fields(project)}
    return drafts.save_draft(PortInDraft, pk, typed, by=by, new=new, store=_store)


def _merged_entry(before: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:
    dropped = entry.get("dropped_secrets", ())
    kept = {name: before[name] for name in SECRET_FIELDS if before.get(name)}
    typed = {name: value for name, value in entry.items() if name != "dropped_secrets"}
    typed = {name: value for name, value in typed.items() if value or name not in SECRET_FIELDS}
    return {name: value for name, value in kept.items() if name not in dropped} | typed


def _store(draft: PortInDraft, data: dict[str, Any]) -> None:
    draft.data = data
    first = next(iter(numbers_of(read_numbers(str(data.get("numbers", ""))[:2000]))), "")
    draft.title = str(data.get("name") or words.phone_text(first) or draft.title)[:200]
    draft.save(update_fields=["data", "title", "version", "updated_at"])


def change_draft(draft: PortInDraft, changes: Mapping[str, Any]) -> PortInDraft:
    """Change fields of a draft on somebody's word, such as taking numbers out; return it."""
    with transaction.atomic():
        draft = locked_draft(draft)
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
    with transaction.atomic():
        draft = locked_draft(draft)
        refuse_unless_open(draft)
        found = review(draft)
        if found.rows is not None:
            gone = gone_results(draft.project).filter(phone_number=OuterRef("number"))
            words_ = Coalesce(NullIf(Left("reason", 180), Value("")), Value("Cannot move"))
            return _rows_left_out(
                draft,
                found.rows.going().filter(Exists(gone)),
                Subquery(gone.values(said=words_)[:1]),
            )
        checks = found.not_portable()
        if not checks:
            return draft
        left_out = list(draft.field("left_out", []) or [])
        left_out += [
            {"number": check.number, "carrier": check.carrier, "reason": check.reason}
            for check in checks
            if check.number not in {entry["number"] for entry in left_out}
        ]
        text = without(str(draft.field("numbers")), {check.number for check in checks})
        return change_draft(draft, {"numbers": text, "left_out": left_out})


def continue_without_taken(draft: PortInDraft) -> PortInDraft:
    """Take the numbers out that are on their way in another order."""
    with transaction.atomic():
        draft = locked_draft(draft)
        refuse_unless_open(draft)
        found = review(draft)
        if found.rows is not None:
            going = found.rows.going()
            taken = going.filter(
                Q(number__in=blocked_numbers(draft.project)) | Q(number__in=list(found.taken))
            )
            return _rows_left_out(draft, taken, Value("On its way in another order"))
        text = without(str(draft.field("numbers")), set(found.taken))
        return change_draft(draft, {"numbers": text})


def leave_row_out(draft: PortInDraft, number: str) -> PortInDraft:
    """Take one number out of a draft whose numbers are rows of a file."""
    with transaction.atomic():
        draft = locked_draft(draft)
        refuse_unless_open(draft)
        found = review(draft)
        if found.rows is None:
            return draft
        rows = found.rows.going().filter(number=number)
        return _rows_left_out(draft, rows, Value("Left out by hand"))


def _rows_left_out(draft: PortInDraft, rows: ListRows, why: Any) -> PortInDraft:
    """Leave rows out of a locked draft; `why` is the expression of the words they keep."""
    return change_draft(draft, {}) if rows.order_by().update(left_out=why) else draft


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


def throw_draft_away(draft: PortInDraft, seen: Typed | None = None) -> None:
    """Throw a draft away with its list of numbers; see `drafts.throw_draft_away`."""
    with transaction.atomic():
        drafts.throw_draft_away(draft, seen)
        NumberList.objects.filter(draft=draft).delete()


# --- Portability --------------------------------------------------------------------------------


def check_portability(draft: PortInDraft, *, by: User) -> None:
    """Have Sinch asked which numbers of the draft can move; a second click asks once.

    Up to 500 numbers are one question; more are asked about in the background, the ones without
    an answer that holds first of all. Raises NotSendable when there is nothing to ask about,
    NotEditable when the draft is not open.
    """
    with transaction.atomic():
        draft = locked_draft(draft)
        refuse_unless_open(draft)
        found = review(draft)
        if not found.count:
            raise NotSendable([Reason("the numbers", "id_numbers")])
        title = f"Portability of {words.count_text(found.count, 'number')}"
        if found.number_list is not None and found.rows is not None:
            rows = found.rows.going()
            stale = numbers_to_ask(draft.project, rows)
            numbers = stale or list(rows.order_by("position").values_list("number", flat=True))
            portability.start(
                draft.project, numbers, by=by, draft=draft, title=title, only_stale=bool(stale)
            )
            return
        if found.is_long:
            portability.start(
                draft.project,
                found.numbers,
                by=by,
                draft=draft,
                title=title,
                only_stale=bool(found.verdicts.unchecked),
            )
            return
        unchecked = [check.number for check in found.checks if not check.holds]
        numbers = unchecked or found.numbers
        running = draft.check_operation
        if running and running.is_under_way and running.payload.get("numbers") == numbers:
            return
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


# --- Sending ------------------------------------------------------------------------------------


def attempt_of(draft: PortInDraft) -> int:
    """Return the number the next attempt to send will have, counted from 1."""
    return int(draft.field("attempt", 0) or 0) + 1


def create_marker(draft: PortInDraft, attempt: int) -> str:
    """Return what makes an attempt to send unique."""
    return f"{draft.target}:create:{attempt}"


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
