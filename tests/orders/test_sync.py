"""The mirror: what is stored of a reading, what the timeline tells, and what a list shows."""

import copy
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from django.contrib.postgres.search import SearchQuery
from django.db import connection, connections, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from orders import discovery, standing, sync, wire
from orders.models import (
    OrderDocument,
    OrderNote,
    PortabilityResult,
    PortInNumber,
    PortInOrder,
)
from portal import words
from portal.accounts.models import SinchProject, User
from portal.operations import readings
from portal.operations.models import Operation, Reading
from portal.sandbox import Sandbox
from portal.sinch.porting import ActivationGroup, PortingClient
from portal.work.models import TimelineEntry, WorkItem
from tests.tools import lose, port_day, somebody_waits_for_a_lock, wait_for

pytestmark = pytest.mark.django_db
A, B, C = "+12065550100", "+12065550101", "+12065550102"
PIN = "482193"
MINUTE = timedelta(minutes=1)
OrderJson = Callable[..., dict[str, Any]]


@pytest.fixture
def now() -> datetime:
    return timezone.now() - timedelta(hours=1)


def told(order: PortInOrder) -> list[str]:
    """Return the timeline, oldest first."""
    return list(
        TimelineEntry.objects.filter(item=order.item_id)
        .order_by("pk")
        .values_list("text", flat=True)
    )


def item_of(order: PortInOrder) -> WorkItem:
    return WorkItem.objects.get(pk=order.item_id)


def fresh(order: PortInOrder) -> PortInOrder:
    return PortInOrder.objects.get(pk=order.pk)


# --- One reading ----------------------------------------------------------------------------


def test_a_first_reading_makes_the_order_its_numbers_and_its_work_item(
    project: SinchProject, order_json: OrderJson, now: datetime
) -> None:
    payload = order_json({A: {"status": "CONFIRMED", "focDate": "2026-06-18T12:00:00Z"}, B: {}})
    order = sync.store_port_in_order(project, payload, now, cause="webhook, read 1 s later")
    order.refresh_from_db()
    first, second = order.numbers.all()
    assert (order.sinch_id, order.status, order.reference) == (
        "40118273",
        "PENDING",
        "HVD-2026-014",
    )
    assert (first.foc_date, first.losing_carrier, first.reversed_digits) == (
        date(2026, 6, 18),
        "Lumen",
        "00105556021",
    )
    assert (second.status, second.group) == ("PENDING", "GW Lumen Grp1")
    item = item_of(order)
    assert item.target_pk == order.pk
    assert (item.end_user, item.carriers, item.live_count, item.counted) == (
        "Harborview Dental LLC",
        "Lumen",
        0,
        2,
    )
    assert item.parts == [["date", 1], ["wait", 1]]
    assert (item.requested_date, item.foc_date) == (date(2099, 6, 16), date(2026, 6, 18))
    assert item.foc_dates == [["2026-06-18", 1]]
    assert told(order) == ["Found at Sinch: 2 numbers, Harborview Dental LLC, pending"]


def test_losing_carriers_come_from_the_portability_check_first(
    project: SinchProject, order_json: OrderJson, now: datetime
) -> None:
    PortabilityResult.objects.create(
        project=project, phone_number=A, portable=True, carrier="Ziply", checked_at=now
    )
    payload = order_json({A: {}, B: {}, C: {"phoneNumberGroup": "odd name"}})
    order = sync.store_port_in_order(project, payload, now)
    carriers = list(order.numbers.values_list("losing_carrier", flat=True))
    assert carriers == ["Ziply", "Lumen", ""]


def test_an_older_reading_does_not_replace_a_newer_one_and_neither_does_an_equal_one(
    project: SinchProject, order_json: OrderJson, now: datetime
) -> None:
    confirmed = order_json({A: {"status": "CONFIRMED"}}, status="CONFIRMED")
    sync.store_port_in_order(project, confirmed, now)
    for moment in (now - MINUTE, now):
        order = sync.store_port_in_order(project, order_json({A: {}}), moment)
        order.refresh_from_db()
        assert order.status == "CONFIRMED"
        assert order.fetched_at == now
        assert order.numbers.get().status == "CONFIRMED"
    assert len(told(order)) == 1


def test_a_repeated_reading_writes_and_tells_nothing_but_its_time(
    project: SinchProject, order_json: OrderJson, now: datetime
) -> None:
    order = sync.store_port_in_order(project, order_json(), now)
    version = item_of(order).version
    sync.store_port_in_order(project, order_json(), now + MINUTE)
    order = fresh(order)
    assert order.fetched_at == now + MINUTE
    assert item_of(order).version == version
    assert len(told(order)) == 1


def test_a_short_answer_keeps_what_was_stored(
    project: SinchProject, order_json: OrderJson, now: datetime
) -> None:
    order = sync.store_port_in_order(project, order_json({A: {}}), now)
    short = {
        "id": 40118273,
        "status": "CONFIRMED",
        "phoneNumbers": [{"phoneNumber": A, "status": "CONFIRMED", "focDate": "2026-06-18"}],
    }
    sync.store_port_in_order(project, short, now + MINUTE)
    number, item = order.numbers.get(), item_of(order)
    assert (number.status, number.group, number.losing_carrier) == (
        "CONFIRMED",
        "GW Lumen Grp1",
        "Lumen",
    )
    assert (item.end_user, item.reference) == ("Harborview Dental LLC", "HVD-2026-014")


def test_numbers_that_left_the_order_are_deleted_and_told(
    project: SinchProject, order_json: OrderJson, now: datetime
) -> None:
    order = sync.store_port_in_order(project, order_json({A: {}, B: {}}), now)
    sync.store_port_in_order(project, order_json({B: {}, C: {}}), now + MINUTE)
    assert list(order.numbers.values_list("phone_number", "position")) == [(B, 0), (C, 1)]
    assert told(order)[1:] == [
        "+1 206 555 0102 joined the order",
        "+1 206 555 0100 is no longer in the order",
    ]


