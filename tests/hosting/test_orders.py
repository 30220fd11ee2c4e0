"""A hosting order as staff follow it: what it says, what it asks of them, and what they decide."""

import re
import uuid
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import strip_tags

from hosting import actions_order, standing, sync, tasks
from hosting.models import (
    HostingDraft,
    HostingNumber,
    HostingOrder,
    ImportedNumber,
    NumberMove,
)
from portal.operations import readings, runner
from portal.operations.models import Operation, Reading
from tests.hosting.test_drafts import NEW, send
from tests.staff import Form

pytestmark = pytest.mark.django_db
PHONES = [f"+1312555{line:04d}" for line in range(100, 140)]
FAILED = {"state": "FAILED"}
TOLL_FREE = {"numbers": "833 555 0121\n833 555 0122", "campaign": ""}


@pytest.fixture
def under_way(sandbox):
    """An order of forty numbers, in progress."""
    order = sandbox.hosting.make_order(PHONES, service_plan="plan-a", display_name="Roll-out")
    sandbox.hosting.do(order.id, "ask_signature")
    sandbox.hosting.do(order.id, "sign")
    sandbox.hosting.do(order.id, "hold")
    return order


def held(sandbox, order, phone):
    """Let T-Mobile say that another provider holds a number."""
    sandbox.hosting.do(
        order.id,
        "set",
        {
            "numbers": [phone],
            "step": "smsTmo",
            **FAILED,
            "errorCode": "60135",
            "errorMessage": "Number is owned by another provider",
        },
    )


def test_both_personalities_are_read_alike(both, sandbox, read_order, agent_client):
    made = sandbox.hosting.make_order(PHONES[:3], display_name="Alike")
    sandbox.hosting.do(made.id, "finish")
    order = read_order(made)
    assert order.state == "COMPLETED"
    assert [n.verdict for n in order.numbers.all()] == ["done"] * 3
    assert order.item.bucket == "done"
    assert list(sandbox.violations) == []
    assert "Alike" in agent_client.get(order.get_absolute_url()).content.decode()


def panel_of(page, name):
    """Return the words of the part of a page that begins with these."""
    return " ".join(strip_tags(page[page.index(name) :]).split())


def test_numbers_nobody_has_begun_with_are_not_under_way(sandbox, read_order, agent_client):
    made = sandbox.hosting.make_order(PHONES[:3])
    page = agent_client.get(read_order(made).get_absolute_url()).content.decode()
    assert "Failed 0Not begun 3Done 0" in panel_of(page, "Numbers by step")
    lede = panel_of(page, '<p class="lede">').partition(" Check with")[0]
    assert lede == "Sinch holds this order as a draft and has not begun."
    sandbox.hosting.do(made.id, "reject")
    page = agent_client.get(read_order(made).get_absolute_url()).content.decode()
    assert "Refused with the order 3Done 0" in panel_of(page, "Numbers by step")
    assert "Mark “asked Sinch support”" in page


def test_numbers_with_a_step_behind_them_are_under_way(
    under_way, sandbox, read_order, agent_client
):
    page = agent_client.get(read_order(under_way).get_absolute_url()).content.decode()
    assert "Under way 40" in panel_of(page, "Numbers by step")


def test_not_done_counts_the_same_wherever_it_stands(under_way, sandbox, read_order, agent_client):
    sandbox.hosting.do(under_way.id, "finish")
    broken = {"step": "campaignProvisioning", **FAILED}
    sandbox.hosting.do(under_way.id, "set", {"numbers": PHONES[:3], **broken})
    page = agent_client.get(read_order(under_way).get_absolute_url()).content.decode()
    told = panel_of(page, "Numbers by step").partition("CSV")[0]
    assert "Failed 3Under way 0Done 37" in told
    assert re.findall(r"Not done (\d+)", told) == ["3"]


def test_an_order_waiting_for_its_signature_names_the_signer(sandbox, read_order, agent_client):
    made = sandbox.hosting.make_order(PHONES[:2])
    sandbox.hosting.do(made.id, "ask_signature")
    page = agent_client.get(read_order(made).get_absolute_url()).content.decode()
    assert "Owen Marsh" in page
    assert "owen.marsh@lakemont.example" in page


def test_a_failed_step_makes_the_order_ours_and_says_what_to_do(
    under_way, sandbox, read_order, agent_client
):
    two = PHONES[:2]
    sandbox.hosting.do(
        under_way.id, "set", {"numbers": two, "step": "campaignProvisioning", **FAILED}
    )
    order = read_order(under_way)
    assert order.item.bucket == "us"
    assert set(order.numbers.filter(verdict="failed").values_list("phone_number", flat=True)) == {
        *two
    }
    page = agent_client.get(order.get_absolute_url()).content.decode()
    assert "Why numbers failed" in page
    assert "+1 312 555 0100" in page


def test_a_settled_failure_is_ours_again_only_when_sinch_says_something_new(
    under_way, sandbox, read_order, agent_client
):
    wrong = {"step": "campaignProvisioning", **FAILED}
    sandbox.hosting.do(under_way.id, "set", {"numbers": PHONES[:1], **wrong})
    order = read_order(under_way)
    reason = order.item.first_reason
    page = agent_client.get(order.get_absolute_url()).content.decode()
    seen = page.split('value="settle:H3:')[1].split('"')[0]
    mark = reverse("hosting:mark", args=[order.pk])
    refused = agent_client.post(mark, {"do": f"settle:H3:{seen}", f"why-H3-{seen}": ""})
    assert refused.status_code == 422
    done = {"do": f"settle:H3:{seen}", f"why-H3-{seen}": "The customer dropped this line"}
    assert agent_client.post(mark, done).status_code == 302
    order.item.refresh_from_db()
    assert order.item.first_reason != reason
    assert order.item.bucket != "us"
    sandbox.hosting.do(under_way.id, "set", {"numbers": PHONES[1:2], **wrong})
    assert read_order(under_way).item.bucket == "us"


