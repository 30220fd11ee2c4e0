"""The documents of an order as its pages show them: the list, the checklist, one of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db.models import (
    BooleanField,
    Case,
    ExpressionWrapper,
    OuterRef,
    Q,
    QuerySet,
    Value,
    When,
)
from django.db.models.functions import JSONObject
from django.urls import reverse
from django.utils.dateparse import parse_date

from orders import letters, papers
from orders.actions_activation import today_there
from orders.loa import Letter
from orders.models import OrderDocument, PortInOrder
from portal import words
from portal.operations.models import Operation
from portal.values import stored_moment

_PICTURES = ("image/jpeg", "image/png", "image/tiff")


def rows() -> QuerySet[OrderDocument, Any]:
    """Return the documents of an outer order as JSON, oldest first, without their bytes."""
    return (
        OrderDocument.objects.filter(order=OuterRef("pk"))
        .order_by("created_at", "pk")
        .values(
            json=JSONObject(
                pk="pk",
                name="name",
                description="description",
                kind="kind",
                size="size",
                at="created_at",
                sinch_id="sinch_id",
                state="operation__state",
                arrived="operation__finished_at",
                content_type="content_type",
                dated_on="dated_on",
                ticks="ticks",
                kept=_has("content"),
                fetched=_has("sinch_content"),
            )
        )
    )


def _has(name: str) -> Any:
    return Case(
        When(**{f"{name}__isnull": False}, then=Value(True)),
        default=Value(False),
        output_field=BooleanField(),
    )


@dataclass
class Document:
    """One document of the order."""

    pk: int
    name: str
    kind: str
    description: str
    where: str
    state: str  # of its operation; "" when Sinch has it or nobody here sent it
    url: str
    size: int | None
    paper: papers.Paper
    age: papers.Age | None = None

    @property
    def hint(self) -> str:
        """Where it is, how large, and what was said of it."""
        parts = [self.where, words.size_text(self.size) if self.size else "", self.description]
        return " · ".join(part for part in parts if part)


_WHERE = {
    "refused": "Sinch refused it; our copy is kept",
    "dead": "Not sent; our copy is kept",
    "queued": "Waiting to go",
    "sending": "Sending to Sinch",
    "uncertain": "Sinch did not answer; we are looking it up",
}


def _documents_of(order: Any, found: Sequence[Letter]) -> list[Document]:
    """Return the documents, oldest first, each with its age; `found` are the order's letters."""
    kinds = dict(OrderDocument.Kind.choices)
    documents = []
    for row in order.document_rows:
        state = "" if row["sinch_id"] else row["state"] or ""
        at = stored_moment(row["arrived"]) or stored_moment(row["at"])
        paper = _paper(row, state)
        where = _WHERE.get(state, f"At Sinch since {words.day_text(at)}")
        if papers.MADE in row["ticks"]:
            where += " · made here, not signed"
        documents.append(
            Document(
                pk=row["pk"],
                name=row["name"],
                kind=kinds.get(row["kind"], ""),
                description=row["description"],
                where=where,
                state=state,
                url=reverse("orders:paper", args=[order.pk, row["pk"]]),
                size=row["size"],
                paper=paper,
                age=age_of(order, paper, found),
            )
        )
    return documents


def age_of(order: PortInOrder, paper: papers.Paper, found: Sequence[Letter]) -> papers.Age | None:
    """Return how long a paper is taken yet; None for a kind that does not age.

    `found` are the letters of its order: while nobody has ticked which numbers it lists, it may be
    for any of theirs.
    """
    numbers = listed(paper) or [number for letter in found for number in letter.numbers]
    canadian = {number for letter in found for number in letter.canadian_toll_free}
    return papers.age_of(paper, today_there(order), port_date_of(order), numbers, canadian)


def listed(paper: papers.Paper) -> list[str]:
    """Return the numbers that a paper is known to list."""
    return list(paper.ticks.get("numbers", {}).get("numbers", ()))


def _paper(row: dict[str, Any], state: str) -> papers.Paper:
    dated = row["dated_on"]
    return papers.Paper(
        pk=row["pk"],
        name=row["name"],
        kind=row["kind"],
        dated_on=parse_date(dated) if dated else None,
        ticks=row["ticks"],
        is_there=state not in (Operation.State.REFUSED, Operation.State.DEAD),
        opens=True if row["kept"] or row["fetched"] else None,
        is_pdf=row["content_type"] not in _PICTURES,
    )


# --- The checklist --------------------------------------------------------------------------


@dataclass
class Checklist:
    """What the papers of an order have to show."""

    sections: list[papers.Section]
    letters: list[Letter]

    @property
    def met(self) -> int:
        """How many checks hold."""
        return sum(section.met for section in self.sections)

    @property
    def total(self) -> int:
        """How many there are."""
        return sum(len(section.checks) for section in self.sections)

    @property
    def is_met(self) -> bool:
        """Whether nothing is open."""
        return self.met == self.total


