"""The walks through Sinch's lists, and the searches in them."""

import re

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from hosting import overview, sync, tasks
from hosting.models import Combination, HostingOrder, ImportedNumber, QualifiedNumber
from portal.accounts.models import SinchProject
from portal.operations import clients, readings
from portal.operations.models import Reading
from tests.hosting.tools import PHONE
from tests.tools import lose

pytestmark = pytest.mark.django_db


def test_the_walk_finds_what_was_made_elsewhere(project, sandbox, work_off, agent_client):
    made = sandbox.hosting.make_order([PHONE], service_plan="plan-x", campaign="CABC123")
    sandbox.hosting.add_imported("+12065550150", "plan-x", "CABC123")
    sandbox.hosting.add_qualified("+12065550151", "VERIFIED")
    page = reverse("hosting:overview")
    typed = {"plan": "plan-x", "campaign": "CABC123", "name": "Clinics"}
    assert agent_client.post(page, typed).status_code == 302
    work_off()
    assert HostingOrder.objects.get().sinch_id == made.id
    assert ImportedNumber.objects.get().phone_number == "+12065550150"
    assert QualifiedNumber.objects.get().phone_number == "+12065550151"
    picture = overview.picture_of(project)
    assert (picture.never, picture.failing) == (0, 0)
    html = agent_client.get(page).content.decode()
    assert "Clinics" in html
    # What changes without an event is seen by the next walk.
    sandbox.hosting.do(made.id, "finish")
    overview.want_walks(project)
    work_off()
    assert HostingOrder.objects.get().state == "COMPLETED"


class Moving(dict):
    """Qualified numbers, one of which is verified once the first list was asked for."""

    lists = 0

    def values(self):
        if self.lists:
            self[PHONE].state = "VERIFIED"
        self.lists += 1
        return super().values()


def test_a_number_that_moves_between_the_lists_of_a_walk_has_the_state_of_the_later_one(
    project, sandbox, work_off
):
    sandbox.hosting.add_qualified(PHONE, "ELIGIBLE_CHECK_PENDING")
    sandbox.state.hosting.qualified = Moving(sandbox.state.hosting.qualified)
    readings.want_one(project, overview.WALK_READER, overview.QUALIFIED, "staff")
    work_off()
    assert QualifiedNumber.objects.get().state == "VERIFIED"


def test_a_project_whose_secret_no_key_reads_keeps_no_other_from_being_walked(project, work_off):
    other = SinchProject.objects.create(name="A", project_id="other", key_id="k", key_secret="s")
    lose(other, "key_secret")
    tasks.walk()
    work_off()
    walks = Reading.objects.filter(kind=overview.WALK_READER)
    assert dict(walks.values_list("project__name", "last_error")) == {
        project.name: "",
        "A": clients.KEY_LOST,
    }


@pytest.fixture
def reader_client(make_agent):
    """A client in which somebody without any rights is signed in."""
    client = Client()
    client.force_login(
        make_agent("robin"), backend="portal.accounts.backends.EmailOrUsernameBackend"
    )
    return client


SEARCH = {"plan": "plan-x", "campaign": "CABC123", "where": "CONTAIN", "digits": "0142"}


def test_a_search_at_sinch_brings_numbers_and_the_plan_is_walked_from_then_on(
    project, sandbox, work_off, agent_client
):
    sandbox.hosting.add_imported(PHONE, "plan-x", "CABC123")
    assert agent_client.post(reverse("hosting:imported_numbers"), SEARCH).status_code == 302
    work_off()
    assert ImportedNumber.objects.get().phone_number == PHONE
    assert Combination.objects.get().service_plan_id == "plan-x"


def test_whoever_may_not_send_searches_only_in_plans_that_the_desk_knows(
    project, sandbox, work_off, reader_client
):
    sandbox.hosting.add_imported(PHONE, "plan-x", "CABC123")
    address = reverse("hosting:imported_numbers")
    answer = reader_client.post(address, SEARCH)
    assert answer.status_code == 422
    assert "adding them needs the agent role" in answer.content.decode()
    assert not Combination.objects.exists()
    sync.remember_pair(project, "plan-x", "CABC123")
    assert reader_client.post(address, SEARCH).status_code == 302
    work_off()
    assert ImportedNumber.objects.get().phone_number == PHONE


