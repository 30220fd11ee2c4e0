"""Using again what was typed once: an order as a new draft, end users and routings kept."""

import uuid
from collections.abc import Collection, Mapping
from typing import Any, Final

from django.db import transaction

from orders import actions
from orders.edits import fields_of
from orders.models import EndUserProfile, PortInDraft, PortInOrder, RoutingPreset
from orders.profiles import END_USERS, Kind, filled
from portal import words
from portal.accounts.models import SinchProject, User
from portal.work.drafts import locked_draft, refuse_unless_open

Saved = EndUserProfile | RoutingPreset

# What belongs to the old order alone: a new one gets its own date, reference and papers.
_NOT_COPIED: Final = ("reference", "port_date", "loa_by", "loa_date")
# What was given for the numbers of the old order and says nothing about others.
_OF_NUMBERS: Final = ("pin", "new_pin", "signed_on", "overrides")


# --- Copying an order ---------------------------------------------------------------------------


def copy_order(order: PortInOrder, *, with_numbers: bool, pk: uuid.UUID, by: User) -> PortInDraft:
    """Make a draft with everything an order says, and return it.

    Without its numbers their PINs, the day somebody signed for them and what single numbers have
    of their own stay behind. `pk` is the id the page came with: a click that arrives twice gets
    the draft that exists. Needs the order's payload and secrets; nothing at Sinch changes.
    """
    fields = fields_of(order, order.secrets)
    left = _NOT_COPIED if with_numbers else (*_NOT_COPIED, *_OF_NUMBERS)
    data = {name: value for name, value in fields.items() if name not in left}
    if with_numbers:
        numbers = order.numbers.order_by("position").values_list("phone_number", flat=True)
        data["numbers"] = "\n".join(map(words.phone_text, numbers))
    draft, _ = PortInDraft.objects.get_or_create(
        pk=pk,
        defaults={
            "project": order.project,
            "by": by,
            "data": actions.default_fields(order.project) | data | {"follows_kind": "copy"},
            "title": str(data.get("name") or order.sinch_id)[:200],
            "follows": order,
        },
    )
    return draft


# --- Keeping ------------------------------------------------------------------------------------


def save(
    kind: Kind,
    project: SinchProject,
    title: str,
    details: Mapping[str, str],
    *,
    pk: int | None,
    by: User,
) -> Saved:
    """Keep an end user or a routing under a name; whatever else had the name is replaced.

    `pk` is the one that is edited, None for a new one.
    """
    with transaction.atomic():
        rows = kind.model._default_manager.select_for_update().filter(project=project)
        same = rows.filter(name=title).exclude(pk=pk or 0).first()
        row = rows.filter(pk=pk).first() if pk else same
        if row is None:
            row = kind.model(project=project)
        elif same is not None and same.pk != row.pk:
            same.delete()
        row.name, row.data, row.by = title, dict(details), by
        row.save()
    return row


def use(
    kind: Kind, draft: PortInDraft, saved: Saved, *, replaced: Collection[str] = ()
) -> PortInDraft:
    """Fill a draft from what is kept; of what is typed only the named units are replaced.

    Raises NotEditable when the draft is not open.
    """
    with transaction.atomic():
        draft = locked_draft(draft)
        refuse_unless_open(draft)
        changes = filled(kind, draft.data, saved.data or {}, replaced=replaced)
        return actions.change_draft(draft, changes) if changes else draft


def end_user_of(order: PortInOrder) -> dict[str, Any]:
    """Return the fields of an order as a draft holds them. Needs its payload and secrets."""
    return fields_of(order, order.secrets)


def suggested_name(kind: Kind, fields: Mapping[str, Any]) -> str:
    """Return the name under which something might be kept."""
    return str(fields.get("name") or "")[:100] if kind is END_USERS else ""
