"""The page of an order: what it shows, what staff can do from it, and what it refuses kindly."""

import datetime
import io
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from PIL import Image
from pypdf import PdfWriter

from orders import actions_activation, page, page_numbers, sync
from orders import actions_order as actions
from orders.models import OrderNote, PortInNumber, PortInOrder
from portal import words
from portal.accounts.models import SinchProject, User
from portal.operations import readings, runner
from portal.operations.models import Operation, Reading
from portal.work.models import TimelineEntry, WorkItem
from tests.tools import END_USER, lose

pytestmark = pytest.mark.django_db
PIN = "482193"
ACCOUNT = "9930-114431"
Make = Callable[..., PortInOrder]


@pytest.fixture
def make_order(project: SinchProject) -> Make:
    """Make an order as the mirror would hold it: `make_order("PENDING", numbers=[…])`."""

    def make(
        status: str = "PENDING",
        numbers: int | list[dict[str, Any]] = 3,
        item: dict[str, Any] | None = None,
        **fields: Any,
    ) -> PortInOrder:
        if isinstance(numbers, int):
            numbers = [{"status": "PENDING"} for _ in range(numbers)]
        made = PortInOrder.objects.count()
        work = WorkItem.objects.create(
            kind="port_in",
            project=project,
            target_pk=made + 1_000_000,
            sinch_id=f"4011827{made}",
            reference=fields.get("reference", "HVD-2026-014"),
            end_user="Harborview Dental LLC",
            status=status,
            counted=len(numbers),
            **(item or {}),
        )
        first = {
            "endUser": {
                "name": "Harborview Dental LLC",
                "streetNum": "1420",
                "streetName": "Alder",
                "streetType": "St",
                "city": "Seattle",
                "state": "WA",
                "zipCode": "98101",
                "typeOfService": "B",
            },
            "portOutInfo": {"accountPhoneNumber": "+12065550140", "authorizingName": "Dana Holt"},
            "voiceConfiguration": {"type": "EST", "trunkId": "01HX0TRUNK0000000000007QK2"},
        }
        values: dict[str, Any] = {
            "project": project,
            "item": work,
            "sinch_id": f"4011827{made}",
            "status": status,
            "reference": "HVD-2026-014",
            "desired_port_date": datetime.date(2026, 6, 16),
            "desired_port_time": "09:00:00",
            "desired_port_time_zone": "US/Pacific",
            "payload": {"id": 40118270 + made, "status": status, "phoneNumbers": [first]},
            "fetched_at": timezone.now(),
            "secrets": {"+12065550100": {"existingPortOutPin": PIN, "accountNum": ACCOUNT}},
        }
        order = PortInOrder.objects.create(**(values | fields))
        WorkItem.objects.filter(pk=work.pk).update(target_pk=order.pk)
        PortInNumber.objects.bulk_create(
            PortInNumber(
                order=order,
                position=position,
                phone_number=f"+1206555{100 + position:04}",
                reversed_digits="",
                **({"losing_carrier": "Lumen"} | number),
            )
            for position, number in enumerate(numbers)
        )
        return order

    return make


@pytest.fixture
def reader_client(make_agent: Callable[..., User]) -> Client:
    """A client in which somebody without any rights is signed in."""
    client = Client()
    client.force_login(
        make_agent("rhea"), backend="portal.accounts.backends.EmailOrUsernameBackend"
    )
    return client


def at(name: str, order: PortInOrder, *more: object) -> str:
    return reverse(f"orders:{name}", args=[order.pk, *more])


def a_pdf() -> bytes:
    writer, out = PdfWriter(), io.BytesIO()
    writer.add_blank_page(200, 200)
    writer.write(out)
    return out.getvalue()


def a_picture(kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (4, 4)).save(out, kind)
    return out.getvalue()


# --- Looking --------------------------------------------------------------------------------


def test_the_page_says_where_the_order_is_and_hides_its_secrets(agent_client, make_order):
    order = make_order(
        numbers=[
            {"status": "REJECTED", "reject_reason": "Invalid passcode/PIN supplied"},
            {"status": "REJECTED", "reject_reason": "Invalid passcode/PIN supplied"},
            {"status": "CONFIRMED", "foc_date": datetime.date(2026, 6, 18)},
            {"status": "EXCLUDED", "losing_carrier": "T-Mobile", "exclusion_reason": "Not on <it>"},
        ],
        item={
            "bucket": "us",
            "move": "us",
            "reasons": [{"code": "P3", "text": "2 numbers rejected: PIN", "next": "Fix PIN"}],
        },
    )
    html = agent_client.get(order.get_absolute_url()).content.decode()
    assert "<h1>Harborview Dental LLC</h1>" in html
    assert "it can still be changed or canceled" in html
    assert "2 numbers rejected: PIN." in html
    assert "Our move" in html
    assert "4 numbers, 2 carriers" in html
    assert "Invalid passcode/PIN supplied" in html
    assert "Not on &lt;it&gt;" in html
    assert '<span class="phone">+1 206 555 0100</span>' in html
    assert "1420 Alder St" in html
    assert "SIP trunk" in html
    assert "Check with Sinch now" in html
    assert PIN not in html
    assert ACCOUNT not in html
    assert "••••4431" in html


