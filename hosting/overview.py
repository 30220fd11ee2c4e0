"""The list that Sinch's API cannot give: all hosting orders and numbers of a project.

Sinch lists orders by state, type, plan and campaign, all four of them. Every known pair of plan
and campaign is walked through every state and type; whatever differs from the mirror is read.
Orders that no list shows, such as those without a campaign, are known by their ids and read one by
one. Source: Imported Numbers and Hosting Orders API, "List hosting orders".
"""

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import BooleanField, Exists, ExpressionWrapper, OuterRef, Q, QuerySet
from django.utils import timezone

from hosting import facts, sync, sync_numbers, wire
from hosting.actions_imported import SEARCH_READER
from hosting.models import (
    Combination,
    HostingOrder,
    ImportedNumber,
    QualifiedNumber,
)
from portal.accounts.models import SinchProject
from portal.operations import clients, readings
from portal.operations.models import Reading
from portal.sinch.errors import (
    SinchError,
    SinchInvalidRequest,
    SinchNotFound,
    SinchUnexpectedReply,
)
from portal.sinch.hosting import HostingClient, is_number, is_usable
from portal.values import whole
from portal.work.queue import capped, count_text

log = logging.getLogger(__name__)

WALK_READER: Final = "hosting_walk"
STATES: Final = tuple(HostingOrder.State.values)
TYPES: Final = ("IMPORT", "TYPE_TEXT_ENABLE")
QUALIFIED: Final = "qualified"  # the resource that stands for all qualified numbers


def register() -> None:
    """Make the walks known to the engine."""
    readings.register(WalkReader())
    readings.register(SearchReader())


def want_walks(project: SinchProject, cause: str = readings.SWEEP) -> int:
    """Have every known pair and the qualified numbers walked; return how many walks that is.

    Each is a reading of its own: one that fails keeps no other waiting, and a worker that dies
    gives its pair back.
    """
    now = timezone.now()
    pairs = Combination.objects.filter(project=project).values_list("pk", flat=True)
    wishes = {str(pk): now for pk in pairs} | {QUALIFIED: now}
    readings.want(project, WALK_READER, wishes, cause)
    _want_unlisted(project)
    SinchProject.objects.filter(pk=project.pk).update(hosting_walked_at=now)
    return len(wishes)


def _want_unlisted(project: SinchProject) -> None:
    """Have living orders read that no list shows: those without plan or campaign."""
    orders = HostingOrder.objects.filter(project=project, campaign_id="", gone_at=None).exclude(
        state__in=facts.FINISHED
    )
    wishes = dict.fromkeys(orders.values_list("sinch_id", flat=True), timezone.now())
    readings.want(project, sync.ORDER_READER, wishes, readings.SWEEP)


class WalkReader(readings.Reader):
    """Walks the lists of one pair of plan and campaign, or those of the qualified numbers."""

    kind = WALK_READER

    def read(self, reading: Reading, started_at: datetime) -> timedelta | None:
        """Walk it. A pair that Sinch refuses is told, and tried again with the next sweep."""
        client = clients.hosting_client(reading.project)
        if reading.resource_id == QUALIFIED:
            walk_qualified(client, reading.project, started_at)
            return None
        pair = Combination.objects.filter(
            project=reading.project, pk=int(reading.resource_id)
        ).first()
        if pair is None:
            return None
        try:
            found = walk_pair(client, pair, started_at)
        except (SinchInvalidRequest, SinchNotFound) as error:
            _note_trouble(pair, error)
            _want_missing_numbers(pair, started_at, is_listed=False)
            return None
        except SinchError as error:
            Combination.objects.filter(pk=pair.pk).update(trouble=error.staff_message[:300])
            raise
        Combination.objects.filter(pk=pair.pk).update(
            walked_at=started_at,
            orders_found=found.orders,
            numbers_found=found.numbers,
            trouble=found.trouble,
        )
        return None


def _note_trouble(pair: Combination, error: SinchError) -> None:
    trouble = error.sinch_message or error.staff_message
    Combination.objects.filter(pk=pair.pk).update(trouble=trouble[:300])


@dataclass(frozen=True)
class Found:
    """What a walk came upon, and what it could not make out."""

    orders: int
    numbers: int
    trouble: str


def walk_pair(client: HostingClient, pair: Combination, at: datetime) -> Found:
    """List orders and imported numbers of a pair; have read what is new or differs.

    Twelve lists of orders and one of numbers. Raises SinchError.
    """
    listed: dict[str, dict[str, Any]] = {}
    odd: list[Mapping[str, Any]] = []
    for state in STATES:
        for order_type in TYPES:
            for entry in client.iter_hosting_orders(
                state=state,
                order_type=order_type,
                service_plan_id=pair.service_plan_id,
                campaign_id=pair.campaign_id,
                odd=True,
            ):
                if is_usable(sinch_id := entry.get("hostingOrderId", "")):
                    listed[sinch_id] = dict(entry)
                else:
                    odd.append(entry)
    _want_orders(pair, listed, at)
    found = client.iter_imported_numbers(
        service_plan_id=pair.service_plan_id, campaign_id=pair.campaign_id
    )
    numbers = sync_numbers.store_imported_list(pair.project, _numbers_in(found, odd), at)
    _want_missing_numbers(pair, at, is_listed=bool(pair.campaign_id))
    return Found(len(listed), numbers, _odd_reply(odd).question_message if odd else "")