def test_unknown_words_are_kept_and_shown_as_themselves(
    project: SinchProject, order_json: OrderJson, now: datetime
) -> None:
    payload = order_json({A: {"status": "being_tested"}}, status="Order_Building", colour="blue")
    order = sync.store_port_in_order(project, payload, now)
    assert order.status == "ORDER_BUILDING"
    assert order.numbers.get().status == "BEING_TESTED"
    assert fresh(order).payload["colour"] == "blue"
    assert item_of(order).bucket == "wait"


def test_no_pin_is_stored_in_clear_wherever_sinch_puts_it(
    project: SinchProject, order_json: OrderJson, now: datetime
) -> None:
    entry = {"portOutInfo": {"existingPortOutPin": PIN, "accountNum": "9930-114431"}}
    order = sync.store_port_in_order(project, order_json({A: entry}), now)
    with connection.cursor() as cursor:
        cursor.execute("SELECT payload::text, secrets FROM orders_portinorder")
        payload, secrets = cursor.fetchone()
    assert PIN not in payload
    assert "9930-114431" not in payload
    assert PIN.encode() not in bytes(secrets)
    assert fresh(order).secrets == {A: {"existingPortOutPin": PIN, "accountNum": "9930-114431"}}


def test_our_own_secrets_win_over_an_echo_and_survive_a_mask(
    project: SinchProject, order_json: OrderJson, now: datetime
) -> None:
    sync.store_port_in_order(
        project, order_json({A: {}}), now, secrets={A: {"existingPortOutPin": PIN}}
    )
    for minutes, echo in enumerate(("9999", "****", None), 1):
        entry = {"portOutInfo": {"existingPortOutPin": echo}}
        order = sync.store_port_in_order(project, order_json({A: entry}), now + minutes * MINUTE)
        assert fresh(order).secrets == {A: {"existingPortOutPin": PIN}}


def test_an_order_whose_secrets_no_key_reads_is_stored_and_keeps_them_until_new_ones_are_sent(
    project: SinchProject, order_json: OrderJson, now: datetime
) -> None:
    def stored_secrets() -> bytes:
        with connection.cursor() as cursor:
            cursor.execute("SELECT secrets FROM orders_portinorder")
            return bytes(cursor.fetchone()[0])

    order = sync.store_port_in_order(
        project, order_json({A: {}}), now, secrets={A: {"existingPortOutPin": PIN}}
    )
    lose(order, "secrets")
    lost = stored_secrets()
    entry = {"status": "CONFIRMED", "portOutInfo": {"existingPortOutPin": "9999"}}
    confirmed = order_json({A: entry}, status="CONFIRMED")
    sync.store_port_in_order(project, confirmed, now + MINUTE)
    order = fresh(order)
    assert (order.status, order.numbers.get().status) == ("CONFIRMED", "CONFIRMED")
    assert (order.secrets, stored_secrets()) == (None, lost)
    assert standing.facts_of(order)
    sync.store_port_in_order(
        project, confirmed, now + MINUTE, secrets={A: {"existingPortOutPin": "2468"}}
    )
    assert fresh(order).secrets == {A: {"existingPortOutPin": "2468"}}


# --- Figures --------------------------------------------------------------------------------


def test_500_numbers_are_stored_in_few_statements_and_none_when_nothing_changed(
    project: SinchProject, order_json: OrderJson, now: datetime
) -> None:
    payload = order_json(500)
    sync.store_port_in_order(project, payload, now)
    changed = copy.deepcopy(payload)
    changed["status"] = "CONFIRMED"
    for number in changed["phoneNumbers"]:
        number |= {"status": "CONFIRMED", "focDate": "2026-06-18"}
    with CaptureQueriesContext(connection) as storing:
        order = sync.store_port_in_order(project, changed, now + MINUTE)
    assert order.numbers.filter(status="CONFIRMED").count() == 500
    # One more pair of statements begins and ends the transaction outside a test.
    assert len(storing) <= 6, [q["sql"][:80] for q in storing.captured_queries]
    with CaptureQueriesContext(connection) as again:
        sync.store_port_in_order(project, changed, now + 2 * MINUTE)
    assert len(again) <= 2, [q["sql"][:80] for q in again.captured_queries]
    assert not [q for q in again.captured_queries if "portinnumber" in q["sql"]]


def test_only_the_numbers_that_changed_are_written(
    project: SinchProject, order_json: OrderJson, now: datetime
) -> None:
    payload = order_json(50)
    order = sync.store_port_in_order(project, payload, now)
    payload["phoneNumbers"][7]["status"] = "REJECTED"
    sync.store_port_in_order(project, payload, now + MINUTE)
    moved = order.numbers.filter(status_since=now + MINUTE)
    assert [number.position for number in moved] == [7]


# --- What a number was refused for before -----------------------------------------------------

PENDING: dict[str, Any] = {}


def refused(reason: str) -> dict[str, Any]:
    return {"status": "REJECTED", "rejectReason": reason}