def test_the_pages_of_an_order_whose_secrets_no_key_reads_say_so(agent_client, make_order):
    phone, masked = "+12065550100", {"existingPortOutPin": "****"}
    entry = {"phoneNumber": phone, "portOutInfo": masked}
    order = make_order(payload={"status": "PENDING", "phoneNumbers": [entry]})
    lose(order, "secrets")
    html = agent_client.get(order.get_absolute_url()).content.decode()
    assert "cannot be read: no key in ENCRYPTION_KEYS decrypts them" in html
    assert reverse("orders:reveal", args=[order.pk]) not in html
    html = agent_client.get(reverse("orders:number", args=[order.pk, phone[1:]])).content.decode()
    assert "Sinch has one; this desk does not know it" in html
    agent_client.post(at("note", order), {"note": "Any news?", "key": "n", "sure": "yes"})
    assert Operation.objects.get().kind == "port_in.note"


@pytest.mark.parametrize(
    ("foc", "told"),
    [
        (datetime.date(2026, 6, 18), '+2 <abbr title="business days">bd</abbr>'),
        (datetime.date(2026, 6, 22), '+3 <abbr title="business days">bd</abbr>'),  # Juneteenth
        (datetime.date(2026, 6, 16), "none"),
        (None, "–"),
    ],
)
def test_the_gap_between_the_dates_is_told_in_business_days(agent_client, make_order, foc, told):
    order = make_order(numbers=[{"status": "PENDING"}], item={"foc_date": foc})
    html = agent_client.get(order.get_absolute_url()).content.decode()
    assert f"<dt>Gap</dt><dd>{told}</dd>" in html


WRONG_PIN = {"status": "REJECTED", "reject_reason": "Invalid passcode/PIN supplied"}


def test_the_key_facts_name_every_confirmed_date_with_its_numbers(agent_client, make_order):
    friday, tuesday = datetime.date(2026, 12, 4), datetime.date(2026, 12, 8)
    rows = [{"status": "CONFIRMED", "foc_date": day} for day in (tuesday, friday, tuesday)]
    order = make_order(
        "CONFIRMED",
        numbers=[*rows, {"status": "EXCLUDED", "foc_date": tuesday}],
        item={"foc_date": friday},
        desired_port_date=friday,
    )
    html = agent_client.get(order.get_absolute_url()).content.decode()
    told = " ".join(html[html.index('class="versus"') :].partition("</dl>")[0].split())
    years = [words.day_text(day) for day in (friday, tuesday)]
    assert f"<dd>{years[0]}, 1 number; {years[1]}, 2 numbers</dd>" in told
    assert "<dd>0 to +2 <abbr" in told
    alone = make_order("CONFIRMED", numbers=rows[1:2], item={"foc_date": friday})
    html = agent_client.get(alone.get_absolute_url()).content.decode()
    assert f"<dd>{years[0]}</dd>" in html


def refused(reason: str, status: str = "REJECTED") -> dict[str, str]:
    name = "reject_reason" if status == "REJECTED" else "exclusion_reason"
    return {"status": status, name: reason}


def explained(client: Client, order: PortInOrder) -> str:
    html = client.get(order.get_absolute_url()).content.decode()
    return " ".join(html[html.index('id="numbers"') : html.index('id="composer"')].split())


def test_a_refusal_is_explained_and_mended_where_it_stands(agent_client, make_order):
    order = make_order(numbers=[WRONG_PIN, WRONG_PIN, {"status": "PENDING"}])
    html = explained(agent_client, order)
    numbers = '<span class="phone">+1 206 555 0100 to 0101</span>'
    assert f"<b>{numbers}: The PIN is missing or not the one the carrier expects.</b>" in html
    assert "Same reason for both numbers." in html
    assert "<b>Ask the customer:</b> the account holder to get a fresh port-out PIN" in html
    assert "Sinch wrote: “Invalid passcode/PIN supplied”" in html
    url = f"{at('edit', order)}?fix=pin&amp;n=12065550100.12065550101"
    assert f'href="{url}">Fix PIN on 2 numbers</a>' in html


def test_every_refusal_stands_under_its_own_rows_and_names_them(agent_client, make_order):
    moving, out = {"status": "CONFIRMED"}, refused("TN not found on account", "EXCLUDED")
    debt = refused("Unpaid balance")
    html = explained(agent_client, make_order(numbers=[moving, WRONG_PIN, out, debt, WRONG_PIN]))
    found = re.findall(
        r'aria-label="Choose \+1 206 555 (\d+)"|(The PIN is|points to money|out; it will)', html
    )
    assert [number or text for number, text in found] == [
        *("0101", "0104", "The PIN is", "0103", "points to money", "0102", "out; it will", "0100")
    ]
    assert '<span class="phone">+1 206 555 0101</span>, <span class="phone">+1 206 555 0104' in html


def test_a_refusal_of_two_causes_has_a_button_for_each(agent_client, make_order):
    order = make_order(numbers=[refused("PIN and ZIP do not match")])
    html = explained(agent_client, order)
    assert "Fix PIN on 1 number</a>" in html
    assert "Fix address on 1 number</a>" in html
    assert "47 CFR 52.36" in html, "a single line may be refused over little"


def test_what_is_mended_elsewhere_says_where(agent_client, make_order):
    locked = make_order(numbers=[refused("Number lock active on line")])
    html = explained(agent_client, locked)
    assert "Protection against moving is on." in html
    assert "ask Sinch by note to try again" in html
    assert "Fix " not in html
    papers = make_order(numbers=[refused("Letter of agency is unreadable")])
    assert '<a class="btn btn-sm" href="#upload">Upload LOA</a>' in explained(agent_client, papers)


RECORD = (
    "Ask the customer for the losing carrier’s customer service record (CSR), which shows what is "
    "on file there, and upload it under Documents."
)


def before(*keys: str) -> dict[str, list[str]]:
    return {"refused_before": list(keys)}


