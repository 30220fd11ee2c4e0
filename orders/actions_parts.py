"""Sending a draft: as one order, or as several in one step.

Sending is one transaction: the rules once more under a lock, then for each order a draft of its
own, its operation and its entry in the timeline. Numbers out of a file stay rows, which are handed
to the drafts; the worker that sends an order puts its body together, so that 20,000 numbers are
not put together while somebody waits.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction

from orders.actions import (
    TEXT_FIELDS,
    NumberInLiveOrder,
    attempt_of,
    create_marker,
)
from orders.actions_lists import forget_file
from orders.details import SECRET_FIELDS
from orders.list_rows import FROM_LIST, hand_over
from orders.models import ListRow, PortInDraft
from orders.parts import ONE, Part, Plan, create_body, made_reference, rows_by_part
from orders.places import one_at_a_time
from orders.review import Reason, Review, review
from portal import words
from portal.accounts.models import User
from portal.operations.actions import submit
from portal.operations.models import Operation
from portal.work import items
from portal.work.drafts import NotSendable, locked_draft, refuse_unless_open
from portal.work.items import Event
from portal.work.models import TimelineEntry

# What a part does not take over from the draft it comes from.
_NOT_INHERITED = ("numbers", "overrides", "left_out", "sent", "tab", "saved_by")


def submit_orders(draft: PortInDraft, *, attempt: int, by: User) -> list[Operation]:
    """Send a draft on its way to Sinch, as one order or several; return their operations.

    `attempt` is what the page was shown with: a double click, a reload and a form sent again from
    the history all get the operations that exist. Raises NotSendable with everything that is
    open, NumberInLiveOrder when that is a number on its way elsewhere, NotEditable.
    """
    with transaction.atomic():
        one_at_a_time(draft.project_id)
        draft = locked_draft(draft)
        marker = create_marker(draft, attempt)
        if done := Operation.objects.filter(marker=marker).defer("payload").first():
            return [done]
        if draft.operation and (draft.is_sending or draft.state == PortInDraft.State.SENT):
            return [draft.operation]
        if sent := list(Operation.objects.filter(drafts__parent=draft).order_by("drafts__part")):
            return sent
        refuse_unless_open(draft)
        _refuse_unsettled(draft)
        found = review(draft, complete=True)
        plan = Plan(found)
        if plan.reasons:
            raise (NumberInLiveOrder if found.taken else NotSendable)(plan.reasons)
        forget_file(draft)
        if plan.count == 1:
            return [_send_as_one(found, by)]
        return _send_apart(plan, by)


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


def _send_as_one(found: Review, by: User) -> Operation:
    """Send a reviewed, locked draft as the one order it is."""
    draft = found.draft
    reference = found.form.cleaned_data["reference"] or made_reference(draft)
    data = _as_sent(draft.data, attempt_of(draft), reference, found.count, found.carriers)
    draft.version += 1
    payload = _payload_of(draft, reference)
    if found.rows is None:
        payload["body"] = create_body(found, reference)
    else:
        ListRow.objects.filter(pk__in=found.rows.going().order_by().values("pk")).update(part=draft)
    operation, _ = submit(
        draft.project,
        "port_in.create",
        target=draft.target,
        payload=payload,
        by=by,
        subject=f"Order {reference}",
        marker=create_marker(draft, data["attempt"]),
    )
    count = words.count_text(found.count, "number")
    items.tell_staff_action(
        None,
        operation,
        f"Order of {count} sent on its way to Sinch, reference {reference}",
        glyph="out",
    )
    draft.state = PortInDraft.State.SENDING
    draft.operation = operation
    draft.data = data
    draft.save(update_fields=["state", "operation", "version", "data", "updated_at"])
    return operation


def _payload_of(draft: PortInDraft, reference: str) -> dict[str, Any]:
    """Return what is sent of a draft but for its body; a later version of it is another order."""
    return {"draft": str(draft.pk), "reference": reference, "version": draft.version}


def _as_sent(
    data: Mapping[str, Any],
    attempt: int,
    reference: str,
    count: int,
    carriers: Sequence[tuple[str, int]],
) -> dict[str, Any]:
    """Return a draft's fields with what is kept about its being sent."""
    data = {**data, "attempt": attempt, "reference": reference, "count": count}
    data["carrier"] = ", ".join(name or "Not said" for name, _ in carriers)
    return data | {"sent": {name: data.get(name, "") for name in (*TEXT_FIELDS, *SECRET_FIELDS)}}


def _send_apart(plan: Plan, by: User) -> list[Operation]:
    """Send a reviewed, locked draft as several orders: all of them are on disk, or none."""
    draft, found, parts = plan.found.draft, plan.found, plan.parts
    children = [_child_of(draft, part) for part in parts]
    if found.rows is not None:
        keys = rows_by_part(plan, found.rows.going())
    operations, events = [], []
    for part, child in zip(parts, children, strict=True):
        payload = _payload_of(child, part.reference)
        if found.rows is None:
            payload["body"] = create_body(review(child, complete=True), part.reference)
        operation, _ = submit(
            draft.project,
            "port_in.create",
            target=child.target,
            payload=payload,
            by=by,
            subject=f"Order {part.reference}",
            marker=create_marker(child, 1),
        )
        child.operation = operation
        operations.append(operation)
        count = words.count_text(part.count, "number")
        events.append(
            Event(
                f"Order {part.part} of {len(parts)}, {count}, sent on its way to Sinch, "
                f"reference {part.reference}",
                ("operation", operation.pk, "decided"),
                glyph="out",
                source=TimelineEntry.Source.STAFF,
                by=by,
                operation=operation,
            )
        )
    PortInDraft.objects.bulk_create(children)
    if found.rows is not None:
        hand_over({child.pk: own for child, own in zip(children, keys, strict=True)})
    items.tell(None, events)
    draft.state = PortInDraft.State.SENT
    draft.operation = None
    draft.version += 1
    draft.data = {**draft.data, "reference": plan.base}
    draft.save(update_fields=["state", "operation", "version", "data", "updated_at"])
    return operations


def _child_of(draft: PortInDraft, part: Part) -> PortInDraft:
    """Return the draft of one of several orders, not saved yet: it can be sent, and sent again."""
    data = {name: value for name, value in draft.data.items() if name not in _NOT_INHERITED}
    if part.numbers:
        listed = set(part.numbers)
        data["numbers"] = "\n".join(part.numbers)
        data["overrides"] = [
            entry for entry in draft.field("overrides", []) or [] if entry.get("number") in listed
        ]
    else:
        data[FROM_LIST] = True
    data["split"] = ONE
    carriers = [(name, part.count) for name in part.carriers]
    return PortInDraft(
        project=draft.project,
        by_id=draft.by_id,
        state=PortInDraft.State.SENDING,
        data=_as_sent(data, 1, part.reference, part.count, carriers),
        title=draft.title,
        parent=draft,
        part=part.part,
        follows_id=draft.follows_id,
    )
