"""From stored webhooks to wanted readings, and from readings back to deliveries that are done.

A delivery is a hint: it only says which order to read again. However many name one order, one
reading that leaves after the newest of them serves them all, so order and repetition of
deliveries do not matter.
"""

import logging
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache

from cryptography.fernet import InvalidToken
from django.conf import settings
from django.db import models, transaction
from django.db.models import Case, Count, F, Min, Q, Value, When
from django.db.models.functions import Concat
from django.utils import timezone

from hosting import sync
from orders.models import PortInNumber, PortInOrder
from orders.sync import READER
from portal.operations import doorbell, readings, retention
from portal.operations.leases import LEASE_SECONDS, held
from portal.operations.models import Reading
from portal.prepared import A_KEY, A_MOMENT, Prepared
from webhooks import dispatch_hosting
from webhooks.fates import MOST_TRIES, Fate, age_text, want_readings, write
from webhooks.models import Delivery
from webhooks.wire import EVENTS, read_notice

log = logging.getLogger(__name__)

BATCH = 200
REPEAT_WITHIN = timedelta(hours=24)

State, Verdict = Delivery.State, Delivery.Verdict

HOSTING = "hosting"
# Readings that deliveries may wait for.
READERS = frozenset({READER, sync.ORDER_READER, *sync.NUMBER_READERS})

NOT_JSON = "Kept, answered 200, nothing done"
NO_ORDER = "Names no order; kept, nothing to read"
UNDECIPHERABLE = "Cannot be decrypted with the present ENCRYPTION_KEYS"


@dataclass
class _Round:
    """What one batch needs to know from the database, in as many statements as there are tables."""

    first: dict[tuple[int, str, str], tuple[datetime, int]] = field(default_factory=dict)
    mirrored: set[tuple[int, str]] = field(default_factory=set)
    read_at: dict[tuple[int, str], datetime] = field(default_factory=dict)


def register() -> None:
    """Be told of every reading that ends, and keep tokens out of logs."""

    from webhooks import logs

    readings.after_reading(finish_waiting)
    retention.register(retention.Kept("webhooks", _dealt_with, lambda: settings.DELIVERY_DAYS))
    logs.guard_logs()


def _dealt_with(moment: datetime) -> models.QuerySet[Delivery]:
    """Return the deliveries received before a moment with which nothing is to be done any more.

    Repeats of a hosting event are told by its row, so a row stays for as long as Sinch may repeat.
    """
    done = Delivery.objects.filter(state__in=(State.DONE, State.SET_ASIDE), next_try_at=None)
    return done.filter(received_at__lt=moment).order_by("received_at")


@cache
def _queue() -> models.QuerySet[Delivery]:
    return Delivery.objects.select_related("reading").defer("body")


def process_some() -> bool:
    """Claim the oldest due deliveries and take each a step further; False when none was due."""
    claimed = Delivery.claim(_queue(), limit=BATCH, seconds=LEASE_SECONDS)
    if claimed:
        with held(claimed):
            _process(claimed)
    return bool(claimed)


def process_again(deliveries: models.QuerySet[Delivery]) -> int:
    """Have deliveries looked into once more, and their orders read anew; return how many.

    Harmless at any time: the mirror only ever takes a newer reading.
    """
    now = timezone.now()
    with transaction.atomic():
        rows = list(
            deliveries.values_list(
                "pk", "kind", "project_id", "resource_id", "reading__kind", "reading__resource_id"
            )
        )
        wishes: dict[tuple[int, str], dict[str, datetime]] = defaultdict(dict)
        for _, kind, project, named, read_kind, read_id in rows:
            if kind != HOSTING and named:
                wishes[project, READER][named] = now
            elif read_kind:
                wishes[project, read_kind][read_id] = now
        # The readings before their deliveries, as the end of a reading takes them: the other way
        # round the two would wait for each other.
        for project, kind in sorted(wishes):
            readings.want(project, kind, wishes[project, kind], "staff")
        Delivery.objects.filter(pk__in=[row[0] for row in rows]).update(
            state=State.RECEIVED,
            next_try_at=now,
            attempts=0,
            lease_id=None,
            lease_until=None,
            reading=None,
            processed_at=None,
            last_error="",
            outcome="",
            # Who has seen that it failed has not seen it fail once more.
            seen_at=Case(When(state=State.DEAD, then=None), default=F("seen_at")),
        )
        doorbell.ring_on_commit(doorbell.DELIVERIES)
    return len(rows)