def test_a_number_held_at_t_mobile_is_moved_by_an_order_of_its_own(
    under_way, sandbox, read_order, agent_client, work_off
):
    held(sandbox, under_way, PHONES[7])
    order = read_order(under_way)
    path = reverse("hosting:migrate", args=[order.pk])
    page = agent_client.get(order.get_absolute_url()).content.decode()
    seen = page.split('name="seen" value="')[1].split('"')[0]
    # Without the customer's word nothing is begun.
    assert agent_client.post(path, {"seen": seen, "do": "order"}).status_code == 409
    assert agent_client.post(path, {"seen": seen}).status_code == 422
    said = {"seen": seen, "left": "on", "on": "2026-11-20", "by": "Owen Marsh"}
    assert agent_client.post(path, said).status_code == 302
    answer = agent_client.post(path, {"seen": seen, "do": "order"})
    draft = HostingDraft.objects.get()
    assert answer.url.startswith(draft.get_absolute_url())
    assert (draft.kind, draft.follows) == ("import", order)
    page = agent_client.get(answer.url).content.decode()
    assert "312 555 0107" in page
    assert sandbox.hosting.orders() == [under_way]


@pytest.mark.parametrize(
    ("changes", "wrong", "told"),
    [
        ({"left": ""}, "left", "Tick that the customer confirmed it in writing"),
        ({"by": " "}, "by", "Name who confirmed it."),
        ({"on": ""}, "on", "Name the day on which they confirmed it."),
        ({"on": "2026-02-30"}, "on", "This is no date"),
        ({"on": "2999-01-01"}, "on", "The day lies ahead"),
    ],
)
def test_what_is_wrong_with_the_customers_word_is_told_beside_its_field(
    changes, wrong, told, under_way, sandbox, read_order, agent_client
):
    held(sandbox, under_way, PHONES[7])
    order = read_order(under_way)
    page = agent_client.get(order.get_absolute_url()).content.decode()
    seen = page.split('name="seen" value="')[1].split('"')[0]
    typed = {"seen": seen, "left": "on", "by": "Dana Holt", "on": "2024-11-20"} | changes
    answer = agent_client.post(reverse("hosting:migrate", args=[order.pk]), typed)
    page = answer.content.decode()
    assert answer.status_code == 422
    assert told in page[page.index(f'id="left-{wrong}_error"') :][:400]
    tags = {name: re.search(rf'<input[^>]*name="{name}"[^>]*>', page)[0] for name in changes}
    assert "data-focus" in tags[wrong]
    assert page.count("data-focus") == 1
    for name in {"by", "on"} - {wrong}:
        assert f'value="{typed[name]}"' in page, "what was typed is kept"
    if wrong != "left":
        assert "checked" in re.search(r'<input[^>]*name="left"[^>]*>', page)[0]
    assert not order.marks.exists()


def test_the_customers_word_is_told_with_its_day(under_way, sandbox, read_order, agent_client):
    held(sandbox, under_way, PHONES[7])
    order = read_order(under_way)
    page = agent_client.get(order.get_absolute_url()).content.decode()
    seen = page.split('name="seen" value="')[1].split('"')[0]
    said = {"seen": seen, "left": "on", "by": "Owen Marsh", "on": "2024-11-20"}
    agent_client.post(reverse("hosting:migrate", args=[order.pk]), said)
    page = agent_client.get(order.get_absolute_url()).content.decode()
    assert "Owen Marsh confirmed it on Wed 20 Nov 2024." in page


def test_the_customers_word_that_was_clicked_twice_is_kept_once_and_taken_back_at_once(
    under_way, sandbox, read_order, agent_client
):
    held(sandbox, under_way, PHONES[7])
    order = read_order(under_way)
    path = reverse("hosting:migrate", args=[order.pk])
    page = agent_client.get(order.get_absolute_url()).content.decode()
    seen = page.split('name="seen" value="')[1].split('"')[0]
    said = {"seen": seen, "left": "on", "by": "Owen Marsh", "on": "2024-11-20"}
    for _ in range(2):
        assert agent_client.post(path, said).status_code == 302
    told = "Owen Marsh confirmed on Wed 20 Nov 2024"
    assert order.item.timeline.filter(text__startswith=told).count() == 1
    actions_order.take_back(order, order.marks.first().pk, by=order.marks.first().by)
    assert agent_client.post(path, {"seen": seen, "do": "order"}).status_code == 409
    assert agent_client.post(path, said).status_code == 302, "it can be kept again"
    assert agent_client.post(path, {"seen": seen, "do": "order"}).status_code == 302


def test_neighbours_that_failed_alike_are_told_once(under_way, sandbox, read_order, agent_client):
    broken = {"step": "campaignProvisioning", **FAILED}
    sandbox.hosting.do(under_way.id, "set", {"numbers": PHONES[4:9], **broken})
    held(sandbox, under_way, PHONES[6])
    order = read_order(under_way)
    numbers = reverse("hosting:numbers", args=[order.pk])
    page = agent_client.get(numbers, headers={"HX-Request": "true"}).content.decode()
    alike = [PHONES[n] for n in (4, 5, 7, 8)]
    places = [page.index(f"{phone[2:5]} {phone[5:8]} {phone[8:]}") for phone in alike]
    told = page.index("the same for the 4 numbers above")
    assert places == sorted(places)
    assert places[-1] < told
    # The one with a trouble of its own says both.
    assert page.count("10DLC campaign link;") == 1
    assert page.count('<tr class="cause">') == 3