def test_the_same_cause_again_suggests_the_customer_service_record(agent_client, make_order):
    again = WRONG_PIN | before("pin", "name")
    html = explained(agent_client, make_order(numbers=[again, again, {"status": "PENDING"}]))
    assert f"<b>Refused again for the same cause:</b> PIN. {RECORD}" in html
    assert html.count(RECORD) == 1
    assert '<a class="btn btn-sm" href="#upload">Upload record</a>' in html


@pytest.mark.parametrize(
    "number",
    [
        WRONG_PIN,
        WRONG_PIN | before("address"),
        refused("See ticket 20448") | before("pin"),
        refused("PIN mismatch", "EXCLUDED") | before("pin"),
        refused("No response from carrier") | before("silence"),
        refused("Not portable") | before("not-portable"),
        refused("Invalid PIN, not portable") | before("pin"),
        {"status": "PENDING"} | before("pin"),
    ],
)
def test_a_first_refusal_and_one_that_no_record_helps_suggest_none(
    agent_client, make_order, number
):
    html = explained(agent_client, make_order(numbers=[number]))
    assert "Refused again" not in html
    assert RECORD not in html
    assert "Upload record" not in html


def test_of_several_numbers_and_causes_those_are_named_that_are_the_same_again(
    agent_client, make_order
):
    both = refused("PIN and ZIP do not match")
    rows = [both | before("pin"), both | before("address", "lock"), both]
    html = explained(agent_client, make_order(numbers=rows))
    told = (
        'PIN, for <span class="phone">+1 206 555 0100</span>; '
        'address, for <span class="phone">+1 206 555 0101</span>.'
    )
    assert f"<b>Refused again for the same causes:</b> {told} {RECORD}" in html
    assert html.count(RECORD) == 1


def test_500_numbers_refused_again_are_told_once_for_no_statement_more(agent_client, make_order):
    first = make_order(numbers=[WRONG_PIN])
    rows = [WRONG_PIN | before("pin") if at % 2 else WRONG_PIN for at in range(500)]
    again = make_order(numbers=rows)
    agent_client.get(first.get_absolute_url())
    with CaptureQueriesContext(connection) as few:
        agent_client.get(first.get_absolute_url())
    with CaptureQueriesContext(connection) as many:
        html = explained(agent_client, again)
    assert len(many) == len(few) <= 8
    assert html.count(RECORD) == 1
    told = html[html.index("Refused again") :].partition(RECORD)[0]
    assert told.count('class="phone"') == page_numbers.MOST_NAMED
    assert "and more." in told


def test_a_refusal_that_matches_nothing_stands_in_sinchs_words(agent_client, make_order):
    order = make_order(numbers=[refused("See <ticket> 20448")])
    html = explained(agent_client, order)
    assert "1 number rejected: “See &lt;ticket&gt; 20448”" in html
    assert "Ask Sinch by note what is needed." in html
    assert "Ask the customer" not in html


def test_a_left_out_number_is_explained_and_has_nothing_to_fix(agent_client, make_order):
    order = make_order(
        numbers=[refused("TN not found on account", "EXCLUDED"), {"status": "PENDING"}]
    )
    html = explained(agent_client, order)
    assert "it will not move with this order.</b>" in html
    assert "which account each number is on" in html
    assert "“TN not found on account”" in html
    assert "Fix " not in html


def test_on_a_locked_order_a_refusal_needs_a_new_order(agent_client, make_order):
    order = make_order("CONFIRMED", numbers=[WRONG_PIN, {"status": "CONFIRMED"}])
    html = explained(agent_client, order)
    assert "The PIN is missing" in html
    assert "This number needs a new order." in html
    assert "Fix PIN" not in html
    stays = make_order("CONFIRMED", numbers=[refused("Not portable"), {"status": "CONFIRMED"}])
    html = explained(agent_client, stays)
    assert "the number stays where it is" in html
    assert "need a new order" not in html


def test_in_a_long_order_each_cause_is_explained_once(agent_client, make_order):
    rows = [WRONG_PIN] * 14 + [refused("TN not found on account", "EXCLUDED")] * 7
    order = make_order(numbers=[*rows, *[{"status": "PENDING"}] * 100])
    html = explained(agent_client, order)
    assert html.count("The PIN is missing or not the one the carrier expects.") == 1
    assert html.count("Fix PIN on 14 numbers") == 1
    assert "The account holder to get a fresh port-out PIN" in html
    assert "Sinch took these numbers out" in html


def test_the_first_step_of_a_rejection_opens_what_it_mends(agent_client, make_order):
    def first_step(next_word: str, status: str = "PENDING") -> str:
        reason = {"code": "P3", "text": "1 number rejected", "next": next_word}
        order = make_order(status, [WRONG_PIN], {"bucket": "us", "reasons": [reason]})
        step = page.next_step(order, 0)
        assert step
        return step.url.removeprefix(at("edit", order))

    assert first_step("Fix PIN") == "?fix=pin"
    assert first_step("Fix account number") == "?fix=account"
    assert first_step("Ask Sinch") == "#composer"
    assert first_step("Upload LOA") == "#upload"
    assert first_step("Order them anew", "CONFIRMED") == "#numbers"


def test_whoever_is_not_signed_in_is_asked_to(client, make_order):
    order = make_order()
    for name in ("detail", "raw", "activate", "owner"):
        answer = client.get(at(name, order))
        assert answer.status_code == 302
        assert answer["Location"].startswith(reverse("login"))


def test_an_order_that_is_not_there_is_a_404(agent_client):
    assert agent_client.get(reverse("orders:detail", args=[987654])).status_code == 404


