"""What staff do before Sinch has a hosting order: type it, and send it as one or several orders."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from django.db import transaction
from django.db.models import ExpressionWrapper, F

from hosting.actions_number import why_not_anew
from hosting.forms import TICKS, DraftForm
from hosting.models import (
    HostingDraft,
    HostingOrder,
    ImportedNumber,
    NumberMove,
    QualifiedNumber,
)
from hosting.review import Reason, Review, body_of
from portal import words
from portal.accounts.models import SinchProject, User
from portal.crypto import LegibleJSONField
from portal.numbers import TOLL_FREE, area_code
from portal.operations.actions import submit
from portal.operations.models import Operation
from portal.projects import callbacks
from portal.values import whole
from portal.work import drafts, items
from portal.work.drafts import NotSendable, Typed, locked_draft, refuse_unless_open

Kind, State = HostingDraft.Kind, HostingDraft.State
FIELDS: Final = tuple(DraftForm.base_fields)
# The operation that makes an order of each kind; of verified numbers it is another one.
CREATES: Final = {
    (Kind.IMPORT, False): "hosting.import",
    (Kind.TEXT_ENABLE, False): "hosting.text_enable",
    (Kind.TOLL_FREE, False): "hosting.toll_free",
    (Kind.TEXT_ENABLE, True): "hosting.text_enable_qualified",
    (Kind.TOLL_FREE, True): "hosting.toll_free_qualified",
}


def typed_of(post: Mapping[str, Any]) -> Typed:
    """Return what a posted form says; fields it does not have stay what they are."""
    fields: dict[str, Any] = {
        name: str(post[name]).replace("\0", "") for name in FIELDS if name in post
    }
    if "version" in post:  # the whole form, in which an empty box is one that is not ticked
        fields |= {name: name in post for name in TICKS}
    verb, _, over = str(post.get("action", "")).partition(":")
    return Typed(
        fields,
        whole(str(post.get("version", ""))) or 0,
        str(post.get("tab", ""))[:40],
        whole(over) or 0 if verb == "overwrite" else 0,
    )


# --- Drafts -------------------------------------------------------------------------------------


def save_draft(
    pk: uuid.UUID, project: SinchProject, kind: str, typed: Typed, *, by: User
) -> HostingDraft:
    """Save what was typed and return the draft. Raises ChangedElsewhere, NotEditable."""
    new = {"project": project, "kind": kind, "data": {}}
    return drafts.save_draft(HostingDraft, pk, typed, by=by, new=new, store=_store)


def _store(draft: HostingDraft, data: dict[str, Any]) -> None:
    draft.data = data
    found = Review(draft, "UTC")
    first = found.numbers[0] if found.numbers else ""
    named = data.get("business") or data.get("display_name")
    draft.title = str(named or words.phone_text(first) or draft.get_kind_display())[:200]
    draft.save(update_fields=["data", "title", "version", "updated_at"])


def drop_numbers(draft: HostingDraft, phones: Iterable[str]) -> HostingDraft:
    """Take numbers out of a draft, and lines that cannot be read when none are named."""
    from portal.numbers import without

    with transaction.atomic():
        draft = locked_draft(draft)
        refuse_unless_open(draft)
        text = without(str(draft.field("numbers")), set(phones))
        draft.version += 1
        _store(draft, draft.data | {"numbers": text})
    return draft


# --- Drafts that the desk begins ----------------------------------------------------------------


def draft_for_migration(order: HostingOrder, phones: Sequence[str], *, by: User) -> HostingDraft:
    """Return a draft that moves numbers held at T-Mobile over, with the order's plan and campaign.

    The customer's word is on record with the order before this is called. A draft for the same
    numbers that is still open is gone on with.
    """
    numbers = "\n".join(phones)
    data = {
        "numbers": numbers,
        "display_name": f"{order.display_name or order.sinch_id}: T-Mobile move"[:80],
        "region": order.region_code,
        "plan": order.service_plan_id,
        "campaign": order.campaign_id,
        "migrate": True,
        "left_provider": True,
    }
    with transaction.atomic():
        for draft in HostingDraft.objects.filter(follows=order, state=State.OPEN, by=by):
            if draft.field("numbers") == numbers:
                return draft
        return HostingDraft.objects.create(
            project=order.project,
            by=by,
            kind=Kind.IMPORT,
            follows=order,
            data=data,
            title=str(data["display_name"]),
        )


def draft_of_verified(
    project: SinchProject, phones: Sequence[str], *, by: User
) -> list[HostingDraft]:
    """Return drafts that text-enable verified numbers: toll-free ones go apart.

    A second click finds the drafts of the first, in which nothing has been typed yet.
    """
    found = []
    for kind in (Kind.TEXT_ENABLE, Kind.TOLL_FREE):
        own = [p for p in phones if (area_code(p) in TOLL_FREE) == (kind == Kind.TOLL_FREE)]
        if own:
            new = {"project": project, "by": by, "kind": kind, "is_qualified": True}
            data, title = {"numbers": "\n".join(own)}, words.phone_text(own[0])
            same = HostingDraft.objects.filter(**new, state=State.OPEN, title=title)
            kept = ExpressionWrapper(F("data"), output_field=LegibleJSONField())
            rows = same.defer("data").annotate(kept=kept)
            draft = next((one for one in rows if one.kept == data), None)
            found.append(draft or HostingDraft.objects.create(**new, data=data, title=title))
    return found


# --- Sending ------------------------------------------------------------------------------------


def send(draft: HostingDraft, zone: str, *, by: User, attempt: str = "") -> list[Operation]:
    """Send a draft as one order, or as several when one does not take all its numbers.

    One transaction: the rules once more under a lock, a draft and an operation for each order.
    `attempt` is unique to the page that asked, so that it sends once however often it is clicked.
    Raises NotSendable, NotEditable.
    """
    with transaction.atomic():
        draft = locked_draft(draft)
        # It may be open again by now, with its order at Sinch all the same: its answer was lost.
        is_sent = draft.state in (State.SENDING, State.SENT)
        if draft.field("attempt") == attempt and (attempt or is_sent):
            return []
        refuse_unless_open(draft)
        found = Review(draft, zone, complete=True)
        # First what is on its way, then what has arrived: what arrives meanwhile is in both.
        _refuse_racing_numbers(draft, found.numbers)
        if found.reasons:
            raise NotSendable(found.reasons)
        parts = found.parts
        operations = []
        draft.version += 1
        for part in parts:
            one = draft if len(parts) == 1 else _part_of(draft, part.place, part.numbers, part.name)
            operations.append(_submit(one, found, part, by=by))
        draft.data = draft.data | {"attempt": attempt}
        draft.state = State.SENDING if len(parts) == 1 else State.SENT
        draft.save(update_fields=["state", "version", "data", "operation", "updated_at"])
    return operations


def _refuse_racing_numbers(draft: HostingDraft, numbers: Sequence[str]) -> None:
    """Raise NotSendable for numbers that another draft or write is about at this moment."""
    # Two people at the same numbers take turns: whoever comes second sees the other's draft.
    SinchProject.objects.select_for_update(no_key=True).get(pk=draft.project_id)
    wanted = set(numbers)
    for other in drafts.being_sent(HostingDraft, draft.project, draft):
        if other.parent_id == draft.pk:
            continue
        if shared := wanted.intersection(Review(other, "UTC").numbers):
            whose = "its" if len(shared) == 1 else "their"
            those = f"{words.count_text(len(shared), 'number')} on {whose} way"
            raise NotSendable([Reason(f"{those} in the draft “{other}”", "id_numbers")])
    for model in (ImportedNumber, QualifiedNumber) if draft.is_qualified else (ImportedNumber,):
        if reason := why_not_anew(model, draft.project, numbers):
            raise NotSendable([Reason(reason, "id_numbers")])
    # One that is only unlinked is to go into an order: Sinch takes it as soon as it is free.
    moved = NumberMove.objects.filter(
        number__project=draft.project,
        number__phone_number__in=numbers,
        state__in=NumberMove.LIVING,
    ).exclude(to_plan="")
    if count := moved.count():
        are = "is" if count == 1 else "are"
        text = f"{words.count_text(count, 'number')} {are} being moved to another plan or campaign"
        raise NotSendable([Reason(text, "id_numbers")])


def _part_of(draft: HostingDraft, place: int, numbers: Sequence[str], name: str) -> HostingDraft:
    data = {**draft.data, "numbers": "\n".join(numbers), "display_name": name}
    return HostingDraft.objects.create(
        project=draft.project,
        by=draft.by,
        kind=draft.kind,
        is_qualified=draft.is_qualified,
        follows=draft.follows,
        parent=draft,
        part=place,
        data=data,
        title=name[:200],
        state=State.SENDING,
    )


def _submit(draft: HostingDraft, found: Review, part: Any, *, by: User) -> Operation:
    body = body_of(draft, found.form, part, found.region)
    if address := callbacks.callback_url(draft.project):
        body["callbackUrl"] = address
    tries = Operation.objects.filter(target=draft.target).count()
    operation, new = submit(
        draft.project,
        CREATES[Kind(draft.kind), draft.is_qualified],
        target=draft.target,
        # A later version of the draft is another order.
        payload={"draft": str(draft.pk), "body": body, "version": draft.version},
        by=by,
        subject=f"The order “{part.name}”",
        marker=f"{draft.target}:create:{tries + 1}",
    )
    if new:
        count = words.count_text(len(part.numbers), "number")
        text = f"{draft.get_kind_display()} order sent: {part.name}, {count}"
        items.tell_staff_action(None, operation, text, glyph="edit")
    draft.operation = operation
    HostingDraft.objects.filter(pk=draft.pk).update(operation=operation)
    return operation