def test_an_order_of_500_numbers_is_stored_and_shown_in_few_statements(
    sandbox, read_order, agent_client, django_assert_max_num_queries, project
):
    from django.utils import timezone

    from hosting import sync
    from portal.operations import clients

    phones = [f"+1929555{line:04d}" for line in range(1000, 1500)]
    made = sandbox.hosting.make_order(phones)
    order = read_order(made)
    assert HostingNumber.objects.count() == 500
    client = clients.hosting_client(project)
    payload = client.get_hosting_order(made.id)
    numbers = [dict(n) for n in client.iter_hosting_order_numbers(made.id)]
    report = client.get_hosting_order_report(made.id)
    with django_assert_max_num_queries(8):
        sync.store_reading(
            project, dict(payload), timezone.now(), numbers=numbers, report=report, cause="Again"
        )
    agent_client.get(order.get_absolute_url())
    with django_assert_max_num_queries(8):
        page = agent_client.get(order.get_absolute_url())
    assert page.status_code == 200
    numbers = reverse("hosting:numbers", args=[order.pk])
    last = agent_client.get(numbers, {"n": "1499"}, headers={"HX-Request": "true"})
    assert "929 555 1499" in last.content.decode()


def test_what_has_no_digits_stays_in_its_field_and_finds_nothing(
    under_way, read_order, agent_client
):
    order = read_order(under_way)
    page = agent_client.get(f"{order.get_absolute_url()}?n=%3Cabc%3E").content.decode()
    assert 'name="n" value="&lt;abc&gt;"' in page
    assert "There are no digits in “&lt;abc&gt;”." in page
    assert '<table class="matrix">' not in page
    assert "?f=failed&amp;n=%3Cabc%3E" in page, "the other filters keep it"


@pytest.mark.parametrize(
    "look", ["", "?f=failed", "?step=campaign&sort=number", "?sort=number&rows=all", "?n=9999"]
)
def test_a_part_of_the_numbers_comes_for_few_statements_as_the_page_has_it(
    under_way, read_order, agent_client, look, django_assert_max_num_queries
):
    order = read_order(under_way)
    whole = agent_client.get(f"{order.get_absolute_url()}{look}").content.decode()
    # The person, the order, its numbers.
    with django_assert_max_num_queries(3):
        part = agent_client.get(
            reverse("hosting:numbers", args=[order.pk]) + look, headers={"HX-Request": "true"}
        )
    assert 'id="numbers"' in part.content.decode()
    assert part.content.decode().strip() in whole
    assert part["HX-Replace-Url"].startswith(order.get_absolute_url())


def test_another_way_to_look_keeps_the_rest_of_it(under_way, sandbox, read_order, agent_client):
    sandbox.hosting.do(under_way.id, "set", {"numbers": PHONES[4:6], "step": "smsAtt", **FAILED})
    order = read_order(under_way)
    html = agent_client.get(f"{order.get_absolute_url()}?f=open").content.decode()
    assert "?f=open&amp;sort=number#numbers" in html
    html = agent_client.get(f"{order.get_absolute_url()}?f=failed&sort=number&n=1").content.decode()
    assert "?f=failed&amp;n=1#numbers" in html
    # A step shows what is not done there, failed or not.
    assert "?step=sms_att&amp;n=1&amp;sort=number#numbers" in html


def test_an_open_page_sends_all_of_its_look_with_its_question_for_news(
    under_way, read_order, agent_client
):
    order = read_order(under_way)
    look = {"f": "open", "n": PHONES[0][-4:], "sort": "number", "rows": "all"}
    html = agent_client.get(order.get_absolute_url(), look).content.decode()
    wanted = re.search(r'<div id="live"[^>]*hx-include="([^"]*)"', html)[1].split(", ")
    # What a browser gathers: the fields themselves, and those inside of what is named.
    hidden = re.search(r'<div id="matrix-look" hidden>.*?</div>', html, re.S)[0]
    parts = {"#matrix-look input": hidden}
    for field in re.findall(r"<input[^>]*>", html):
        if named := re.search(r' id="([^"]+)"', field):
            parts[f"#{named[1]}"] = field
    gathered = "".join(parts.get(one, "") for one in wanted)
    sent = dict(re.findall(r' name="(\w+)"[^>]*? value="([^"]*)"', gathered))
    assert {name: sent.get(name) for name in look} == look


def test_every_number_with_its_steps_is_in_the_csv(under_way, read_order, agent_client):
    order = read_order(under_way)
    answer = agent_client.get(reverse("hosting:numbers_csv", args=[order.pk]))
    lines = b"".join(answer.streaming_content).decode().splitlines()
    assert len(lines) == 41
    assert all(any(phone in line for line in lines) for phone in PHONES)


def test_an_order_that_sinch_forgot_is_told_and_kept(under_way, sandbox, read_order, agent_client):
    order = read_order(under_way)
    with sandbox.state.lock:
        del sandbox.state.hosting.orders[under_way.id]
    order = read_order(order.sinch_id)
    assert order.gone_at is not None
    assert agent_client.get(order.get_absolute_url()).status_code == 200


def test_an_order_that_no_list_shows_comes_back_after_a_404_that_was_wrong(
    agent_client, project, sandbox, typed, settle, work_off
):
    sandbox.control.personality(without_campaign="unlisted")
    # It was made a moment ago; what answers the first two readings does not know it yet.
    sandbox.faults.add("status", "HostingOrderService_GetHostingOrder", status=404, times=2)
    send(agent_client, typed(**TOLL_FREE), "toll-free")
    settle()
    Reading.objects.filter(kind=sync.ORDER_READER).update(next_try_at=timezone.now())
    work_off()
    order = HostingOrder.objects.get()
    assert order.gone_at is not None
    assert "does not know this order" in agent_client.get(order.get_absolute_url()).content.decode()
    Reading.objects.filter(kind=sync.ORDER_READER).update(next_try_at=timezone.now())
    work_off()
    order.refresh_from_db()
    assert order.gone_at is None
    assert order.numbers_read_at is not None
    assert not Reading.objects.get(kind=sync.ORDER_READER).is_gone
    page = agent_client.get(order.get_absolute_url()).content.decode()
    assert "What it last said is kept below" not in page