def test_five_hundred_numbers_cost_as_many_statements_as_one(agent_client, make_order):
    small, large = make_order(numbers=1), make_order(numbers=500)
    for order in (small, large):
        OrderNote.objects.create(order=order, fact=f"n{order.pk}", text="Hello")
    agent_client.get(small.get_absolute_url())
    with CaptureQueriesContext(connection) as one:
        agent_client.get(small.get_absolute_url())
    with CaptureQueriesContext(connection) as many:
        agent_client.get(large.get_absolute_url())
    assert len(many) == len(one)
    assert len(many) <= 8, "\n".join(query["sql"][:150] for query in many)
    with CaptureQueriesContext(connection) as one_by_one:
        answer = agent_client.get(f"{large.get_absolute_url()}?view=rows")
    assert len(one_by_one) == len(one)
    html = answer.content.decode()
    assert html.count('data-mark="PENDING') == page_numbers.FIRST_ROWS
    assert "Show all 500" in html


def test_a_word_sinch_adds_next_year_does_not_break_the_page(agent_client, make_order):
    order = make_order("ORDER_BUILDING", numbers=[{"status": "TELEPORTED"}])
    html = agent_client.get(order.get_absolute_url()).content.decode()
    assert "Sinch reports ORDER_BUILDING, which this desk does not know yet." in html
    assert "TELEPORTED" in html


def test_neighbouring_numbers_are_told_as_runs():
    numbers = ["+12065550117", "+12065550119", "+12065550118", "+14255550102"]
    assert page_numbers.runs_text(numbers) == "+1 206 555 0117 to 0119, +1 425 555 0102"


def test_a_group_is_summed_up_in_small_letters_but_for_words_nobody_knows(agent_client, make_order):
    for statuses, said in (
        (["BEING_TESTED"], "1 number · BEING_TESTED"),
        (["PENDING", "BEING_TESTED"], "2 numbers · 1 pending, 1 BEING_TESTED"),
    ):
        order = make_order(numbers=[{"status": status} for status in statuses])
        assert said in agent_client.get(at("detail", order)).content.decode()


def test_the_raw_page_shows_what_sinch_sent_escaped(agent_client, make_order):
    order = make_order(payload={"status": "PENDING", "note": "<script>"})
    html = agent_client.get(at("raw", order)).content.decode()
    assert "&quot;status&quot;: &quot;PENDING&quot;" in html
    assert "<script>&" not in html
    assert "&lt;script&gt;" in html


# --- Live -----------------------------------------------------------------------------------


def token_in(html: str) -> str:
    found = re.search(r"token=([0-9a-f]{16})", html)
    assert found
    return found[1]


def test_an_unchanged_page_gets_nothing_back_for_one_statement(agent_client, make_order):
    order = make_order()
    token = token_in(agent_client.get(order.get_absolute_url()).content.decode())
    with CaptureQueriesContext(connection) as queries:
        answer = agent_client.get(
            at("live", order), {"token": token}, headers={"HX-Request": "true"}
        )
    assert answer.status_code == 204
    assert len(queries) == 1, [query["sql"] for query in queries]


def test_a_change_comes_as_parts_that_put_themselves_in_place(agent_client, make_order):
    order = make_order()
    token = token_in(agent_client.get(order.get_absolute_url()).content.decode())
    PortInOrder.objects.filter(pk=order.pk).update(status="CONFIRMED")
    WorkItem.objects.filter(pk=order.item_id).update(version=2)
    answer = agent_client.get(at("live", order), {"token": token}, headers={"HX-Request": "true"})
    html = answer.content.decode()
    assert answer.status_code == 200
    assert "Confirmed" in html
    assert token_in(html) != token
    for part in ("order-head", "operations", "numbers", "timeline", "key-facts", "documents"):
        assert re.search(rf'id="{part}"[^>]*hx-swap-oob="true"', html), part
    assert 'id="composer"' not in html, "what is being typed is never swapped away"


def test_a_write_that_moves_on_makes_an_open_page_ask_again(agent_client, make_order, agent):
    order = make_order()
    actions.add_note(order, "Hello", by=agent)
    token = token_in(agent_client.get(order.get_absolute_url()).content.decode())
    Operation.objects.update(state="sending", sent_at=timezone.now())
    answer = agent_client.get(at("live", order), {"token": token})
    assert "is on its way to Sinch" in answer.content.decode()


def test_a_session_that_ran_out_sends_the_window_to_sign_in(client, make_order):
    answer = client.get(at("live", make_order()), headers={"HX-Request": "true"})
    assert answer["HX-Redirect"].startswith(reverse("login"))


def test_check_with_sinch_now_asks_for_a_reading_and_says_so(agent_client, make_order):
    order = make_order()
    answer = agent_client.post(at("refresh", order), follow=True)
    reading = Reading.objects.get(kind="port_in_order", resource_id=order.sinch_id)
    assert reading.cause == "staff"
    assert reading.next_try_at is not None
    assert "Reading…" in answer.content.decode()
    fragment = agent_client.post(at("refresh", order), headers={"HX-Request": "true"})
    assert 'id="live"' in fragment.content.decode()
    assert agent_client.get(at("refresh", order)).status_code == 405


# --- Owner and secrets ----------------------------------------------------------------------


def test_one_click_takes_an_order_and_a_line_hands_it_over(
    agent_client, agent, make_agent, make_order
):
    order, tom = make_order(), make_agent("tom", first_name="Tom", last_name="Okafor")
    agent_client.post(at("owner", order), {"take": "yes"})
    order.item.refresh_from_db()
    assert order.item.assignee == agent
    refused = agent_client.post(at("owner", order), {"to": tom.pk, "line": ""})
    assert refused.status_code == 422
    agent_client.post(at("owner", order), {"to": tom.pk, "line": "Dana Holt answers until 17:00"})
    order.item.refresh_from_db()
    assert order.item.assignee == tom
    assert "Handed over to Tom Okafor: Dana Holt" in TimelineEntry.objects.latest("pk").text


