"""The webhook log: what a person sees of it and can do with it."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from portal.operations.models import Reading
from tests.tools import lose
from tests.webhooks.tools import work
from webhooks import log
from webhooks.models import Delivery

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("rung", "reader")]
EVENT = {"type": "ORDER_UPDATED", "orderId": 40118273}
URL = "/webhooks/log/"


@pytest.fixture
def reading_client(make_agent):
    """A signed-in person who may read deliveries."""
    client = Client()
    client.force_login(
        make_agent("ada", "read_deliveries", "send_to_sinch"),
        backend="portal.accounts.backends.EmailOrUsernameBackend",
    )
    return client


def text_of(answer):
    assert answer.status_code == 200
    return answer.content.decode()


def test_the_log_says_what_came_and_what_became_of_it(reading_client, deliver, make_order):
    order = make_order("40118273", end_user="Cedar Falls Optical")
    deliver(EVENT)
    deliver({"type": "ORDER_SPLIT", "orderId": 40118273})
    deliver(b"{broken")
    work()
    page = text_of(reading_client.get(URL))
    assert "<h1>Webhook log</h1>" in page
    assert f'href="{order.get_absolute_url()}"' in page
    assert ">Cedar Falls Optical</a>" in page
    for words in (
        "ORDER_UPDATED",
        "Known order",
        "ORDER_SPLIT",
        "Unknown event",
        "Order read all the same; this desk does not know the word",
        "not readable",
        "Not JSON",
        "Kept, answered 200, nothing done",
        "2 need a look",
        "Process the 2 again",
        "3 webhooks",
        "1 reading",
        "Newest 3 of 3",
    ):
        assert words in page, words


def test_an_order_made_elsewhere_is_called_so(reading_client, deliver):
    deliver(EVENT)
    work()
    page = text_of(reading_client.get(URL))
    assert "Made elsewhere" in page
    assert "40118273" in page


def test_before_the_first_webhook_the_log_says_why_it_is_empty(reading_client):
    page = text_of(reading_client.get(URL))
    assert "Nothing has come yet." in page
    assert "Sinch has not told this desk anything yet." in page


def test_what_never_came_is_counted(reading_client, project):
    Reading.objects.create(
        project=project, kind="port_in_order", resource_id="1", missed_webhooks=3
    )
    assert log.figures().never_came == 3
    assert "Changes the sweep found without a webhook" in text_of(reading_client.get(URL))


def test_the_figures_count_the_last_day_only(deliver):
    deliver(EVENT)
    deliver(EVENT | {"n": 1})
    work()
    deliver(EVENT | {"orderId": 5})
    work()
    assert (log.figures().day, log.figures().readings) == (3, 2)
    Delivery.objects.update(received_at=timezone.now() - timedelta(hours=25))
    assert (log.figures().day, log.figures().readings) == (0, 0)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", {"ORDER_UPDATED", "NUMBERS_CONFIRMED", "ORDER_SPLIT"}),
        ("?look=1", {"ORDER_SPLIT"}),
        ("?event=NUMBERS_CONFIRMED", {"NUMBERS_CONFIRMED"}),
        ("?q=40118273", {"ORDER_UPDATED"}),
        ("?q=numbers", {"NUMBERS_CONFIRMED"}),
        ("?q=order", {"ORDER_UPDATED", "ORDER_SPLIT"}),
        ("?q=order&look=1", {"ORDER_SPLIT"}),
        ("?q=nothing", set()),
        ("?q=%00&event=%00&before=x&after=99999999999999999999&d=x", None),
    ],
)
def test_filters_narrow_the_log(reading_client, deliver, query, found):
    deliver(EVENT)
    deliver({"type": "NUMBERS_CONFIRMED", "orderId": 5})
    deliver({"type": "ORDER_SPLIT", "orderId": 6})
    work()
    answer = reading_client.get(URL + query)
    assert answer.status_code == 200
    if found is not None:
        rows = answer.context["page"].rows
        assert {row.delivery.event_type for row in rows} == found
    if found == set():
        assert "No webhook matches." in answer.content.decode()


@pytest.mark.parametrize("order", ["01HP9V5K6M1Q2W3E4R5T6Y7U8Z", "ho.2026:01hz4Q", "4711"])
def test_the_log_is_searched_for_a_hosting_order_by_its_id_as_it_is_written(
    order, reading_client, project
):
    for named in (order, "another"):
        Delivery.objects.create(
            project=project, kind="hosting", body=b"{}", size=2, resource_id=named
        )
    rows = reading_client.get(URL, {"q": order}).context["page"].rows
    assert [row.delivery.resource_id for row in rows] == [order]


def test_pages_walk_every_delivery_once_while_more_arrive(reading_client, deliver, monkeypatch):
    monkeypatch.setattr(log, "PAGE", 4)
    for number in range(10):
        deliver(EVENT | {"n": number})
    first = set(Delivery.objects.values_list("pk", flat=True))
    seen, query = [], ""
    while True:
        page = reading_client.get(URL + query).context["page"]
        seen += [row.delivery.pk for row in page.rows]
        deliver(EVENT)
        if not page.older:
            break
        query = page.older
    assert sorted(seen, reverse=True) == seen
    assert len(seen) == len(set(seen))
    assert set(seen) == first


def test_newer_leads_back_the_way_older_came(reading_client, deliver, monkeypatch):
    monkeypatch.setattr(log, "PAGE", 4)
    for number in range(10):
        deliver(EVENT | {"n": number})

    def at(query):
        page = reading_client.get(URL + query).context["page"]
        return page, [row.delivery.pk for row in page.rows]

    one, first = at("")
    two, second = at(one.older)
    three, third = at(two.older)
    assert (one.newer, three.older) == ("", "")
    assert at(three.newer)[1] == second
    assert at(two.newer)[1] == first
    assert at(two.newer)[0].newer == ""
    assert len(third) == 2


def test_a_row_opens_with_its_body_and_without_its_secrets(reading_client, deliver, token):
    deliver(
        {
            "type": "ORDER_UPDATED",
            "orderId": 40118273,
            "order": {
                "phoneNumbers": [
                    {
                        "phoneNumber": "+12065550142",
                        "endUser": {"name": "<b>Brook & Sons</b>"},
                        "portOutInfo": {"existingPortOutPin": "482913", "accountNum": "77120045"},
                    }
                ]
            },
        }
    )
    work()
    pk = Delivery.objects.get().pk
    for url in (f"{URL}?d={pk}", f"{URL}{pk}/"):
        page = text_of(reading_client.get(url))
        assert "482913" not in page
        assert "77120045" not in page
        assert token not in page
        assert "/webhooks/porting/••••••••/" in page
        assert "+12065550142" in page
        assert "&lt;b&gt;Brook &amp; Sons&lt;/b&gt;" in page
        assert "Process again" in page
        assert "Mark as seen" not in page


def test_a_body_that_is_not_readable_is_shown_without_what_looks_like_a_pin(
    reading_client, deliver
):
    deliver(b'{"orderId": 40118102, "existingPortOutPin": "4829", "newPortOutPin":9911, "pin": "77')
    work()
    page = text_of(reading_client.get(f"{URL}?d={Delivery.objects.get().pk}"))
    assert "40118102" in page
    for secret in ("4829", "9911", '"77'):
        assert secret not in page.split('<pre tabindex="0"')[1].split("</pre>")[0]
    assert "Sinch sent something that is not JSON." in page


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('"existingPortOutPin": "4829', '"existingPortOutPin": "••••'),
        ("accountNum=12345&x=1", "accountNum=••••&x=1"),
        ("PIN: 1234, next", "PIN: ••••, next"),
        ("'passcode':'ab c'", "'passcode':'•••• c'"),
        ("nothing here 12345", "nothing here 12345"),
    ],
)
def test_what_follows_a_word_like_pin_is_masked(text, shown):
    assert log.without_secrets(text) == shown


def test_one_can_be_processed_again_and_marked_as_seen(reading_client, deliver):
    deliver(b"{broken")
    work()
    row = Delivery.objects.get()
    url = f"{URL}{row.pk}/"
    assert "Mark as seen" in text_of(reading_client.get(url))
    answer = reading_client.post(url, {"do": "seen", "next": f"{URL}?look=1"})
    assert answer.headers["Location"] == f"{URL}?look=1"
    row.refresh_from_db()
    assert row.seen_at
    assert log.figures().to_look_at == 0
    answer = reading_client.post(url, {"do": "again", "next": "https://elsewhere.example/"})
    assert answer.headers["Location"] == url
    row.refresh_from_db()
    assert row.state == Delivery.State.RECEIVED
    assert "next in line" in text_of(reading_client.get(url)).lower()


def test_all_that_need_a_look_are_processed_again_at_once(reading_client, deliver):
    deliver(b"{broken")
    deliver({"type": "ORDER_SPLIT", "orderId": 6})
    deliver(EVENT)
    work()
    answer = reading_client.post(URL, follow=True)
    assert "2 being processed again." in answer.content.decode()
    states = list(Delivery.objects.order_by("pk").values_list("state", flat=True))
    assert states == ["received", "received", "done"]


def test_the_log_is_for_those_who_may_read_it(agent_client, client, deliver):
    deliver(EVENT)
    pk = Delivery.objects.get().pk
    for url in (URL, f"{URL}{pk}/"):
        assert agent_client.get(url).status_code == 403
        assert agent_client.post(url).status_code == 403
        answer = client.get(url)
        assert answer.status_code == 302
        assert answer.headers["Location"].startswith(reverse("login"))


def test_a_delivery_that_no_key_decrypts_can_be_looked_at(reading_client, deliver):
    deliver(EVENT)
    row = Delivery.objects.get()
    lose(row, "body")
    work()
    for address in (f"{URL}?d={row.pk}", f"{URL}{row.pk}/"):
        page = text_of(reading_client.get(address))
        assert "cannot be decrypted with the present ENCRYPTION_KEYS" in page
    reading_client.post(f"{URL}{row.pk}/", {"do": "seen"})
    assert Delivery.objects.defer("body").get().seen_at


def test_a_delivery_that_is_not_there_is_not_found(reading_client):
    assert reading_client.get(f"{URL}999/").status_code == 404
    assert reading_client.delete(URL).status_code == 405


def test_the_log_costs_the_same_statements_however_long_it_is(reading_client, deliver, make_order):
    make_order("40118273")

    def statements():
        with CaptureQueriesContext(connection) as seen:
            reading_client.get(URL)
        return len(seen)

    deliver(EVENT)
    work()
    reading_client.get(URL)
    few = statements()
    for number in range(40):
        deliver(EVENT | {"n": number, "orderId": 40118273 + number})
    work()
    assert statements() == few


def test_words_with_html_in_them_do_no_harm(reading_client, deliver):
    deliver({"type": "<SCRIPT>", "orderId": 5})
    work()
    page = text_of(reading_client.get(f"{URL}?q=%3Cscript%3E"))
    assert "<script>alert" not in page.lower()
    assert "&lt;script&gt;" in page