@pytest.mark.parametrize(
    ("campaign", "gone_for", "pause"),
    [
        ("", timedelta(), timedelta(minutes=5)),
        ("", timedelta(hours=2), timedelta(days=1)),
        ("", timedelta(days=8), None),
        ("C3O8OGA", timedelta(), None),
    ],
)
def test_an_order_that_sinch_forgot_is_asked_for_some_days_where_no_list_brings_it_back(
    campaign, gone_for, pause, sandbox, read_order
):
    made = sandbox.hosting.make_order(PHONES, service_plan="plan-a", campaign=campaign)
    read_order(made)
    sandbox.state.hosting.orders.clear()
    order = read_order(made.id)
    HostingOrder.objects.update(gone_at=order.gone_at - gone_for)
    read_order(made.id)
    due_at = Reading.objects.get(kind=sync.ORDER_READER).next_try_at
    if pause is None:
        assert due_at is None
    else:
        assert 0.8 * pause < due_at - timezone.now() < 1.2 * pause


class Shifting(list):
    """Numbers of an order of which the first comes last, or is taken out, once they were listed."""

    def __init__(self, numbers, *, are_taken_out):
        super().__init__(numbers)
        self.are_taken_out = are_taken_out

    def __iter__(self):
        yield from list(self[:])
        first = self.pop(0)
        if not self.are_taken_out:
            self.append(first)


@pytest.mark.parametrize("are_taken_out", [False, True])
def test_numbers_whose_pages_shift_while_they_are_read_are_read_again_and_none_is_lost(
    are_taken_out, under_way, sandbox, read_order, work_off
):
    sandbox.config.hosting_page_size = 20
    order = read_order(under_way)
    assert order.numbers.count() == 40
    steady, under_way.numbers = (
        under_way.numbers,
        Shifting(under_way.numbers, are_taken_out=are_taken_out),
    )
    read_order(under_way)
    assert order.numbers.count() == 40
    reading = Reading.objects.get(kind=sync.ORDER_READER)
    assert reading.next_try_at - timezone.now() < timedelta(minutes=1)
    under_way.numbers = steady[1:]
    Reading.objects.update(next_try_at=timezone.now())
    work_off()
    assert {number.phone_number for number in order.numbers.all()} == set(PHONES[1:])


def test_numbers_that_sinch_does_not_show_for_a_while_stay_in_their_order(
    under_way, sandbox, read_order, work_off
):
    order = read_order(under_way)
    sandbox.hosting.do(under_way.id, "complete")
    shown, under_way.numbers = under_way.numbers, []
    assert read_order(under_way).state == "COMPLETED"
    assert order.numbers.count() == 40
    assert Reading.objects.get(kind=sync.ORDER_READER).next_try_at is not None
    under_way.numbers = shown
    assert read_order(under_way).numbers.count() == 40


def test_numbers_of_a_finished_order_are_read_by_themselves_however_they_are_spelled(
    under_way, sandbox, read_order
):
    for number in under_way.numbers:
        sandbox.hosting.add_imported(number.phone_number, "plan-a", "C3O8OGA")
        number.phone_number = number.phone_number.lstrip("+")
    sandbox.hosting.do(under_way.id, "complete")
    read_order(under_way)
    assert ImportedNumber.objects.count() == 40
    assert not readings.unanswered().exists()
    assert not Reading.objects.exclude(last_error="").exists()


def test_a_number_that_is_none_of_its_order_any_more_is_not_read_for_ever(
    under_way, sandbox, read_order, work_off, project
):
    order = read_order(under_way)
    order.numbers.filter(phone_number=PHONES[3]).delete()
    sync.refresh_number(order, PHONES[3])
    work_off()
    assert not Reading.objects.exclude(last_error="").exists()
    assert order.numbers.count() == 40


@pytest.mark.parametrize(
    ("part", "is_read"),
    [
        ("HostingOrderService_ListHostingOrderNumbers", False),
        ("GetHostingOrderReport", True),
    ],
)
def test_an_order_of_which_only_a_part_is_missing_is_not_gone(
    part, is_read, under_way, sandbox, read_order
):
    sandbox.faults.add("status", part, status=404)
    order = read_order(under_way)
    assert order.gone_at is None
    assert order.state == "IN_PROGRESS"
    assert (order.numbers_read_at is not None) is is_read
    # What was read before stays, and what is missing comes with the next reading.
    assert read_order(under_way).numbers.count() == len(PHONES)
    sandbox.faults.add("status", part, status=404)
    order = read_order(under_way)
    assert (order.gone_at, order.numbers.count()) == (None, len(PHONES))
    assert order.report["total"] == len(PHONES)


def test_an_order_that_sinch_does_not_show_yet_is_looked_for_twice_before_it_is_gone(
    under_way, sandbox, read_order, work_off
):
    order = read_order(under_way)
    Reading.objects.all().delete()  # as Sinch's answer to its creation leaves it
    sandbox.state.clear()
    sync.refresh(order)
    for is_gone in (False, True):
        work_off()
        order.refresh_from_db()
        assert (order.gone_at is not None, Reading.objects.get().is_gone) == (is_gone, is_gone)
        Reading.objects.update(next_try_at=timezone.now())


def test_a_report_that_fails_does_not_keep_the_order_from_being_read(
    under_way, sandbox, read_order
):
    order = read_order(under_way)
    sandbox.hosting.do(under_way.id, "finish")
    sandbox.faults.add("garbage", "GetHostingOrderReport")
    order = read_order(under_way)
    assert (order.state, order.report["total"]) == ("COMPLETED", len(PHONES))
    assert {number.verdict for number in order.numbers.all()} == {"done"}
    # It is looked for again, though nothing else is to come of the order.
    reading = Reading.objects.get(kind=sync.ORDER_READER)
    assert (reading.last_error, reading.next_try_at is None) == ("", False)
    assert read_order(under_way).report["osrUpdated"] == len(PHONES)


