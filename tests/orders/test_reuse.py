"""What was typed once and is used again: copies of orders, end users and routings kept."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from orders import profiles, sync
from orders.models import EndUserProfile, PortInDraft, PortInOrder, RoutingPreset
from portal.accounts.models import SinchProject, User
from tests.tools import lose

pytestmark = pytest.mark.django_db

PIN, NEW_PIN, ACCOUNT = "482193", "771204", "206-555-0142-031"
SAVED = "/orders/saved/"
ADDRESS = {
    "street_num": "88",
    "street": "Pike St",
    "unit": "Suite 210",
    "city": "Seattle",
    "state": "WA",
    "zip": "98101",
}
BOOKS = {"name": "Pike Street Books LLC", "service": "B", **ADDRESS, "signer": "Ada Renner"}


@pytest.fixture
def order(project: SinchProject, order_json: Callable[..., dict[str, Any]]) -> PortInOrder:
    """An order of two numbers, one of which has a name of its own, with secrets in our store."""
    own = {"name": "Harborview Annex", "streetNum": "1420", "streetName": "Alder"}
    own |= {"city": "Seattle", "state": "WA", "zipCode": "98101", "typeOfService": "B"}
    payload = order_json(
        {
            "+12065550140": {
                "voiceConfiguration": {"type": "EST", "trunkId": "01HX0TRUNK"},
                "smsConfiguration": {"smsAppId": "harbor-sms"},
            },
            "+12065550141": {"endUser": own},
        }
    )
    secrets = {"existingPortOutPin": PIN, "accountNum": ACCOUNT, "newPortOutPin": NEW_PIN}
    stored = sync.store_reading(project, payload, sync.timezone.now()).order
    PortInOrder.objects.filter(pk=stored.pk).update(
        secrets=dict.fromkeys(("+12065550140", "+12065550141"), secrets)
    )
    return PortInOrder.objects.get(pk=stored.pk)


@pytest.fixture
def reader_client(make_agent: Any) -> Client:
    client, backend = Client(), "portal.accounts.backends.EmailOrUsernameBackend"
    client.force_login(make_agent("rosa"), backend=backend)
    return client


@pytest.fixture
def books(project: SinchProject, agent: User) -> EndUserProfile:
    return EndUserProfile.objects.create(
        project=project, name="Pike Street Books", data=BOOKS | {"account": ACCOUNT}, by=agent
    )


def html_of(client: Client, url: str) -> str:
    answer = client.get(url)
    assert answer.status_code == 200, answer.status_code
    return str(answer.content.decode())


# --- Copies -------------------------------------------------------------------------------------


def test_the_details_of_an_order_become_a_new_draft(
    agent_client: Client, order: PortInOrder
) -> None:
    url = f"/orders/{order.pk}/copy/"
    assert url in html_of(agent_client, order.get_absolute_url())
    html = html_of(agent_client, url)
    assert "With its 2 numbers" in html
    key = re.search(r'name="key" value="([^"]+)"', html)
    assert key
    for _ in range(2):
        answer = agent_client.post(url, {"what": "details", "key": key[1]})
        assert answer["Location"] == f"/orders/drafts/{key[1]}/"
    draft = PortInDraft.objects.get()
    assert draft.follows == order
    assert draft.field("follows_kind") == "copy"
    assert draft.field("name") == draft.title == "Harborview Dental LLC"
    assert (draft.field("street_num"), draft.field("city")) == ("1420", "Seattle")
    assert draft.field("account") == ACCOUNT
    assert (draft.field("voice"), draft.field("voice_id")) == ("EST", "01HX0TRUNK")
    assert draft.field("sms_app") == "harbor-sms"
    assert (draft.field("port_time"), draft.field("port_zone")) == ("09:00", "US/Pacific")
    for name in ("numbers", "pin", "new_pin", "overrides", "reference", "port_date", "signed_on"):
        assert not draft.field(name), name
    html = html_of(agent_client, draft.get_absolute_url())
    assert 'value="Harborview Dental LLC"' in html
    assert ACCOUNT not in html


def test_with_its_numbers_everything_is_copied_but_the_date_and_the_reference(
    agent_client: Client, order: PortInOrder
) -> None:
    agent_client.post(f"/orders/{order.pk}/copy/", {"what": "numbers"})
    draft = PortInDraft.objects.get()
    assert draft.field("numbers").splitlines() == ["+1 206 555 0140", "+1 206 555 0141"]
    assert (draft.field("pin"), draft.field("account")) == (PIN, ACCOUNT)
    (own,) = draft.field("overrides")
    assert (own["number"], own["name"]) == ("+12065550141", "Harborview Annex")
    assert not draft.field("reference")
    assert not draft.field("port_date")
    html = html_of(agent_client, draft.get_absolute_url())
    assert "A PIN is saved." in html
    assert PIN not in html
    assert "Already in" in html  # both still stand in the old order


def test_only_agents_copy(reader_client: Client, order: PortInOrder) -> None:
    url = f"/orders/{order.pk}/copy/"
    assert reader_client.get(url).status_code == 403
    assert reader_client.post(url).status_code == 403
    assert url not in html_of(reader_client, order.get_absolute_url())
    assert Client().get(url)["Location"].startswith("/sign-in/")
    assert not PortInDraft.objects.exists()


def test_an_order_that_is_not_there_cannot_be_copied(agent_client: Client) -> None:
    assert agent_client.get("/orders/999/copy/").status_code == 404


# --- The page of what is kept -------------------------------------------------------------------


def test_an_end_user_is_kept_changed_renamed_and_deleted(
    agent_client: Client, project: SinchProject
) -> None:
    assert "No end user is saved yet." in html_of(agent_client, SAVED)
    url = f"{SAVED}end-users/new/"
    answer = agent_client.post(url, BOOKS | {"title": " Pike  Street ", "account": ACCOUNT})
    assert answer.status_code == 302, answer.content.decode()
    kept = EndUserProfile.objects.get()
    assert kept.name == "Pike Street"
    assert kept.data == BOOKS | {"account": ACCOUNT}
    html = html_of(agent_client, SAVED)
    assert "88 Pike St, Suite 210, Seattle, WA 98101 · ••••-031 · Ada Renner" in html
    page = f"{SAVED}end-users/{kept.pk}/"
    html = html_of(agent_client, page)
    assert 'value="Pike Street Books LLC"' in html
    assert ACCOUNT not in html
    agent_client.post(page, BOOKS | {"title": "Books", "city": "Tacoma", "btn": "206 555 0142"})
    kept.refresh_from_db()
    assert kept.name == "Books"
    assert (kept.data["city"], kept.data["btn"]) == ("Tacoma", "+12065550142")
    assert kept.data["account"] == ACCOUNT  # left empty, so it stays
    agent_client.post(page, BOOKS | {"title": "Books", "account_remove": "1"})
    kept.refresh_from_db()
    assert "account" not in kept.data
    assert "Delete Books?" in html_of(agent_client, page)
    agent_client.post(f"{page}delete/")
    assert not EndUserProfile.objects.exists()
    assert agent_client.get(page).status_code == 404


def test_what_is_wrong_is_said_and_nothing_typed_is_lost(
    agent_client: Client, books: EndUserProfile
) -> None:
    url = f"{SAVED}end-users/new/"
    typed = BOOKS | {"title": "Pike Street Books", "zip": "981", "account": "55-0199-7731"}
    answer = agent_client.post(url, typed)
    html = answer.content.decode()
    assert answer.status_code == 422
    assert "“Pike Street Books” is saved already." in html
    assert "5 digits, such as 98101" in html
    assert 'value="981"' in html
    assert "55-0199-7731" not in html
    sealed = re.search(r'name="sealed" value="([^"]+)"', html)
    assert sealed
    typed |= {"zip": "98102", "account": "", "sealed": sealed[1]}
    assert agent_client.post(url, typed).status_code == 422
    agent_client.post(url, typed | {"replace": "on"})
    (kept,) = EndUserProfile.objects.all()
    assert kept.pk == books.pk
    assert kept.data == BOOKS | {"zip": "98102", "account": "55-0199-7731"}


def test_an_empty_one_is_not_kept(agent_client: Client, project: SinchProject) -> None:
    answer = agent_client.post(f"{SAVED}routing/new/", {"title": "Empty"})
    assert answer.status_code == 422
    assert "Fill in at least one field of the routing." in answer.content.decode()


def test_a_renamed_one_takes_the_place_of_the_other_only_when_asked(
    agent_client: Client, books: EndUserProfile, project: SinchProject
) -> None:
    other = EndUserProfile.objects.create(project=project, name="Other", data=BOOKS)
    page = f"{SAVED}end-users/{other.pk}/"
    assert agent_client.post(page, BOOKS | {"title": books.name}).status_code == 422
    agent_client.post(page, BOOKS | {"title": books.name, "replace": "on"})
    assert [(row.pk, row.name) for row in EndUserProfile.objects.all()] == [(other.pk, books.name)]


def test_a_pin_is_never_kept(agent_client: Client, order: PortInOrder) -> None:
    url = f"{SAVED}end-users/new/?order={order.pk}"
    html = html_of(agent_client, url)
    assert 'value="Harborview Dental LLC"' in html
    assert "An account number is saved." in html
    agent_client.post(url, BOOKS | {"title": "Harborview", "pin": PIN, "new_pin": NEW_PIN})
    kept = EndUserProfile.objects.get()
    assert kept.data["account"] == ACCOUNT
    assert PIN not in str(kept.data)
    assert NEW_PIN not in str(kept.data)
    with connection.cursor() as cursor:
        cursor.execute("SELECT data::text FROM orders_enduserprofile")
        assert ACCOUNT not in cursor.fetchone()[0]


def test_the_list_is_searched_and_costs_the_same_whatever_its_length(
    agent_client: Client, project: SinchProject, agent: User, books: EndUserProfile
) -> None:
    html_of(agent_client, SAVED)
    counts = []
    for _ in range(2):
        with CaptureQueriesContext(connection) as statements:
            html_of(agent_client, SAVED)
        counts.append(len(statements))
        for n in range(12):
            name = f"Shop {len(counts)}-{n}"
            EndUserProfile.objects.create(project=project, name=name, data=BOOKS, by=agent)
            RoutingPreset.objects.create(project=project, name=name, data={"sms_app": "a"})
    assert counts[0] == counts[1]
    html = html_of(agent_client, f"{SAVED}?q=pike")
    assert "Pike Street Books" in html
    assert "Shop 1-1" not in html
    assert "No routing has “pike” in its name." in html


def test_an_end_user_that_no_key_reads_hides_no_other_and_is_typed_again(
    agent_client: Client, project: SinchProject, books: EndUserProfile
) -> None:
    EndUserProfile.objects.create(project=project, name="Alder", data={"name": "Alder Dental"})
    lose(books, "data")
    html = html_of(agent_client, SAVED)
    assert books.name in html
    assert "Alder Dental" in html
    page = f"{SAVED}end-users/{books.pk}/"
    assert books.name in html_of(agent_client, page)
    assert agent_client.post(page, BOOKS | {"title": books.name}).status_code == 302
    books.refresh_from_db()
    assert books.data["name"] == BOOKS["name"]


def test_readers_look_and_change_nothing(reader_client: Client, books: EndUserProfile) -> None:
    html = html_of(reader_client, SAVED)
    assert "Pike Street Books" in html
    assert "needs the agent role" in html
    assert ACCOUNT not in html
    page = f"{SAVED}end-users/{books.pk}/"
    for url in (page, f"{page}delete/", f"{SAVED}end-users/new/", "/orders/drafts/use/"):
        assert reader_client.post(url).status_code == 403
    assert Client().get(SAVED)["Location"].startswith("/sign-in/")
    assert EndUserProfile.objects.exists()


def test_a_kind_that_does_not_exist_is_not_found(agent_client: Client, project: Any) -> None:
    assert agent_client.get(f"{SAVED}pins/new/").status_code == 404


# --- In a draft ---------------------------------------------------------------------------------


class Page:
    """The page of a draft: posts what a browser would, its hidden fields included."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.html = html_of(client, "/orders/new/")

    def use(self, typed: dict[str, str], **pressed: str) -> Any:
        names = ("draft", "version", "tab", "attempt")
        found = {n: re.search(rf'name="{n}" value="([^"]*)"', self.html) for n in names}
        hidden = {name: match[1] for name, match in found.items() if match}
        answer = self.client.post("/orders/drafts/use/", hidden | typed | pressed)
        if draft := PortInDraft.objects.first():
            self.html = html_of(self.client, draft.get_absolute_url())
        return answer

    @property
    def draft(self) -> PortInDraft:
        return PortInDraft.objects.get()


