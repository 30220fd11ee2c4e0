"""Deciding about refusals and notes from the page of an order: what is kept, and what is not."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from orders import standing, sync
from orders.models import OrderMark, PortInOrder
from portal.accounts.models import SinchProject, User
from portal.operations.models import Operation
from portal.work.models import TimelineEntry, WorkItem

pytestmark = pytest.mark.django_db
FIRST, SECOND, THIRD = "+12065550140", "+12065550141", "+12065550142"
WRONG_PIN = {"status": "REJECTED", "rejectReason": "Invalid passcode/PIN supplied"}
LOCKED = {"status": "REJECTED", "rejectReason": "Number lock active on line"}
HTMX = {"HX-Request": "true"}

Store = Callable[..., PortInOrder]


@pytest.fixture
def store(project: SinchProject, order_json: Callable[..., dict[str, Any]]) -> Store:
    """Store a reading of the order: `store({FIRST: WRONG_PIN}, status="CONFIRMED")`."""
    SinchProject.objects.filter(pk=project.pk).update(expects_loa=False)
    project.refresh_from_db()

    def read(numbers: dict[str, dict[str, Any]], **fields: Any) -> PortInOrder:
        now = timezone.now()
        fields.setdefault("createdDate", now.isoformat())
        secrets = {number: {"existingPortOutPin": "482193"} for number in numbers}
        return sync.store_port_in_order(project, order_json(numbers, **fields), now, "", secrets)

    return read


def item_of(order: PortInOrder) -> WorkItem:
    return WorkItem.objects.get(pk=order.item_id)


def codes(order: PortInOrder) -> list[str]:
    return [reason["code"] for reason in item_of(order).reasons]


def page_of(client: Client, order: PortInOrder) -> str:
    return client.get(order.get_absolute_url()).content.decode()


def fields_of(html: str) -> dict[str, str]:
    """Return the numbers beside each button, as a browser would send them with the form."""
    found = re.findall(r'<input type="hidden" form="marks" name="(n-\w+)" value="([\d.]+)">', html)
    return dict(found)


def button(html: str, start: str) -> str:
    """Return the value of the first button of the form that begins so."""
    found = re.search(rf'name="do" value="({start}[^"]*)"', html)
    assert found, (start, re.findall(r'name="do" value="([^"]*)"', html))
    return found[1].replace("&amp;", "&")


def press(client: Client, order: PortInOrder, start: str, html: str = "", **typed: str) -> Any:
    """Press a button of the order's page, as it is now or as it was when `html` was loaded."""
    html = html or page_of(client, order)
    data = fields_of(html) | {"do": button(html, start)} | typed
    return client.post(reverse("orders:mark", args=[order.pk]), data)


def told(order: PortInOrder) -> list[str]:
    return list(TimelineEntry.objects.filter(item=order.item_id).values_list("text", flat=True))


# --- Settling -------------------------------------------------------------------------------


def test_a_refusal_is_settled_with_words_and_taken_back(agent_client, store):
    order = store({FIRST: WRONG_PIN, SECOND: WRONG_PIN, THIRD: {}})
    assert codes(order) == ["P3"]
    answer = press(agent_client, order, "settle:P3:[0-9a-f]+[|]Customer keeps")
    assert answer.status_code == 302
    assert "P3" not in codes(order)
    assert OrderMark.objects.filter(order=order, ended_at=None).count() == 2
    assert "2 numbers rejected: settled, “Customer keeps these numbers”" in told(order)
    html = page_of(agent_client, order)
    assert "Settled by Dana Whitfield" in html
    assert "“Customer keeps these numbers”" in html
    press(agent_client, order, "unsettle:P3")
    assert codes(order) == ["P3"]
    assert "2 numbers open again" in told(order)
    assert not OrderMark.objects.filter(ended_at=None).exists()


def test_what_the_head_tells_is_only_named_beside_its_buttons(agent_client, store):
    order = store({FIRST: {}})
    SinchProject.objects.update(expects_loa=True)
    standing.recompute(order)
    html = page_of(agent_client, order)
    only = html.partition('id="marks-here"')[2].partition("</section>")[0]
    assert html.count("LOA missing") == 1
    assert "Say what was done about it" in only
    assert "<span>The LOA</span>" in only
    assert 'value="no_loa:P9:"' in only
    # The third reason is told nowhere else.
    first = [
        {"code": "P8", "text": "Requested date Tue 9 Jun has passed", "next": "Choose a date"},
        {"code": "P4", "text": "Sinch wrote: “Is it?”", "next": "Answer"},
        {"code": "P9", "text": "LOA missing", "next": "Upload LOA"},
    ]
    WorkItem.objects.filter(pk=order.item_id).update(bucket="us", reasons=first)
    html = page_of(agent_client, order)
    listed = html.partition('id="marks-here"')[2].partition("</section>")[0]
    assert "Open, settled or linked" in listed
    assert "<span>LOA missing</span>" in listed
    assert "<span>Sinch’s note</span>" in listed
    assert html.count("Sinch wrote: “Is it?”") == 1
    assert html.count("Requested date Tue 9 Jun has passed") == 1