def papers_of(order: PortInOrder) -> tuple[list[Document], Checklist]:
    """Return the documents of an order and its checklist; one statement, whatever its size."""
    found = letters.letters_of_order(order)
    documents = _documents_of(order, found)
    there = [document.paper for document in documents]
    sections = papers.checklist(found, there, today_there(order), port_date_of(order))
    return documents, Checklist(sections, found)


# --- One document ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Choice:
    """One box to tick beside a document: what to look for, and what the order says of it."""

    name: str
    text: str
    lines: tuple[str, ...]
    is_ticked: bool
    by: str
    at: datetime | None
    gone: str  # why an earlier tick does not hold any more


def choices_of(paper: papers.Paper, found: list[Letter]) -> list[Choice]:
    """Return what only eyes can see on a document, beside what the order says."""
    said = {
        "numbers": tuple(few_of(letter) for letter in found),
        "signer": tuple(dict.fromkeys(letter.signer or "Not in the order" for letter in found)),
        "end_user": tuple(
            dict.fromkeys(", ".join((letter.end_user, *letter.address)) for letter in found)
        ),
    }
    choices = []
    for name, text in papers.EYES[paper.kind].items():
        tick = paper.ticks.get(name) or {}
        old = _outdated(paper, name, found)
        choices.append(
            Choice(
                name,
                text,
                said.get(name, ()),
                bool(tick) and not old,
                str(tick.get("by") or ""),
                stored_moment(tick.get("at")),
                old,
            )
        )
    return choices


def _outdated(paper: papers.Paper, name: str, found: list[Letter]) -> str:
    """Return why a tick does not hold any more for what it is about; "" when it does."""
    if not paper.has(name):
        return ""
    alone = papers.Paper(paper.pk, paper.name, paper.kind, None, {name: paper.ticks[name]})
    about = [found[at - 1] for at in parts_of(paper, found)] or found
    return next((said[0] for one in about if (said := papers.outdated(alone, one))), "")


def is_made_here(document: OrderDocument) -> bool:
    """Tell whether the desk wrote the document itself, account number and all."""
    return papers.MADE in document.ticks


def paper_of(document: Any) -> papers.Paper:
    """Return a document of `of_order` as the checklist sees it."""
    operation = document.operation
    state = operation.state if operation and not document.sinch_id else ""
    row = {
        "pk": document.pk,
        "name": document.name,
        "kind": document.kind,
        "dated_on": document.dated_on.isoformat() if document.dated_on else None,
        "ticks": document.ticks,
        "kept": document.ours_kept,
        "fetched": document.sinch_kept,
        "content_type": document.content_type,
    }
    return _paper(row, state)


def port_date_of(order: PortInOrder) -> date | None:
    """Return the confirmed port date, else the one asked for; needs the order's item."""
    day: date | None = order.item.foc_date or order.desired_port_date
    return day


def dated_papers(order: PortInOrder) -> list[tuple[str, date | None]]:
    """Return the newest signed LOA and the newest bill, as (kind, date); one statement."""
    rows = OrderDocument.objects.filter(
        order=order, kind__in=(papers.LOA, papers.BILL), dated_on__isnull=False
    ).values_list("kind", "dated_on", "ticks")
    signed = {
        kind: dated_on
        for kind, dated_on, ticks in rows.order_by("dated_on")
        if papers.MADE not in ticks
    }
    return list(signed.items())


def parts_of(paper: papers.Paper, found: list[Letter]) -> list[int]:
    """Return the letters, counted from 1, that a document is known to be for."""
    on_it = set(listed(paper))
    return [at for at, letter in enumerate(found, 1) if on_it & set(letter.numbers)]


def few_of(letter: Letter) -> str:
    """Return the first numbers of a letter, and how many more there are."""
    shown = [words.phone_text(number) for number in letter.numbers[:3]]
    more = len(letter.numbers) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


@dataclass(frozen=True)
class CopyOf:
    """Which copies of a document there are, and whether they are alike."""

    ours: bool
    sinch: bool  # kept here apart from ours
    at_sinch: bool
    can_be_fetched: bool  # Sinch need not say the id of what is there
    same: bool | None  # None while Sinch's was never fetched beside ours
    read_at: datetime | None


def copies_of(document: Any) -> CopyOf:
    """Return what is known of the copies of a document of `of_order`."""
    ours, sinch = document.ours_kept, document.sinch_kept
    same = not sinch if ours and document.sinch_read_at else None
    has_id, operation = bool(document.sinch_id), document.operation
    arrived = operation.state == Operation.State.SUCCEEDED if operation else not ours
    return CopyOf(ours, sinch, has_id or arrived, has_id, same, document.sinch_read_at)


def of_order(order_pk: int) -> QuerySet[OrderDocument]:
    """Return the documents of an order for their own page: without bytes, with what is kept."""
    return (
        OrderDocument.objects.filter(order=order_pk)
        .select_related("order__project", "order__item", "operation", "uploaded_by")
        .defer("content", "sinch_content", "order__payload", "operation__payload")
        .annotate(
            ours_kept=ExpressionWrapper(Q(content__isnull=False), output_field=BooleanField()),
            sinch_kept=ExpressionWrapper(
                Q(sinch_content__isnull=False), output_field=BooleanField()
            ),
        )
    )