def test_an_empty_draft_is_filled_at_once_and_keeps_what_is_typed(
    agent_client: Client, books: EndUserProfile
) -> None:
    page = Page(agent_client)
    assert f'value="end-users:{books.pk}">Pike Street Books</button>' in page.html
    typed = {"numbers": "206 555 0142", "service": "B", "name": ""}
    answer = page.use(typed, use=f"end-users:{books.pk}")
    assert answer["Location"] == f"{page.draft.get_absolute_url()}#s3"
    assert page.draft.field("numbers") == "206 555 0142"
    assert {name: page.draft.field(name) for name in BOOKS} == BOOKS
    assert page.draft.field("account") == ACCOUNT
    assert page.draft.title == "Pike Street Books LLC"
    assert ACCOUNT not in page.html


def test_what_is_typed_is_replaced_only_where_it_is_ticked(
    agent_client: Client, books: EndUserProfile
) -> None:
    page = Page(agent_client)
    typed = {"name": "Pike Books", "city": "Tacoma", "signer": "Ada Renner", "account": "77-1"}
    answer = page.use(typed, use=f"end-users:{books.pk}")
    url = f"{page.draft.get_absolute_url()}use/end-users/{books.pk}/"
    assert answer["Location"] == url
    assert not page.draft.field("street")  # nothing is filled before the answer
    html = html_of(agent_client, url)
    rows = re.findall(r'name="replace" value="([^"]+)" checked', html)
    assert rows == ["name", "street_num", "account"]
    assert "88 Pike St, Suite 210, Seattle, WA 98101" in html
    assert "Tacoma" in html
    assert "77-1" not in html
    agent_client.post(url, {"replace": ["street_num"]})
    draft = page.draft
    assert draft.field("name") == "Pike Books"
    assert (draft.field("street"), draft.field("city")) == ("Pike St", "Seattle")
    assert draft.field("account") == "77-1"


