"""Activation through pages and worker: chosen groups, a whole order, many orders, the alarm."""

import re
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from orders import actions_activation as actions
from orders import page_activations as page
from orders.models import PortInOrder
from portal import words
from portal.accounts.models import SinchProject, User
from portal.operations import readings, runner
from portal.operations.models import Operation
from portal.sandbox import Sandbox
from portal.work.models import TimelineEntry, WorkItem
from portal.work.office import first_open_day
from tests.tools import lose

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("porting_client")]
URL = "/orders/activations/"
Run = Callable[[], None]


@pytest.fixture
def settle_now() -> Run:
    """Carry out everything to its end; what waits for its turn has it now."""

    def run() -> None:
        for _ in range(20):
            while runner.run_one() or readings.run_one():
                pass
            waiting = Operation.objects.filter(next_try_at__isnull=False)
            if not waiting.update(next_try_at=timezone.now()):
                return
        raise AssertionError("an operation does not come to its end")

    return run


@pytest.fixture
def read(project: SinchProject, settle_now: Run) -> Callable[[str], PortInOrder]:
    """Have an order read as it is at Sinch now, and return it."""

    def run(sinch_id: str) -> PortInOrder:
        readings.want_one(project, "port_in_order", sinch_id, "staff")
        settle_now()
        return PortInOrder.objects.select_related("item", "project").get(sinch_id=sinch_id)

    return run


@pytest.fixture
def order_with(sandbox: Sandbox, read: Callable[[str], PortInOrder]) -> Callable[..., PortInOrder]:
    """Make an on-demand order at Sinch; `ready` numbers are offered for activation."""

    def make(numbers: list[str], ready: list[str] | None = None, name: str = "") -> PortInOrder:
        made = sandbox.control.create_order(
            numbers, on_demand=True, end_user=name or f"Customer {numbers[0][-4:]}"
        )
        sandbox.control.confirm(made.id, day_over())
        if ready is not None:
            sandbox.control.make_ready(made.id, ready or None)
        return read(str(made.id))

    return make


def day_over() -> date:
    """The last day that is over wherever an order may have its time zone."""
    return first_open_day(timezone.now()) - timedelta(days=1)


def numbers(first: int, count: int = 2, code: str = "206") -> list[str]:
    return [f"+1{code}555{first + n:04d}" for n in range(count)]


@pytest.fixture
def two_groups(order_with: Callable[..., PortInOrder]) -> PortInOrder:
    """An order of two carriers, both offered."""
    order = order_with([*numbers(140), *numbers(150)], ready=[])
    assert len(order.offered_groups) == 2, order.offered_groups
    return order


def picks_of(*orders: PortInOrder) -> list[str]:
    return [f"{order.pk}:{g['key']}" for order in orders for g in order.offered_groups]


def get(client: Client, url: str = URL, **data: Any) -> str:
    answer = client.get(url, data)
    assert answer.status_code == 200
    return answer.content.decode()


# --- One order ------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", ["wrapped", "list"])
@pytest.mark.parametrize("whole", [True, False])
def test_an_order_goes_live_as_a_whole_or_group_by_group(
    agent_client: Client,
    two_groups: PortInOrder,
    sandbox: Sandbox,
    read: Callable[[str], PortInOrder],
    settle_now: Run,
    shape: str,
    whole: bool,
) -> None:
    sandbox.control.personality(activations=shape)
    order = read(two_groups.sinch_id)
    url = reverse("orders:activate", args=[order.pk])
    html = get(agent_client, url)
    assert "Yes, activate the whole order, 4 numbers" in html
    key = str(order.offered_groups[0]["key"])
    form = {"key": "k", "expected": "yes"} | ({"whole": "yes"} if whole else {"group": key})
    for _ in range(2):
        assert agent_client.post(url, form).status_code == 302
    operation = Operation.objects.get(kind="port_in.activate")
    assert [g["key"] for g in operation.payload["groups"]] == ([] if whole else [key])
    settle_now()
    operation.refresh_from_db()
    assert operation.state == "succeeded", operation.staff_message
    sandbox.control.next(order.sinch_id)
    assert read(order.sinch_id).item.live_count == (4 if whole else 2)
    html = get(agent_client, url)
    assert f"{4 if whole else 2} of {4 if whole else 2} live." in html