def _numbers_in(
    entries: Iterable[Mapping[str, Any]], odd: list[Mapping[str, Any]]
) -> Iterator[Mapping[str, Any]]:
    """Yield the entries of a list that have a number; the others are told when all are stored.

    Whose number is missing there is not shown by the list, and is read by itself.
    """
    for entry in entries:
        if is_number(wire.phone_of(entry)):
            yield entry
        else:
            odd.append(entry)


def _odd_reply(odd: list[Mapping[str, Any]]) -> SinchUnexpectedReply:
    """Return what entries of a list that name nothing to ask for are told as; log it."""
    error = SinchUnexpectedReply(f"{len(odd)} entries of a list name no order or number")
    log.warning("%s", error)
    return error


def _want_missing_numbers(pair: Combination, at: datetime, *, is_listed: bool) -> None:
    """Have numbers read that the list of their pair did not show: moved, unlinked or deleted.

    Where no list is sure to hold them, only those that are not read by themselves anyway.
    """
    missing = ImportedNumber.objects.filter(
        project=pair.project,
        service_plan_id=pair.service_plan_id,
        campaign_id=pair.campaign_id,
        gone_at=None,
        fetched_at__lt=at,
    )
    if not is_listed:
        followed = Reading.objects.filter(
            project=pair.project, kind=sync.IMPORTED_READER, next_try_at__isnull=False
        )
        missing = missing.exclude(phone_number__in=followed.values("resource_id"))
    wishes = dict.fromkeys(missing.values_list("phone_number", flat=True), timezone.now())
    readings.want(pair.project, sync.IMPORTED_READER, wishes, readings.SWEEP)


def _want_orders(pair: Combination, listed: dict[str, dict[str, Any]], at: datetime) -> None:
    """Have read what differs from the mirror, and what the mirror has and no list shows."""
    readings_of = Reading.objects.filter(
        project=pair.project, kind=sync.ORDER_READER, resource_id=OuterRef("sinch_id")
    )
    orders = HostingOrder.objects.filter(project=pair.project, sinch_id__in=listed)
    orders = orders.only("sinch_id", "state", "sinch_updated_at", "gone_at")
    known = {order.sinch_id: order for order in orders.annotate(is_followed=Exists(readings_of))}
    wanted = [
        sinch_id
        for sinch_id, entry in listed.items()
        if sinch_id not in known or _differs(known[sinch_id], entry)
    ]
    missing = (
        HostingOrder.objects.filter(
            project=pair.project,
            service_plan_id=pair.service_plan_id,
            campaign_id=pair.campaign_id,
            gone_at=None,
            fetched_at__lt=at,
        )
        .exclude(sinch_id__in=listed)
        .exclude(state__in=facts.FINISHED)
        .values_list("sinch_id", flat=True)
    )
    _want(pair.project, [*wanted, *missing])


def _differs(order: Any, entry: dict[str, Any]) -> bool:
    """Tell whether a list says something else, or nobody has ever meant to read the order."""
    said = wire.read_order(entry)
    return (
        order.gone_at is not None
        or not order.is_followed
        or order.state != said.state
        or order.sinch_updated_at != said.sinch_updated_at
    )


def _want(project: SinchProject, ids: Iterable[str]) -> None:
    wishes = dict.fromkeys(ids, timezone.now())
    readings.want(project, sync.ORDER_READER, wishes, readings.SWEEP)


def walk_qualified(client: HostingClient, project: SinchProject, at: datetime) -> int:
    """List the qualified numbers of every state and store them; return how many. SinchError."""
    count, odd = 0, list[Mapping[str, Any]]()
    for state in QualifiedNumber.State.values:
        # Of a number that moves meanwhile two lists tell: the later one is the newer.
        left_at = timezone.now()
        entries = client.iter_qualified_numbers(state=state)
        count += sync_numbers.store_qualified_list(project, _numbers_in(entries, odd), left_at)
    # One that no list shows any more has moved meanwhile, or is gone: its own reading tells.
    missing = QualifiedNumber.objects.filter(project=project, gone_at=None, fetched_at__lt=at)
    wishes = dict.fromkeys(missing.values_list("phone_number", flat=True), timezone.now())
    readings.want(project, sync.QUALIFIED_READER, wishes, readings.SWEEP)
    if odd:
        raise _odd_reply(odd)
    return count


