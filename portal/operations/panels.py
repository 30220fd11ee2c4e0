"""What staff are shown about writes: one panel for each, by the words of the look."""

import uuid
from dataclasses import dataclass
from datetime import datetime

from django.apps import apps
from django.urls import reverse

from portal import words
from portal.operations.models import Operation, Reading

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
        return Place(Link("Settings", reverse("accounts:settings")))
    if (what == "port_in" and key.isdigit()) or sinch_id:
        by = {"target_pk": int(key)} if what == "port_in" else {"sinch_id": sinch_id}
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
    if what == "draft" and _is_uuid(key):
        return Place(Link("The draft", reverse("orders:draft", args=[key])))
    return Place()


def _is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True