@pytest.mark.parametrize("other", ["group", "whole"])
def test_what_is_chosen_on_a_page_that_has_activated_a_group_is_activated_or_refused(
    agent_client: Client,
    two_groups: PortInOrder,
    sandbox: Sandbox,
    settle_now: Run,
    other: str,
) -> None:
    url = reverse("orders:activate", args=[two_groups.pk])
    first, second = (str(group["key"]) for group in two_groups.offered_groups)
    form = {"key": "k", "expected": "yes"}
    for _ in range(2):
        assert agent_client.post(url, form | {"group": first}).status_code == 302
        settle_now()
    assert sandbox.state.calls["activatePortIn"] == 1
    # Back in the browser, where the page still has its key.
    more = {"whole": "yes"} if other == "whole" else {"group": second}
    answer = agent_client.post(url, form | more)
    settle_now()
    assert answer.status_code == (422 if other == "whole" else 302)
    assert sandbox.state.calls["activatePortIn"] == (1 if other == "whole" else 2)


@pytest.mark.parametrize(("came_through", "anew"), [(True, False), (False, False), (False, True)])
def test_a_stopped_activation_is_looked_up_beside_a_later_one_of_another_group(
    agent: User,
    two_groups: PortInOrder,
    sandbox: Sandbox,
    settle_now: Run,
    came_through: bool,
    anew: bool,
) -> None:
    first, second = (str(group["key"]) for group in two_groups.offered_groups)
    sandbox.faults.add("drop_after" if came_through else "drop_before", "activatePortIn")
    stopped = actions.activate_groups(two_groups, [first], by=agent)
    assert runner.run_one()
    dead = {"state": "dead", "next_try_at": None, "seen_at": timezone.now() if anew else None}
    Operation.objects.filter(pk=stopped.pk).update(**dead)
    actions.activate_groups(two_groups, [first if anew else second], by=agent)
    assert not anew or runner.take_up(stopped), "one of the same group is on its way"
    settle_now()
    assert bool(runner.take_up(stopped)) == anew
    settle_now()
    stopped.refresh_from_db()
    assert stopped.state == ("dead" if anew else "succeeded"), stopped.staff_message
    sent = 2 if anew or came_through else 3
    assert sandbox.state.calls["activatePortIn"] == sent


def test_an_activation_that_no_key_reads_does_not_keep_its_order_from_being_stored(
    agent_client: Client,
    two_groups: PortInOrder,
    sandbox: Sandbox,
    read: Callable[[str], PortInOrder],
    settle_now: Run,
) -> None:
    url = reverse("orders:activate", args=[two_groups.pk])
    key = str(two_groups.offered_groups[0]["key"])
    agent_client.post(url, {"key": "k", "expected": "yes", "group": key})
    settle_now()
    lose(Operation.objects.get(kind="port_in.activate"), "payload")
    # What it was about is not known, so nothing goes beside it.
    assert "One is; each number counts as live" in get(agent_client, url)
    assert get(agent_client, URL)
    sandbox.control.next(two_groups.sinch_id)
    assert read(two_groups.sinch_id).item.live_count == 2


def test_a_box_left_empty_is_told_beside_it_and_the_chosen_groups_stay(
    agent_client: Client, two_groups: PortInOrder
) -> None:
    url = reverse("orders:activate", args=[two_groups.pk])
    html, box = get(agent_client, url), r'name="group" value="[^"]*" id="choice-\w+" checked'
    assert re.search(r"<form[^>]*data-once novalidate>", html)
    assert len(re.findall(box, html)) == 2
    key = str(two_groups.offered_groups[0]["key"])
    answer = agent_client.post(url, {"key": "k", "group": key})
    assert answer.status_code == 422
    html = answer.content.decode()
    assert re.search(r'id="expected" [^>]*aria-describedby="expected-error" data-focus', html)
    assert re.search(r'id="expected-error">.*Tick that the customer expects it now\.</span>', html)
    assert "Nothing was sent" not in html
    assert len(re.findall(box, html)) == 1
    assert not Operation.objects.filter(kind="port_in.activate").exists()


