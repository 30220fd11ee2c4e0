"""What staff are shown about writes: one panel for each, by the words of the look."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.apps import apps
from django.urls import reverse

from portal import words
from portal.operations.models import Operation, Reading
from portal.values import whole

# What a kind is called on its own page, and what stands for a subject that was not given.
KINDS: dict[str, tuple[str, str]] = {
    "port_in.check": ("Portability check", "The portability check"),
    "port_in.create": ("New port-in order", "The order"),
    "port_in.update": ("Changes to an order", "The change"),
    "port_in.cancel": ("Cancelation", "The cancelation"),
    "port_in.note": ("Note to Sinch", "The note"),
    "port_in.document": ("Document", "The document"),
    "port_in.activate": ("Activation", "The activation"),
    "porting.configure": ("Settings at Sinch", "The change of settings"),
    "hosting.import": ("New import order", "The import order"),
    "hosting.text_enable": ("New text-enable order", "The text-enable order"),
    "hosting.toll_free": ("New toll-free order", "The toll-free order"),
    "hosting.text_enable_qualified": ("New text-enable order", "The text-enable order"),
    "hosting.toll_free_qualified": ("New toll-free order", "The toll-free order"),
    "hosting.configure": ("Callback secret at Sinch", "The callback secret"),
    "imported.create": ("Import of a number", "The import"),
    "imported.rename": ("New name of a number", "The new name"),
    "imported.unlink": ("Unlinking of a number", "The unlinking"),
    "imported.link": ("Linking of a number", "The linking"),
    "imported.delete": ("Deletion of a number", "The deletion"),
    "qualified.add": ("Numbers to qualify", "The numbers"),
    "qualified.call": ("Call with a code", "The call"),
    "qualified.verify": ("Code of a call", "The code"),
    "qualified.delete": ("Deletion of a qualified number", "The deletion"),
}
# What a write of hosting is about: its model, and how its page is called.
_HOSTED = {
    "hosting_order": "HostingOrder",
    "hosting_draft": "HostingDraft",
    "imported": "ImportedNumber",
    "qualified": "QualifiedNumber",
}


@dataclass(frozen=True)
class Step:
    """One step of a write's way; `state` is "was", "now" or "" for what is still to come."""

    state: str
    tone: str
    glyph: str
    label: str


@dataclass(frozen=True)
class Link:
    """Where to go from here."""

    label: str
    url: str


@dataclass(frozen=True)
class Panel:
    """One write as staff see it."""

    operation: Operation
    title: str
    text: str
    tone: str
    glyph: str
    steps: list[Step]
    links: list[Link]


@dataclass(frozen=True)
class Place:
    """The thing a write is about: where its page is, and when it was last read from Sinch."""

    link: Link | None = None
    read_at: datetime | None = None


def kind_word(kind: str) -> str:
    """Return what a kind of write is called; an unknown one is called by itself."""
    return KINDS.get(kind, (kind, ""))[0]


def panel_of(
    operation: Operation, read_at: datetime | None = None, link: Link | None = None
) -> Panel:
    """Return the panel of a write; `read_at` is when its thing was last read from Sinch."""
    if not operation.subject:
        # For the words only; the row keeps what it was given.
        operation.subject = KINDS.get(operation.kind, ("", "It"))[1]
    said = words.operation_panel(operation, read_at)
    return Panel(
        operation,
        said.title,
        said.text,
        said.tone,
        said.glyph,
        [Step(*step) for step in said.steps],
        [link] if link else [],
    )


def place_of(operation: Operation) -> Place:
    """Return what a write is about; at most two statements."""
    what, _, key = operation.target.partition(":")
    sinch_id = str(operation.answer.get("id") or "") if what == "draft" else ""
    if what == "project":
        return Place(Link("Settings", reverse("projects:settings")))
    if (what == "port_in" and (pk := whole(key)) is not None) or sinch_id:
        by = {"target_pk": pk} if what == "port_in" else {"sinch_id": sinch_id}
        items = apps.get_model("work", "WorkItem").objects.filter(
            kind="port_in", project_id=operation.project_id, **by
        )
        if item := items.first():
            reading = Reading.objects.filter(
                project_id=operation.project_id,
                kind="port_in_order",
                resource_id=item.sinch_id,
            ).first()
            link = Link(str(item), item.get_absolute_url())
            return Place(link, reading.read_at if reading else None)
    if what in _HOSTED:
        return _hosted_place(operation, what, key)
    if what == "draft" and _is_uuid(key):
        return Place(Link("The draft", reverse("orders:draft", args=[key])))
    return Place()


def _hosted_place(operation: Operation, what: str, key: str) -> Place:
    """Return the page of a hosting thing; a draft that has become an order stands for it."""
    if not (_is_uuid(key) if what == "hosting_draft" else whole(key) is not None):
        return Place()
    rows = apps.get_model("hosting", _HOSTED[what])._default_manager.filter(pk=key)
    if what == "hosting_draft":
        draft: Any = rows.select_related("order__item").first()
        if draft is None:
            return Place()
        if draft.order is None:
            return Place(Link("The draft", draft.get_absolute_url()))
        order = draft.order
        return Place(Link(str(order.item), order.get_absolute_url()), order.fetched_at)
    thing: Any = rows.first()
    if thing is None:
        return Place()
    name = str(thing.item) if what == "hosting_order" else words.phone_text(thing.phone_number)
    return Place(Link(name, thing.get_absolute_url()), thing.fetched_at)


def _is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True