def test_a_refused_order_is_told_as_refused_once_and_not_again(under_way, read_order, agent_client):
    under_way.state = "REJECTED"
    order = read_order(under_way)
    page = agent_client.get(order.get_absolute_url()).content.decode()
    lede = page.split('<p class="lede">')[1].split("</p>")[0]
    assert lede.count("Sinch refused this order") == 1
    assert "ask Sinch support" in lede


def test_an_unheard_of_state_is_shown_in_sinchs_word(under_way, read_order, agent_client):
    under_way.state = "PAUSED_BY_REGULATOR"
    order = read_order(under_way)
    assert order.state == "PAUSED_BY_REGULATOR"
    assert agent_client.get(order.get_absolute_url()).status_code == 200


@pytest.mark.parametrize("kind", ["drop_after", "drop_before", "500"])
def test_a_lost_answer_makes_one_order(kind, agent_client, project, sandbox, typed, settle):
    sandbox.faults.add(kind, "TextEnableNumbers")
    send(agent_client, typed())
    settle()
    assert len(sandbox.hosting.orders()) == 1
    assert HostingOrder.objects.count() == 1
    assert Operation.objects.get(kind="hosting.text_enable").state == "succeeded"


@pytest.mark.parametrize("kind", ["drop_after", "drop_before"])
def test_an_order_that_no_list_shows_is_never_sent_twice_by_itself(
    kind, agent_client, project, sandbox, typed, settle
):
    sandbox.control.personality(without_campaign="unlisted")
    sandbox.faults.add(kind, "TextEnableTollFreeNumbers")
    draft = send(agent_client, typed(**TOLL_FREE), "toll-free")
    settle()
    assert len(sandbox.hosting.orders()) == (kind == "drop_after")
    operation = Operation.objects.get(kind="hosting.toll_free")
    assert operation.state == "refused"
    # A person decides, and is told what to look for.
    page = agent_client.get(draft.get_absolute_url()).content.decode()
    assert "nobody knows whether this one was made" in page
    assert "Sent, and its answer was lost" in page
    assert "Nothing changed at Sinch" not in page
    assert "Nothing has reached Sinch" not in page
    assert "Look for “Harborview texting” in Sinch’s dashboard" in page
    assert f"2 numbers for the service plan {typed()['plan']}" in page
    sandbox.state.hosting.clear()
    send_again(agent_client, draft)
    settle()
    assert len(sandbox.hosting.orders()) == 1


def test_a_page_that_sent_an_order_whose_answer_was_lost_does_not_send_it_once_more(
    agent_client, project, sandbox, typed, settle
):
    """Its "Yes, send" may be clicked again when the draft has long been open again."""
    sandbox.control.personality(without_campaign="unlisted")
    sandbox.faults.add("drop_after", "TextEnableTollFreeNumbers")
    fields = typed(**TOLL_FREE, tab="t1") | {"draft": str(uuid.uuid4()), "action": "ask"}
    page = agent_client.post(NEW["toll-free"], fields).content.decode()
    for name in ("attempt", "version"):
        fields[name] = re.search(rf'name="{name}" value="(\w+)"', page)[1]
    draft = reverse("hosting:draft", args=[fields["draft"]])
    for _ in range(2):
        assert agent_client.post(draft, fields | {"action": "send"}).status_code == 302
        settle()
    assert HostingDraft.objects.get().state == "open"
    assert len(sandbox.hosting.orders()) == 1
    assert "nobody knows whether this one was made" in agent_client.get(draft).content.decode()


def test_an_order_that_was_taken_without_an_id_is_not_told_as_not_sent(
    agent_client, project, sandbox, typed, settle
):
    sandbox.faults.add("status", "TextEnableTollFreeNumbers", status=200, after=True)
    lists = "HostingOrderService_ListHostingOrders"
    sandbox.faults.add("status", lists, status=400, times=None)
    draft = send(agent_client, typed(**TOLL_FREE), "toll-free")
    settle()
    assert len(sandbox.hosting.orders()) == 1
    assert Operation.objects.get(kind="hosting.toll_free").state == "refused"
    page = agent_client.get(draft.get_absolute_url()).content.decode()
    assert "Sinch lists no orders without a campaign" in page
    assert "Nothing changed at Sinch" not in page


def test_an_order_taken_without_an_id_is_made_once_though_it_cannot_be_looked_up_at_first(
    agent_client, project, sandbox, typed, settle
):
    sandbox.faults.add("status", "TextEnableNumbers", status=200, after=True)
    sandbox.faults.add("503", "HostingOrderService_ListHostingOrders", times=None)
    send(agent_client, typed())
    assert runner.run_one()
    assert Operation.objects.get(kind="hosting.text_enable").state == "uncertain"
    sandbox.faults.clear()
    settle()
    assert len(sandbox.hosting.orders()) == 1
    assert HostingOrder.objects.count() == 1


def test_an_order_taken_without_an_id_that_no_list_shows_is_not_sent_again_by_itself(
    agent_client, project, sandbox, typed, settle
):
    sandbox.faults.add("status", "TextEnableNumbers", status=200)
    draft = send(agent_client, typed())
    settle()
    assert len(sandbox.hosting.orders()) == 0
    assert Operation.objects.get(kind="hosting.text_enable").state == "refused"
    page = agent_client.get(draft.get_absolute_url()).content.decode()
    assert "Sinch took this order without saying its id" in page
    assert "Look for “Harborview texting” in Sinch’s dashboard" in page
    assert "Nothing changed at Sinch" not in page


def test_an_order_without_a_campaign_is_found_where_lists_show_it(
    agent_client, project, sandbox, typed, settle
):
    sandbox.faults.add("drop_after", "TextEnableTollFreeNumbers")
    send(agent_client, typed(**TOLL_FREE), "toll-free")
    settle()
    assert len(sandbox.hosting.orders()) == 1
    assert Operation.objects.get(kind="hosting.toll_free").state == "succeeded"


