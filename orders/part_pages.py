"""What the page of a draft shows that was sent as several orders: each order, and how far it is."""

from dataclasses import dataclass
from typing import Final

from orders.models import PortInDraft
from portal import words
from portal.operations.models import Operation

State = Operation.State
# (tone, glyph, words) of a write's state, for a chip.
_LOOKS: Final[dict[str, tuple[str, str, str]]] = {
    State.QUEUED: ("wait", "wait", "Waiting to go"),
    State.SENDING: ("date", "half", "On its way"),
    State.UNCERTAIN: ("us", "unknown", "Looking it up"),
    State.SUCCEEDED: ("done", "done", "Made"),
    State.REFUSED: ("bad", "bad", "Refused"),
    State.DEAD: ("bad", "out", "Stopped"),
}


@dataclass(frozen=True)
class SentPart:
    """One of the orders: what was sent, and what became of it."""

    draft: PortInDraft
    reference: str
    carrier: str
    count: int
    tone: str
    glyph: str
    label: str
    said: str  # what Sinch or the desk says about a failure, in words for staff
    is_quoted: bool  # whether those are Sinch's own words

    @property
    def is_open(self) -> bool:
        """Whether somebody has to look at its own page."""
        return self.draft.order is None and self.draft.state == PortInDraft.State.OPEN

    @property
    def asks_for_a_person(self) -> bool:
        """Whether it goes on only when somebody does something."""
        operation = self.draft.operation
        stopped = operation is not None and operation.state == State.DEAD
        return self.is_open or (self.draft.order is None and stopped)


@dataclass(frozen=True)
class SentParts:
    """All orders a draft was sent as."""

    rows: list[SentPart]

    @property
    def made(self) -> int:
        """How many orders Sinch has made."""
        return sum(row.draft.order is not None for row in self.rows)

    @property
    def under_way(self) -> int:
        """How many are still on their way."""
        return sum(
            row.draft.operation is not None and row.draft.operation.is_under_way
            for row in self.rows
        )

    @property
    def waiting(self) -> int:
        """How many wait for somebody here."""
        return sum(row.asks_for_a_person for row in self.rows)

    @property
    def numbers(self) -> int:
        """How many numbers they have together."""
        return sum(row.count for row in self.rows)


def sent_parts(draft: PortInDraft) -> SentParts:
    """Return the orders a draft was sent as; one statement, whatever they hold."""
    rows = (
        PortInDraft.objects.filter(parent=draft)
        .select_related("operation", "order")
        .defer("operation__payload", "order__payload", "order__secrets")
        .order_by("part")
    )
    return SentParts([_sent_part(row) for row in rows])


def _sent_part(row: PortInDraft) -> SentPart:
    operation = row.operation
    tone, glyph, label = _LOOKS[operation.state] if operation else ("wait", "wait", "Not sent")
    said, quoted = "", False
    if row.state == PortInDraft.State.THROWN_AWAY:
        tone, glyph, label = "wait", "out", "Thrown away"
    elif operation is not None and operation.state in (State.REFUSED, State.DEAD):
        said, quoted = _said_by(operation)
    elif operation is not None and operation.state == State.QUEUED:
        said = operation.staff_message
    return SentPart(
        draft=row,
        reference=str(row.field("reference")),
        carrier=str(row.field("carrier")),
        count=int(row.field("count", 0) or 0),
        tone=tone,
        glyph=glyph,
        label=label,
        said=said,
        is_quoted=quoted,
    )


def _said_by(operation: Operation) -> tuple[str, bool]:
    """Return why a write failed, and whether those are Sinch's own words."""
    said = [v.get("description", "") for v in operation.violations if v.get("description")]
    if said:
        more = len(said) - 1
        also = f" (and {words.count_text(more, 'more', 'more')})" if more else ""
        return f"{said[0]}{also}", True
    if message := str(operation.answer.get("message") or ""):
        return message, True
    return operation.staff_message, False