def _served(reading: int, read_at: datetime) -> models.QuerySet[Delivery]:
    return Delivery.objects.filter(
        reading=reading, state__in=(State.WAITING, State.DEAD), received_at__lte=read_at
    )


_newest = Prepared(
    lambda reading, read_at: (
        _served(reading, read_at)
        .order_by("-received_at", "-pk")
        .values_list("pk", "received_at")[:1]
    ),
    A_KEY,
    A_MOMENT,
)


def finish_waiting(reading: Reading, read_at: datetime) -> None:
    """Mark as done the deliveries a reading has served; called in the transaction that ends it."""
    if reading.kind not in READERS:
        return
    newest = _newest.first(reading.pk, read_at)
    if newest is None:
        return
    served = _served(reading.pk, read_at)
    pk, received_at = newest
    if reading.is_gone:
        what = "number" if reading.kind in sync.NUMBER_READERS else "order"
        said: object = Value(f"Sinch answers that there is no such {what}")
    else:
        later = f"{max((read_at - received_at).total_seconds(), 0):.1f} s later"
        said = Case(
            When(
                verdict=Verdict.UNKNOWN_EVENT,
                then=Value("Order read all the same; this desk does not know the word"),
            ),
            When(verdict=Verdict.NEW, then=Value(_first_time(reading, served))),
            # What the dispatch wrote, "Same event as one 2 s before", stays in front.
            When(
                verdict=Verdict.REPEAT,
                then=Concat(F("outcome"), Value("; read again all the same")),
            ),
            When(pk=pk, then=Value(f"Read again {later}")),
            default=Value("Covered by the same reading"),
        )
    served.update(
        state=State.DONE,
        outcome=said,
        processed_at=timezone.now(),
        next_try_at=None,
        lease_id=None,
        lease_until=None,
        last_error="",
    )


def _first_time(reading: Reading, served: models.QuerySet[Delivery]) -> str:
    if not served.filter(verdict=Verdict.NEW).exists():
        return ""
    count = PortInNumber.objects.filter(
        order__project_id=reading.project_id, order__sinch_id=reading.resource_id
    ).count()
    return f"Order read for the first time, {count} number{'' if count == 1 else 's'}"


# --- One batch ------------------------------------------------------------------------------


def _process(claimed: list[Delivery]) -> None:
    try:
        _settle(claimed)
    except Exception as error:
        if len(claimed) == 1:
            log.exception("Delivery %s failed here", claimed[0].pk)
            _trouble(claimed[0], type(error).__name__)
            return
        # One odd delivery must not hold up the others: find it.
        for delivery in claimed:
            _process([delivery])


def _trouble(delivery: Delivery, error: str) -> None:
    if delivery.attempts >= MOST_TRIES:
        delivery.let_go(state=State.DEAD, outcome="The desk itself failed on it", last_error=error)
    else:
        delivery.try_later(error)


def _settle(claimed: list[Delivery]) -> None:
    fates = list(_looked_into(claimed))
    with transaction.atomic():
        about = [fate for fate in fates if fate.thing and fate.delivery.kind != HOSTING]
        if about:
            round_ = _ask(about)
            for fate in about:
                _judge(fate, round_)
        hosted = dispatch_hosting.judge(fate for fate in fates if fate.delivery.kind == HOSTING)
        want_readings([*(fate for fate in about if fate.state == State.WAITING), *hosted])
        write(fates)


def _looked_into(claimed: list[Delivery]) -> Iterator[Fate]:
    """Yield a fate for each delivery, oldest first; bodies are read for new ones only."""
    fresh = [delivery for delivery in claimed if delivery.state == State.RECEIVED]
    bodies = dict(_bodies(fresh))
    for delivery in sorted(claimed, key=lambda row: (row.received_at, row.pk)):
        is_new, is_hosting = delivery.state == State.RECEIVED, delivery.kind == HOSTING
        body = bodies.get(delivery.pk)
        if is_new and body is None:
            yield Fate(delivery, state=State.DEAD, outcome=UNDECIPHERABLE)
        elif is_new and body is not None:
            look = dispatch_hosting.looked_into if is_hosting else _looked_into_one
            yield look(delivery, body)
        else:
            yield dispatch_hosting.looked_at_again(delivery) if is_hosting else _again(delivery)


def _looked_into_one(delivery: Delivery, body: bytes) -> Fate:
    notice = read_notice(body)
    if not notice.is_json:
        return Fate(delivery, verdict=Verdict.NOT_JSON, outcome=NOT_JSON)
    fate = Fate(delivery, notice.event, notice.order_id, Verdict.UNKNOWN_EVENT, outcome=NO_ORDER)
    fate.thing = (READER, notice.order_id) if notice.order_id else None
    return fate