def test_a_lost_order_that_is_listed_without_its_name_is_found(
    agent_client, project, sandbox, typed, settle
):
    sandbox.control.personality(listed_names="absent")
    others = sandbox.hosting.make_order(PHONES[:2], service_plan=typed()["plan"])
    sandbox.faults.add("drop_after", "TextEnableNumbers")
    send(agent_client, typed())
    settle()
    assert len(sandbox.hosting.orders()) == 2
    made = HostingDraft.objects.select_related("order").get().order
    assert made.sinch_id != others.id
    assert Operation.objects.get(kind="hosting.text_enable").state == "succeeded"


@pytest.mark.parametrize("shown", [0, 1])
def test_a_lost_order_whose_numbers_are_not_shown_yet_is_waited_for(
    shown, agent_client, project, sandbox, typed, work_off, settle
):
    sandbox.faults.add("drop_after", "TextEnableNumbers")
    draft = send(agent_client, typed())
    work_off()
    (made,) = sandbox.hosting.orders()
    numbers, made.numbers = made.numbers, made.numbers[:shown]
    for _ in range(8):
        Operation.objects.update(next_try_at=timezone.now())
        work_off()
    operation = Operation.objects.get(kind="hosting.text_enable")
    assert operation.state == "uncertain"
    # After a while a person is asked; looking once more is all that is offered.
    Operation.objects.update(
        uncertain_since=timezone.now() - timedelta(hours=1), next_try_at=timezone.now()
    )
    settle()
    operation.refresh_from_db()
    assert operation.state == "dead"
    assert f"The order {made.id} there may be “Harborview texting”" in operation.staff_message
    page = agent_client.get(draft.get_absolute_url()).content.decode()
    assert f"The order {made.id} there may be" in page
    made.numbers = numbers
    assert not runner.take_up(operation)
    settle()
    assert len(sandbox.hosting.orders()) == 1
    assert HostingOrder.objects.get().sinch_id == made.id


def test_a_double_click_makes_one_order(agent_client, project, sandbox, typed, work_off):
    draft = send(agent_client, typed())
    again = typed() | {"draft": str(draft.pk), "action": "send", "version": str(draft.version)}
    assert agent_client.post(draft.get_absolute_url(), again).status_code < 500
    work_off()
    assert len(sandbox.hosting.orders()) == 1


def test_an_import_of_twelve_numbers_becomes_three_orders(
    agent_client, project, sandbox, typed, work_off
):
    from portal.accounts.models import SinchProject

    SinchProject.objects.filter(pk=project.pk).update(import_limit=5)
    numbers = "\n".join(f"+1206555{n:04d}" for n in range(110, 122))
    fields = {name: text for name, text in typed(numbers=numbers).items() if name != "loa"}
    send(agent_client, fields, "import")
    work_off()
    assert sorted(len(order.numbers) for order in sandbox.hosting.orders()) == [2, 5, 5]
    assert HostingNumber.objects.count() == 12


def test_a_toll_free_order_of_a_reseller_names_its_customer(
    agent_client, project, sandbox, typed, work_off
):
    fields = typed(numbers="833 555 0121", loa="reseller", business="Quill & Finch", campaign="")
    send(agent_client, fields, "toll-free")
    work_off()
    made = sandbox.hosting.orders()[0]
    assert made.toll_free
    assert made.loa["businessName"] == "Quill & Finch"
    assert list(sandbox.violations) == []


def test_what_is_missing_is_named_and_nothing_typed_is_lost(agent_client, project, sandbox, typed):
    import uuid

    fields = typed(email2="dana.hold@harborview.example", street="")
    answer = agent_client.post(
        NEW["text-enable"], fields | {"draft": str(uuid.uuid4()), "action": "ask"}, follow=True
    )
    page = answer.content.decode()
    assert "1420" in page
    assert "dana.hold@harborview.example" in page
    assert Operation.objects.count() == 0
    assert sandbox.hosting.orders() == []


def test_only_those_who_may_send_change_anything(under_way, read_order, client, django_user_model):
    order = read_order(under_way)
    mark = reverse("hosting:mark", args=[order.pk])
    assert client.post(mark).status_code == 302
    assert "/hosting/" not in client.post(mark).url.split("?")[0]
    rosa = django_user_model.objects.create_user("rosa-reads", password="x")
    client.force_login(rosa)
    assert client.get(order.get_absolute_url()).status_code == 200
    assert client.post(mark, {"do": "settle:H3:x"}).status_code == 403
    assert client.get(mark).status_code in (403, 405)


def test_a_settled_failure_stays_settled_while_other_steps_go_on(
    under_way, sandbox, read_order, agent_client
):
    phone = PHONES[:1]
    set_step = {"numbers": phone, "step": "campaignProvisioning", **FAILED}
    sandbox.hosting.do(under_way.id, "set", set_step)
    order = read_order(under_way)
    settle_all(agent_client, order, "H3")
    going_on = {"numbers": phone, "step": "smsAtt", "state": "IN_PROGRESS"}
    sandbox.hosting.do(under_way.id, "set", going_on)
    order = read_order(under_way)
    assert order.numbers.get(phone_number=phone[0]).sms_att == "IN_PROGRESS"
    assert order.item.bucket != "us"
    # A second step that fails is something new.
    sandbox.hosting.do(under_way.id, "set", going_on | FAILED)
    assert read_order(under_way).item.bucket == "us"


def test_the_clock_of_a_number_starts_anew_when_its_steps_have_changed_and_not_before(
    under_way, sandbox, read_order
):
    clocks = []
    for change in (
        {"state": "IN_PROGRESS"},
        {"state": "IN_PROGRESS", "errorMessage": "Still at it"},
        {"state": "DONE"},
        FAILED,
        {"state": "IN_PROGRESS"},
    ):
        sandbox.hosting.do(under_way.id, "set", {"numbers": PHONES[:1], "step": "smsAtt"} | change)
        order = read_order(under_way)
        clocks.append(order.numbers.get(phone_number=PHONES[0]).status_since)
    assert clocks[0] == clocks[1]
    assert clocks[1:] == sorted(set(clocks))