def test_a_routing_is_kept_from_a_draft_and_used_in_the_next(
    agent_client: Client, project: SinchProject
) -> None:
    page = Page(agent_client)
    typed = {"voice": "RTC", "voice_id": "app-77", "sms_app": "texts", "pin": PIN}
    answer = page.use(typed, keep="routing")
    html = html_of(agent_client, answer["Location"])
    assert 'value="app-77"' in html
    fields = {"title": "Main app", "voice": "RTC", "voice_id": "app-77", "sms_app": "texts"}
    answer = agent_client.post(answer["Location"], fields)
    assert answer["Location"] == page.draft.get_absolute_url()
    kept = RoutingPreset.objects.get()
    assert kept.data == {"voice": "RTC", "voice_id": "app-77", "sms_app": "texts"}
    PortInDraft.objects.all().delete()
    page = Page(agent_client)
    assert "Main app" in page.html
    answer = page.use({"voice": "", "routing-choice": str(kept.pk)}, use="routing")
    assert answer["Location"].endswith("#at-sinch")
    assert (page.draft.field("voice"), page.draft.field("voice_id")) == ("RTC", "app-77")
    assert page.draft.field("sms_app") == "texts"


def test_a_menu_left_as_it_is_uses_nothing(agent_client: Client, books: EndUserProfile) -> None:
    page = Page(agent_client)
    answer = page.use({"name": "A", "routing-choice": ""}, use="routing")
    assert answer["Location"].endswith("#at-sinch")
    assert page.draft.field("name") == "A"