@pytest.mark.parametrize(
    ("readings_of_a", "before"),
    [
        ([refused("Wrong PIN")], []),
        ([refused("Wrong PIN"), PENDING], ["pin"]),
        ([refused("Wrong PIN"), PENDING, refused("Wrong PIN")], ["pin"]),
        ([refused("Wrong PIN"), refused("Invalid passcode")], ["pin"]),
        ([refused("Wrong PIN"), {"status": "EXCLUDED", "exclusionReason": "Lock"}], ["pin"]),
        ([refused("PIN and ZIP do not match"), PENDING], ["pin", "address"]),
        (
            [refused("Wrong ZIP"), PENDING, refused("Wrong PIN"), PENDING, refused("Wrong ZIP")],
            ["pin", "address"],
        ),
        ([refused("See ticket 20448"), PENDING, refused("See ticket 20448")], []),
        # The same refusal, read again: as it was, with another fact, without its reason.
        ([refused("Wrong PIN"), refused("Wrong PIN")], []),
        ([refused("Wrong PIN"), refused("Wrong PIN") | {"phoneNumberGroup": "G2"}], []),
        ([refused("Wrong PIN"), {"status": "REJECTED"}, refused("Wrong PIN")], []),
        ([refused("Wrong PIN"), refused(""), refused("Wrong PIN")], []),
        # A number left out is not refused.
        ([{"status": "EXCLUDED", "exclusionReason": "Wrong PIN"}, PENDING], []),
    ],
)
def test_a_number_remembers_the_causes_of_refusals_that_are_over(
    project: SinchProject,
    order_json: OrderJson,
    now: datetime,
    readings_of_a: list[dict[str, Any]],
    before: list[str],
) -> None:
    for minutes, entry in enumerate(readings_of_a):
        payload = order_json({A: entry, B: {}})
        order = sync.store_port_in_order(project, payload, now + minutes * MINUTE)
    first, second = order.numbers.all()
    assert first.refused_before == before
    assert second.refused_before == []


def test_a_reading_that_is_repeated_or_older_is_no_second_refusal(
    project: SinchProject, order_json: OrderJson, now: datetime
) -> None:
    rejected = order_json({A: refused("Wrong PIN")})
    sync.store_port_in_order(project, rejected, now)
    for moment in (now, now - MINUTE):
        sync.store_port_in_order(project, order_json({A: {}}), moment)
    with CaptureQueriesContext(connection) as again:
        order = sync.store_port_in_order(project, rejected, now + MINUTE)
    assert order.numbers.get().refused_before == []
    assert not [q for q in again.captured_queries if "portinnumber" in q["sql"]]


def test_what_500_numbers_were_refused_for_costs_no_statement(
    project: SinchProject, order_json: OrderJson, now: datetime
) -> None:
    payload = order_json(500)
    for number in payload["phoneNumbers"]:
        number |= refused("Wrong PIN")
    sync.store_port_in_order(project, payload, now)
    moved = copy.deepcopy(payload)
    for number in moved["phoneNumbers"]:
        number |= {"status": "PENDING", "rejectReason": ""}
    with CaptureQueriesContext(connection) as storing:
        order = sync.store_port_in_order(project, moved, now + MINUTE)
    assert len(storing) <= 6, [q["sql"][:80] for q in storing.captured_queries]
    assert order.numbers.filter(refused_before=["pin"]).count() == 500


# --- What the timeline tells ----------------------------------------------------------------


def test_what_happens_to_many_numbers_is_told_once_for_each_group(
    project: SinchProject, order_json: OrderJson, now: datetime
) -> None:
    asked, foc = (port_day(days) for days in (28, 30))
    schedule = {"desiredPortDate": asked.isoformat()}
    payload = order_json(8, desiredPortSchedule=schedule)
    order = sync.store_port_in_order(project, payload, now)
    for number in payload["phoneNumbers"][:5]:
        number |= {"status": "CONFIRMED", "focDate": foc.isoformat()}
    for number in payload["phoneNumbers"][5:7]:
        number |= {"status": "REJECTED", "rejectReason": "Invalid passcode/PIN supplied"}
    payload["phoneNumbers"][7] |= {
        "status": "EXCLUDED",
        "exclusionReason": "Number not on account",
    }
    sync.store_port_in_order(project, payload, now + MINUTE, cause="webhook, read 1 s later")
    assert told(order)[1:] == [
        f"5 numbers at Lumen confirmed for {words.day_text(foc)}; "
        f"asked for {words.day_text(asked)}",
        "2 numbers rejected: “Invalid passcode/PIN supplied”",
        "+1 206 555 0107 excluded: “Number not on account”",
    ]
    causes = TimelineEntry.objects.filter(item=order.item_id).values_list("cause", flat=True)
    assert set(causes[:3]) == {"webhook, read 1 s later"}
    assert item_of(order).reasons[0]["text"].startswith("2 numbers rejected")


def test_status_moves_are_told_and_the_odd_ones_marked(
    project: SinchProject, order_json: OrderJson, now: datetime
) -> None:
    statuses = ["PENDING", "CONFIRMED", "COMPLETED", "PENDING"]
    for minutes, status in enumerate(statuses):
        order = sync.store_port_in_order(project, order_json(status=status), now + minutes * MINUTE)
    assert told(order)[1:] == [
        "Order confirmed by the losing carrier",
        "Order completed",
        "Order pending, straight from completed",
    ]
    assert item_of(order).status == "PENDING"


def test_the_same_thing_happening_again_is_told_again(
    project: SinchProject, order_json: OrderJson, now: datetime
) -> None:
    refused = order_json({A: {"status": "REJECTED", "rejectReason": "Wrong PIN"}})
    for minutes, payload in enumerate([order_json({A: {}}), refused, order_json({A: {}}), refused]):
        order = sync.store_port_in_order(project, payload, now + minutes * MINUTE)
    assert told(order).count("+1 206 555 0100 rejected: “Wrong PIN”") == 2


def test_a_moved_foc_date_is_told_and_is_a_reason_to_tell_the_customer(
    project: SinchProject, order_json: OrderJson, now: datetime
) -> None:
    days = [port_day(20), port_day(27)]
    for minutes, day in enumerate(days):
        entry = {"status": "CONFIRMED", "focDate": day.isoformat()}
        payload = order_json({A: entry, B: entry}, status="CONFIRMED")
        order = sync.store_port_in_order(project, payload, now + minutes * MINUTE)
    assert "FOC date of 2 numbers at Lumen moved from" in told(order)[-1]
    assert [reason["code"] for reason in item_of(order).reasons] == ["P5"]
    standing.recompute(order)
    assert [reason["code"] for reason in item_of(order).reasons] == ["P5"]