def test_nothing_ticked_keeps_the_list_and_says_so_beside_the_button(
    agent_client: Client, three: list[PortInOrder]
) -> None:
    html = get(agent_client, ask="1")
    assert 'name="pick"' in html
    bar = html[html.index('id="activate-bar"') :]
    assert re.search(r'tabindex="-1" data-focus>.*Tick an order first\.', bar)
    assert "Tick an order first." not in get(agent_client)


def test_an_order_does_not_go_as_a_whole_while_a_group_is_not_offered(
    agent_client: Client, agent: User, order_with: Callable[..., PortInOrder]
) -> None:
    order = order_with([*numbers(140), *numbers(150)], ready=numbers(140))
    url = reverse("orders:activate", args=[order.pk])
    html = get(agent_client, url)
    assert "whole order" not in html
    assert "2 numbers stay for later." in html
    answer = agent_client.post(url, {"key": "k", "expected": "yes", "whole": "yes"})
    assert answer.status_code == 422
    assert "Sinch does not offer 2 numbers yet." in answer.content.decode()
    assert not Operation.objects.filter(kind="port_in.activate").exists()


def test_routing_is_told_and_required_of_nobody(
    agent_client: Client, two_groups: PortInOrder
) -> None:
    payload = PortInOrder.objects.get(pk=two_groups.pk).payload
    for position, entry in enumerate(payload["phoneNumbers"][:2]):
        entry["voiceConfiguration"] = {"type": "EST", "trunkId": "01HX0TRUNK"}
        if position == 0:
            entry["smsConfiguration"] = {"smsAppId": "app-1"}
    PortInOrder.objects.filter(pk=two_groups.pk).update(payload=payload)
    html = get(agent_client, reverse("orders:activate", args=[two_groups.pk]))
    assert "Voice routing set for 2 of 2, SMS for 1" in html
    assert "Not required. 1 number will have voice only." in html
    assert "Voice and SMS routing set for 0 of 2" in html
    assert "Not required. 2 numbers will have neither voice nor texts." in html
    assert "Yes, activate the chosen groups" in html


def test_routing_that_sinch_shows_as_null_is_none(
    agent_client: Client, two_groups: PortInOrder
) -> None:
    payload = PortInOrder.objects.get(pk=two_groups.pk).payload
    for entry in payload["phoneNumbers"]:
        entry["voiceConfiguration"] = {"type": None, "appId": None}
        entry["smsConfiguration"] = {"smsAppId": None}
    PortInOrder.objects.filter(pk=two_groups.pk).update(payload=payload)
    html = get(agent_client, reverse("orders:activate", args=[two_groups.pk]))
    assert html.count("Voice and SMS routing set for 0 of 2") == 2


def test_a_group_that_somebody_unticked_stays_so_when_the_page_changes(
    agent_client: Client, two_groups: PortInOrder
) -> None:
    html = get(agent_client, reverse("orders:activate", args=[two_groups.pk]))
    ids = re.findall(
        r'name="group" value="[^"]+" id="(choice-[0-9a-f]{8})" checked hx-preserve', html
    )
    assert len(set(ids)) == 2, "a box is kept by what it stands for, not by its place"


@pytest.mark.parametrize("shape", ["wrapped", "list"])
def test_a_group_whose_date_has_moved_away_is_not_offered_any_more(
    agent_client: Client,
    order_with: Callable[..., PortInOrder],
    sandbox: Sandbox,
    read: Callable[[str], PortInOrder],
    shape: str,
) -> None:
    sandbox.control.personality(activations=shape)
    order = order_with(numbers(140), ready=[])
    assert order.item.bucket == "ready"
    sandbox.control.move_foc_date(order.sinch_id, day_over() + timedelta(days=7))
    order = read(order.sinch_id)
    assert (order.item.bucket, order.item.first_reason["code"]) == ("us", "P5")
    key = str(order.offered_groups[0]["key"]) if order.offered_groups else "gone"
    form = {"key": "k", "expected": "yes", "group": key}
    assert agent_client.post(reverse("orders:activate", args=[order.pk]), form).status_code == 422


