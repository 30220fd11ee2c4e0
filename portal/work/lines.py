"""What a row of a list says."""

import re
from dataclasses import dataclass
from datetime import date, datetime

from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from portal import words
from portal.work import clocks
from portal.work.models import WorkItem
from portal.work.search import Match

# "Acme, Inc." is one carrier.
_BETWEEN_CARRIERS = re.compile(r", (?!(?:Inc|LLC|Corp|Co|Ltd|LP)\b)")
# Where on the order's page the first step for a reason is.
ANCHORS = {
    "P1": "operations",
    "P2": "conversation",
    "P3": "numbers",
    "P4": "conversation",
    "P5": "timeline",
    "P7": "numbers",
    "P8": "conversation",
    "P9": "documents",
    "H1": "move",
    "H2": "open",
    "H3": "failures",
    "H4": "move",
    "H5": "open",
    "H6": "open",
    "H7": "open",
}
# What a step is called says where it is, before its reason does.
STEPS = {"Cancel the order": "#cancel", "Ask how it stands": "?template=d1#composer"}


@dataclass(frozen=True)
class Line:
    """An item in words, for the list and for home."""

    item: WorkItem
    url: str
    name: str
    tone: str
    glyph: str
    text: str
    others: str
    next_word: str
    next_url: str
    late: str
    clock: clocks.Clock | None = None
    clock_about: str = ""
    changed: str = ""
    match: Match | None = None
    on: date | None = None  # the day it is told at, when it has several

    @property
    def chip_kind(self) -> str:
        """The table that its status is in."""
        return "order" if self.item.kind == WorkItem.Kind.PORT_IN else "hosting_order"

    @property
    def live_word(self) -> str:
        """What a number is called that has got where it should."""
        return "live" if self.item.kind == WorkItem.Kind.PORT_IN else "done"

    @property
    def carrier(self) -> str:
        """Its first losing carrier and how many more there are: `Comcast +2`."""
        first, *others = _BETWEEN_CARRIERS.split(self.item.carriers)
        return f"{first} +{len(others)}" if others else first

    @property
    def is_living(self) -> bool:
        """Whether something is still to come of it."""
        return self.item.bucket in WorkItem.LIVING

    @property
    def is_stalled(self) -> bool:
        """Whether somebody has to be chased: a clock of theirs ran out."""
        return (self.item.first_reason or {}).get("code") in ("P11", "H7")

    @property
    def going(self) -> int:
        """How many of its numbers go on the day it is told at, else on its FOC date."""
        there: dict[str, int] = dict(self.item.foc_dates)
        on = self.on or self.item.foc_date
        return there.get(on.isoformat() if on else "", self.item.counted)

    @property
    def later_dates(self) -> int:
        """How many more dates its numbers have after the first that is to come."""
        day = self.item.foc_date.isoformat() if self.item.foc_date else ""
        return sum(bool(day) and other > day for other, _ in self.item.foc_dates)

    @property
    def dates_text(self) -> str:
        """Every date with its numbers; "" for a single one."""
        days = [(date.fromisoformat(day), count) for day, count in self.item.foc_dates]
        return words.dated_counts_text(days) if len(days) > 1 else ""

    @property
    def owner(self) -> str:
        """Its owner's name, "" for nobody."""
        return self.item.assignee.short_name if self.item.assignee else ""


def line(
    item: WorkItem,
    *,
    changed: bool = False,
    match: Match | None = None,
    on: date | None = None,
) -> Line:
    """Return an item in words.

    `changed` marks it as changed while the page was open, `match` is the number it was found by,
    `on` the day it is told at.
    """
    url = item.get_absolute_url()
    reason = item.first_reason
    clock, about = clocks.worst_of(item.reasons) or (None, "")
    bucket = words.bucket_chip(item.bucket, item.move)
    if reason is None:
        tone, glyph, text, next_word, next_url = bucket.tone, bucket.glyph, bucket.label, "", url
    else:
        tone, glyph = reason.get("tone") or bucket.tone, reason.get("glyph") or bucket.glyph
        text, next_word = reason.get("text") or bucket.label, reason.get("next") or ""
        anchor = ANCHORS.get(reason.get("code", ""), "")
        next_url = f"{url}{STEPS.get(next_word) or (f'#{anchor}' if anchor else '')}"
    if item.bucket == WorkItem.Bucket.READY and item.kind == WorkItem.Kind.PORT_IN:
        next_url = reverse("orders:activate", args=[item.target_pk])
        next_word = next_word or "Activate"
    return Line(
        item=item,
        url=url,
        name=str(item),
        tone=tone,
        glyph=glyph,
        text=text,
        others=" · ".join(r.get("text", "") for r in item.reasons[1:4]),
        next_word=next_word,
        next_url=next_url,
        late=_late_text(item),
        clock=clock,
        clock_about=about,
        changed=words.clock_text(item.changed_at) if changed else "",
        match=match,
        on=on,
    )


def _late_text(item: WorkItem) -> str:
    """Return since when numbers should be live and are not; "" for what has a clock, or no haste.

    Of all reasons this one alone is late from its first moment, so no clock runs for it.
    """
    reason = item.first_reason or {}
    told = reason.get("since") if reason.get("code") == "P2" else None
    since = parse_datetime(told) if told else None
    return since_text(since) if since else ""


def since_text(moment: datetime) -> str:
    """Return `since 13:00` for today, `since Mon 13:00` within a week, else the day."""
    there = timezone.localtime(moment)
    days = (timezone.localdate() - there.date()).days
    if days <= 0:
        return f"since {there:%H:%M}"
    if days < 7:
        return f"since {there:%a %H:%M}"
    return f"since {words.day_text(there)}"