@pytest.mark.parametrize("away", ["canceling", "gone"])
def test_a_moved_foc_date_is_still_to_be_told_when_its_order_comes_back(
    project: SinchProject, order_json: OrderJson, now: datetime, away: str
) -> None:
    def read(minutes: int, status: str = "PENDING", days: int = 27) -> PortInOrder:
        entry = {"status": "CONFIRMED", "focDate": port_day(days).isoformat()}
        payload = order_json({A: entry}, status=status)
        return sync.store_port_in_order(project, payload, now + minutes * MINUTE)

    read(0, days=20)
    order = read(1)
    if away == "gone":
        assert sync.mark_gone(project, order.sinch_id, now + 2 * MINUTE)
    else:
        read(2, status="PENDING_CANCELATION")
    assert "P5" not in [reason["code"] for reason in item_of(order).reasons]
    read(3)
    assert "P5" in [reason["code"] for reason in item_of(order).reasons]


def test_a_foc_date_that_falls_away_and_one_that_comes_later_are_told(
    project: SinchProject, order_json: OrderJson, now: datetime
) -> None:
    first, last = port_day(20), port_day(27)
    for minutes, day in enumerate([None, first, None, last]):
        entry = {"status": "CONFIRMED", "focDate": day and day.isoformat()}
        payload = order_json({A: entry, B: entry}, status="CONFIRMED")
        order = sync.store_port_in_order(project, payload, now + minutes * MINUTE)
        if day is None and minutes:
            assert [r["code"] for r in item_of(order).reasons] == ["P5"]
    assert told(order)[1:] == [
        f"FOC date of 2 numbers at Lumen is {words.day_text(first)}",
        f"FOC date of 2 numbers at Lumen is open again; it was {words.day_text(first)}",
        f"FOC date of 2 numbers at Lumen is {words.day_text(last)}",
    ]
    (reason,) = item_of(order).reasons
    assert (reason["code"], reason["text"]) == (
        "P5",
        f"FOC date {words.day_text(first)} fell away, date open again",
    )


def test_details_changed_elsewhere_are_told_and_filled_in_ones_are_not(
    project: SinchProject, order_json: OrderJson, now: datetime
) -> None:
    bare = {"endUser": {"name": "Harborview Dental LLC", "streetNum": "1420"}}
    order = sync.store_port_in_order(project, order_json({A: bare}), now)
    sync.store_port_in_order(project, order_json({A: {}}), now + MINUTE)
    assert len(told(order)) == 1
    moved = order_json({A: {"endUser": {"name": "Copper Kettle Bakery Inc", "streetNum": "9"}}})
    sync.store_port_in_order(project, moved, now + 2 * MINUTE)
    assert told(order)[1:] == ["Order details changed at Sinch"]
    assert item_of(order).end_user == "Copper Kettle Bakery Inc"


def test_a_cancelation_that_nobody_here_asked_for_needs_us_and_ours_does_not(
    project: SinchProject, order_json: OrderJson, now: datetime
) -> None:
    for sinch_id, asked in (("1", False), ("2", True)):
        order = sync.store_port_in_order(project, order_json(id=sinch_id), now)
        if asked:
            Operation.objects.create(
                project=project, kind="port_in.cancel", target=order.target, state="succeeded"
            )
        canceled = order_json(1, id=sinch_id, status="CANCELED")
        canceled["phoneNumbers"][0]["status"] = "CANCELED"
        sync.store_port_in_order(project, canceled, now + MINUTE)
        assert item_of(order).bucket == ("ended" if asked else "us")


def test_an_order_found_canceled_is_just_ended(
    project: SinchProject, order_json: OrderJson, now: datetime
) -> None:
    payload = order_json({A: {"status": "CANCELED"}}, status="CANCELED")
    assert item_of(sync.store_port_in_order(project, payload, now)).bucket == "ended"


def test_an_order_that_sinch_does_not_know_any_more_is_marked_and_comes_back_when_it_is_found(
    project: SinchProject, order_json: OrderJson, now: datetime
) -> None:
    order = sync.store_port_in_order(project, order_json(), now)
    sync.mark_gone(project, order.sinch_id, now - MINUTE)
    assert fresh(order).gone_at is None
    sync.mark_gone(project, order.sinch_id, now + MINUTE)
    assert item_of(order).bucket == "us"
    sync.store_port_in_order(project, order_json(), now + MINUTE / 2)
    assert fresh(order).gone_at == now + MINUTE, "that reading left before Sinch knew it no more"
    sync.store_port_in_order(project, order_json(), now + 2 * MINUTE)
    assert fresh(order).gone_at is None
    assert "P6" not in [reason["code"] for reason in item_of(order).reasons]
    assert told(order)[-2:] == [
        "Sinch does not know this order any more",
        "Sinch knows this order again",
    ]
    sync.store_port_in_order(project, order_json(), now + 3 * MINUTE)
    assert told(order)[-1] == "Sinch knows this order again"
    assert told(order).count("Sinch knows this order again") == 1


def test_an_order_that_comes_back_has_its_refused_numbers_taken_up_again(
    project: SinchProject, order_json: OrderJson, now: datetime
) -> None:
    def reasons_of(row: PortInOrder) -> list[str]:
        standing.recompute_due(timezone.now())
        return [reason["code"] for reason in item_of(row).reasons]

    refused = order_json({A: {"status": "REJECTED"}}, status="CONFIRMED")
    first = sync.store_port_in_order(project, refused, now)
    both = order_json({A: {}, B: {}}, id="2")
    later = sync.store_port_in_order(project, both, now)
    PortInOrder.objects.filter(pk=later.pk).update(follows=first)
    standing.wake(first.pk)
    assert "P3" not in reasons_of(first)
    sync.mark_gone(project, later.sinch_id, now + MINUTE)
    assert "P3" in reasons_of(first)
    sync.store_port_in_order(project, both, now + 2 * MINUTE)
    assert "P3" not in reasons_of(first)