# --- Many orders ----------------------------------------------------------------------------


@pytest.fixture
def three(order_with: Callable[..., PortInOrder]) -> list[PortInOrder]:
    """Two orders that are ready and one whose date has come without an offer."""
    return [
        order_with(numbers(110), ready=[], name="Pinecrest Veterinary Clinic"),
        order_with(numbers(120, 3), ready=[], name="Copper Kettle Bakery"),
        order_with(numbers(130), name="Lakemont Cycles"),
    ]


def test_the_page_lists_what_can_go_and_what_cannot_with_its_reason(
    agent_client: Client, three: list[PortInOrder]
) -> None:
    html = get(agent_client)
    assert "2 orders, 5 numbers can go live now." in html
    assert "1 order is due and cannot yet" in html
    for order in three:
        assert order.item.end_user in html
    assert "Sinch does not offer it yet, asked" in html
    assert html.count('type="checkbox" name="pick"') == 2
    ticked = re.compile(r'name="pick" value="[^"]+" checked')
    assert not ticked.search(html), "nothing is ticked for anybody"
    everything = get(agent_client, all="yes")
    assert len(ticked.findall(everything)) == 2
    assert "Activate 2 orders, 5 numbers…" in everything


def test_the_bar_says_what_the_ticks_come_to(
    agent_client: Client, three: list[PortInOrder]
) -> None:
    answer = agent_client.get(URL, {"pick": picks_of(three[1])}, headers={"HX-Request": "true"})
    html = answer.content.decode()
    assert html.lstrip().startswith('<div class="panel-foot row" id="activate-bar">')
    assert "Activate 1 order, 3 numbers…" in html


def test_many_orders_are_read_back_sent_one_by_one_and_go_live(
    agent_client: Client,
    three: list[PortInOrder],
    sandbox: Sandbox,
    read: Callable[[str], PortInOrder],
    settle_now: Run,
) -> None:
    picks = picks_of(*three)
    html = get(agent_client, ask="1", pick=picks)
    assert "Activate 2 orders, 5 numbers now?" in html
    form = {"pick": picks, "key": "batch-1"}
    unasked = agent_client.post(URL, form)
    assert unasked.status_code == 422
    assert "Tick that the customers expect it now." in unasked.content.decode()
    assert 'name="key" value="batch-1"' in unasked.content.decode()
    assert not Operation.objects.filter(kind="port_in.activate").exists()
    for _ in range(2):
        answer = agent_client.post(URL, form | {"expected": "yes"})
        assert answer.status_code == 302
    assert Operation.objects.filter(kind="port_in.activate").count() == 2
    html = get(agent_client, answer["Location"])
    assert "0 of 2 orders accepted" in html
    assert "Waiting to go" in html
    live = re.search(r'hx-get="(/orders/activations/live/[^"]+)"', html)
    assert live
    live_url = live[1].replace("&amp;", "&")
    assert agent_client.get(live_url).status_code == 204
    settle_now()
    changed = agent_client.get(live_url)
    assert changed.status_code == 200
    assert "2 of 2 orders accepted. 0 of 5 numbers live." in changed.content.decode()
    for order in three[:2]:
        sandbox.control.next(order.sinch_id)
        read(order.sinch_id)
    html = get(agent_client, answer["Location"])
    assert "5 of 5 numbers live." in html
    assert "data-poll" not in html[html.index('id="outcome"') :].split(">")[0]
    told = TimelineEntry.objects.filter(text__contains="Activation of").values_list("by__username")
    assert {name for (name,) in told if name} == {"dana"}