def test_settling_one_cause_settles_no_other(under_way, sandbox, read_order, agent_client):
    unlinked = {"numbers": PHONES[:1], "step": "campaignProvisioning", **FAILED}
    sandbox.hosting.do(under_way.id, "set", unlinked)
    elsewhere = {"errorMessage": "TN belongs to another aggregator", **FAILED}
    at_att = {"numbers": PHONES[1:2], "step": "smsAtt", **elsewhere}
    sandbox.hosting.do(under_way.id, "set", at_att)
    order = read_order(under_way)
    assert len(order.item.reasons) == 2
    settle_all(agent_client, order, "H3", only=1)
    order.item.refresh_from_db()
    assert [reason["code"] for reason in order.item.reasons] == ["H3"]


def begin_to_move(client, order):
    """Say that the customer left the other provider, and have the order begun that moves."""
    path = reverse("hosting:migrate", args=[order.pk])
    page = client.get(order.get_absolute_url()).content.decode()
    seen = page.split('name="seen" value="')[1].split('"')[0]
    client.post(path, {"seen": seen, "left": "on", "on": "2026-11-20", "by": "Owen Marsh"})
    client.post(path, {"seen": seen, "do": "order"})
    return HostingDraft.objects.get()


def test_a_refused_move_at_t_mobile_is_named_on_the_order_it_was_for(
    under_way, sandbox, read_order, agent_client, work_off
):
    held(sandbox, under_way, PHONES[7])
    order = read_order(under_way)
    draft = begin_to_move(agent_client, order)
    sandbox.faults.add("status", "HostingOrderService_ImportNumbers", status=422)
    send_again(agent_client, draft)
    work_off()
    tasks.recompute_due()
    order.item.refresh_from_db()
    assert order.item.reasons[0]["code"] == "H1"
    page = agent_client.get(order.get_absolute_url()).content.decode()
    assert 'href="#move"' in page
    # Sent anew and taken, it is gone; the number is told until it has moved.
    send_again(agent_client, draft)
    work_off()
    tasks.recompute_due()
    order.item.refresh_from_db()
    (told,) = order.item.reasons
    assert (told["code"], order.item.move) == ("H4", "sinch")
    assert "being moved" in told["text"]


def settle_all(client, order, code, only=None):
    """Settle what the page of an order offers to settle."""
    page = client.get(order.get_absolute_url()).content.decode()
    seen = [part.split('"')[0] for part in page.split(f'value="settle:{code}:')[1:]]
    assert seen
    for one in seen[:only]:
        fields = {"do": f"settle:{code}:{one}", f"why-{code}-{one}": "Nothing more to do"}
        assert client.post(reverse("hosting:mark", args=[order.pk]), fields).status_code == 302


def send_again(client, draft):
    """Send a draft as it stands, with everything its page holds."""
    page = client.get(f"{draft.get_absolute_url()}?ask=1").content.decode()
    form = Form("draft-form")
    form.feed(page)
    answer = client.post(draft.get_absolute_url(), form.fields | {"action": "send"})
    assert answer.status_code == 302, answer.content.decode()[-3000:]


def test_one_number_of_an_order_is_read_by_itself(
    under_way, sandbox, read_order, agent_client, work_off, project
):
    order = read_order(under_way)
    row = order.numbers.get(phone_number=PHONES[3])
    page = agent_client.get(row.get_absolute_url()).content.decode()
    assert "Nowhere else in this desk" in page
    token = page.split("live/?token=")[1].split('"')[0]
    live = reverse("hosting:number_live", args=[order.pk, PHONES[3][1:]])
    assert agent_client.get(live, {"token": token}).status_code == 204
    said = client_of(project).iter_hosting_order_numbers(under_way.id)
    older = {n["phoneNumber"]: dict(n) for n in said}
    left_at = timezone.now()
    sandbox.hosting.do(
        under_way.id, "set", {"numbers": [PHONES[3]], "step": "osrUpdate", "state": "DONE"}
    )
    sandbox.state.calls.clear()
    refresh = reverse("hosting:number_refresh", args=[order.pk, PHONES[3][1:]])
    assert agent_client.post(refresh).status_code == 302
    assert agent_client.get(live, {"token": token}).status_code == 200
    work_off()
    assert dict(sandbox.state.calls) == {"HostingOrderService_GetHostingOrderNumber": 1}
    row.refresh_from_db()
    assert row.osr == "DONE"
    shown = agent_client.get(live, {"token": token}).content.decode()
    assert "Reading" not in shown
    # A reading of the whole order that left before comes in later, and is the older one.
    sync.store_reading(project, order.payload, left_at, numbers=list(older.values()), report={})
    row.refresh_from_db()
    assert row.osr == "DONE"
    # So does an older reading of the number alone.
    assert sync.store_number(order.pk, older[PHONES[3]], left_at, "Late") is False
    row.refresh_from_db()
    assert row.osr == "DONE"


def test_a_number_that_its_order_lost_has_the_order_read(
    under_way, sandbox, read_order, agent_client, work_off
):
    order = read_order(under_way)
    refresh = reverse("hosting:number_refresh", args=[order.pk, PHONES[3][1:]])
    sandbox.faults.add("status", "HostingOrderService_GetHostingOrderNumber", status=404)
    sandbox.state.calls.clear()
    agent_client.post(refresh)
    work_off()
    assert sandbox.state.calls["HostingOrderService_GetHostingOrder"] == 1
    assert agent_client.get(order.get_absolute_url()).status_code == 200


