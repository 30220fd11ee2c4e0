"""Drafts that did not become orders although they were sent: what home tells of them.

A draft has no work item and no bucket until its create is refused, stops, or has left no trace for
a while (P1, H1). Then it needs somebody like an order, and not only whoever sent it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.apps import apps
from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Q, QuerySet
from django.db.models.functions import Coalesce, JSONObject, Now
from django.urls import reverse
from django.utils import timezone

from portal.operations.models import Operation
from portal.values import stored_moment
from portal.work import queue
from portal.work.drafts import Draft
from portal.work.lines import since_text
from portal.work.standing import is_by_sinch
from portal.work.verdicts import UNCERTAIN_PATIENCE, told_of_write

MOST_TOLD: Final = 20
# The rooms above are named by their dotted path only: the draft, its page, what it becomes.
_KINDS: Final = {
    "unmade_orders": ("orders.PortInDraft", "orders:draft", "our order"),
    "unmade_hosting": ("hosting.HostingDraft", "hosting:draft", "our hosting order"),
}


@dataclass(frozen=True)
class Unmade:
    """A draft in words, with what the line of an order has."""

    url: str
    name: str
    tone: str
    glyph: str
    text: str
    owner: str
    arose_at: datetime

    next_word = "Look at it"

    @property
    def next_url(self) -> str:
        """Where the step is made."""
        return self.url

    @property
    def since(self) -> str:
        """Since when it needs somebody."""
        return since_text(self.arose_at)


def columns(whose: Q) -> dict[str, Any]:
    """Return what to ask for beside a person: the drafts of `whose`, the longest first, and counts.

    No statement of its own; `unmade_of` and `count_of` read it.
    """
    found: dict[str, Any] = counts(whose)
    for name, (model, _, _) in _KINDS.items():
        drafts = _unmade(model).filter(whose).order_by("operation__pk")
        told = drafts.values(
            json=JSONObject(
                pk="pk",
                title="title",
                state="operation__state",
                answer="operation__answer",
                at=Coalesce(
                    "operation__finished_at", "operation__uncertain_since", "operation__created_at"
                ),
                first="by__first_name",
                last="by__last_name",
                login="by__username",
            )
        )
        found[name] = ArraySubquery(told[:MOST_TOLD])
    return found


def counts(whose: Q) -> dict[str, Any]:
    """Return what to ask for beside a person for `count_of` alone."""
    return {
        f"{name}_count": queue.capped(_unmade(model).filter(whose))
        for name, (model, _, _) in _KINDS.items()
    }


def unmade_of(row: Mapping[str, Any]) -> list[Unmade]:
    """Return the drafts in a row that has `columns`, the longest first."""
    told = [
        _told(draft, page, what)
        for name, (_, page, what) in _KINDS.items()
        for draft in row[name] or []
    ]
    return sorted(told, key=lambda draft: draft.arose_at)[:MOST_TOLD]


def count_of(row: Mapping[str, Any]) -> int:
    """Return how many drafts there are in all."""
    return sum(row[f"{name}_count"] for name in _KINDS)


def own(person: Any) -> Q:
    """Return what makes a draft somebody's own: begun or sent by them."""
    return Q(by=person) | Q(operation__by=person)


def _unmade(model: str) -> QuerySet[Any]:
    """Return the drafts of a kind whose create failed and was neither settled nor sent anew."""
    states = Operation.State
    failed = Q(operation__state__in=(states.REFUSED, states.DEAD))
    lost = Q(
        operation__state=states.UNCERTAIN,
        operation__uncertain_since__lte=Now() - UNCERTAIN_PATIENCE,
    )
    return apps.get_model(model)._default_manager.filter(
        failed | lost,
        state__in=Draft.UNFINISHED,
        operation__isnull=False,
        operation__seen_at=None,
    )


def _told(draft: Mapping[str, Any], page: str, what: str) -> Unmade:
    text, tone, glyph = told_of_write(draft["state"], what, by_sinch=is_by_sinch(draft["answer"]))
    full = f"{draft['first']} {draft['last']}".strip()
    return Unmade(
        url=reverse(page, args=[draft["pk"]]),
        name=draft["title"] or "Draft",
        tone=tone,
        glyph=glyph,
        text=text,
        owner=full or draft["login"],
        arose_at=stored_moment(draft["at"]) or timezone.now(),
    )
