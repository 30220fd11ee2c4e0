"""What staff decided about an order, and the keys of the facts they decided about.

Pure; a decision is kept for exactly the facts it was made about, so that a new fact is not covered
by an old decision.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Final

SETTLED: Final = "settled"  # nothing more is to be done about a fact
ASKED: Final = "asked"  # the customer has been asked; comes back when the clock runs out


@dataclass(frozen=True, slots=True)
class Mark:
    """A decision that nobody has taken back: what it is, about which fact, since when."""

    kind: str
    reason: str
    fact: str
    at: datetime


def key(*parts: object) -> str:
    """Return the key of a fact that is named by these parts."""
    return hashlib.sha256("\x1f".join(map(str, parts)).encode()).hexdigest()[:32]


def instant(moment: datetime) -> str:
    """Return a moment as a part of a key."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


class Decided:
    """Facts of an order with what staff decided about them."""

    marks: tuple[Mark, ...]

    @cached_property
    def _marks(self) -> dict[tuple[str, str], list[Mark]]:
        found: dict[tuple[str, str], list[Mark]] = {}
        for mark in sorted(self.marks, key=lambda mark: mark.at):
            found.setdefault((mark.kind, mark.fact), []).append(mark)
        return found

    def marked(self, kind: str, fact: str) -> list[Mark]:
        """Return what staff decided about a fact, oldest first."""
        return self._marks.get((kind, fact), [])

    def is_settled(self, fact: str) -> bool:
        """Tell whether somebody said that nothing more is to be done about a fact."""
        return bool(self.marked(SETTLED, fact))


def digest(facts: Iterable[str]) -> str:
    """Return the short key of several facts together: what somebody saw when they decided."""
    return key("together", *sorted(facts))[:16]
