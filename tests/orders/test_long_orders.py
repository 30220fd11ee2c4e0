"""The page of an order with hundreds of numbers, and the page of a single one."""

import csv
import io
import re
from collections.abc import Callable
from datetime import UTC, date, datetime

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from orders import actions_marks, marks, standing, sync
from orders.models import PortInNumber, PortInOrder
from orders.page_numbers import Look, numbers_of
from portal import words
from portal.accounts.models import SinchProject, User
from portal.work.models import TimelineEntry

pytestmark = pytest.mark.django_db

PIN = "482193"


def entry(number: str, **more: object) -> dict[str, object]:
    return {"phoneNumber": number, "status": "PENDING", "phoneNumberGroup": "Lumen-1", **more}


def stored(project: SinchProject, entries: list[dict[str, object]]) -> PortInOrder:
    payload = {"id": "40116648", "status": "PENDING", "phoneNumbers": entries}
    secrets = {str(one["phoneNumber"]): {"existingPortOutPin": PIN} for one in entries[:1]}
    return sync.store_reading(project, payload, timezone.now(), secrets=secrets).order


def numbered(count: int, site: str = "206") -> list[str]:
    return [f"+1{site}555{100 + n:04}" for n in range(count)]


@pytest.fixture
def reader_client(make_agent: Callable[..., User]) -> Client:
    """A client of somebody who may look and nothing else."""
    client = Client()
    backend = "portal.accounts.backends.EmailOrUsernameBackend"
    client.force_login(make_agent("rhea"), backend=backend)
    return client


@pytest.fixture
def long_order(project: SinchProject) -> PortInOrder:
    """120 numbers: two PINs refused at its beginning, the last twenty confirmed."""
    entries = [entry(number) for number in numbered(120)]
    for refused in entries[3:5]:
        refused |= {"status": "REJECTED", "rejectReason": "Invalid passcode/PIN supplied"}
    for agreed in entries[100:]:
        agreed |= {"status": "CONFIRMED", "focDate": "2026-06-24"}
    return stored(project, entries)


def page(client: Client, order: PortInOrder, query: str = "") -> str:
    return client.get(order.get_absolute_url() + query).content.decode()


def test_neighbours_that_share_everything_become_one_run(long_order):
    found = numbers_of(long_order)
    (group,) = found.groups
    assert [(run.first["phone_number"][-4:], run.until, run.count) for run in group.runs] == [
        ("0100", "to 0102", 3),
        ("0103", "to 0104", 2),
        ("0105", "to 0199", 95),
        ("0200", "to 0219", 20),
    ]
    assert sum(run.count for run in group.runs) == 120


def test_a_long_order_begins_with_causes_and_runs(agent_client, long_order):
    html = page(agent_client, long_order)
    assert "What needs us: 2 numbers" in html
    assert "Fix PIN on 2 numbers" in html
    assert html.count('name="n"') == 4
    assert 'value="12065550103-12065550104"' in html


def test_a_long_order_that_is_being_canceled_needs_nothing_of_us(agent_client, long_order):
    PortInOrder.objects.update(status="PENDING_CANCELATION")
    html = page(agent_client, long_order)
    assert "Refused or left out: 2 numbers" in html
    assert "What needs us" not in html
    assert "The account holder to get a fresh port-out PIN" not in html


def test_numbers_come_one_by_one_a_hundred_at_a_time(agent_client, long_order):
    html = page(agent_client, long_order, "?view=rows")
    assert html.count("data-mark=") == 100
    assert "Show the next 20" in html
    assert page(agent_client, long_order, "?view=rows&rows=all").count("data-mark=") == 120
    fragment = agent_client.get(
        reverse("orders:numbers", args=[long_order.pk]) + "?view=rows&rows=200",
        headers={"HX-Request": "true"},
    )
    assert fragment.content.decode().count("data-mark=") == 120
    assert "<html" not in fragment.content.decode()
    assert fragment["HX-Replace-Url"].endswith("?view=rows&rows=200")