def test_one_that_is_not_ready_any_more_leaves_the_others_alone_and_can_be_tried_again(
    agent_client: Client, three: list[PortInOrder], agent: User, settle_now: Run
) -> None:
    picks = picks_of(three[0], three[1])
    group = three[1].offered_groups[0] | {"focDate": "2999-01-01"}
    PortInOrder.objects.filter(pk=three[1].pk).update(offered_groups=[group])
    asked = get(agent_client, ask="1", pick=picks)
    assert "These cannot go now and are left out:" in asked
    assert "Activate 1 order, 2 numbers now?" in asked
    form = {"pick": picks, "key": "batch-2", "expected": "yes"}
    answer = agent_client.post(URL, form)
    settle_now()
    html = get(agent_client, answer["Location"])
    assert "1 of 2 orders accepted, 1 not sent." in html
    assert "Its FOC date is Tue 1 Jan 2999; not before." in html, "why it was not sent"
    again = re.search(r'href="([^"]+)">Try the 1 that failed again…', html)
    assert again
    again_url = again[1].replace("&amp;", "&")
    assert "None of these can go now" in get(agent_client, again_url)
    group["focDate"] = timezone.localdate().isoformat()
    PortInOrder.objects.filter(pk=three[1].pk).update(offered_groups=[group])
    assert "Activate 1 order, 3 numbers now?" in get(agent_client, again_url)


def test_a_refusal_of_sinch_is_told_in_its_row_and_only_that_one_is_tried_again(
    agent_client: Client, three: list[PortInOrder], sandbox: Sandbox, settle_now: Run
) -> None:
    # Sinch has changed its mind about the second one; the desk does not know yet.
    tomorrow = timezone.localdate() + timedelta(days=1)
    sandbox.control.move_foc_date(three[1].sinch_id, tomorrow)
    form = {"pick": picks_of(three[0], three[1]), "key": "batch-3", "expected": "yes"}
    answer = agent_client.post(URL, form)
    settle_now()
    states = dict(Operation.objects.filter(kind="port_in.activate").values_list("target", "state"))
    assert states == {three[0].target: "succeeded", three[1].target: "refused"}
    html = get(agent_client, answer["Location"])
    assert "1 of 2 orders accepted, 1 refused." in html
    again = re.search(r'href="([^"]+)">Try the 1 that failed again…', html)
    assert again
    assert f"pick={three[1].pk}" in again[1]
    assert f"pick={three[0].pk}" not in again[1]


def test_a_form_cut_off_half_way_goes_on_where_it_was(
    agent_client: Client, three: list[PortInOrder], agent: User
) -> None:
    key = str(three[0].offered_groups[0]["key"])
    actions.activate_groups(three[0], [key], by=agent, key="cut")
    form = {"pick": picks_of(three[0], three[1]), "key": "cut", "expected": "yes"}
    agent_client.post(URL, form)
    targets = Operation.objects.filter(kind="port_in.activate").values_list("target", flat=True)
    assert sorted(targets) == sorted([three[0].target, three[1].target])


@pytest.mark.parametrize(
    ("picks", "said"),
    [([], "Tick an order first."), ([f"{n}:1" for n in range(1, 60)], "At most 50 orders go")],
)
def test_nothing_and_too_much_are_refused(
    agent_client: Client, project: SinchProject, picks: list[str], said: str
) -> None:
    answer = agent_client.post(URL, {"pick": picks, "key": "k", "expected": "yes"})
    assert answer.status_code == 422
    assert said in answer.content.decode()


@pytest.mark.parametrize(
    "texts", [["x"], ["x:a"], [":"], ["17:"], ["-1:a"], ["1\x00:a\x00"], ["9" * 40 + ":a"], ["٣:a"]]
)
def test_ticks_that_no_page_has_sent_do_no_harm(
    agent_client: Client, project: SinchProject, texts: list[str]
) -> None:
    assert agent_client.get(URL, {"pick": texts, "ask": "1"}).status_code == 200
    assert agent_client.get(URL, {"pick": texts, "batch": "b\x00" * 99}).status_code == 200
    live = agent_client.get(reverse("orders:activations_live"), {"pick": texts, "batch": "b"})
    assert live.status_code == 200
    assert agent_client.post(URL, {"pick": texts, "expected": "yes"}).status_code in (302, 422)
    assert not Operation.objects.exists()


def test_readers_look_and_strangers_sign_in(
    make_agent: Callable[..., User], client: Client, three: list[PortInOrder]
) -> None:
    assert client.get(URL).status_code == 302
    assert client.get(reverse("orders:activations_live")).status_code == 302
    reader = Client()
    reader.force_login(
        make_agent("rhea"), backend="portal.accounts.backends.EmailOrUsernameBackend"
    )
    html = get(reader)
    assert "Sending to Sinch needs the agent role." in html
    form = {"pick": picks_of(three[0]), "key": "k", "expected": "yes"}
    assert reader.post(URL, form).status_code == 403
    assert not Operation.objects.filter(kind="port_in.activate").exists()