def test_an_order_that_a_colleague_has_taken_meanwhile_is_not_taken_from_them(
    agent_client, agent, make_agent, make_order
):
    order, tom, ada = make_order(), make_agent("tom", first_name="Tom"), make_agent("ada")
    assert 'name="owner" value=""' in agent_client.get(order.get_absolute_url()).content.decode()
    WorkItem.objects.update(assignee=tom)
    page = agent_client.post(at("owner", order), {"take": "yes", "owner": ""}, follow=True)
    html = page.content.decode()
    assert "Tom owns it by now, so nothing was changed." in html
    line = {"to": ada.pk, "line": "Dana Holt answers until 17:00", "owner": ""}
    refused = agent_client.post(at("owner", order), line)
    assert refused.status_code == 422
    assert "Tom owns it by now" in refused.content.decode()
    assert WorkItem.objects.get().assignee == tom
    assert not TimelineEntry.objects.filter(by=agent).exists()
    # Who has seen that it is Tom's may still take it, and a second click is none too many.
    assert f'name="owner" value="{tom.pk}"' in html
    for _ in range(2):
        taken = {"take": "yes", "owner": str(tom.pk)}
        page = agent_client.post(at("owner", order), taken, follow=True)
        assert "owns it by now" not in page.content.decode()
    assert WorkItem.objects.get().assignee == agent


def test_a_look_at_a_secret_is_shown_once_and_told_in_the_timeline(agent_client, agent, make_order):
    order = make_order()
    answer = agent_client.post(at("reveal", order), {"secret": "pin"})
    assert PIN in answer.content.decode()
    assert "no-store" in answer["Cache-Control"]
    entry = TimelineEntry.objects.get(item=order.item)
    assert (entry.text, entry.by) == ("Looked at the port-out PIN", agent)
    assert PIN not in agent_client.get(order.get_absolute_url()).content.decode()
    fragment = agent_client.post(
        at("reveal", order), {"secret": "account"}, headers={"HX-Request": "true"}
    )
    assert ACCOUNT in fragment.content.decode()
    assert "<html" not in fragment.content.decode()
    assert agent_client.post(at("reveal", order), {"secret": "payload"}).status_code == 404


def test_secrets_stay_hidden_from_whoever_may_not_look(reader_client, make_order):
    order = make_order()
    assert reader_client.post(at("reveal", order), {"secret": "pin"}).status_code == 403
    assert "reveal secrets" in reader_client.get(order.get_absolute_url()).content.decode()
    assert not TimelineEntry.objects.exists()


# --- Notes ----------------------------------------------------------------------------------


def test_a_note_is_read_back_before_it_is_sent_and_sent_once(agent_client, agent, make_order):
    order = make_order()
    asked = agent_client.post(at("note", order), {"note": " The bill is attached. ", "key": "k1"})
    html = asked.content.decode()
    assert "Send this to Sinch?" in html
    assert "The bill is attached." in html
    assert not Operation.objects.exists()
    sent = {"note": "The bill is attached.", "key": "k1", "sure": "yes"}
    for _ in range(2):
        assert agent_client.post(at("note", order), sent)["Location"] == order.get_absolute_url()
    operation = Operation.objects.get()
    assert operation.kind == "port_in.note"
    assert operation.payload == {"text": "The bill is attached.", "alike_of_others": 0}
    assert operation.by == agent
    entry = TimelineEntry.objects.get()
    assert entry.text == "Note to Sinch: “The bill is attached.”"


def test_a_team_note_is_kept_once_and_never_leaves_the_desk(agent_client, agent, make_order):
    order = make_order()
    version = order.item.version
    for _ in range(2):
        answer = agent_client.post(at("team_note", order), {"text": " She has both bills. "})
        assert answer["Location"] == order.get_absolute_url()
    note = order.item.team_notes.get()
    assert (note.text, note.by) == ("She has both bills.", agent)
    assert not Operation.objects.exists()
    order.item.refresh_from_db()
    assert order.item.version == version + 1
    html = agent_client.get(order.get_absolute_url()).content.decode()
    assert "She has both bills." in html


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Write what your colleagues should know."),
        ("Her port-out PIN is 482193", "This looks like a PIN."),
        ("x" * 4001, "at most"),
    ],
)
def test_a_team_note_that_cannot_be_kept_says_why_and_is_not_lost(
    agent_client, make_order, text, said
):
    order = make_order()
    for headers in ({}, {"HX-Request": "true"}):
        answer = agent_client.post(at("team_note", order), {"text": text}, headers=headers)
        assert answer.status_code == 422
        html = answer.content.decode()
        assert said in html
        assert text in html
    assert not order.item.team_notes.exists()


def test_a_team_note_needs_somebody_signed_in(client, make_order):
    answer = client.post(at("team_note", make_order()), {"text": "Hello"})
    assert answer["Location"].startswith("/sign-in/")


def test_keep_writing_brings_the_text_back(agent_client, make_order):
    order = make_order()
    html = agent_client.post(
        at("note", order), {"note": "Half a thought", "key": "k", "rewrite": "yes"}
    ).content.decode()
    assert re.search(r"<textarea[^>]*>Half a thought</textarea>", html)
    assert "Send this to Sinch?" not in html