@pytest.mark.parametrize("look", ["", "?view=rows&rows=all", "?status=REJECTED", "?q=9999"])
def test_a_part_of_the_numbers_comes_for_few_statements_as_the_page_has_it(
    agent_client, long_order, look, django_assert_max_num_queries
):
    whole = page(agent_client, long_order, look)
    url = reverse("orders:numbers", args=[long_order.pk]) + look
    # The person, the order, its numbers.
    with django_assert_max_num_queries(3):
        part = agent_client.get(url, headers={"HX-Request": "true"}).content.decode()
    assert 'id="numbers"' in part
    assert part.partition("\n")[2].strip() in whole


def test_a_status_and_the_last_digits_narrow_what_is_shown(agent_client, long_order):
    refused = page(agent_client, long_order, "?view=rows&status=REJECTED")
    assert refused.count("data-mark=") == 2
    assert page(agent_client, long_order, "?view=rows&q=0103").count("data-mark=") == 1
    nothing = page(agent_client, long_order, "?view=rows&q=9999")
    assert "No number of this order fits." in nothing
    assert "What needs us: 2 numbers" in nothing


@pytest.mark.parametrize("look", ["?q=%3Cabc%3E", "?q=%3Cabc%3E&view=rows"])
def test_what_has_no_digits_stays_in_its_field_and_finds_nothing(agent_client, long_order, look):
    html = page(agent_client, long_order, look)
    assert 'name="q" inputmode="tel" value="&lt;abc&gt;"' in html
    assert "There are no digits in “&lt;abc&gt;”." in html
    assert 'name="n"' not in html
    assert "Show all numbers" in html
    file = agent_client.get(reverse("orders:numbers_csv", args=[long_order.pk]) + look)
    assert len(file.getvalue().splitlines()) == 1
    assert 'name="n"' in page(agent_client, long_order, "?q=+")


def test_an_open_page_keeps_what_was_asked_for(agent_client, long_order):
    url = reverse("orders:live", args=[long_order.pk])
    html = agent_client.get(f"{url}?view=rows&status=REJECTED").content.decode()
    assert html.count('data-mark="REJECTED') == 2
    assert '<input type="hidden" name="status" value="REJECTED">' in html


def test_what_makes_no_sense_is_left_out_of_the_look():
    look = Look.asked({"rows": "-5", "view": "pie", "status": "rejected", "q": "(206) 55x"})
    assert look == Look(rows="", view="", status="REJECTED", q="20655")
    assert look.address() == "?status=REJECTED&q=20655"


def test_a_reader_has_no_boxes_to_tick(reader_client, long_order):
    assert 'name="n"' not in page(reader_client, long_order)


def test_runs_beyond_the_first_are_offered(agent_client, project):
    # Every second number is missing, so none has a neighbour.
    order = stored(project, [entry(number) for number in numbered(240)[::2]])
    html = page(agent_client, order)
    assert "120 runs cover all 120 numbers; 16 shown" in html
    assert "Show the other 104" in html
    assert page(agent_client, order, "?rows=all").count('name="n"') == 120


def test_the_file_holds_what_is_in_view_and_computes_nothing(agent_client, project):
    order = stored(
        project,
        [
            entry("+12065550100", status="REJECTED", rejectReason="=1+1 wrong PIN"),
            entry(
                "+12065550101",
                excludedFeatures=[{"featureName": "E911", "exclusionReason": "No address"}],
                countryCode="US",
            ),
        ],
    )
    url = reverse("orders:numbers_csv", args=[order.pk])
    text = b"".join(agent_client.get(url)).decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["Number"] for row in rows] == ["+12065550100", "+12065550101"]
    assert rows[0]["Reject reason"] == "'=1+1 wrong PIN"
    assert rows[1]["Excluded features"] == "E911 left out: No address"
    narrow = b"".join(agent_client.get(f"{url}?status=REJECTED")).decode()
    assert "+12065550101" not in narrow
    assert "+12065550100" in narrow


def test_different_end_users_are_not_told_as_one(agent_client, project):
    alike = {"endUser": {"name": "Harborview Dental LLC", "city": "Seattle"}}
    other = {"endUser": {"name": "Alder Books LLC", "city": "Tacoma"}}
    same = stored(project, [entry(number, **alike) for number in numbered(2)])
    assert "different end users" not in page(agent_client, same)
    PortInOrder.objects.all().delete()
    first, *rest = numbered(3)
    mixed = stored(project, [entry(first, **other), *(entry(one, **alike) for one in rest)])
    assert "the numbers have 2 different end users" in page(agent_client, mixed)