@pytest.mark.parametrize("status", ["PENDING_CANCELATION", "CANCELED"])
def test_nothing_is_asked_or_settled_once_the_order_is_ending(agent_client, store, status):
    html = page_of(agent_client, store({FIRST: WRONG_PIN, SECOND: WRONG_PIN}, status=status))
    assert "Invalid passcode/PIN supplied" in html
    for verb in ("ask:P3", "settle:P3"):
        assert f'value="{verb}' not in html
    assert "Settle…" not in html
    # The canceled order's numbers can go into a new one; those of the other cannot yet.
    assert ('value="follow_up:P3' in html) is (status == "CANCELED")


def test_canceling_is_told_once_in_the_head(agent_client, store):
    order = store({FIRST: WRONG_PIN}, status="PENDING_CANCELATION")
    html = page_of(agent_client, order)
    (lede,) = re.findall(r'<p class="lede">(.*?)</p>', html)
    assert lede == ("Canceling is under way; until it ends, these numbers cannot be ordered again.")
    assert "Ask the customer" not in html


def test_typed_words_are_kept_and_needed(agent_client, store):
    order = store({FIRST: WRONG_PIN})
    html = page_of(agent_client, order)
    seen = button(html, "settle:P3:[0-9a-f]+").split(":")[2].split("|")[0]
    value = {"do": f"settle:P3:{seen}"}
    for typed, status, said in (
        ("", 422, "Say why, in a few words"),
        ("The PIN is 482193", 422, "This looks like a PIN"),
        ("x" * 301, 422, "301 characters; at most 300 fit"),
        ("He moves in June", 302, ""),
    ):
        data = fields_of(html) | value | {f"why-{seen}": typed}
        answer = agent_client.post(reverse("orders:mark", args=[order.pk]), data)
        assert answer.status_code == status, typed[:20]
        assert said in answer.content.decode()
    assert OrderMark.objects.get().text == "He moves in June"
    assert "482193" not in " ".join(told(order))


def test_only_what_was_seen_is_settled(agent_client, store):
    order = store({FIRST: WRONG_PIN, SECOND: {}})
    old = page_of(agent_client, order)
    store({FIRST: LOCKED, SECOND: WRONG_PIN})
    answer = press(agent_client, order, "settle:P3", old)
    assert answer.status_code == 409
    assert "This has changed meanwhile" in answer.content.decode()
    assert not OrderMark.objects.exists()


def test_a_new_refusal_opens_what_was_settled_and_leaves_the_others(agent_client, store):
    order = store({FIRST: WRONG_PIN, SECOND: WRONG_PIN})
    press(agent_client, order, "settle:P3")
    store({FIRST: WRONG_PIN, SECOND: LOCKED})
    assert [r["text"] for r in item_of(order).reasons] == ["1 number rejected: lock"]
    html = page_of(agent_client, order)
    assert "Settled by Dana Whitfield" in html
    assert "Resubmit 1…" in html


def test_pressing_twice_decides_once(agent_client, store):
    order = store({FIRST: WRONG_PIN})
    html = page_of(agent_client, order)
    for start in ("ask:P3", "ask:P3", "settle:P3", "settle:P3"):
        press(agent_client, order, start, html)
    kinds = sorted(OrderMark.objects.values_list("kind", flat=True))
    assert kinds == ["asked", "settled"]


def test_a_moved_date_is_settled_when_the_customer_knows_and_can_be_taken_back(agent_client, store):
    foc = {"status": "CONFIRMED", "focDate": "2099-06-16"}
    order = store({FIRST: foc}, status="CONFIRMED")
    store({FIRST: foc | {"focDate": "2099-06-18"}}, status="CONFIRMED")
    assert codes(order) == ["P5"]
    press(agent_client, order, "settle:P5")
    assert "P5" not in codes(order)
    store({FIRST: foc | {"focDate": "2099-06-18"}}, status="CONFIRMED", resellerName="x")
    assert "P5" not in codes(order)
    press(agent_client, order, "unsettle:P5")
    assert codes(order) == ["P5"]
    press(agent_client, order, "settle:P5")
    store({FIRST: foc | {"focDate": "2099-06-22"}}, status="CONFIRMED")
    assert codes(order) == ["P5"], "another move is a new fact"