def test_an_end_user_is_kept_from_a_draft(agent_client: Client, project: SinchProject) -> None:
    page = Page(agent_client)
    answer = page.use(BOOKS | {"account": ACCOUNT, "pin": PIN}, keep="end-users")
    assert PIN not in answer["Location"]
    assert ACCOUNT not in answer["Location"]
    html = html_of(agent_client, answer["Location"])
    assert 'name="title" value="Pike Street Books LLC"' in html
    agent_client.post(answer["Location"], BOOKS | {"title": "Books"})
    kept = EndUserProfile.objects.get()
    assert kept.data == BOOKS | {"account": ACCOUNT}


def test_many_end_users_are_found_by_name(
    agent_client: Client, books: EndUserProfile, project: SinchProject
) -> None:
    for n in range(12):
        EndUserProfile.objects.create(project=project, name=f"Acme {n}", data=BOOKS)
    page = Page(agent_client)
    assert 'name="saved_q"' in page.html
    assert "Pike Street Books" not in page.html
    html = html_of(agent_client, f"/orders/drafts/choices/?project={project.pk}&saved_q=pike")
    assert "Pike Street Books" in html
    assert "Acme" not in html
    answer = page.use({"name": "Typed"}, find="1", saved_q="pike")
    assert "saved_q=pike" in answer["Location"]
    assert "Pike Street Books" in html_of(agent_client, answer["Location"].partition("#")[0])
    assert page.draft.field("name") == "Typed"