def test_a_refused_number_needs_us_again_when_it_leaves_the_order_that_took_it_up(
    project: SinchProject, order_json: OrderJson, now: datetime
) -> None:
    refused = order_json({A: {"status": "REJECTED"}}, status="CONFIRMED")
    first = sync.store_port_in_order(project, refused, now)
    later = sync.store_port_in_order(project, order_json({A: {}, B: {}}, id="2"), now)
    PortInOrder.objects.filter(pk=later.pk).update(follows=first)
    standing.wake(first.pk)
    standing.recompute_due(timezone.now())
    assert "P3" not in [reason["code"] for reason in item_of(first).reasons]
    sync.store_port_in_order(project, order_json({B: {}}, id="2"), now + MINUTE)
    standing.recompute_due(timezone.now())
    assert "P3" in [reason["code"] for reason in item_of(first).reasons]


def test_what_an_order_offered_before_it_was_gone_says_nothing_once_it_is_back(
    project: SinchProject, order_json: OrderJson, now: datetime
) -> None:
    entry = {"status": "CONFIRMED", "focDate": port_day(-3).isoformat()}
    there = order_json({A: entry}, status="CONFIRMED", onDemandActivation=True)
    order = sync.store_port_in_order(project, there, now)
    group = ActivationGroup("GW Lumen Grp1", (A,), entry["focDate"])
    sync.store_offers(order, [group], now + MINUTE)
    assert item_of(order).bucket == "ready"
    sync.mark_gone(project, order.sinch_id, now + 2 * MINUTE)
    sync.store_port_in_order(project, there, now + 3 * MINUTE)
    assert [reason["code"] for reason in item_of(order).reasons] == ["DATE"]


# --- Notes and documents --------------------------------------------------------------------


def note(text: str, at: datetime, by: str = "Sinch") -> dict[str, str]:
    return {"note": text, "createdTime": at.strftime("%Y-%m-%dT%H:%M:%SZ"), "createdBy": by}


def test_a_note_is_stored_and_told_once(
    project: SinchProject, order_json: OrderJson, now: datetime
) -> None:
    asked = note("Comcast asks for the latest bill.", now)
    payload = order_json(notes=[asked])
    order = sync.store_port_in_order(project, order_json(), now)
    sync.store_port_in_order(project, payload, now + MINUTE)
    sync.store_port_in_order(project, payload, now + 2 * MINUTE)
    sync.store_port_in_order(project, order_json(notes=[asked, asked]), now + 3 * MINUTE)
    assert OrderNote.objects.filter(order=order).count() == 2
    assert told(order).count("Sinch wrote: “Comcast asks for the latest bill.”") == 2
    assert item_of(order).reasons[0]["code"] == "P4"


def send_note(project: SinchProject, order: PortInOrder, text: str, **fields: Any) -> Operation:
    """Return a note operation as it is after it has left."""
    at = timezone.now()
    values = {"state": "succeeded", "sent_at": at, "finished_at": at} | fields
    return Operation.objects.create(
        project=project,
        kind="port_in.note",
        target=order.target,
        payload={"text": text},
        **values,
    )


def test_our_own_note_is_recognised_by_its_text_one_for_each_that_we_sent(
    project: SinchProject, order_json: OrderJson, now: datetime
) -> None:
    order = sync.store_port_in_order(project, order_json(), now)
    operation = send_note(project, order, "The bill is  attached.")
    ours = note("The bill is attached.", timezone.now(), by="some key")
    payload = order_json(notes=[ours, ours])
    sync.store_port_in_order(project, payload, timezone.now())
    assert list(OrderNote.objects.filter(order=order).values_list("operation", flat=True)) == [
        operation.pk,
        None,
    ]


def test_a_note_that_is_still_being_sent_is_ours_already(
    project: SinchProject, order_json: OrderJson, now: datetime
) -> None:
    order = sync.store_port_in_order(project, order_json(), now)
    send_note(project, order, "Hello", state="sending", finished_at=None)
    sync.store_port_in_order(
        project, order_json(notes=[note("Hello", timezone.now())]), timezone.now()
    )
    assert OrderNote.objects.get(order=order).operation is not None
    assert not any("wrote" in text for text in told(order))


def test_a_note_of_another_hour_is_not_ours(
    project: SinchProject, order_json: OrderJson, now: datetime
) -> None:
    order = sync.store_port_in_order(project, order_json(), now)
    send_note(project, order, "Hello")
    old = note("Hello", timezone.now() - timedelta(minutes=30))
    sync.store_port_in_order(project, order_json(notes=[old]), timezone.now())
    assert OrderNote.objects.get(order=order).operation is None


def test_documents_are_stored_once_and_an_loa_is_known_by_its_name(
    project: SinchProject, order_json: OrderJson, now: datetime
) -> None:
    papers = [
        {"id": 7001, "documentName": "loa-acme.pdf", "description": "Signed LOA"},
        {"documentId": "7002", "documentName": "june bill.pdf"},
        {"documentName": "no id.pdf"},
    ]
    order = sync.store_port_in_order(project, order_json(), now)
    assert item_of(order).reasons[0]["code"] == "P9"
    for minutes in (1, 2):
        payload = order_json(documents=papers, resellerName=f"Change {minutes}")
        sync.store_port_in_order(project, payload, now + minutes * MINUTE)
    rows = OrderDocument.objects.filter(order=order).values_list("sinch_id", "kind")
    assert list(rows) == [("7001", "loa"), ("7002", "bill"), ("", "other")]
    assert [r["code"] for r in item_of(order).reasons if r["code"] == "P9"] == []


def test_a_document_named_twice_in_one_reading_is_one_document(
    project: SinchProject, order_json: OrderJson, now: datetime
) -> None:
    paper = {"id": 7001, "documentName": "loa-acme.pdf"}
    order = sync.store_port_in_order(project, order_json(documents=[paper, paper]), now)
    assert OrderDocument.objects.get(order=order).sinch_id == "7001"