def _again(delivery: Delivery) -> Fate:
    """Return the fate of a delivery whose reading has not come."""
    fate = Fate(
        delivery,
        delivery.event_type,
        delivery.resource_id,
        delivery.verdict,
        delivery.state,
        delivery.outcome,
    )
    fate.thing = (READER, delivery.resource_id) if delivery.resource_id else None
    return fate


def _bodies(deliveries: list[Delivery]) -> Iterator[tuple[int, bytes | None]]:
    """Yield key and body of each; None for one that no present key decrypts."""
    keys = [delivery.pk for delivery in deliveries]
    rows = Delivery.objects.filter(pk__in=keys).values_list("pk", "body", "is_compressed")
    try:
        found = list(rows)
    except InvalidToken:
        if len(keys) == 1:
            yield keys[0], None
        else:
            for delivery in deliveries:
                yield from _bodies([delivery])
        return
    for pk, body, is_compressed in found:
        try:
            yield pk, zlib.decompress(body) if is_compressed else body
        except zlib.error:
            yield pk, None


def _ask(fates: list[Fate]) -> _Round:
    round_ = _Round()
    projects = {fate.delivery.project_id for fate in fates}
    orders = {fate.resource_id for fate in fates}
    oldest = min(fate.delivery.received_at for fate in fates)
    earlier = (
        Delivery.objects.filter(
            project_id__in=projects,
            resource_id__in=orders,
            digest__in={fate.delivery.digest for fate in fates},
            received_at__gte=oldest - REPEAT_WITHIN,
        )
        .order_by()
        .values_list("project_id", "resource_id", "digest")
        .annotate(at=Min("received_at"), key=Min("pk"))
    )
    for project, order, digest, at, key in earlier:
        round_.first[project, order, digest] = (at, key)
    mirrored = PortInOrder.objects.filter(project_id__in=projects, sinch_id__in=orders)
    round_.mirrored = set(mirrored.values_list("project_id", "sinch_id"))
    read = Reading.objects.filter(
        project_id__in=projects, kind=READER, resource_id__in=orders, read_at__isnull=False
    ).values_list("project_id", "resource_id", "read_at")
    round_.read_at = {(project, order): at for project, order, at in read if at is not None}
    return round_


def _judge(fate: Fate, round_: _Round) -> None:
    """Decide on a delivery that names an order: what it is, and whether a reading is needed."""
    delivery = fate.delivery
    order = (delivery.project_id, fate.resource_id)
    if delivery.state == State.RECEIVED:
        same = (*order, delivery.digest)
        at, key = round_.first.setdefault(same, (delivery.received_at, delivery.pk))
        fate.verdict, fate.outcome = Verdict.KNOWN, ""
        if key < delivery.pk and delivery.received_at - at <= REPEAT_WITHIN:
            fate.verdict = Verdict.REPEAT
            fate.outcome = f"Same event as one {age_text(delivery.received_at - at)} before"
        elif fate.event not in EVENTS:
            fate.verdict = Verdict.UNKNOWN_EVENT
        elif order not in round_.mirrored:
            fate.verdict = Verdict.NEW
    # A repeat is read again like any other: Sinch sends NUMBERS_CONFIRMED twice, and an order
    # that went back to where it was sends the same words for something new.
    fate.wait_for(round_.read_at.get(order))


# --- What the log page and the health line ask ------------------------------------------------


def needs_a_look() -> Q:
    """Return the condition of deliveries that somebody should look at."""
    return Q(seen_at=None) & (
        Q(state=State.DEAD) | Q(verdict__in=(Verdict.NOT_JSON, Verdict.UNKNOWN_EVENT))
    )


def counts(since: datetime) -> dict[str, int]:
    """Return how many deliveries came since then, and how many readings they caused."""
    return Delivery.objects.filter(received_at__gte=since).aggregate(
        deliveries=Count("pk"),
        # Deliveries that one reading served were all marked in the same moment.
        readings=Count(
            Concat("reading_id", Value("@"), "processed_at", output_field=models.CharField()),
            distinct=True,
            filter=Q(state=State.DONE, reading__isnull=False),
        ),
    )


def mark_seen(deliveries: Iterable[int]) -> int:
    """Note that somebody has looked at these; return how many were new to them."""
    return Delivery.objects.filter(pk__in=list(deliveries), seen_at=None).update(
        seen_at=timezone.now()
    )