def test_a_note_under_htmx_answers_with_the_composer_and_what_became_of_it(
    agent_client, make_order
):
    order = make_order()
    asked = agent_client.post(
        at("note", order), {"note": "Hello", "key": "k"}, headers={"HX-Request": "true"}
    ).content.decode()
    assert asked.lstrip().startswith("{#") is False
    assert 'id="composer"' in asked
    assert "<html" not in asked
    sent = agent_client.post(
        at("note", order),
        {"note": "Hello", "key": "k", "sure": "yes"},
        headers={"HX-Request": "true"},
    ).content.decode()
    assert "Waiting to go: Your note “Hello”" in sent


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Write what Sinch should read."),
        ("The account PIN is 482 193, she says", "This looks like a PIN"),
        (f"Take {PIN}", "holds a PIN or an account number"),
        (f"It is {ACCOUNT.replace('-', ' ')}", "holds a PIN or an account number"),
    ],
)
def test_a_note_that_must_not_leave_is_stopped_and_kept(agent_client, make_order, text, said):
    order = make_order()
    answer = agent_client.post(at("note", order), {"note": text, "key": "k", "sure": "yes"})
    assert answer.status_code == 422
    assert said in answer.content.decode()
    assert text in answer.content.decode()
    assert not Operation.objects.exists()


def test_a_phone_number_is_no_secret_even_when_it_is_the_account_number(agent, make_order):
    order = make_order(secrets={"+12065550142": {"accountNum": "206-555-0142"}})
    actions.add_note(order, "About +1 206 555 0142", by=agent)
    assert Operation.objects.count() == 1


def test_the_next_step_is_offered_to_whoever_may_make_it(agent_client, reader_client, make_order):
    reasons = [{"code": "P3", "text": "1 number rejected: PIN", "next": "Fix PIN"}]
    order = make_order(
        numbers=[{"status": "REJECTED", "reject_reason": "Invalid passcode/PIN supplied"}],
        item={"bucket": "us", "move": "us", "reasons": reasons},
    )
    assert ">Fix PIN</a>" in agent_client.get(order.get_absolute_url()).content.decode()
    assert "Fix PIN" not in reader_client.get(order.get_absolute_url()).content.decode()


def test_readers_see_why_they_cannot_send_and_the_view_says_no(reader_client, make_order):
    order = make_order()
    html = reader_client.get(order.get_absolute_url()).content.decode()
    assert "needs the agent role" in html
    for name, data in (
        ("note", {"note": "x"}),
        ("document", {}),
        ("cancel", {"why": "x"}),
        ("owner", {"take": "yes"}),
        ("activate", {"group": "1"}),
    ):
        assert reader_client.post(at(name, order), data).status_code == 403, name
    assert not Operation.objects.exists()


def test_the_conversation_tells_ours_from_theirs(agent_client, agent, make_order):
    waits = {"code": "P4", "text": "Sinch wrote: “Send a bill”", "next": "Answer"}
    order = make_order()
    operation = actions.add_note(order, "The lobby line", by=agent)
    Operation.objects.update(state="succeeded", finished_at=timezone.now())
    WorkItem.objects.update(bucket="us", reasons=[waits])
    now = timezone.now()
    for n, (text, ours) in enumerate([("The lobby line", operation), ("Send a bill", None)]):
        OrderNote.objects.create(
            order=order, fact=str(n), text=text, operation=ours, created_by="Sinch", created_at=now
        )
    html = agent_client.get(order.get_absolute_url()).content.decode()
    assert re.search(r"<b>Dana Whitfield</b>\s+to Sinch", html)
    assert "Arrived at Sinch" in html
    assert re.search(r"<b>Sinch</b>\s+to us", html)
    assert "Awaiting our answer" in html


def test_an_answer_under_way_stands_in_the_conversation(agent_client, agent, make_order):
    order = make_order()
    OrderNote.objects.create(
        order=order, fact="1", text="Send a bill", created_by="Sinch", created_at=timezone.now()
    )
    operation = actions.add_note(order, "Here it is", by=agent)
    with CaptureQueriesContext(connection) as queued:
        html = agent_client.get(order.get_absolute_url()).content.decode()
    talk = html.partition('id="conversation"')[2].partition('class="composer-band"')[0]
    assert "No sign yet that our answer arrived" in talk
    assert "Nothing to answer" not in html
    assert "Answer</a>" not in html
    assert "<p>Here it is</p>" in talk
    assert "Waiting to go" in talk
    # It is seen from the list, too.
    listed = agent_client.get(reverse("work:list")).content.decode()
    assert "Sinch wrote: “Send a bill”; no sign yet that our answer arrived" in listed
    runner.handler_of("port_in.note").uncertain(operation)
    Operation.objects.update(state="uncertain", uncertain_since=timezone.now())
    html = agent_client.get(order.get_absolute_url()).content.decode()
    talk = html.partition('id="conversation"')[2].partition('class="composer-band"')[0]
    assert "Looking it up" in talk
    assert "Arrived at Sinch" not in talk
    # A reading that has found it shows it once.
    OrderNote.objects.create(
        order=order, fact="2", text="Here it is", operation=operation, created_at=timezone.now()
    )
    with CaptureQueriesContext(connection) as found:
        html = agent_client.get(order.get_absolute_url()).content.decode()
    assert html.count("<p>Here it is</p>") == 1
    assert len(queued) == len(found)