def test_a_document_that_sinch_names_without_its_id_once_more_is_no_second_one(
    project: SinchProject, order_json: OrderJson, now: datetime
) -> None:
    def names(minutes: int, *papers: dict[str, Any]) -> list[tuple[str, str]]:
        payload = order_json(documents=list(papers))
        order = sync.store_port_in_order(project, payload, now + minutes * MINUTE)
        rows = OrderDocument.objects.filter(order=order).order_by("pk")
        return list(rows.values_list("sinch_id", "name"))

    loa, bill = {"documentName": "loa.pdf"}, {"documentName": "bill.pdf"}
    known = names(0, {"id": 7001, **loa}, {"id": 7002, **bill})
    assert names(1, bill, loa) == known
    # A second one of a name is one more.
    assert names(2, loa, {"id": 7001, **loa}, bill) == [*known, ("", "loa.pdf")]


def test_a_document_we_sent_gets_sinchs_id_instead_of_a_second_row(
    project: SinchProject, order_json: OrderJson, now: datetime
) -> None:
    order = sync.store_port_in_order(project, order_json(), now)
    operation = Operation.objects.create(
        project=project,
        kind="port_in.document",
        target=order.target,
        state="sending",
        sent_at=now,
    )
    row = OrderDocument.objects.create(
        order=order, name="bill.pdf", content=b"x", operation=operation
    )
    payload = order_json(documents=[{"id": 7001, "documentName": "bill.pdf"}])
    sync.store_port_in_order(project, payload, now + MINUTE)
    assert OrderDocument.objects.get(order=order).pk == row.pk
    assert OrderDocument.objects.get(order=order).sinch_id == "7001"


# --- Activation -----------------------------------------------------------------------------


def test_offered_groups_make_the_order_ready_and_are_told_once(
    project: SinchProject, order_json: OrderJson, now: datetime
) -> None:
    entry = {"status": "CONFIRMED", "focDate": port_day().isoformat()}
    payload = order_json({A: entry, B: entry}, status="CONFIRMED", onDemandActivation=True)
    order = sync.store_port_in_order(project, payload, now)
    groups = [ActivationGroup("GW Lumen Grp1", (A, B), entry["focDate"])]
    sync.store_offers(order, groups, now + MINUTE)
    version = item_of(order).version
    sync.store_offers(order, groups, now + 2 * MINUTE)
    # Still on offer: the clock runs from the first time, and an open page has nothing to fetch.
    assert item_of(order).reasons[0]["since"] == (now + MINUTE).isoformat()
    assert item_of(order).version == version
    sync.store_offers(order, [], now)
    item = item_of(order)
    assert (item.bucket, item.reasons[0]["text"]) == ("ready", "Activate 2 numbers")
    assert told(order).count("Sinch offers 2 numbers at Lumen for activation") == 1
    live = {"status": "ACTIVATED", "activatedDate": "2026-06-09T14:00:00Z"}
    done = order_json({A: live, B: live}, status="COMPLETED", onDemandActivation=True)
    sync.store_port_in_order(project, done, now + 3 * MINUTE)
    assert item_of(order).bucket == "done"
    assert fresh(order).offered_groups == []
    assert "2 numbers at Lumen went live" in told(order)


@pytest.mark.parametrize("asked", [MINUTE, 3 * MINUTE])
def test_offers_asked_for_before_the_end_of_the_order_was_heard_are_not_stored(
    project: SinchProject, order_json: OrderJson, now: datetime, asked: timedelta
) -> None:
    """Even when they were asked for after the request had left that told of the end."""
    entry = {"status": "CONFIRMED", "focDate": port_day(-1).isoformat()}
    confirmed = order_json({A: entry}, status="CONFIRMED", onDemandActivation=True)
    order = sync.store_port_in_order(project, confirmed, now)
    ended = order_json({A: {"status": "CANCELED"}}, status="CANCELED", onDemandActivation=True)
    sync.store_port_in_order(project, ended, now + 2 * MINUTE)
    group = ActivationGroup("GW Lumen Grp1", (A,), entry["focDate"])
    sync.store_offers(order, [group], now + asked)
    assert fresh(order).offered_groups == []
    assert not any("Sinch offers" in text for text in told(order))


# --- Time -----------------------------------------------------------------------------------


def test_a_bucket_moves_when_its_time_has_come(
    project: SinchProject, order_json: OrderJson, now: datetime
) -> None:
    entry = {"status": "CONFIRMED", "focDate": port_day(-1).isoformat()}
    order = sync.store_port_in_order(project, order_json({A: entry}, status="CONFIRMED"), now)
    WorkItem.objects.filter(pk=order.item_id).update(
        bucket="date", reasons=[], next_change_at=now, rank=300
    )
    assert standing.recompute_due(timezone.now()) == 1
    item = item_of(order)
    assert (item.bucket, item.reasons[0]["code"]) == ("us", "P2")
    assert standing.recompute_due(timezone.now()) == 0


@pytest.mark.django_db(transaction=True)
def test_an_order_that_cannot_be_recomputed_does_not_stop_the_clocks_of_the_others(
    project: SinchProject,
    order_json: OrderJson,
    now: datetime,
    caplog: pytest.LogCaptureFixture,
) -> None:
    broken = sync.store_port_in_order(project, order_json(), now)
    sound = sync.store_port_in_order(project, order_json(id="40118274"), now)
    PortInOrder.objects.filter(pk=broken.pk).update(payload=[])
    WorkItem.objects.filter(pk=broken.item_id).update(next_change_at=now - MINUTE)
    WorkItem.objects.filter(pk=sound.item_id).update(next_change_at=now, bucket="done")
    assert standing.recompute_due(timezone.now()) == 2
    assert caplog.text.count("could not be worked out") == 1
    assert item_of(sound).bucket != "done"
    assert standing.recompute_due(timezone.now()) == 0, "the broken one is not tried without end"


def test_recomputing_what_has_not_moved_writes_nothing(
    project: SinchProject, order_json: OrderJson, now: datetime
) -> None:
    order = sync.store_port_in_order(project, order_json(), now)
    before = item_of(order)
    assert not standing.recompute(order)
    assert item_of(order).version == before.version