# --- One number ---------------------------------------------------------------------------------


FULL = {
    "countryCode": "US",
    "status": "ACTIVATED",
    "focDate": "2026-06-24",
    "activatedDate": "2026-06-24T16:04:00Z",
    "activateUser": "ops@alder.example",
    "endUser": {
        "name": "Harborview Dental LLC",
        "streetNum": "1420",
        "streetPreDir": "NW",
        "streetName": "Alder",
        "streetType": "St",
        "streetPostDir": "S",
        "locationType1": "Suite",
        "locationValue1": "210",
        "locationType2": "Floor",
        "locationValue2": "2",
        "city": "Seattle",
        "state": "WA",
        "zipCode": "98101",
        "typeOfService": "B",
    },
    "portOutInfo": {
        "existingPortOutPin": PIN,
        "accountPhoneNumber": "+12065550140",
        "authorizingName": "Dana Holt",
        "authorizingDate": "2026-06-01",
    },
    "voiceConfiguration": {"type": "EST", "trunkId": "01HX0TRUNK0000000000007QK2"},
    "smsConfiguration": {"smsAppId": "pike-sms"},
    "features": {
        "e911": {
            "name": "Harborview Dental LLC",
            "streetNum": "1420",
            "streetInfo": "Alder Street",
            "city": "Seattle",
            "state": "WA",
            "postalCode": "98101",
            "enhStreetInfo": "ALDER ST NW",
            "enhPostalCodePlusFour": "2201",
        },
        "directoryListing": {"listed": True},
    },
    "excludedFeatures": [{"featureName": "SMS", "exclusionReason": "Carrier keeps it"}],
    "messaging": "A2PLC",
}


@pytest.fixture
def number_url(project: SinchProject) -> str:
    order = stored(project, [entry("+12065550100", **FULL), entry("+12065550101")])
    return reverse("orders:number", args=[order.pk, "12065550100"])


def test_the_page_of_a_number_shows_everything_sinch_says(agent_client, number_url):
    html = agent_client.get(number_url).content.decode()
    for said in (
        *("Harborview Dental LLC", "1420", "NW", "Alder", "Suite", "210", "Floor", "Business"),
        *("Dana Holt", "Mon 1 Jun", "+1 206 555 0140", "01HX0TRUNK0000000000007QK2", "pike-sms"),
        *("ops@alder.example", "United States", "Wed 24 Jun", "Carrier keeps it"),
        *("Alder Street", "ALDER ST NW", "2201", "Validated by Sinch"),
        *("Directory listing · Listed", "Messaging", "A2PLC"),
    ):
        assert said in html, said
    assert PIN not in html


def test_what_sinch_says_of_an_order_beyond_its_documents_is_shown(agent_client, project):
    payload = {"id": "40116648", "status": "PENDING", "phoneNumbers": [entry("+12065550100")]}
    payload["directoryListing"] = {"listedAs": "Harborview"}
    order = sync.store_reading(project, payload, timezone.now()).order
    html = page(agent_client, order)
    assert "Directory listing · Listed as" in html
    assert "Harborview" in html


def test_a_number_of_another_order_is_not_there(agent_client, number_url):
    assert agent_client.get(number_url.replace("50100", "50177")).status_code == 404


def test_a_secret_of_a_number_is_shown_to_who_may_and_logged(admin_client, number_url):
    url = f"{number_url}reveal/"
    shown = admin_client.post(url, {"secret": "pin"}, headers={"HX-Request": "true"})
    assert PIN in shown.content.decode()
    assert TimelineEntry.objects.filter(
        text="Looked at the port-out PIN of +1 206 555 0100"
    ).exists()
    assert admin_client.post(url, {"secret": "account"}).status_code == 404
    whole = admin_client.post(url, {"secret": "pin"}).content.decode()
    assert PIN in whole
    assert "<html" in whole


def test_a_secret_is_not_shown_to_who_may_not(reader_client, number_url):
    answer = reader_client.post(f"{number_url}reveal/", {"secret": "pin"})
    assert answer.status_code == 403
    assert PIN not in answer.content.decode()