def test_a_plan_that_was_typed_wrong_is_taken_out_and_not_asked_for_any_more(
    project, sandbox, agent_client, reader_client, imported, work_off
):
    address = reverse("hosting:overview")
    agent_client.post(address, {"plan": "plan-aa", "campaign": "C3O8OGA"})
    work_off()
    wrong, used = Combination.objects.order_by("-service_plan_id")
    assert (wrong.service_plan_id, used.service_plan_id) == ("plan-aa", "plan-a")
    page = agent_client.get(address).content.decode()
    assert f'name="forget" value="{wrong.pk}"' in page
    assert f'name="forget" value="{used.pk}"' not in page
    assert reader_client.post(address, {"forget": wrong.pk}).status_code == 403
    for key in (used.pk, "x", "9" * 30, ""):
        agent_client.post(address, {"forget": key})
    assert Combination.objects.count() == 2
    told = agent_client.post(address, {"forget": wrong.pk}, follow=True).content.decode()
    assert "Sinch is not asked for it any more" in told
    assert Combination.objects.get() == used
    sandbox.state.calls.clear()
    overview.want_walks(project)
    work_off()
    assert sandbox.state.calls["HostingOrderService_ListHostingOrders"] == 12


def test_whoever_may_not_send_adds_no_plan(project, reader_client):
    address = reverse("hosting:overview")
    answer = reader_client.post(address, {"plan": "plan-x", "campaign": "CABC123"})
    assert answer.status_code == 403
    assert "needs the agent role" in answer.content.decode()
    assert not Combination.objects.exists()
    assert reader_client.get(address).status_code == 200


def test_the_walk_reads_an_order_that_nobody_has_ever_meant_to_read(
    project, sandbox, work_off, hosting_client
):
    """A row can be there without a reading of it; its numbers would never come."""

    made = sandbox.hosting.make_order([PHONE], service_plan="plan-x", campaign="CABC123")
    sync.store_reading(project, hosting_client.get_hosting_order(made.id), timezone.now())
    order = HostingOrder.objects.get()
    assert (order.numbers.count(), order.numbers_read_at) == (0, None)
    overview.want_walks(project)
    work_off()
    assert order.numbers.get().phone_number == PHONE


def test_the_walk_reads_the_numbers_that_have_left_the_list_of_their_plan(
    project, sandbox, work_off
):
    """Nobody but the walk reads a number that was made elsewhere."""
    for phone in (PHONE, "+12065550143", "+12065550144"):
        sandbox.hosting.add_imported(phone, "plan-x", "CABC123")
    sync.remember_pair(project, "plan-x", "CABC123")
    overview.want_walks(project)
    work_off()
    assert ImportedNumber.objects.filter(service_plan_id="plan-x", gone_at=None).count() == 3
    del sandbox.state.hosting.imported[PHONE]
    sandbox.state.hosting.imported["+12065550143"].plan.id = "plan-y"
    sandbox.state.calls.clear()
    overview.want_walks(project)
    work_off()
    found = {number.phone_number: number for number in ImportedNumber.objects.all()}
    assert found[PHONE].gone_at is not None
    assert found["+12065550143"].service_plan_id == "plan-y"
    assert found["+12065550144"].service_plan_id == "plan-x"
    assert sandbox.state.calls["ImportNumberService_GetImportedNumber"] == 2, "and no other"


def test_a_search_that_sinch_refuses_is_not_asked_for_ever(
    project, sandbox, work_off, agent_client
):
    sandbox.faults.add("status", "ImportNumberService_ListImportedNumbers", status=400, times=None)
    assert agent_client.post(reverse("hosting:imported_numbers"), SEARCH).status_code == 302
    work_off()
    assert not Reading.objects.filter(
        kind=overview.SEARCH_READER, next_try_at__isnull=False
    ).exists()
    assert Combination.objects.get().trouble


def test_numbers_of_a_pair_that_sinch_lists_no_more_are_read_by_themselves(
    project, sandbox, work_off
):
    sandbox.hosting.add_imported(PHONE, "plan-x", "CABC123")
    sync.remember_pair(project, "plan-x", "CABC123")
    overview.want_walks(project)
    work_off()
    assert ImportedNumber.objects.get().gone_at is None
    del sandbox.state.hosting.imported[PHONE]
    lists = "HostingOrderService_ListHostingOrders"
    sandbox.faults.add("status", lists, status=400, times=None)
    overview.want_walks(project)
    work_off()
    assert Combination.objects.get().trouble
    assert ImportedNumber.objects.get().gone_at is not None


class NoDigits(str):
    """What stands for a number in an odd entry of Sinch's; every search comes upon it."""

    __slots__ = ()

    def __contains__(self, digits):
        return True


ODD = "Sinch answered in a way the portal does not understand"