# --- Search ---------------------------------------------------------------------------------


def test_an_order_is_found_by_the_beginning_and_by_the_end_of_a_number(
    project: SinchProject, order_json: OrderJson, now: datetime
) -> None:
    order = sync.store_port_in_order(project, order_json({A: {}, B: {}}), now)
    for digits, suffix in (("12065550100", False), ("1206", False), ("0101", True)):
        found = sync.items_with_number(digits, suffix)
        assert {row["pk"] for row in found} == {order.item_id}
    assert not sync.items_with_number("0100", False).exists()


def test_an_order_is_found_by_its_words(
    project: SinchProject, order_json: OrderJson, now: datetime
) -> None:
    def found(word: str) -> bool:
        return WorkItem.objects.filter(search=SearchQuery(word, config="simple")).exists()

    sync.store_port_in_order(project, order_json(), now)
    assert all(found(word) for word in ("harborview", "seattle", "lumen", "40118273", "hvd"))
    renamed = order_json(1)
    renamed["phoneNumbers"][0]["endUser"] |= {"name": "Copper Kettle Bakery Inc"}
    sync.store_port_in_order(project, renamed, now + MINUTE)
    assert found("copper")
    assert not found("harborview")


# --- Side by side ---------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_readings_stored_side_by_side_leave_one_order_and_the_newest_word(
    project: SinchProject, order_json: OrderJson, now: datetime
) -> None:
    statuses = ["PENDING"] * 7 + ["CONFIRMED"]

    def store(minutes: int) -> None:
        try:
            payload = order_json(20, status=statuses[minutes])
            sync.store_port_in_order(project, payload, now + minutes * MINUTE)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(store, [3, 7, 0, 5, 1, 6, 2, 4]))
    order = PortInOrder.objects.get()
    assert order.fetched_at == now + 7 * MINUTE
    assert (order.status, item_of(order).status) == ("CONFIRMED", "CONFIRMED")
    assert WorkItem.objects.count() == 1
    assert PortInNumber.objects.count() == 20
    assert sum(text.startswith("Found") for text in told(order)) == 1


# --- Discovering ----------------------------------------------------------------------------


def make_orders(sandbox: Sandbox, count: int) -> list[str]:
    """Return the ids of orders made elsewhere."""
    return [
        str(sandbox.control.create_order([f"+1206555{n:04d}"], reference=f"EL-{n}").id)
        for n in range(100, 100 + count)
    ]


def test_a_walk_reads_what_is_new_or_differs_and_nothing_else(
    porting_client: PortingClient,
    project: SinchProject,
    sandbox: Sandbox,
    work_off: Callable[[], None],
) -> None:
    ids = make_orders(sandbox, 3)
    assert discovery.discover(project).keys() == set(ids)
    work_off()
    assert PortInOrder.objects.count() == 3
    project.refresh_from_db()
    assert project.discovered_at is not None
    assert discovery.discover(project) == {}
    sandbox.control.confirm(ids[1])
    assert discovery.discover(project).keys() == {ids[1]}
    before = sandbox.control.calls()["getOrderDetails"]
    work_off()
    assert sandbox.control.calls()["getOrderDetails"] == before + 1
    assert discovery.discover(project) == {}
    assert PortInOrder.objects.get(sinch_id=ids[1]).status == "CONFIRMED"
    assert discovery.discover(project, everything=True).keys() == set(ids)


def test_counters_that_sinch_counts_in_its_own_way_cost_one_reading_not_one_each_time(
    porting_client: PortingClient,
    project: SinchProject,
    sandbox: Sandbox,
    work_off: Callable[[], None],
) -> None:
    (sinch_id,) = make_orders(sandbox, 1)
    discovery.discover(project)
    work_off()
    PortInOrder.objects.update(list_digest="counted otherwise")
    assert discovery.discover(project).keys() == {sinch_id}
    work_off()
    assert discovery.discover(project) == {}


def test_a_walk_reads_an_order_that_nobody_has_ever_meant_to_read(
    porting_client: PortingClient,
    project: SinchProject,
    sandbox: Sandbox,
    work_off: Callable[[], None],
) -> None:
    """Found by the state machine: what the list does not show, such as notes, never came."""
    (sinch_id,) = make_orders(sandbox, 1)
    read = porting_client.get_order_details(sinch_id)
    sync.store_port_in_order(project, read, fetched_at=timezone.now())
    sandbox.control.note(sinch_id, "Send a recent bill")
    assert discovery.discover(project).keys() == {sinch_id}
    work_off()
    assert PortInOrder.objects.get().notes.get().text == "Send a recent bill"
    assert discovery.discover(project) == {}


def test_a_walk_costs_few_statements_whatever_the_number_of_orders(
    porting_client: PortingClient, project: SinchProject, sandbox: Sandbox
) -> None:
    make_orders(sandbox, 1)
    discovery.discover(project)
    with CaptureQueriesContext(connection) as few:
        discovery.discover(project, everything=True)
    for n in range(200, 230):
        sandbox.control.create_order([f"+1206555{n:04d}"])
    with CaptureQueriesContext(connection) as many:
        discovery.discover(project, everything=True)
    assert len(many) == len(few)
    assert Reading.objects.count() == 31


def test_a_change_that_only_a_sweep_found_is_counted_as_a_webhook_that_never_came(
    porting_client: PortingClient,
    project: SinchProject,
    sandbox: Sandbox,
    work_off: Callable[[], None],
) -> None:
    (sinch_id,) = make_orders(sandbox, 1)
    discovery.discover(project)
    work_off()
    reading = Reading.objects.get(resource_id=sinch_id)
    assert reading.missed_webhooks == 0
    sandbox.control.confirm(sinch_id)
    readings.want_one(project, "port_in_order", sinch_id, "webhook")
    work_off()
    reading.refresh_from_db()
    assert reading.missed_webhooks == 0
    sandbox.control.move_foc_date(sinch_id, "2099-06-18")
    Reading.objects.update(next_try_at=timezone.now())
    work_off()
    reading.refresh_from_db()
    assert reading.missed_webhooks == 1
    order = PortInOrder.objects.get()
    entry = TimelineEntry.objects.filter(item=order.item_id, text__contains="moved from").get()
    assert entry.cause == "sweep: no webhook came"


