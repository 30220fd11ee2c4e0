"""How hosting orders, imported numbers and qualified numbers are read from Sinch."""

import logging
import random
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone

from hosting import buckets, facts, standing, sync, sync_numbers, wire
from hosting.models import HostingOrder, ImportedNumber, NumberMove, QualifiedNumber
from portal.operations import clients, readings
from portal.operations.models import Operation, Reading
from portal.sinch.errors import SinchNotFound, SinchUnavailable, SinchUnexpectedReply
from portal.sinch.hosting import HostingClient
from portal.sinch.payloads_hosting import HostingOrderReport
from portal.work import search

log = logging.getLogger(__name__)

JITTER = 0.1  # of the pause between two readings, so that they spread
SOON = timedelta(seconds=20)  # while something is being worked on at Sinch and somebody waits
CALM = timedelta(hours=24)
REPORT_AGAIN = timedelta(hours=1)  # the longest until an order is read again whose report failed
# How long what no list brings back is asked for after a 404: often at first, then daily.
GONE_YOUNG, GONE_SOON = timedelta(hours=1), timedelta(minutes=5)
GONE_PATIENCE = timedelta(days=7)
VERDICT_PATIENCE = timedelta(minutes=10)  # with the verdict on a code, before it is read calmly
# States of a qualified number that move by themselves, and how often they are looked at.
_QUALIFIED_PAUSES = {
    QualifiedNumber.State.ELIGIBLE_CHECK_PENDING: timedelta(minutes=15),
    QualifiedNumber.State.VERIFICATION_PENDING: timedelta(minutes=30),
    QualifiedNumber.State.HOSTING_IN_PROGRESS: timedelta(minutes=30),
}
_QUALIFIED_ENDS = (
    QualifiedNumber.State.HOSTING_DONE,
    QualifiedNumber.State.NOT_ELIGIBLE,
)


def register() -> None:
    """Make the readings known to the engine, and the numbers to the search."""
    readings.register(OrderReader())
    readings.register(OrderNumberReader())
    readings.register(ImportedReader())
    readings.register(QualifiedReader())
    search.register_numbers(sync.items_with_number)
    search.register_matches(sync.matching_numbers, sync.verdict_text)
    search.register_beside(sync.numbers_beside)


def _spread(pause: timedelta | None) -> timedelta | None:
    return None if pause is None else pause * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311


def _in_words(reading: Reading, started_at: datetime) -> str:
    cause = reading.cause or readings.SWEEP
    if cause == readings.WEBHOOK:
        seconds = max(0, round((started_at - reading.requested_at).total_seconds()))
        return f"callback, read {seconds} s later"
    return "sweep: no callback came" if cause == readings.SWEEP else "read on request"


class OrderReader(readings.Reader):
    """Reads one hosting order with its report and all its numbers."""

    kind = sync.ORDER_READER

    def read(self, reading: Reading, started_at: datetime) -> timedelta | None:
        """Read the order and store it; return when to look again. Raises SinchError.

        When all numbers have got to their ends the order is read once more: it may have been
        finished while they were read, and no event would tell.
        """
        client = clients.hosting_client(reading.project)
        said = _in_words(reading, started_at)
        cause = reading.cause or readings.SWEEP
        try:
            payload: dict[str, Any] = dict(client.get_hosting_order(reading.resource_id))
            numbers = _numbers_of(client, reading.resource_id)
            report, again = _report_of(client, reading.resource_id)
            if payload.get("state") not in facts.FINISHED and _are_at_their_ends(numbers or []):
                payload = dict(client.get_hosting_order(reading.resource_id))
        except SinchNotFound:
            orders = HostingOrder.objects.filter(project=reading.project_id)
            orders = orders.filter(sinch_id=reading.resource_id)
            if readings.is_too_early(reading, orders.filter(gone_at=None)):
                return readings.CONTRADICTED
            if not sync.mark_gone(reading.project, reading.resource_id, started_at, said):
                return readings.CONTRADICTED
            readings.note_gone(reading)
            return _spread(_pause_of_gone(orders))
        if reading.is_gone:
            Reading.objects.filter(pk=reading.pk).update(is_gone=False)
        stored = sync.store_reading(
            reading.project,
            payload,
            started_at,
            numbers=numbers,
            report=report,
            cause=said,
            first_cause="" if cause == readings.SWEEP else said,
        )
        if cause == readings.SWEEP and stored.told and not stored.is_new:
            readings.count_missed(reading)
        if stored.is_changed and stored.order.state == facts.COMPLETED:
            phones = [wire.phone_of(wired) for wired in numbers or ()]
            _want_numbers(stored.order.project_id, phones)
        pause = buckets.pause_before_reading(standing.facts_of(stored.order), timezone.now())
        return _spread(pause if again is None else min(pause or again, again))


def _pause_of_gone(things: QuerySet[Any]) -> timedelta | None:
    """Return how long to wait before asking once more for a thing after a 404; None for never.

    A 404 can be wrong, as right after it was made. The walk through Sinch's lists brings an order
    or an imported number back; without a campaign no list is sure to hold it, and only its id
    finds it.
    """
    gone_at = things.filter(campaign_id="").values_list("gone_at", flat=True).first()
    if gone_at is None:
        return None
    gone_for = timezone.now() - gone_at
    if gone_for < GONE_YOUNG:
        return GONE_SOON
    return CALM if gone_for < GONE_PATIENCE else None


def _numbers_of(client: HostingClient, order_id: str) -> list[dict[str, Any]] | None:
    """Return the numbers of an order that is there; None for what Sinch does not show.

    Only the order itself can be gone: its parts may be missing, as they may right after it was
    made.
    """
    with suppress(SinchNotFound):
        # No order is without numbers: an empty list does not show them yet, or not just now.
        return [dict(n) for n in client.iter_hosting_order_numbers(order_id)] or None
    return None