def test_an_order_ended_by_others_is_settled(agent_client, store):
    order = store({FIRST: {}})
    store({FIRST: {"status": "CANCELED"}}, status="CANCELED")
    assert item_of(order).bucket == "us"
    press(agent_client, order, "settle:P6")
    assert item_of(order).bucket == "ended"
    press(agent_client, order, "unsettle:P6")
    assert codes(order) == ["P6"]


def test_features_that_were_left_out_are_settled_together(agent_client, store):
    without = {"excludedFeatures": [{"featureName": "CNAM", "exclusionReason": "Not offered"}]}
    order = store({FIRST: without, SECOND: without})
    assert codes(order) == ["P7"]
    press(agent_client, order, "settle:P7:features")
    assert "P7" not in codes(order)


def test_what_a_customer_should_hear_of_a_finished_order_ends_when_they_were_told(
    agent_client, store
):
    foc = {"status": "CONFIRMED", "focDate": "2099-06-16"}
    order = store({FIRST: foc}, status="CONFIRMED")
    store({FIRST: foc | {"focDate": "2099-06-18"}}, status="CONFIRMED")
    without = {"excludedFeatures": [{"featureName": "E911", "exclusionReason": "No address"}]}
    store({FIRST: {"status": "ACTIVATED"} | without}, status="COMPLETED")
    assert codes(order) == ["P5", "P7"]
    press(agent_client, order, "settle:P5")
    press(agent_client, order, "settle:P7:features")
    assert item_of(order).bucket == "done"


# --- Asking ---------------------------------------------------------------------------------


def test_a_refusal_of_which_the_customer_was_asked_waits_for_the_customer(agent_client, store):
    order = store({FIRST: WRONG_PIN})
    press(agent_client, order, "ask:P3")
    item = item_of(order)
    assert (item.bucket, item.move) == ("us", "customer")
    assert item.rank > 210
    assert item.next_change_at is not None
    html = page_of(agent_client, order)
    assert "Customer’s move" in html
    assert "Customer asked" in html
    assert "Asked again" in html
    assert "Customer asked about 1 number" in told(order)


def test_asked_orders_sink_in_the_list_and_come_back(agent_client, project, order_json, store):
    first = store({FIRST: WRONG_PIN}, id="40118273")
    second = store({SECOND: WRONG_PIN}, id="40118274")
    press(agent_client, first, "ask:P3")

    def listed() -> list[str]:
        html = agent_client.get(reverse("work:list"), {"bucket": "us"}).content.decode()
        return re.findall(r"4011827\d(?=</span>)", html)

    assert listed() == ["40118274", "40118273"]
    OrderMark.objects.update(at=timezone.now() - timedelta(days=6))
    WorkItem.objects.update(next_change_at=timezone.now())
    standing.recompute_due(timezone.now())
    assert listed()[0] == "40118273", "its clock has run out"
    assert second.pk != first.pk


def test_the_list_shows_how_much_of_a_clock_is_over(agent_client, store):
    created = timezone.now() - timedelta(days=30)
    order = store({FIRST: {}, SECOND: {}}, createdDate=created.isoformat())
    assert codes(order) == ["P11"]
    html = agent_client.get(reverse("work:list")).content.decode()
    assert '5 of 5 <abbr title="business days">bd</abbr>' in html
    assert '<span class="tag">stalled</span>' in html
    page = page_of(agent_client, order)
    assert '5 of 5 <abbr title="business days">bd</abbr>' in page
    assert "?template=d1#composer" in page
    press(agent_client, order, "ask:P11")
    assert codes(order) == ["WAIT"]
    assert "Sinch asked how it stands" in told(order)


def test_a_clock_that_runs_writes_nothing(agent_client, store):
    order = store({FIRST: {}})
    before = item_of(order)
    standing.recompute(order)
    after = item_of(order)
    assert (after.version, after.changed_at) == (before.version, before.changed_at)


# --- Notes and the LOA ----------------------------------------------------------------------


def a_note(text: str, at: datetime) -> dict[str, str]:
    return {"note": text, "createdTime": at.isoformat(), "createdBy": "noc@carrier.example"}