@pytest.mark.parametrize("preset", ["seed", "reference"])
def test_the_mirror_follows_an_order_through_its_life_in_both_readings_of_sinch(
    porting_client: PortingClient,
    project: SinchProject,
    sandbox: Sandbox,
    work_off: Callable[[], None],
    preset: str,
) -> None:
    sandbox.control.personality(preset)
    numbers = ["+12065550140", "+12065550198", "+12065550196", "+12065550195"]
    made = sandbox.control.create_order(numbers, reference="LIFE-1", on_demand=True)
    sinch_id = str(made.id)

    def read() -> PortInOrder:
        readings.want_one(project, "port_in_order", sinch_id, "staff")
        work_off()
        order = PortInOrder.objects.get(sinch_id=sinch_id)
        expected = sandbox.control.order(sinch_id)
        assert order.status == expected.status
        assert list(order.numbers.values_list("phone_number", "status", "reject_reason")) == [
            (n.phone_number, n.status, n.reject_reason) for n in expected.numbers
        ]
        assert [n.foc_date for n in order.numbers.all()] == [
            wire.read_date(n.foc_date) for n in expected.numbers
        ]
        return order

    read()
    sandbox.control.answer(sinch_id)
    order = read()
    assert item_of(order).reasons[0]["code"] == "P3"
    sandbox.control.confirm(sinch_id, numbers=["+12065550198"])
    sandbox.control.make_ready(sinch_id)
    order = read()
    assert item_of(order).bucket == "ready"
    sandbox.control.activate(sinch_id)
    sandbox.control.complete(sinch_id)
    order = read()
    told = [reason["code"] for reason in item_of(order).reasons]
    assert told == ["P5", "P7", "P7"], "a date moved; a number and a feature were left out"
    assert item_of(order).live_count == 3
    assert sandbox.violations == type(sandbox.violations)()


def test_short_readings_never_take_away_what_was_known(
    porting_client: PortingClient,
    project: SinchProject,
    sandbox: Sandbox,
    work_off: Callable[[], None],
) -> None:
    (sinch_id,) = make_orders(sandbox, 1)
    discovery.discover(project)
    work_off()
    sandbox.control.personality(numbers_on_read="short", blanks="absent")
    sandbox.control.confirm(sinch_id)
    readings.want_one(project, "port_in_order", sinch_id, "webhook")
    work_off()
    order = PortInOrder.objects.get()
    assert order.status == "CONFIRMED"
    assert item_of(order).end_user == "Acme Dental LLC"
    assert order.payload["phoneNumbers"][0]["endUser"]["city"] == "Portland"
    json.dumps(order.payload)


def test_an_order_sinch_forgot_is_marked_gone_and_read_no_more(
    porting_client: PortingClient,
    project: SinchProject,
    sandbox: Sandbox,
    work_off: Callable[[], None],
    agent: User,
) -> None:
    (sinch_id,) = make_orders(sandbox, 1)
    discovery.discover(project)
    work_off()
    sandbox.state.clear()
    readings.want_one(project, "port_in_order", sinch_id, "staff")
    work_off()
    reading = Reading.objects.get()
    assert (reading.is_gone, reading.next_try_at) == (True, None)
    assert PortInOrder.objects.get().gone_at is not None


def test_an_order_that_sinch_does_not_show_yet_is_looked_for_twice_before_it_is_gone(
    porting_client: PortingClient,
    project: SinchProject,
    order_json: OrderJson,
    work_off: Callable[[], None],
    agent: User,
) -> None:
    order = sync.store_port_in_order(project, order_json(), timezone.now())
    readings.want_one(project, "port_in_order", order.sinch_id, "staff")
    for is_gone in (False, True):
        work_off()
        order.refresh_from_db()
        assert (order.gone_at is not None, Reading.objects.get().is_gone) == (is_gone, is_gone)
        Reading.objects.update(next_try_at=timezone.now())


def test_an_order_that_was_gone_is_read_again_when_the_list_still_names_it(
    porting_client: PortingClient,
    project: SinchProject,
    sandbox: Sandbox,
    work_off: Callable[[], None],
) -> None:
    """A 404 may have been a passing fault at Sinch; nothing else would ever ask again."""
    (sinch_id,) = make_orders(sandbox, 1)
    discovery.discover(project)
    work_off()
    sync.mark_gone(project, sinch_id, timezone.now())
    Reading.objects.update(is_gone=True, next_try_at=None)
    assert discovery.discover(project).keys() == {sinch_id}
    work_off()
    assert PortInOrder.objects.get().gone_at is None
    assert discovery.discover(project) == {}


@pytest.mark.django_db(transaction=True)
def test_a_walk_and_the_settling_of_a_write_never_wait_for_each_other(
    porting_client: PortingClient,
    project: SinchProject,
    sandbox: Sandbox,
    work_off: Callable[[], None],
) -> None:
    (sinch_id,) = make_orders(sandbox, 1)
    discovery.discover(project)
    work_off()
    sandbox.control.confirm(sinch_id)

    def walk() -> dict[str, int]:
        try:
            return discovery.discover(project)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            PortInOrder.objects.select_for_update().get(sinch_id=sinch_id)  # as settling begins
            walked = pool.submit(walk)
            wait_for(somebody_waits_for_a_lock, what="the walk")
            readings.want_one(project, sync.READER, sinch_id, "staff")  # as settling ends
        assert walked.result().keys() == {sinch_id}
    assert discovery.discover(project) == {}