def test_dates_of_a_number_are_read_in_either_form(agent_client, project):
    order = stored(
        project,
        [entry("+12065550100", status="ACTIVATED", activateTime="14:07", focDate="2026-06-24")],
    )
    assert PortInNumber.objects.get().foc_date == date(2026, 6, 24)
    url = reverse("orders:number", args=[order.pk, "12065550100"])
    html = agent_client.get(url).content.decode()
    assert "14:07 UTC" in html


def test_the_page_of_a_refused_number_says_why_since_when_and_how_it_is_mended(
    agent_client, project
):
    refused = {"status": "REJECTED", "rejectReason": "Invalid passcode/PIN supplied"}
    refused["exclusionTime"] = "2026-06-09T21:11:00Z"
    order = stored(project, [entry("+12065550100", **refused), entry("+12065550101")])
    url = reverse("orders:number", args=[order.pk, "12065550100"])
    html = agent_client.get(url).content.decode()
    (lede,) = re.findall(r'<p class="lede">(.*?)</p>', html)
    since = words.moment_text(datetime(2026, 6, 9, 21, 11, tzinfo=UTC))
    told = f"Refused: “Invalid passcode/PIN supplied”. Since {since}; read "
    assert lede.startswith(told)
    assert "Refused on" not in html
    assert "Our move" in html
    assert "The PIN is missing or not the one the carrier expects." in html
    assert "the account holder to get a fresh port-out PIN" in html
    fix = f"{reverse('orders:edit', args=[order.pk])}?fix=pin&amp;n=12065550100"
    assert f'href="{fix}">Fix PIN on 1 number</a>' in html
    # One that nobody refused has nothing to mend.
    other = agent_client.get(url.replace("50100", "50101")).content.decode()
    assert 'id="refusal"' not in other
    assert "Carrier’s move" in other


def test_the_page_of_a_refused_number_knows_what_was_decided(agent_client, agent, project):
    refused = {"status": "REJECTED", "rejectReason": "Invalid passcode/PIN supplied"}
    order = stored(project, [entry("+12065550100", **refused)])
    url = reverse("orders:number", args=[order.pk, "12065550100"])
    agent_client.get(url)  # the first page of a person costs one more
    with CaptureQueriesContext(connection) as before:
        agent_client.get(url)
    number = standing.facts_of(order).numbers[0]
    actions_marks.settle_numbers(
        order,
        "P3",
        [number.phone_number],
        marks.digest([number.fact]),
        "Customer keeps it",
        by=agent,
    )
    with CaptureQueriesContext(connection) as after:
        html = agent_client.get(url).content.decode()
    assert len(before) == len(after)
    assert "Our move" not in html
    assert "Settled by Dana Whitfield" in html
    assert "Fix PIN" not in html


def test_the_page_of_a_refused_number_asks_nothing_while_the_order_is_being_canceled(
    agent_client, project
):
    refused = {"status": "REJECTED", "rejectReason": "Invalid passcode/PIN supplied"}
    order = stored(project, [entry("+12065550100", **refused)])
    PortInOrder.objects.update(status="PENDING_CANCELATION")
    url = reverse("orders:number", args=[order.pk, "12065550100"])
    html = agent_client.get(url).content.decode()
    assert "Sinch’s move" in html
    assert "Fix PIN" not in html
    assert "New order for" not in html
    assert "Canceling is under way; until it has ended they cannot be ordered again." in html


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            {"status": "CONFIRMED", "focDate": "2026-06-24"},
            f"The losing carrier agreed: it moves on {words.day_text(date(2026, 6, 24))}. Since ",
        ),
        (
            {"status": "ACTIVATED", "activateTime": "2026-06-24T14:07:00Z"},
            f"Live at Sinch since {words.day_text(date(2026, 6, 24))}, 10:07 Eastern. Read ",
        ),
        (
            {"status": "EXCLUDED", "exclusionReason": "Not on the account"},
            "Sinch took this number out of the order; it will not move with it: "
            "“Not on the account”. Since ",
        ),
        ({"status": "REJECTED"}, "Refused; no reason given. Since "),
    ],
)
def test_the_sentence_of_a_number_holds_what_sinch_says(agent_client, project, said, told):
    order = stored(project, [entry("+12065550100", **said)])
    url = reverse("orders:number", args=[order.pk, "12065550100"])
    html = agent_client.get(url).content.decode()
    (lede,) = re.findall(r'<p class="lede">(.*?)</p>', html)
    assert lede.startswith(told)