def test_a_note_that_needs_no_reply_is_put_aside_and_taken_up_again(agent_client, store):
    first = a_note("The FOC is on its way.", timezone.now() - timedelta(hours=2))
    order = store({FIRST: {}}, notes=[first])
    assert codes(order) == ["P4"]
    html = page_of(agent_client, order)
    assert "Awaiting our answer" in html
    assert "noc@carrier.example" not in html, "an address is no name"
    press(agent_client, order, "no_reply:P4")
    assert "P4" not in codes(order)
    html = page_of(agent_client, order)
    assert "Awaiting our answer" not in html
    assert "No reply needed, says Dana Whitfield" in html
    press(agent_client, order, "needs_reply:P4")
    assert codes(order) == ["P4"]
    press(agent_client, order, "no_reply:P4")
    second = a_note("Attach the bill.", timezone.now())
    store({FIRST: {}}, notes=[first, second])
    assert codes(order) == ["P4"], "a newer note is another fact"
    answer = press(agent_client, order, "no_reply:P4", html.replace("needs_reply", "no_reply"))
    assert answer.status_code == 409
    assert "Sinch wrote again meanwhile" in answer.content.decode()


def test_an_order_goes_without_an_loa_until_somebody_wants_one(agent_client, project, store):
    SinchProject.objects.filter(pk=project.pk).update(expects_loa=True)
    project.refresh_from_db()
    order = store({FIRST: {}})
    assert codes(order) == ["P9"]
    press(agent_client, order, "no_loa")
    assert "P9" not in codes(order)
    assert "This order needs no LOA" in page_of(agent_client, order)
    press(agent_client, order, "needs_loa")
    assert codes(order) == ["P9"]
    press(agent_client, order, "ask:P9")
    assert item_of(order).move == "customer"


# --- Who may, and how -------------------------------------------------------------------------


def test_a_reader_sees_what_was_decided_and_decides_nothing(agent_client, make_agent, store):
    order = store({FIRST: WRONG_PIN})
    press(agent_client, order, "settle:P3")
    reader = Client()
    reader.force_login(
        make_agent("rhea"), backend="portal.accounts.backends.EmailOrUsernameBackend"
    )
    html = page_of(reader, order)
    assert "Settled by Dana Whitfield" in html
    assert 'form="marks"' not in html
    for name in ("mark", "follow_up"):
        assert reader.post(reverse(f"orders:{name}", args=[order.pk])).status_code == 403
    assert Client().post(reverse("orders:mark", args=[order.pk])).status_code == 302
    assert agent_client.get(reverse("orders:mark", args=[order.pk])).status_code == 405


def test_every_button_names_itself_as_htmx_needs_it(agent_client, store):
    """Outside of its form a button's value is sent only when its type is written out."""
    order = store(
        {FIRST: LOCKED, SECOND: {"status": "EXCLUDED"}}, notes=[a_note("Hi", timezone.now())]
    )
    html = page_of(agent_client, order)
    buttons = re.findall(r"<button[^>]*form=\"marks\"[^>]*>", html)
    assert len(buttons) > 6
    assert all('type="submit"' in one for one in buttons)


def test_under_htmx_every_part_of_the_page_comes_back(agent_client, store):
    order = store({FIRST: WRONG_PIN})
    html = page_of(agent_client, order)
    data = fields_of(html) | {"do": button(html, "ask:P3")}
    answer = agent_client.post(reverse("orders:mark", args=[order.pk]), data, headers=HTMX)
    text = answer.content.decode()
    assert answer.status_code == 200
    assert "<html" not in text
    assert 'id="order-head"' in text
    assert 'id="marks-here" hx-swap-oob="true"' in text
    wrong = agent_client.post(
        reverse("orders:mark", args=[order.pk]), {"do": "ask:P3:0"}, headers=HTMX
    )
    assert (wrong.status_code, wrong["HX-Retarget"]) == (409, "#messages")


@pytest.mark.parametrize(
    "do", ["", "settle", "settle:P3:", "unsettle:P5:x", "sing:P3:a", "ask:P2:"]
)
def test_nonsense_decides_nothing(agent_client, store, do):
    order = store({FIRST: WRONG_PIN})
    answer = agent_client.post(reverse("orders:mark", args=[order.pk]), {"do": do})
    assert answer.status_code == 409
    assert not OrderMark.objects.exists()


def test_the_page_costs_no_more_however_much_was_decided(agent_client, store):
    order = store({FIRST: WRONG_PIN})

    def statements() -> int:
        with CaptureQueriesContext(connection) as queries:
            page_of(agent_client, order)
        return len(queries)

    statements()  # what the desk keeps in its cache is asked for once
    before = statements()
    store({f"+1206555{n:04}": WRONG_PIN for n in range(100, 130)})
    press(agent_client, order, "ask:P3")
    press(agent_client, order, "settle:P3")
    assert statements() == before


def test_deciding_sends_nothing_to_sinch(agent_client, store):
    order = store({FIRST: WRONG_PIN})
    press(agent_client, order, "settle:P3")
    assert not Operation.objects.exists()
    assert User.objects.get(username="dana") == OrderMark.objects.get().by