def test_end_users_of_another_project_are_not_offered(
    agent_client: Client, books: EndUserProfile
) -> None:
    other = SinchProject.objects.create(name="A", project_id="other", key_id="k", key_secret="s")
    EndUserProfile.objects.filter(pk=books.pk).update(project=other)
    page = Page(agent_client)
    assert "Pike Street Books" not in page.html
    assert page.use({"name": "A"}, use=f"end-users:{books.pk}").status_code == 404


def test_a_draft_on_its_way_is_not_filled(agent_client: Client, books: EndUserProfile) -> None:
    page = Page(agent_client)
    page.use({"name": ""})
    url = f"{page.draft.get_absolute_url()}use/end-users/{books.pk}/"
    PortInDraft.objects.update(state=PortInDraft.State.SENDING)
    agent_client.post(url, {"replace": ["name"]})
    assert not page.draft.field("name")


def test_a_change_made_elsewhere_is_told_before_anything_is_filled(
    agent_client: Client, books: EndUserProfile
) -> None:
    page = Page(agent_client)
    page.use({"name": "First"})
    PortInDraft.objects.update(version=7, data={"name": "Elsewhere", "tab": "other"})
    names = {"draft": str(page.draft.pk), "version": "1", "tab": "mine", "name": "Mine"}
    answer = agent_client.post("/orders/drafts/use/", names | {"use": f"end-users:{books.pk}"})
    assert answer.status_code == 409
    assert page.draft.field("name") == "Elsewhere"


# --- The rules ----------------------------------------------------------------------------------


def test_an_address_is_taken_as_a_whole() -> None:
    kept = {**ADDRESS, "unit": ""}
    typed = {"city": "Seattle", "unit": "Suite 9"}
    found = profiles.differences(profiles.END_USERS, typed, kept)
    assert [one.key for one in found] == ["street_num"]
    assert profiles.filled(profiles.END_USERS, typed, kept) == {}
    changes = profiles.filled(profiles.END_USERS, typed, kept, replaced=["street_num"])
    assert (changes["unit"], changes["street"]) == ("", "Pike St")


def test_what_is_the_same_is_not_asked_about() -> None:
    assert profiles.differences(profiles.END_USERS, BOOKS, BOOKS) == []
    residential = {"service": "R"}
    assert profiles.differences(profiles.END_USERS, {"service": "B"}, residential) == []
    assert profiles.filled(profiles.END_USERS, {"service": "B"}, residential) == residential