def _report_of(
    client: HostingClient, order_id: str
) -> tuple[HostingOrderReport | None, timedelta | None]:
    """Return the report of an order that is there, None for what Sinch does not show.

    A failure costs the report, not the reading of the order; then also when to look again.
    """
    try:
        return client.get_hosting_order_report(order_id), None
    except SinchNotFound:
        return None, None
    except (SinchUnavailable, SinchUnexpectedReply) as error:
        log.warning("The report of a hosting order could not be read: %s", error)
        return None, REPORT_AGAIN


def _are_at_their_ends(numbers: list[dict[str, Any]]) -> bool:
    verdicts = {wire.read_steps(number).verdict for number in numbers}
    return bool(verdicts) and "pending" not in verdicts


def _want_numbers(project: int, phones: list[str]) -> None:
    """Have the numbers of a finished order read by themselves, behind everything else."""
    now = timezone.now()
    readings.want(project, sync.IMPORTED_READER, dict.fromkeys(phones, now), readings.SWEEP)
    known = QualifiedNumber.objects.filter(project=project, phone_number__in=phones, gone_at=None)
    wishes = dict.fromkeys(known.values_list("phone_number", flat=True), now)
    readings.want(project, sync.QUALIFIED_READER, wishes, readings.SWEEP)


class OrderNumberReader(readings.Reader):
    """Reads one number of an order, for somebody who looks at it; see `sync.number_key`."""

    kind = sync.ORDER_NUMBER_READER

    def read(self, reading: Reading, started_at: datetime) -> timedelta | None:
        """Read and store it, once. What Sinch does not know there any more the order tells."""
        pk, _, phone = reading.resource_id.partition(":")
        order = HostingOrder.objects.only("sinch_id", "project_id").filter(pk=pk).first()
        if order is None:
            return None
        if not order.numbers.filter(phone_number=phone).exists():
            sync.refresh(order)  # a reading of the order has not found it any more
            return None
        client = clients.hosting_client(reading.project)
        try:
            payload = dict(client.get_hosting_order_number(order.sinch_id, phone))
        except SinchNotFound:
            sync.refresh(order)
            return None
        cause = _in_words(reading, started_at)
        sync.store_number(order.pk, {"phoneNumber": phone, **payload}, started_at, cause)
        return None


class ImportedReader(readings.Reader):
    """Reads one imported number."""

    kind = sync.IMPORTED_READER

    def read(self, reading: Reading, started_at: datetime) -> timedelta | None:
        """Read and store it; soon again while something is under way. Raises SinchError."""
        client = clients.hosting_client(reading.project)
        try:
            payload: Any = client.get_imported_number(reading.resource_id)
        except SinchNotFound:
            mark = sync_numbers.mark_imported_gone
            numbers = ImportedNumber.objects.filter(project=reading.project_id)
            numbers = numbers.filter(phone_number=reading.resource_id)
            if readings.is_too_early(reading, numbers.filter(gone_at=None)) or not mark(
                reading.project, reading.resource_id, started_at
            ):
                return readings.CONTRADICTED
            readings.note_gone(reading)
            return _spread(_pause_of_gone(numbers))
        if reading.is_gone:
            Reading.objects.filter(pk=reading.pk).update(is_gone=False)
        row = sync_numbers.store_imported(reading.project, payload, started_at)
        return _spread(pause_of_imported(row))


def pause_of_imported(row: ImportedNumber) -> timedelta:
    """Return how long to wait before reading an imported number again."""
    moving = row.moves.filter(state__in=NumberMove.LIVING).exists()
    if moving:
        return SOON
    if row.is_settling:
        young = timezone.now() - row.status_since < timedelta(minutes=30)
        return timedelta(minutes=2) if young else timedelta(minutes=30)
    return CALM


def _awaits_verdict(row: QualifiedNumber) -> bool:
    """Tell whether Sinch got a code a moment ago, or may have, and did not say if it is right."""
    lately = timezone.now() - VERDICT_PATIENCE
    codes = Operation.objects.filter(
        target=row.target, kind="qualified.verify", finished_at__gt=lately
    )
    taken = Q(state=Operation.State.SUCCEEDED)
    lost = Q(state=Operation.State.REFUSED, uncertain_since__isnull=False)
    return codes.filter(taken | lost).exists()


class QualifiedReader(readings.Reader):
    """Reads one qualified number."""

    kind = sync.QUALIFIED_READER

    def read(self, reading: Reading, started_at: datetime) -> timedelta | None:
        """Read and store it; by its state again. Raises SinchError."""
        client = clients.hosting_client(reading.project)
        try:
            payload: Any = client.get_qualified_number(reading.resource_id)
        except SinchNotFound:
            mark = sync_numbers.mark_qualified_gone
            known = QualifiedNumber.objects.filter(phone_number=reading.resource_id, gone_at=None)
            known = known.filter(project=reading.project_id)
            if readings.is_too_early(reading, known) or not mark(
                reading.project, reading.resource_id, started_at
            ):
                return readings.CONTRADICTED
            readings.note_gone(reading)
            return None
        row = sync_numbers.store_qualified(reading.project, payload, started_at)
        if row.state in _QUALIFIED_ENDS:
            return None
        if row.state == QualifiedNumber.State.VERIFICATION_PENDING and _awaits_verdict(row):
            return SOON
        return _spread(
            _QUALIFIED_PAUSES.get(QualifiedNumber.State(row.state), timedelta(hours=6))
            if row.state in QualifiedNumber.State.values
            else CALM
        )
