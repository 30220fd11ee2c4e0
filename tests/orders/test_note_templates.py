"""The templates of notes: kept by whoever configures the desk, with gaps that an order can fill."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from orders.models import NoteTemplate
from portal.accounts.models import SinchProject

pytestmark = pytest.mark.django_db
URL = "/orders/templates/"
TYPED = {"title": "Ask for the status", "text": "Any news about {reference}, for {numbers}?"}


@pytest.fixture
def keeper(make_agent) -> Client:
    """A client in which somebody is signed in who may configure the desk."""
    client = Client()
    person = make_agent("mara", "manage_project")
    client.force_login(person, backend="portal.accounts.backends.EmailOrUsernameBackend")
    return client


@pytest.fixture
def kept(project) -> NoteTemplate:
    return NoteTemplate.objects.create(project=project, title="LOA attached", text="See the LOA.")


def test_a_template_is_made_changed_and_deleted(keeper, project):
    html = keeper.get(URL).content.decode()
    assert "None of your own yet." in html
    assert "Ask how it stands" in html, "those that are offered meanwhile"
    assert "{end_user}" in html
    answer = keeper.post(URL, TYPED, follow=True)
    assert "“Ask for the status” is kept." in answer.content.decode()
    row = NoteTemplate.objects.get()
    assert (row.project, row.text) == (project, TYPED["text"])
    address = reverse("orders:template", args=[row.pk])
    assert 'value="Ask for the status"' in keeper.get(address).content.decode()
    keeper.post(address, TYPED | {"title": "Status"})
    row.refresh_from_db()
    assert row.title == "Status"
    for _ in range(2):
        gone = keeper.post(reverse("orders:delete_template", args=[row.pk]))
        assert gone.status_code == 302
    assert not NoteTemplate.objects.exists()
    assert keeper.get(address).status_code == 404


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"title": ""}, "A title to choose it by."),
        ({"title": "loa ATTACHED"}, "There is a template of this title already."),
        ({"text": " "}, "Write what Sinch should read."),
        ({"text": "The PIN is {pin}"}, "No order can fill {pin}."),
        ({"text": "x" * 4001}, "at most 4000"),
    ],
)
def test_what_cannot_be_kept_is_said_beside_its_field(keeper, kept, typed, said):
    answer = keeper.post(URL, TYPED | {"text": "Typed and kept"} | typed)
    html = answer.content.decode()
    assert answer.status_code == 422
    assert said in html
    assert ("Typed and kept" in html) == ("text" not in typed)
    assert NoteTemplate.objects.count() == 1


def test_a_template_may_keep_its_own_title(keeper, kept):
    address = reverse("orders:template", args=[kept.pk])
    assert keeper.post(address, {"title": "loa attached", "text": "x"}).status_code == 302


def test_whoever_may_not_configure_looks_and_no_more(agent_client, client, kept):
    html = agent_client.get(URL).content.decode()
    assert "LOA attached" in html
    assert "needs the supervisor role" in html
    assert "Yes, delete it" not in html
    for address in (
        URL,
        reverse("orders:template", args=[kept.pk]),
        reverse("orders:delete_template", args=[kept.pk]),
    ):
        assert agent_client.post(address, TYPED).status_code == 403
        assert client.post(address, TYPED).status_code == 302
    assert client.get(URL).status_code == 302
    assert NoteTemplate.objects.count() == 1


def test_each_project_has_its_own(keeper, project, kept):
    other = SinchProject.objects.create(
        name="Zelkova", project_id="other", key_id="k", key_secret="s"
    )
    html = keeper.get(URL, {"project": other.pk}).content.decode()
    assert "LOA attached" not in html
    keeper.post(f"{URL}?project={other.pk}", TYPED | {"title": "LOA attached"})
    assert NoteTemplate.objects.filter(project=other).count() == 1


def test_the_page_works_without_a_project(keeper):
    assert "No Sinch project is connected." in keeper.get(URL).content.decode()
    assert keeper.post(URL, TYPED).status_code == 200


def test_the_number_of_statements_does_not_grow(keeper, project):
    def statements() -> int:
        keeper.get(URL)
        with CaptureQueriesContext(connection) as caught:
            keeper.get(URL)
        return len(caught)

    before = statements()
    for n in range(20):
        NoteTemplate.objects.create(project=project, title=f"Template {n}", text="x")
    assert statements() == before