@pytest.mark.parametrize(
    ("said", "day"),
    [
        ("2026-06-10T03:17:00Z", datetime.date(2026, 6, 9)),  # 23:17 Eastern
        ("2026-06-10T13:00:00Z", datetime.date(2026, 6, 10)),
        ("2026-06-10", datetime.date(2026, 6, 10)),
        ("soon", None),
    ],
)
def test_the_day_an_order_was_made_is_the_readers(agent_client, make_order, said, day):
    html = agent_client.get(make_order(sinch_created_at=said).get_absolute_url()).content.decode()
    assert re.findall(r"<dt>Made at Sinch</dt><dd>(.*?)</dd>", html) == (
        [words.day_text(day)] if day else []
    )


# --- Canceling ------------------------------------------------------------------------------


def test_canceling_asks_why_and_happens_once(agent_client, make_order):
    order = make_order()
    html = agent_client.get(order.get_absolute_url()).content.decode()
    assert "Cancel all 3 numbers?" in html
    for headers in ({}, {"HX-Request": "true"}):
        answer = agent_client.post(at("cancel", order), {"why": " "}, headers=headers)
        assert answer.status_code == 422
        told = answer.content.decode()
        assert '<details class="confirm" id="cancel" open>' in told
        assert re.search(r'id="cancel-why"[^>]*aria-describedby="cancel-error" data-focus>', told)
        assert "Say why, in a few words; it goes into the timeline.</span>" in told
    assert told.lstrip().startswith('<div id="cancel-order">')
    for _ in range(2):
        assert agent_client.post(at("cancel", order), {"why": "Customer stays"}).status_code == 302
    operation = Operation.objects.get()
    assert (operation.kind, operation.payload) == ("port_in.cancel", {"why": "Customer stays"})
    assert TimelineEntry.objects.get().text == "Canceling asked for: Customer stays"


@pytest.mark.parametrize("status", ["CONFIRMED", "COMPLETED", "PENDING_CANCELATION", "CANCELED"])
def test_a_locked_order_shows_why_and_refuses(agent_client, make_order, status):
    order = make_order(status)
    html = agent_client.get(order.get_absolute_url()).content.decode()
    assert 'aria-describedby="why-no-cancel"' in html
    assert "Cancel all" not in html
    answer = agent_client.post(at("cancel", order), {"why": "x"}, headers={"HX-Request": "true"})
    assert answer.status_code == 409
    assert answer["HX-Retarget"] == "#messages"
    assert not Operation.objects.exists()


# --- Activation -----------------------------------------------------------------------------


@pytest.fixture
def ready_order(make_order: Make) -> PortInOrder:
    """An on-demand order with one group on offer and one whose date is not there yet."""
    today = timezone.now().astimezone(datetime.UTC).date() - datetime.timedelta(days=1)
    later = today + datetime.timedelta(days=9)
    return make_order(
        "CONFIRMED",
        numbers=[
            {"status": "CONFIRMED", "foc_date": today},
            {"status": "CONFIRMED", "foc_date": today},
            {"status": "CONFIRMED", "foc_date": later, "losing_carrier": "Comcast Business"},
        ],
        on_demand_activation=True,
        offered_groups=[
            {
                "key": "77",
                "shape": "wrapped",
                "focDate": today.isoformat(),
                "numbers": ["+12065550100", "+12065550101"],
            }
        ],
        offered_at=timezone.now(),
        item={"bucket": "ready", "move": "us"},
    )


def test_the_activation_page_shows_each_precondition_with_its_tick(agent_client, ready_order):
    html = agent_client.get(at("activate", ready_order)).content.decode()
    assert "Lumen, 2 numbers" in html
    assert "Comcast Business, 1 number" in html
    assert "Activate 2 numbers now?" in html
    assert "Yes, activate 2 numbers" in html
    assert "<b>Sinch offers this group</b>" in html
    head = agent_client.get(ready_order.get_absolute_url()).content.decode()
    assert "Activate 2 numbers" in head


def test_a_group_is_activated_once_and_only_when_the_customer_expects_it(agent_client, ready_order):
    url = at("activate", ready_order)
    unasked = agent_client.post(url, {"group": "77", "key": "k"})
    assert unasked.status_code == 422
    for _ in range(2):
        answer = agent_client.post(url, {"group": "77", "key": "k", "expected": "yes"})
        assert answer.status_code == 302
    operation = Operation.objects.get()
    assert operation.payload["groups"] == [
        {"key": "77", "shape": "wrapped", "numbers": ["+12065550100", "+12065550101"]}
    ]
    again = agent_client.post(url, {"group": "77", "key": "k2", "expected": "yes"})
    assert again.status_code == 422
    assert "under way already" in again.content.decode()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"on_demand_activation": False}, "Not on-demand"),
        ({"status": "PENDING"}, "once Sinch has confirmed"),
        ({"offered_groups": []}, "offers no group yet"),
        ({"gone_at": timezone.now()}, "does not know this order"),
    ],
)
def test_what_is_not_ready_is_refused_with_its_reason(agent, ready_order, change, said):
    PortInOrder.objects.filter(pk=ready_order.pk).update(**change)
    with pytest.raises(actions.NotPossible, match=said):
        actions_activation.activate_groups(ready_order, ["77"], by=agent)


def test_a_group_before_its_date_is_refused(agent, ready_order):
    group = ready_order.offered_groups[0] | {"focDate": "2999-01-01"}
    PortInOrder.objects.filter(pk=ready_order.pk).update(offered_groups=[group])
    with pytest.raises(actions.NotPossible, match="not before"):
        actions_activation.activate_groups(ready_order, ["77"], by=agent)
    with pytest.raises(actions.NotPossible, match="not offer this group"):
        actions_activation.activate_groups(ready_order, ["78"], by=agent)