@pytest.mark.parametrize("odd", ["", " - ", "anonymous"])
def test_an_imported_number_without_its_digits_is_told_and_keeps_no_other_from_being_stored(
    odd, project, sandbox, work_off, agent_client
):
    def walk():
        overview.want_walks(project)
        work_off()
        return agent_client.get(reverse("hosting:overview")).content.decode()

    phones = [PHONE, "+12065550143", "+12065550144"]
    first, _, last = (sandbox.hosting.add_imported(p, "plan-x", "CABC123") for p in phones)
    sync.remember_pair(project, "plan-x", "CABC123")
    assert ODD not in walk()
    first.phone_number = odd
    last.display_name = "Front desk"
    del sandbox.state.hosting.imported[phones[1]]
    assert ODD in walk()
    found = {number.phone_number: number for number in ImportedNumber.objects.all()}
    assert found.keys() == set(phones)
    assert found[phones[2]].display_name == "Front desk"
    # What the list does not show is gone only when its own reading says so.
    assert [found[phone].gone_at is None for phone in phones] == [True, False, True]
    first.phone_number = PHONE
    assert ODD not in walk()


@pytest.mark.parametrize("odd", [None, "", " - ", "anonymous"])
def test_a_qualified_number_without_its_digits_is_told_and_keeps_no_list_from_being_stored(
    odd, project, sandbox, work_off
):
    sandbox.hosting.add_qualified("+12065550100", "ELIGIBLE").phone_number = odd
    sandbox.hosting.add_qualified(PHONE, "ELIGIBLE")
    sandbox.hosting.add_qualified("+12065550143", "VERIFIED")
    readings.want_one(project, overview.WALK_READER, overview.QUALIFIED, "staff")
    work_off()
    found = QualifiedNumber.objects.values_list("phone_number", "state")
    assert dict(found) == {PHONE: "ELIGIBLE", "+12065550143": "VERIFIED"}
    assert ODD in Reading.objects.get(kind=overview.WALK_READER).last_error


def test_a_search_that_comes_upon_a_number_without_its_digits_stores_the_others_and_ends(
    project, sandbox, work_off, agent_client
):
    sandbox.hosting.add_imported("+12065550143", "plan-x", "CABC123").phone_number = NoDigits()
    sandbox.hosting.add_imported(PHONE, "plan-x", "CABC123")
    agent_client.post(reverse("hosting:imported_numbers"), SEARCH)
    assert readings.run_one()
    assert ImportedNumber.objects.get().phone_number == PHONE
    assert not Reading.objects.filter(
        kind=overview.SEARCH_READER, next_try_at__isnull=False
    ).exists()
    assert ODD in Combination.objects.get().trouble


def test_what_is_there_of_hosting_is_counted_up_to_a_thousand(project, agent_client):
    now = timezone.now()
    for model, quantity in ((ImportedNumber, 1001), (QualifiedNumber, 1000)):
        rows = (
            model(project=project, phone_number=f"+1206555{place:04}", fetched_at=now)
            for place in range(quantity)
        )
        model.objects.bulk_create(rows)
    page = agent_client.get(reverse("hosting:overview")).content.decode()
    assert re.findall(r'class="big">([^<]*)<', page) == ["0", "1,000+", "1,000"]


@pytest.mark.parametrize("odd", ["", "o" * 65])
def test_an_order_that_is_listed_without_an_id_to_ask_for_is_told_and_keeps_no_other_waiting(
    odd, project, sandbox, work_off, agent_client
):
    sandbox.hosting.make_order([PHONE], service_plan="plan-x", campaign="CABC123").id = odd
    made = sandbox.hosting.make_order(["+12065550143"], service_plan="plan-x", campaign="CABC123")
    sandbox.hosting.add_imported(PHONE, "plan-x", "CABC123")
    sync.remember_pair(project, "plan-x", "CABC123")
    overview.want_walks(project)
    work_off()
    assert HostingOrder.objects.get().sinch_id == made.id
    assert ImportedNumber.objects.get().phone_number == PHONE
    assert ODD in agent_client.get(reverse("hosting:overview")).content.decode()


def test_a_pair_that_cannot_be_read_tells_why_while_it_is_tried_again(
    project, sandbox, hosting_client, agent_client
):
    sync.remember_pair(project, "plan-x", "CABC123")
    lists = "HostingOrderService_ListHostingOrders"
    sandbox.faults.add("status", lists, status=403, times=None)
    overview.want_walks(project)
    page = agent_client.get(reverse("hosting:overview")).content.decode()
    assert "Being read" in page
    while readings.run_one():
        pass
    page = agent_client.get(reverse("hosting:overview")).content.decode()
    assert "1 pair could not be read." in page
    assert "This access key may not use this Sinch project." in page
    assert "Being read" not in page
