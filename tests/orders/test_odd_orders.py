"""Whatever Sinch says of an order is kept, and every page of it opens all the same."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from orders import sync
from orders.models import PortInOrder
from portal.accounts.models import SinchProject
from portal.sinch.porting import ActivationGroup
from portal.work.models import WorkItem

pytestmark = pytest.mark.django_db
A, B = "+12065550142", "+12065550143"
LONG = "Alder " * 900
SAID = {
    "a zone that is a folder": {"desiredPortSchedule": {"desiredPortTimeZone": "US"}},
    "a zone on Mars": {"desiredPortSchedule": {"desiredPortTimeZone": "Mars/Olympus"}},
    "a zone that climbs": {"desiredPortSchedule": {"desiredPortTimeZone": "../../etc/passwd"}},
    "a zone of GMT": {"desiredPortSchedule": {"desiredPortTimeZone": "GMT"}},
    "a time in words": {"desiredPortSchedule": {"desiredPortTime": "nine", "desiredPortDate": "x"}},
    "a time without a day": {"desiredPortSchedule": {"desiredPortTime": "09:00:00Z"}},
    "the first day of all": {"desiredPortSchedule": {"desiredPortDate": "0001-01-01"}},
    "the last day of all": {"desiredPortSchedule": {"desiredPortDate": "9999-12-31"}},
    "a schedule in a word": {"desiredPortSchedule": "soon"},
    "no schedule": {"desiredPortSchedule": None},
    "an unknown status": {"status": "ORDER_BUILDING"},
    "a status in small letters": {"status": "confirmed"},
    "a status that is a number": {"status": 7},
    "a status that grows in capitals": {"status": "ß" * 20},
    "no status": {"status": None},
    "a created date of the year 1": {"createdDate": "0001-01-01T00:00:00+14:00"},
    "a created date in words": {"createdDate": "yesterday"},
    "on-demand in words": {"onDemandActivation": "true", "status": "CONFIRMED"},
    "a reference that is a number": {"customerOrderReference": 2026},
    "long words": {"customerOrderReference": LONG, "resellerName": LONG, "loaUploadedBy": LONG},
    "a reseller that is an object": {"resellerName": {"name": "x"}},
    "no numbers": {"phoneNumbers": []},
    "numbers in a word": {"phoneNumbers": "all"},
    "bare numbers": {"phoneNumbers": [A, B]},
    "a number that is a number": {"phoneNumbers": [{"phoneNumber": 12065550142}]},
    "notes in words": {"notes": ["Hello", None, 3]},
    "odd notes": {
        "notes": [
            {"note": LONG, "createdTime": "9999-12-31T23:59:59-12:00", "createdBy": 7},
            {"note": "Hi", "createdTime": "0001-01-01T00:00:00+14:00"},
            {"note": {"text": "x"}, "createdTime": None},
        ]
    },
    "odd documents": {"documents": ["x", {"id": {"a": 1}}, {"documentId": 7, "description": LONG}]},
}
NUMBER = {
    "a FOC date of the year 1": {"status": "CONFIRMED", "focDate": "0001-01-01"},
    "the last FOC date of all": {"status": "CONFIRMED", "focDate": "9999-12-31T00:00:00Z"},
    "a FOC date in words": {"status": "CONFIRMED", "focDate": "soon"},
    "no status": {"status": None},
    "an unknown status": {"status": "Snoozing"},
    "a status that grows in capitals": {"status": "ß" * 20},
    "a country that grows in capitals": {"countryCode": "ßa"},
    "a long reason": {"status": "REJECTED", "rejectReason": LONG},
    "a reason that is a list": {"status": "REJECTED", "rejectReason": ["PIN", "name"]},
    "an end user in a word": {"endUser": "Alder"},
    "an end user of numbers": {"endUser": {"name": 7, "zipCode": 98101, "city": None, "state": []}},
    "a long end user": {"endUser": {"name": LONG, "city": LONG}},
    "port-out information in a list": {"portOutInfo": ["x"]},
    "an odd signing day": {"portOutInfo": {"authorizingDate": "0001-01-01", "accountNum": 7}},
    "features in words": {"excludedFeatures": ["SMS"], "features": "E911"},
    "odd features": {"excludedFeatures": [{"featureName": 3}], "features": {"e911": []}},
    "a voice of an unknown kind": {"voiceConfiguration": {"type": "FAX2", "appId": 3}},
    "a voice in a word": {"voiceConfiguration": "EST"},
    "a long group": {"phoneNumberGroup": LONG},
    "an activation in words": {"status": "ACTIVATED", "activateTime": "14:00", "activateUser": 3},
}


def look_at(client: Client, order: PortInOrder) -> None:
    """Open every page that tells of an order."""
    for name in ("detail", "live", "numbers", "raw", "edit", "activate", "activation_live"):
        answer = client.get(reverse(f"orders:{name}", args=[order.pk]))
        assert answer.status_code in {200, 302}, name
    order_page = order.get_absolute_url() + "?rows=all&timeline=all"
    for url in ("/", "/?who=team", "/work/", "/work/?sort=date", order_page):
        assert client.get(url).status_code in {200, 302}, url


@pytest.mark.parametrize("first", [True, False], ids=["at first sight", "as news"])
@pytest.mark.parametrize(
    "said",
    [*SAID.values(), *({"phoneNumbers": [{"phoneNumber": A, **n}]} for n in NUMBER.values())],
    ids=[*SAID, *(f"a number with {name}" for name in NUMBER)],
)
def test_an_odd_order_is_kept_and_shown(
    agent_client: Client,
    project: SinchProject,
    order_json: Callable[..., dict[str, Any]],
    said: dict[str, Any],
    first: bool,
) -> None:
    now = timezone.now() - timedelta(hours=1)
    usual = order_json({A: {}, B: {}}, onDemandActivation=True)
    if not first:
        sync.store_port_in_order(project, usual, now)
    order = sync.store_port_in_order(project, usual | said, now + timedelta(minutes=1))
    sync.store_port_in_order(project, usual | said, now + timedelta(minutes=2))
    assert WorkItem.objects.get().sinch_id == order.sinch_id
    look_at(agent_client, order)


@pytest.mark.parametrize("status", ["CONFIRMED", "COMPLETED", "PENDING", "Odd"])
@pytest.mark.parametrize("foc", [None, "0001-01-01", "9999-12-31", "soon", "2026-06-16T12:00:00Z"])
def test_odd_offers_are_kept_and_shown(
    agent_client: Client,
    project: SinchProject,
    order_json: Callable[..., dict[str, Any]],
    status: str,
    foc: str | None,
) -> None:
    now = timezone.now()
    payload = order_json(
        {A: {"status": "CONFIRMED", "focDate": foc}}, status=status, onDemandActivation=True
    )
    order = sync.store_port_in_order(project, payload, now)
    groups = [
        ActivationGroup("g" * 300, (A, "+1", "odd"), foc, "groupIds", "ODD"),
        ActivationGroup("Ziply", (), foc),
    ]
    order = sync.store_offers(order, groups, now)
    assert json.dumps(order.offered_groups)
    look_at(agent_client, order)
    answer = agent_client.post(
        reverse("orders:activate", args=[order.pk]),
        {"group": ["Ziply", "other"], "expected": "yes", "key": "k"},
    )
    assert answer.status_code in {302, 422}