def test_the_outcome_counts_a_number_only_when_sinch_says_it_is_live(
    agent_client, agent, ready_order
):
    actions_activation.activate_groups(ready_order, ["77"], by=agent)
    Operation.objects.update(state="succeeded", finished_at=timezone.now(), next_try_at=None)
    url = at("activate", ready_order)
    html = agent_client.get(url).content.decode()
    assert "0 of 2 live." in html
    assert "up to 1 h is normal" in html
    token = token_in(html)
    assert agent_client.get(at("activation_live", ready_order), {"token": token}).status_code == 204
    ready_order.numbers.filter(phone_number="+12065550100").update(status="ACTIVATED")
    WorkItem.objects.filter(pk=ready_order.item_id).update(version=9)
    changed = agent_client.get(at("activation_live", ready_order), {"token": token})
    assert "1 of 2 live." in changed.content.decode()


def test_nothing_secret_is_kept_in_the_clear_with_a_write(agent, make_order):
    order = make_order()
    actions.add_note(order, "Hello there", by=agent)
    with connection.cursor() as cursor:
        cursor.execute("SELECT payload FROM operations_operation")
        assert b"Hello" not in bytes(cursor.fetchone()[0])
    assert PIN not in json.dumps(list(TimelineEntry.objects.values_list("text", flat=True)))


# --- All the way to Sinch and back ------------------------------------------------------------


@pytest.fixture
def order_at_sinch(porting_client: Any, project: SinchProject) -> PortInOrder:
    """An order that the sandbox holds, as the desk has read it."""
    made = porting_client.order_port_in(
        {
            "customerOrderReference": "HVD-2026-014",
            "desiredPortSchedule": {
                "desiredPortDate": (timezone.localdate() + datetime.timedelta(days=9)).isoformat()
            },
            "phoneNumbers": [
                {
                    "phoneNumber": f"+1206555014{n}",
                    "endUser": END_USER,
                    "portOutInfo": {"existingPortOutPin": PIN},
                }
                for n in range(3)
            ],
        }
    )
    payload = porting_client.get_order_details(made["id"])
    return sync.store_port_in_order(project, payload, timezone.now())


def work_off() -> None:
    """Carry out what is due, as a worker would."""
    for _ in range(20):
        if not (runner.run_one() or readings.run_one()):
            return


def test_a_note_and_a_document_arrive_and_come_back_with_the_next_reading(
    agent_client, order_at_sinch
):
    order = order_at_sinch
    agent_client.post(at("note", order), {"note": "Bill attached", "key": "n", "sure": "yes"})
    agent_client.post(
        at("document", order),
        {"document": SimpleUploadedFile("bill.pdf", a_pdf()), "kind": "bill", "key": "d"},
    )
    work_off()
    agent_client.post(at("refresh", order))
    work_off()
    html = agent_client.get(order.get_absolute_url()).content.decode()
    arrived = html[html.index("2 arrived at Sinch") :]
    assert "<li>Your note “Bill attached” <span" in arrived
    assert "<li>“bill.pdf” <span" in arrived
    assert "Close all" in arrived
    assert re.search(r"<b>Dana Whitfield</b>\s+to Sinch.*<p>Bill attached</p>", html, re.S)
    assert order.documents.get().sinch_id
    assert "At Sinch since" in html


def test_who_may_only_read_is_offered_nothing_about_the_writes_of_others(
    agent_client, make_agent, order_at_sinch
):
    order, reader = order_at_sinch, Client()
    for key in ("one", "two", "three"):
        agent_client.post(at("note", order), {"note": f"Note {key}", "key": key, "sure": "yes"})
    work_off()
    stopped = Operation.objects.latest("pk")
    Operation.objects.filter(pk=stopped.pk).update(state=Operation.State.DEAD)
    reader.force_login(make_agent("rea"), backend="portal.accounts.backends.EmailOrUsernameBackend")
    may, may_not = (
        client.get(order.get_absolute_url()).content.decode() for client in (agent_client, reader)
    )
    for html in (may, may_not):
        assert "2 arrived at Sinch" in html
        assert "Try again" in html
    again, seen, together = (
        reverse("operations:again", args=[stopped.key]),
        reverse("operations:seen", args=[stopped.key]),
        reverse("operations:seen_together"),
    )
    assert all(f'action="{url}"' in may for url in (again, seen, together))
    assert not any(f'action="{url}"' in may_not for url in (again, seen, together))
    assert reader.post(seen).status_code == 403


def test_a_cancelation_reaches_sinch_and_the_page_says_so(agent_client, order_at_sinch):
    order = order_at_sinch
    agent_client.post(at("cancel", order), {"why": "Customer stays"})
    work_off()
    html = agent_client.get(order.get_absolute_url()).content.decode()
    assert "Arrived at Sinch: The cancelation" in html
    order.refresh_from_db()
    assert order.status in {"PENDING_CANCELATION", "CANCELED"}


# --- The search of the desk ---------------------------------------------------------------------


def test_a_search_of_digits_names_the_numbers_it_found(agent_client, make_order):
    rows = [{"status": "CONFIRMED"}, {"status": "REJECTED"}]
    for _ in range(2):
        make_order(numbers=rows)
    for number in PortInNumber.objects.all():
        number.reversed_digits = number.phone_number.lstrip("+")[::-1]
        number.save()
    with CaptureQueriesContext(connection) as queries:
        html = agent_client.get("/work/?q=0101").content.decode()
    assert len(queries) <= 5, "the frame is counted by the first page of a session"
    assert html.count('<span class="phone">+1 206 555 0101</span>, Rejected</span>') == 2
    html = agent_client.get("/work/?q=206").content.decode()
    assert html.count("+1 206 555 0100</span>, Confirmed and 1 more</span>") == 2