def test_asking_sinch_again_wants_every_listed_order_read(
    agent_client: Client, three: list[PortInOrder], sandbox: Sandbox, settle_now: Run
) -> None:
    sandbox.control.reset_calls()
    assert agent_client.post(reverse("orders:activations_refresh")).status_code == 302
    settle_now()
    assert sandbox.control.calls()["getPortInAvailableActivation"] == 3


def test_the_number_of_statements_does_not_grow_with_the_orders(
    agent_client: Client, order_with: Callable[..., PortInOrder], settle_now: Run
) -> None:
    def statements(url: str) -> int:
        agent_client.get(url)
        with CaptureQueriesContext(
            connection,
        ) as caught:
            assert agent_client.get(url).status_code == 200
        return len(caught)

    def send(orders: list[PortInOrder], key: str) -> str:
        form = {"pick": picks_of(*orders), "key": key, "expected": "yes"}
        return str(agent_client.post(URL, form)["Location"]).partition("#")[0]

    few = [order_with(numbers(100 + 10 * n), ready=[]) for n in range(2)]
    listed = statements(URL)
    sent = statements(send(few, "few"))
    many = [order_with(numbers(100 + 10 * n, code="425"), ready=[]) for n in range(6)]
    assert statements(URL) == listed <= 9
    assert statements(send([*many], "many")) == sent <= 12


# --- The alarm ------------------------------------------------------------------------------


def test_a_foc_date_that_passed_is_loud_until_the_numbers_are_live(
    agent_client: Client,
    three: list[PortInOrder],
    sandbox: Sandbox,
    read: Callable[[str], PortInOrder],
    settle_now: Run,
) -> None:
    ready, _, late = three  # all for a day that is over; the last one is not even offered
    html = get(agent_client, "/")
    assert "3 orders are past the FOC date and not live" in html
    alarm = html[html.index('id="alarm"') : html.index("To the activations")]
    assert "Lakemont Cycles" in alarm
    days = words.count_text((timezone.localdate() - day_over()).days, "day")
    assert f"{days} late" in alarm
    assert "nobody owns it" in alarm
    order_html = get(agent_client, late.get_absolute_url())
    ago = words.count_text((actions.today_there(late) - day_over()).days, "day")
    assert f"passed {ago} ago" in order_html
    assert "Sinch does not offer them" in order_html
    assert 'class="btn" href="/orders/' in get(agent_client, ready.get_absolute_url())
    for order in three:
        sandbox.control.activate(order.sinch_id)
        read(order.sinch_id)
    assert "past the FOC date" not in get(agent_client, "/")
    assert "passed 1 day ago" not in get(agent_client, late.get_absolute_url())


def test_an_order_is_not_late_on_its_own_day(
    agent_client: Client, three: list[PortInOrder]
) -> None:
    WorkItem.objects.filter(pk=three[0].item_id).update(foc_date=timezone.localdate())
    assert "2 orders are past the FOC date" in get(agent_client, "/")
    assert 'id="alarm" hidden' in get(agent_client, three[0].get_absolute_url())


def test_a_colleagues_late_orders_are_loud_to_supervisors_only(
    agent_client: Client, make_agent: Callable[..., User], three: list[PortInOrder]
) -> None:
    WorkItem.objects.update(assignee=make_agent("tom"))
    assert "past the FOC date" not in get(agent_client, "/")
    supervisor = Client()
    supervisor.force_login(
        make_agent("mara", "manage_project"),
        backend="portal.accounts.backends.EmailOrUsernameBackend",
    )
    assert "3 orders are past the FOC date" in get(supervisor, "/")


def test_picks_survive_the_way_through_the_address() -> None:
    picks = {17: ["GW Lumen: Grp1", "é&="], 3: ["77"]}
    query = page.picks_query(picks, ask="1")
    assert page.read_picks(parse_qs(urlsplit(query).query)["pick"]) == picks