def test_a_number_that_is_on_a_plan_is_unlinked_first_when_sinch_says_so(
    sandbox, read_order, read_imported, agent_client, work_off, settle
):
    sandbox.control.personality(held_import="conflict")
    made = sandbox.hosting.make_order(["+13125550193"], service_plan="plan-a")
    sandbox.hosting.do(made.id, "finish")
    number = read_imported("+13125550193")
    order = read_order(made)
    draft = begin_to_move(agent_client, order)
    send_again(agent_client, draft)
    settle()
    page = agent_client.get(draft.get_absolute_url()).content.decode()
    assert "Unlink first, then send again" in page
    assert f"{number.get_absolute_url()}#unlink" in page
    unlink = reverse("hosting:imported_move", args=[number.pk])
    assert agent_client.post(unlink, {"do": "unlink"}).status_code == 302
    settle()
    sandbox.hosting.do_imported("+13125550193", "step")
    read_imported("+13125550193")
    assert NumberMove.objects.get().state == "done"
    assert sandbox.hosting.link("+13125550193")[0].id == ""
    assert "Unlinked" in agent_client.get(number.get_absolute_url()).content.decode()
    assert agent_client.post(unlink, {"do": "unlink"}).status_code == 409
    page = agent_client.get(draft.get_absolute_url()).content.decode()
    assert "None of its numbers is linked here now" in page
    send_again(agent_client, draft)
    settle()
    assert [o.migrate for o in sandbox.hosting.orders() if o.type == "IMPORT"] == [True]
    assert list(sandbox.violations) == []


def test_one_click_takes_an_order_and_a_line_hands_it_over(
    sandbox, read_order, agent_client, agent, make_agent
):
    order, tom = read_order(sandbox.hosting.make_order(PHONES[:2])), make_agent("tom")
    path = reverse("hosting:owner", args=[order.pk])
    assert agent_client.post(path, {"take": "yes"})["Location"] == order.get_absolute_url()
    order.item.refresh_from_db()
    assert order.item.assignee == agent
    assert agent_client.post(path, {"to": tom.pk, "line": ""}).status_code == 422
    assert agent_client.post(path, {"to": tom.pk, "line": "Owen Marsh calls"}).status_code == 302
    order.item.refresh_from_db()
    assert order.item.assignee == tom


def client_of(project):
    """Return a client of Sinch for the project."""
    from portal.operations import clients

    return clients.hosting_client(project)


@pytest.mark.parametrize("shown", [0, 1])
def test_an_order_keeps_the_numbers_that_were_sent_while_sinch_does_not_show_them_yet(
    shown, agent_client, project, sandbox, typed, work_off, read_order
):
    send(agent_client, typed())
    assert runner.run_one()
    (made,) = sandbox.hosting.orders()
    numbers, made.numbers = made.numbers, made.numbers[:shown]
    work_off()
    order = HostingOrder.objects.get()
    assert order.numbers.count() == 2
    assert "taken out at Sinch" not in agent_client.get(order.get_absolute_url()).content.decode()
    made.numbers = numbers
    assert read_order(made).numbers.count() == 2


def test_held_numbers_are_ours_again_when_sinch_forgets_the_order_that_moves_them(
    under_way, sandbox, read_order, agent_client, work_off
):
    held(sandbox, under_way, PHONES[7])
    order = read_order(under_way)
    send_again(agent_client, begin_to_move(agent_client, order))
    work_off()
    tasks.recompute_due()
    order.item.refresh_from_db()
    assert "being moved" in order.item.reasons[0]["text"]
    assert 'name="seen"' not in agent_client.get(order.get_absolute_url()).content.decode()
    moving = order.follow_ups.get()
    del sandbox.state.hosting.orders[moving.sinch_id]
    assert read_order(moving.sinch_id).gone_at is not None
    tasks.recompute_due()
    order.item.refresh_from_db()
    assert (order.item.reasons[0]["code"], order.item.move) == ("H4", "us")
    assert "held by another provider" in order.item.reasons[0]["text"]
    assert 'name="seen"' in agent_client.get(order.get_absolute_url()).content.decode()


@pytest.mark.parametrize(("state", "is_moving"), [("IN_PROGRESS", True), ("FAILED", False)])
def test_held_numbers_are_not_moved_twice_while_a_completed_order_has_not_moved_them_yet(
    state, is_moving, under_way, sandbox, read_order, agent_client
):
    held(sandbox, under_way, PHONES[7])
    order = read_order(under_way)
    made = sandbox.hosting.make_order([PHONES[7]], type_="IMPORT")
    sandbox.hosting.do(made.id, "complete")
    sandbox.hosting.do(made.id, "set", {"step": "platformProvisioning", "state": state})
    HostingOrder.objects.filter(pk=read_order(made).pk).update(follows=order)
    standing.recompute(order)
    order.item.refresh_from_db()
    assert ("being moved" in order.item.reasons[0]["text"]) is is_moving
    page = agent_client.get(order.get_absolute_url()).content.decode()
    assert ('name="seen"' in page) is not is_moving


def test_a_move_that_is_done_by_one_number_read_alone_is_seen_on_the_order_it_was_for(
    under_way, sandbox, read_order, agent_client, work_off
):
    held(sandbox, under_way, PHONES[7])
    order = read_order(under_way)
    made = sandbox.hosting.make_order([PHONES[7]], type_="IMPORT")
    sandbox.hosting.do(made.id, "complete")
    moving = read_order(made)
    HostingOrder.objects.filter(pk=moving.pk).update(follows=order)
    for step in made.numbers[0].steps:
        sandbox.hosting.do(made.id, "set", {"step": step, "state": "DONE"})
    agent_client.post(reverse("hosting:number_refresh", args=[moving.pk, PHONES[7][1:]]))
    work_off()
    assert moving.numbers.get().verdict == "done"
    tasks.recompute_due()
    order.item.refresh_from_db()
    assert "H4" not in [reason["code"] for reason in order.item.reasons]
