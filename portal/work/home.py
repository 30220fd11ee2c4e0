"""The home page: what to do now, what goes live, what changed, and whether it left."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache as kept_once
from typing import Any
from zoneinfo import ZoneInfo

from django.core.cache import cache
from django.db.models import F, Q, QuerySet, Subquery
from django.utils import timezone

from portal import words
from portal.accounts.models import User
from portal.operations.models import Operation
from portal.prepared import A_DAY, A_KEY, A_MOMENT, A_THIRD_DAY, ANOTHER_DAY, Prepared
from portal.work import queue, unmade
from portal.work.filters import address
from portal.work.lines import Line, line
from portal.work.models import TimelineEntry, WorkItem
from portal.work.office import first_open_day
from portal.work.unmade import Unmade

MOST_TODO = 20
FEWEST_TODO = 10  # of each bucket, when there are as many
MOST_DATED = 40  # of one day
MOST_LATE = 5
SUPERVISES = "accounts.manage_project"
MOST_NEWS = 10
MOST_NEWS_READ = 100
# So many orders found at Sinch, or more, are told in one line: the first day brings them all.
FEWEST_FOUND_TOGETHER = 4
MOST_ACTIONS = 6
FEWEST_FOR_CHART = 20
CHART_WIDTH = 480
# Somebody who comes back within this time has not been away.
AWAY_AFTER = timedelta(minutes=15)
LOOKED_KEPT = 30 * 24 * 3600  # seconds


@dataclass
class Day:
    """The orders that go live on one day."""

    name: str
    on: date
    lines: list[Line]  # the worst of them
    count: int
    not_ready: int  # how many of them need us first

    @property
    def numbers(self) -> int:
        """How many numbers go on it with the orders that are named."""
        return sum(line.going for line in self.lines)

    @property
    def count_text(self) -> str:
        """`12 orders`."""
        return _orders(self.count)

    @property
    def more(self) -> str:
        """How many orders are not named, "" for none: `3 more orders`."""
        return _more_than(self.lines, self.count)


@dataclass(frozen=True)
class Bar:
    """One part of the picture of living orders."""

    key: str
    tone: str
    glyph: str
    short: str
    label: str
    count: int
    url: str
    x: float = 0
    width: float = 0

    @property
    def count_text(self) -> str:
        """How many, as far as it is counted."""
        return queue.count_text(self.count)


@dataclass(frozen=True)
class News:
    """One thing that happened since the person last looked."""

    at: datetime
    tone: str
    glyph: str
    url: str
    about: str
    text: str
    by: User | None = None


@dataclass(frozen=True)
class Alarm:
    """Orders whose numbers should be live and are not: the worst, and how many there are."""

    lines: list[tuple[Line, str]]  # with how long it has been
    count: int

    @property
    def title(self) -> str:
        """`2 orders are past their FOC date and not live`."""
        are = "is" if self.count == 1 else "are"
        return f"{_orders(self.count)} {are} past the FOC date and not live"

    @property
    def more(self) -> str:
        """How many are not named, "" for none: `3 more orders`."""
        return _more_than(self.lines, self.count)

    @property
    def can_activate(self) -> bool:
        """Whether one of those named waits for our activation."""
        return any(line.item.bucket == WorkItem.Bucket.READY for line, _ in self.lines)


@dataclass
class Home:
    """Everything the home page shows."""

    title: str
    whole_team: bool
    today: date  # where orders go live, which may not be the reader's
    there: (
        str  # the same in words when it is another day than the reader's: `Mon 30 Nov in Eastern`
    )
    alarm: Alarm | None
    ready: list[Line]
    drafts: list[Unmade]
    needs_us: list[Line]
    figures: dict[str, Any]
    list_url: str
    ready_url: str
    us_url: str
    days: list[Day]
    since: datetime
    news: list[News]
    actions: list[Operation]
    bars: list[Bar]

    @property
    def todo_count(self) -> int:
        """How many orders ask for a step of ours, those that are still drafts included."""
        return int(self.figures["ready"] + self.us_count)

    @property
    def us_count(self) -> int:
        """How many of them need us."""
        return int(self.figures["us"] + unmade.count_of(self.figures))

    @property
    def us_text(self) -> str:
        """The same, as far as it is counted."""
        return queue.count_text(self.us_count)

    @property
    def ready_text(self) -> str:
        """How many can be activated."""
        return queue.count_text(self.figures["ready"])

    @property
    def more_ready(self) -> str:
        """How many that can be activated are not named, "" for none: `3 more orders`."""
        return _more_than(self.ready, self.figures["ready"])

    @property
    def more_us(self) -> str:
        """How many that need us are not named, "" for none."""
        return _more_than(self.needs_us, self.figures["us"])

    @property
    def list_count(self) -> int:
        """How many the list shows; drafts are not in it."""
        return int(self.figures["ready"] + self.figures["us"])

    @property
    def list_text(self) -> str:
        """The same, as far as it is counted."""
        return queue.count_text(self.list_count)

    @property
    def waiting_text(self) -> str:
        """`1 order waits`, `12 orders wait`."""
        count = self.figures["all_wait"]
        return f"{_orders(count)} {'waits' if count == 1 else 'wait'}"

    @property
    def living(self) -> int:
        """How many orders have something to come."""
        return sum(bar.count for bar in self.bars)

    @property
    def living_text(self) -> str:
        """`25 living orders`."""
        order = "living order" if self.living == 1 else "living orders"
        return f"{queue.count_text(self.living)} {order}"

    @property
    def has_picture(self) -> bool:
        """Whether there are enough orders for a picture to say something."""
        return self.living >= FEWEST_FOR_CHART

    @property
    def lede(self) -> tuple[str, str]:
        """What the day holds: the part in bold, and the rest."""
        need = _people_text(self.todo_count)
        late = self.figures["late"]
        bold = f"{need}{f', {queue.count_text(late)} {_is(late)} late' if late else ''}."
        today, tomorrow = self.days
        live = f"{_go(today.count)} live today and {queue.count_text(tomorrow.count)} tomorrow"
        not_ready = today.not_ready + tomorrow.not_ready
        if not today.count and not tomorrow.count:
            return bold, "Nothing goes live today or tomorrow."
        if not_ready:
            return bold, f"{live}; {_count_word(not_ready)} of them {_is(not_ready)} not ready."
        return bold, f"{live}."


def home(person: User, zone: ZoneInfo, *, whole_team: bool) -> Home:
    """Return the home page of a person; `zone` is that in which orders go live.

    The figures, rows, dates, news and actions each cost one statement, and so does the alarm when
    there is one.
    """
    today, here = timezone.localdate(timezone=zone), timezone.localdate()
    since = looked_before(person)
    ready, needs_us = _both(_todo(Q()) if whole_team else _own_todo.all(person.pk))
    scope = {} if whole_team else {"owner": "me,nobody"}
    # Whoever looks after the others hears of their late orders and failed drafts too.
    watches_all = whole_team or person.has_perm(SUPERVISES)
    open_day = first_open_day(timezone.now())
    figures = _figures(whole_team, watches_all).first(
        person.pk, today, open_day, today + timedelta(days=1)
    )
    watched = Q() if watches_all else _mine(person.pk)
    return Home(
        title=f"{here:%A} {here.day} {here:%B}",
        whole_team=whole_team,
        today=today,
        there="" if today == here else f"{words.day_text(today)} in {words.zone_word(zone.key)}",
        alarm=_alarm(watched, open_day, today, figures["overdue"]) if figures["overdue"] else None,
        ready=ready,
        drafts=unmade.unmade_of(figures),
        needs_us=needs_us,
        figures=figures,
        list_url=address("work:list", {"bucket": "ready,us", **scope}),
        ready_url=address("work:list", {"bucket": "ready", **scope}),
        us_url=address("work:list", {"bucket": "us", **scope}),
        days=_days(today, figures),
        since=since,
        news=_news(person, since),
        actions=_actions.all(person.pk),
        bars=_bars(figures),
    )


def _mine(person: int) -> Q:
    return Q(assignee=person) | Q(assignee=None)


def _todo(*whose: Q) -> QuerySet[WorkItem]:
    """Return the worst of each bucket and of each of `whose`: each in the order of an index."""
    worst = [
        WorkItem.objects.filter(which, bucket=bucket)
        .order_by("urgency", "pk")
        .values("pk")[:MOST_TODO]
        for bucket in WorkItem.HOME
        for which in whose
    ]
    found = WorkItem.objects.filter(pk__in=worst[0].union(*worst[1:], all=True))
    return queue.rows(found).order_by("urgency", "pk")


def _both(todo: Iterable[WorkItem]) -> tuple[list[Line], list[Line]]:
    """Return what can be activated and what needs us, as many in all as the page has room for.

    However many there are of one, the other is not left out.
    """
    lines = [line(item) for item in todo]
    ready = [line for line in lines if line.item.bucket == WorkItem.Bucket.READY]
    needs_us = [line for line in lines if line.item.bucket == WorkItem.Bucket.US]
    ready = ready[: max(FEWEST_TODO, MOST_TODO - len(needs_us))]
    return ready, needs_us[: MOST_TODO - len(ready)]


_own_todo = Prepared(lambda person: _todo(Q(assignee=person), Q(assignee=None)))
_actions = Prepared(
    lambda person: (
        Operation.objects.filter(by=person)
        .exclude(kind="port_in.check")
        .only("key", "kind", "state", "subject", "created_at", "finished_at")
        .order_by("-created_at")[:MOST_ACTIONS]
    )
)


def overdue(open_day: date) -> Q:
    """Return what makes an order one to sound the alarm about.

    Its numbers should be live and are not (P2), or it waits for our activation since a day that
    is over everywhere. It stops when they are live, or when the reason is settled.
    """
    late = Q(bucket__in=WorkItem.HOME, reasons__contains=[{"code": "P2"}])
    return late | Q(bucket=WorkItem.Bucket.READY, foc_date__lt=open_day)


def _alarm(watched: Q, open_day: date, today: date, count: int) -> Alarm:
    found = queue.rows(WorkItem.objects.filter(watched & overdue(open_day)))
    worst = found.order_by(F("foc_date").asc(nulls_last=True), "pk")[:MOST_LATE]
    return Alarm([(line(item), _how_long(item, open_day, today)) for item in worst], count)


def _how_long(item: WorkItem, open_day: date, today: date) -> str:
    if item.foc_date is None or item.foc_date >= open_day:
        return ""
    return f"{words.count_text((today - item.foc_date).days, 'day')} late"


@kept_once
def _figures(whole_team: bool, watches_all: bool) -> Prepared:
    """Return the statement for all figures of the page, for a person and the present day."""

    def build(person: int, today: date, open_day: date, tomorrow: date) -> QuerySet[Any, Any]:
        items = WorkItem.objects.all()
        own = items if whole_team else items.filter(_mine(person))
        watched = items if watches_all else items.filter(_mine(person))
        late = own.filter(bucket__in=WorkItem.HOME, reasons__contains=[{"code": "P2"}])
        living = items.filter(bucket__in=WorkItem.LIVING)
        days = {"today": _going(today), "tomorrow": _going(tomorrow)}
        next_date = living.filter(foc_date__gte=today).order_by("foc_date")
        return User.objects.filter(pk=person).values(
            ready=queue.capped(own.filter(bucket=WorkItem.Bucket.READY)),
            us=queue.capped(own.filter(bucket=WorkItem.Bucket.US)),
            late=queue.capped(late),
            overdue=queue.capped(watched.filter(overdue(open_day))),
            any=queue.capped(items),
            all_ready=queue.capped(items.filter(bucket=WorkItem.Bucket.READY)),
            all_us=queue.capped(items.filter(bucket=WorkItem.Bucket.US)),
            all_date=queue.capped(items.filter(bucket=WorkItem.Bucket.DATE)),
            all_wait=queue.capped(items.filter(bucket=WorkItem.Bucket.WAIT)),
            next_date=Subquery(next_date.values("foc_date")[:1]),
            **{name: queue.capped(going) for name, going in days.items()},
            **{
                f"{name}_not_ready": queue.capped(going.filter(bucket=WorkItem.Bucket.US))
                for name, going in days.items()
            },
            **unmade.columns(Q() if watches_all else unmade.own(person)),
        )

    return Prepared(build, A_KEY, A_DAY, ANOTHER_DAY, A_THIRD_DAY)


def _days(today: date, figures: dict[str, Any]) -> list[Day]:
    tomorrow = today + timedelta(days=1)
    dated = _dated.all(today, tomorrow)
    days = {"today": today, "tomorrow": tomorrow}
    return [
        _day(name.capitalize(), on, dated, figures[name], figures[f"{name}_not_ready"])
        for name, on in days.items()
    ]


def _day(name: str, on: date, dated: list[WorkItem], count: int, not_ready: int) -> Day:
    # An order that goes on both days is found by the one of them, and was counted there.
    also = [item for item in dated if item.foc_date != on and on.isoformat() in _days_of(item)]
    found = [item for item in dated if item.foc_date == on or item in also]
    return Day(
        name=name,
        on=on,
        lines=[line(item, on=on) for item in found],
        count=count + len(also),
        not_ready=not_ready + sum(item.bucket == WorkItem.Bucket.US for item in also),
    )


def _days_of(item: WorkItem) -> set[str]:
    return {day for day, _ in item.foc_dates}


def _going(on: date) -> QuerySet[WorkItem]:
    """Return the orders that go live on a day, or did."""
    return WorkItem.objects.filter(foc_date=on).exclude(bucket=WorkItem.Bucket.ENDED)


def _worst_of(on: date) -> QuerySet[Any, Any]:
    return _going(on).order_by("urgency", "pk").values("pk")[:MOST_DATED]


_dated = Prepared(
    lambda today, tomorrow: queue.rows(
        WorkItem.objects.filter(pk__in=_worst_of(today).union(_worst_of(tomorrow), all=True))
    ).order_by("urgency", "pk"),
    A_DAY,
    ANOTHER_DAY,
)
_news_of = Prepared(
    lambda person, since: (
        TimelineEntry.objects.filter(at__gt=since, item__isnull=False)
        .exclude(by=person)
        .select_related("item", "by")
        .defer("item__search", "item__reasons", "item__parts")
        .order_by("-at", "-id")[:MOST_NEWS_READ]
    ),
    A_KEY,
    A_MOMENT,
)


def _news(person: User, since: datetime) -> list[News]:
    entries = _news_of.all(person.pk, since)
    found = [entry for entry in entries if entry.text.startswith(TimelineEntry.FOUND)]
    if len(found) < FEWEST_FOUND_TOGETHER:
        return [_one_of_the_news(entry) for entry in entries[:MOST_NEWS]]
    more = "+" if len(entries) == MOST_NEWS_READ else ""
    together = News(
        at=found[0].at,
        tone=found[0].tone,
        glyph=found[0].glyph,
        url=address("work:list", {"sort": "changed"}),
        about=f"{len(found)}{more} orders",
        text=TimelineEntry.FOUND[:1].lower() + TimelineEntry.FOUND[1:],
    )
    told = [
        together if entry is found[0] else _one_of_the_news(entry)
        for entry in entries
        if entry is found[0] or entry not in found
    ]
    return told[:MOST_NEWS]


def _one_of_the_news(entry: TimelineEntry) -> News:
    return News(
        at=entry.at,
        tone=entry.tone,
        glyph=entry.glyph,
        url=entry.item.get_absolute_url() if entry.item else "",
        about=str(entry.item),
        text=entry.text,
        by=entry.by,
    )


def _bars(figures: dict[str, Any]) -> list[Bar]:
    shorts = {"ready": "Ready", "us": "Needs us", "date": "Dated soon", "wait": "Waiting"}
    whole = sum(figures[f"all_{bucket}"] for bucket in WorkItem.LIVING) or 1
    bars, x = [], 0.0
    for bucket in WorkItem.LIVING:
        chip, count = words.chip("bucket", bucket), figures[f"all_{bucket}"]
        width = round(CHART_WIDTH * count / whole, 1)
        bars.append(
            Bar(
                key=bucket,
                tone=chip.tone,
                glyph=chip.glyph,
                short=shorts[bucket],
                label=f"{chip.label}: {_orders(count)}",
                count=count,
                url=address("work:list", {"bucket": bucket}),
                x=round(x, 1),
                width=max(width - 1, 0.5) if count else 0,
            )
        )
        x += width
    return bars


def looked_before(person: User) -> datetime:
    """Return when the person last looked before now, a break of a few minutes not counted.

    Kept in the cache: losing it shows the last day once more, and nothing is written for a look.
    """
    key, now = f"looked:{person.pk}", timezone.now()
    kept = cache.get(key)
    # Somebody new has looked at nothing before there was an account.
    since, last = kept if kept else (max(now - timedelta(days=1), person.date_joined), now)
    if now - last > AWAY_AFTER:
        since = last
    cache.set(key, (since, now), LOOKED_KEPT)
    return since


def _orders(count: int) -> str:
    return f"{queue.count_text(count)} {'order' if count == 1 else 'orders'}"


def _more_than(shown: Sequence[Any], count: int) -> str:
    if count > queue.MOST_COUNTED:
        return "many more orders"
    more = count - len(shown)
    return words.count_text(more, "more order") if more > 0 else ""


def _people_text(count: int) -> str:
    if not count:
        return "Nothing needs you"
    return f"{queue.count_text(count)} {'order needs' if count == 1 else 'orders need'} you"


def _is(count: int) -> str:
    return "is" if count == 1 else "are"


def _go(count: int) -> str:
    return f"{queue.count_text(count)} {'goes' if count == 1 else 'go'}"


def _count_word(count: int) -> str:
    return "one" if count == 1 else str(count)