class SearchReader(readings.Reader):
    """Asks Sinch's own pattern search; its resource is "<key of a pair>|<where>|<digits>"."""

    kind = SEARCH_READER

    def read(self, reading: Reading, started_at: datetime) -> timedelta | None:
        """Ask and store what was found; never again by itself. Raises SinchError.

        A search that Sinch refuses, or answers in part only, is told beside its plan and campaign,
        as a walk is.
        """
        key, where, digits = reading.resource_id.split("|")
        pair = Combination.objects.filter(project=reading.project, pk=int(key)).first()
        if pair is None:
            return None
        found = clients.hosting_client(reading.project).iter_imported_numbers(
            service_plan_id=pair.service_plan_id,
            campaign_id=pair.campaign_id,
            pattern=digits,
            search_pattern=where,
        )
        odd: list[Mapping[str, Any]] = []
        try:
            sync_numbers.store_imported_list(reading.project, _numbers_in(found, odd), started_at)
        except (SinchInvalidRequest, SinchNotFound) as error:
            _note_trouble(pair, error)
        if odd:
            _note_trouble(pair, _odd_reply(odd))
        return None


# --- Plans that were typed wrong ----------------------------------------------------------------


def pairs_of(project: SinchProject) -> QuerySet[Any, Any]:
    """Return the known pairs of a project; `is_used` is whether an order or number is in one."""
    there = {
        "project": OuterRef("project"),
        "service_plan_id": OuterRef("service_plan_id"),
        "campaign_id": OuterRef("campaign_id"),
        "gone_at": None,
    }
    orders, numbers = (Exists(m.objects.filter(**there)) for m in (HostingOrder, ImportedNumber))
    listed = Q(orders_found__gt=0) | Q(numbers_found__gt=0)
    return Combination.objects.filter(project=project).annotate(
        is_used=ExpressionWrapper(listed | orders | numbers, BooleanField())
    )


def forget(project: SinchProject, key: str) -> bool:
    """Walk a pair no more in which there is nothing; False when there is something, or no pair."""
    unused = pairs_of(project).filter(is_used=False, pk=whole(key))
    return bool(unused.delete()[0])


# --- What the page says -------------------------------------------------------------------------


@dataclass(frozen=True)
class PairRow:
    """One pair on the page: how old its picture is and whether it is being looked at."""

    pair: Combination
    waits: bool
    trouble: str


@dataclass(frozen=True)
class Picture:
    """How complete the desk's picture of hosting is; everything is counted up to a thousand."""

    pairs: list[PairRow]
    unlisted: int  # living orders that no list shows
    orders: str
    imported: str
    qualified: str
    qualified_read_at: datetime | None
    walked_at: datetime | None

    @property
    def unlisted_text(self) -> str:
        """Return `1,000+`."""
        return count_text(self.unlisted)

    @property
    def failing(self) -> int:
        """How many pairs could not be listed."""
        return sum(bool(row.trouble) for row in self.pairs)

    @property
    def never(self) -> int:
        """How many pairs have never been walked from end to end."""
        return sum(row.pair.walked_at is None for row in self.pairs)

    @property
    def oldest(self) -> datetime | None:
        """When the pair was walked that was not for the longest time."""
        moments = [row.pair.walked_at for row in self.pairs if row.pair.walked_at]
        return min(moments, default=None)


def picture_of(project: SinchProject) -> Picture:
    """Return how complete and how old the picture of a project is."""
    walks = {
        reading.resource_id: reading
        for reading in Reading.objects.filter(project=project, kind=WALK_READER)
    }
    rows = []
    for pair in pairs_of(project).select_related("added_by"):
        walk = walks.get(str(pair.pk))
        # One that failed is tried again by itself: until it goes well, why it failed is the news.
        waits = (
            walk is not None
            and not walk.last_error
            and (walk.read_at is None or walk.requested_at > walk.read_at)
        )
        rows.append(PairRow(pair, waits, pair.trouble or (walk.last_error if walk else "")))
    orders = HostingOrder.objects.filter(project=project, gone_at=None)
    counted = (
        orders.filter(campaign_id="").exclude(state__in=facts.FINISHED),
        orders,
        ImportedNumber.objects.filter(project=project, gone_at=None),
        QualifiedNumber.objects.filter(project=project, gone_at=None),
    )
    # The statement needs a row to hang on: the project's own.
    counting = SinchProject.objects.filter(pk=project.pk).values_list(*map(capped, counted))
    unlisted, *counts = counting.get()
    walk = walks.get(QUALIFIED)
    return Picture(
        pairs=rows,
        unlisted=unlisted,
        orders=count_text(counts[0]),
        imported=count_text(counts[1]),
        qualified=count_text(counts[2]),
        qualified_read_at=walk.read_at if walk else None,
        walked_at=project.hosting_walked_at,
    )
