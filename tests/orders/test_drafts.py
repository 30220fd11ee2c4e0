"""The intake, from pasted numbers to an order at Sinch, through the views and the real client."""

import re
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from orders import actions, actions_parts, dates
from orders.models import PortabilityResult, PortInDraft, PortInNumber, PortInOrder
from orders.review import review
from portal.accounts.models import SinchProject, User
from portal.operations import runner
from portal.operations.models import Operation
from portal.work.models import TimelineEntry, WorkItem
from tests.tools import lose

pytestmark = pytest.mark.django_db

CREATE = "/orders/new/"
HTMX = {"HX-Request": "true"}
PASTED = """(206) 555-0142
206.555.0143
1-206-555-0144
206-555-014
+1 206 555 0142
206 555 0145 ext 3"""
PIN = "482193"
ACCOUNT = "206-555-0142-031"
CAN_BE_SENT = 'id="send-open" name="action" value="ask"'


def in_days(days: int) -> str:
    return (timezone.localdate() + timedelta(days=days)).isoformat()


def details(**changed: Any) -> dict[str, Any]:
    """Everything the third panel asks for."""
    return {
        "name": "Pike Street Books LLC",
        "service": "B",
        "street_num": "88",
        "street": "Pike St",
        "unit": "Suite 210",
        "city": "Seattle",
        "state": "wa",
        "zip": "98101",
        "pin": PIN,
        "account": ACCOUNT,
        "btn": "206 555 0142",
        "signer": "Ada Renner",
        "signed_on": in_days(-3),
        "reseller": "",
        "port_date": in_days(9),
        "port_time": "09:00",
        "port_zone": "US/Pacific",
        "voice": "EST",
        "voice_id": "01HX0TRUNK000000000000PIKE",
        "sms_app": "pike-sms",
        "reference": "PSB-2026-003",
    } | changed


class Desk:
    """A person at the intake: posts what a page would post, with the page's hidden fields."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.html = ""
        self.pk = ""

    def open(self, url: str = CREATE) -> str:
        answer = self.client.get(url)
        assert answer.status_code == 200, answer.status_code
        self.html = answer.content.decode()
        return self.html

    def hidden(self) -> dict[str, str]:
        names = (
            "draft",
            "version",
            "tab",
            "attempt",
            "lines_mark",
            "checks_mark",
            "coach_mark",
            "blamed",
            "sealed",
        )
        found = {n: re.search(rf'name="{n}" value="([^"]*)"', self.html) for n in names}
        return {name: match[1] for name, match in found.items() if match}

    def post(self, fields: dict[str, Any], action: str = "", **headers: str) -> Any:
        data = self.hidden() | fields | ({"action": action} if action else {})
        answer = self.client.post(CREATE, data, headers=headers or None)
        if answer.status_code == 302 and "/orders/drafts/" in answer["Location"]:
            self.html = self.client.get(answer["Location"].partition("#")[0]).content.decode()
        elif answer.content:
            self.html = answer.content.decode()
        return answer

    @property
    def draft(self) -> PortInDraft:
        return PortInDraft.objects.get()


@pytest.fixture
def desk(agent_client: Client, porting_client: Any) -> Desk:
    found = Desk(agent_client)
    found.open()
    return found


@pytest.fixture
def checked(desk: Desk) -> Desk:
    """A draft of three numbers with all details, checked for portability."""
    desk.post({"numbers": "206 555 0142\n206 555 0143\n206 555 0144"} | details())
    desk.post({}, "check")
    assert runner.run_one()
    desk.open(desk.draft.get_absolute_url())
    return desk


# --- Saving -------------------------------------------------------------------------------------


def test_the_empty_page_has_the_four_panels_and_the_words_of_the_mock_up(desk):
    for words in (
        "New port-in order",
        "1. Numbers",
        "2. Portability",
        "3. Details",
        "4. Review and send",
        "Numbers, one a line",
        "Send 1 order to Sinch…",
        "Project default: 09:00 US/Eastern",
        "Different details for single numbers",
    ):
        assert words in desk.html
    assert not PortInDraft.objects.exists()


def test_the_first_post_makes_the_draft_and_a_second_one_of_the_same_page_goes_into_it(desk):
    fresh = desk.hidden()
    first = desk.post({"numbers": "206 555 0142"}, "save")
    assert first["Location"] == desk.draft.get_absolute_url()
    desk.client.post(CREATE, fresh | {"numbers": "206 555 0143"})
    assert desk.draft.field("numbers") == "206 555 0143"


def test_a_pasted_list_is_read_line_by_line_and_a_bad_line_hides_no_other(desk):
    desk.post({"numbers": PASTED}, "save")
    assert re.search(r"Read</span> 4<", desk.html)
    assert re.search(r"To fix</span> 1<", desk.html)
    assert re.search(r"Worth a look</span> 2<", desk.html)
    assert "Corrected number for line 4" in desk.html
    assert "9 digits; a number has 10. Correct it here or leave it out." in desk.html
    assert "Same as line 1; counted once" in desk.html
    assert "“ext 3” dropped" in desk.html
    assert "206.555.0143</td>" not in desk.html, "a line with nothing to say is not shown"
    assert "Show all 6 lines" in desk.html


def test_all_lines_are_shown_on_demand(desk):
    desk.post({"numbers": PASTED}, "save")
    answer = desk.post({"numbers": PASTED}, "show_all")
    assert answer["Location"].endswith("?all=1#s1")
    assert "206.555.0143</td>" in desk.html


def test_a_line_is_corrected_in_its_place(desk):
    desk.post({"numbers": PASTED}, "save")
    desk.post({"numbers": PASTED, "was-4": "206-555-014", "fix-4": "206-555-0149"}, "save")
    assert desk.draft.field("numbers").splitlines()[3] == "206-555-0149"
    assert "Corrected number" not in desk.html


def test_a_line_is_left_out(desk):
    desk.post({"numbers": PASTED}, "save")
    fields = {"numbers": PASTED, "was-4": "206-555-014", "fix-4": "206-555-014"}
    desk.post(fields, "leave_out:4")
    assert "206-555-014" not in desk.draft.field("numbers").splitlines()
    assert len(desk.draft.field("numbers").splitlines()) == 5


def test_a_correction_of_a_line_that_reads_otherwise_by_now_changes_nothing(desk):
    fields = {"numbers": "206 555 0142", "was-1": "206-555-014", "fix-1": "206-555-0149"}
    desk.post(fields, "save")
    assert desk.draft.field("numbers") == "206 555 0142"


def test_autosave_answers_with_pieces_and_the_address_of_the_draft(desk):
    answer = desk.post({"numbers": PASTED, "name": "Pike Street Books LLC"}, **HTMX)
    text = answer.content.decode()
    assert answer.status_code == 200
    assert answer["HX-Replace-Url"] == desk.draft.get_absolute_url()
    assert "<html" not in text
    for piece in ("draft-saved", "numbers-read", "draft-steps", "s2", "s4", "draft-hidden"):
        assert f'id="{piece}"' in text
    assert 'id="numbers-box"' not in text, "the box somebody types in is left alone"
    assert "Draft saved" in text


def errors_in(html: str) -> dict[str, str]:
    """Return what an answer to an autosave puts beside fields, by field; "" takes it away."""
    places = re.split(r'<span[^>]* id="id_(\w+)_error" data-errors', html)[1:]
    return {
        name: " ".join(re.findall(r'class="error">.*?</svg>([^<]*)', said.partition("<input")[0]))
        for name, said in zip(places[::2], places[1::2], strict=True)
    }


def test_errors_come_and_go_beside_the_fields_while_somebody_types(desk):
    assert errors_in(desk.html)["state"] == ""
    answer = desk.post({"state": "Washington", "zip": "9810"}, **HTMX).content.decode()
    told = errors_in(answer)
    assert told.keys() == {"state", "zip"}, "nothing is sent for the other fields"
    assert told["state"].startswith("Two letters of a US state")
    assert "<input" not in answer.partition('id="id_state_error"')[2].partition("</span>")[0]
    assert 'id="id_state"' not in answer, "a field is never replaced"
    assert "open or wrong." in answer
    answer = desk.post({"state": "WA", "zip": "9810"}, **HTMX).content.decode()
    told = errors_in(answer)
    assert told["state"] == ""
    assert told["zip"]
    answer = desk.post({"state": "WA", "zip": "98101"}, **HTMX).content.decode()
    assert errors_in(answer) == {"zip": ""}
    assert "open or wrong" not in answer
    assert errors_in(desk.post({"state": "WA", "zip": "98101"}, **HTMX).content.decode()) == {}


def test_what_is_worth_a_look_in_a_street_comes_and_goes_beside_it(desk):
    assert 'id="id_street_caution" hidden' in desk.html, "there is a place for it"
    desk.post({"street": "PO Box 118"}, **HTMX)
    place = re.search(r'<span[^>]* id="id_street_caution".*', desk.html)[0]
    assert "A PO box is no service address." in place
    desk.post({"street": "Pike St"}, **HTMX)
    assert 'id="id_street_caution" hidden' in desk.html


def test_a_field_blamed_for_being_empty_is_blamed_until_it_is_filled(checked):
    checked.post({"city": "", "name": ""}, "ask")
    blamed = {"blamed": checked.hidden()["blamed"]}
    assert blamed["blamed"].split() == ["id_name", "id_city"]
    answer = checked.post({"city": "Seattle", "name": ""} | blamed, **HTMX).content.decode()
    told = errors_in(answer)
    assert told["city"] == ""
    assert told["name"]


def test_autosave_sends_the_lines_again_only_when_they_changed(desk):
    desk.post({"numbers": PASTED}, **HTMX)
    again = desk.post({"numbers": PASTED, "name": "Pike Street Books LLC"}, **HTMX)
    assert 'id="numbers-read"' not in again.content.decode()
    assert 'id="s2"' not in again.content.decode()


def test_autosaves_of_one_page_do_not_take_each_other_for_somebody_else(desk):
    fresh = desk.hidden()
    for name in ("P", "Pi", "Pike"):
        answer = desk.client.post(CREATE, fresh | {"name": name}, headers=HTMX)
        assert answer.status_code == 200
    assert desk.draft.field("name") == "Pike"


def test_an_older_page_is_told_so_and_keeps_what_was_typed(desk):
    desk.post({"numbers": "206 555 0142", "name": "First"}, "save")
    url = desk.draft.get_absolute_url()
    other = Desk(desk.client)
    other.open(url)
    other.post({"name": "Second"}, "save")
    answer = desk.post({"name": "Third", "pin": PIN}, "save")
    text = answer.content.decode()
    assert answer.status_code == 409
    assert "This draft was changed elsewhere" in text
    assert 'value="Third"' in text
    assert PIN not in text
    assert desk.draft.field("name") == "Second"
    told = f"overwrite:{desk.draft.version}"
    assert f'value="{told}"' in text
    # Who has been told of the second has not seen another one.
    other.open(url)
    other.post({"name": "Second and a half"}, "save")
    assert desk.post({"name": "Third"}, told).status_code == 409
    assert desk.draft.field("name") == "Second and a half"
    desk.post({"name": "Third"}, f"overwrite:{desk.draft.version}")
    assert desk.draft.field("name") == "Third"
    assert desk.draft.field("pin") == PIN, "the PIN typed before the conflict came along sealed"


def test_an_older_page_under_htmx_gets_the_banner_only(desk):
    desk.post({"name": "First"}, "save")
    other = Desk(desk.client)
    other.open(desk.draft.get_absolute_url())
    other.post({"name": "Second"}, "save")
    answer = desk.post({"name": "Third"}, **HTMX)
    assert answer.status_code == 409
    assert 'id="draft-conflict"' in answer.content.decode()
    assert 'id="s3"' not in answer.content.decode()


def test_a_pin_is_saved_encrypted_and_never_shown_again(desk):
    desk.post({"numbers": "206 555 0142", "pin": PIN, "account": ACCOUNT}, "save")
    assert "A PIN is saved" in desk.html
    assert PIN not in desk.html
    assert ACCOUNT not in desk.html
    with connection.cursor() as cursor:
        cursor.execute("SELECT data FROM orders_portindraft")
        assert PIN.encode() not in bytes(cursor.fetchone()[0])
    desk.post({"pin": "", "account": ""}, "save")
    assert desk.draft.field("pin") == PIN, "an empty field keeps it"
    desk.post({"pin": "", "pin_remove": "1"}, "save")
    assert not desk.draft.field("pin")
    assert desk.draft.field("account") == ACCOUNT


def test_a_character_the_database_cannot_hold_does_no_harm(desk):
    assert desk.post({"numbers": "206 555 0142\0", "name": "Pike\0"}, "save").status_code == 302
    assert desk.draft.title == "Pike"


def test_drafts_of_mine_are_offered_and_those_of_others_are_not(desk, make_agent, project):
    desk.post({"name": "Pike Street Books LLC"}, "save")
    other = make_agent("tom", "send_to_sinch")
    PortInDraft.objects.create(project=project, by=other, title="Harborview Dental LLC")
    html = desk.open()
    assert "Go on with a draft" in html
    assert "Pike Street Books LLC" in html
    assert "Harborview Dental LLC" not in html


def test_an_older_page_does_not_throw_away_what_was_saved_since(desk):
    desk.post({"name": "First"}, "save")
    url = desk.draft.get_absolute_url()
    desk.open(url)
    form = desk.html[desk.html.index('id="throw-away"') :]
    seen = {n: re.search(rf'name="{n}" value="(\w+)"', form)[1] for n in ("version", "tab")}
    other = Desk(desk.client)
    other.open(url)
    other.post({"name": "Second"}, "save")
    answer = desk.client.post(url, seen | {"action": "throw_away"}, follow=True)
    assert "was saved again since your page was opened" in answer.content.decode()
    assert desk.draft.field("name") == "Second"
    # What this very page has saved since is its own.
    desk.post({"name": "Third"}, f"overwrite:{desk.draft.version}")
    own = seen | {"tab": desk.draft.field("tab")}
    assert desk.client.post(url, own | {"action": "throw_away"}).status_code == 302
    assert desk.draft.state == PortInDraft.State.THROWN_AWAY


def test_a_draft_is_thrown_away_with_its_secrets(desk):
    desk.post({"name": "Pike", "pin": PIN}, "save")
    pk = desk.draft.pk
    answer = desk.client.post(f"/orders/drafts/{pk}/", {"action": "throw_away"}, follow=True)
    assert "thrown away" in answer.content.decode()
    assert desk.draft.state == PortInDraft.State.THROWN_AWAY
    assert desk.draft.data == {}
    assert desk.client.get(f"/orders/drafts/{pk}/").status_code == 302
    late = desk.post({"name": "Back again"}, **HTMX)
    assert late.status_code == 409


# --- Who may ------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [CREATE, f"/orders/drafts/{uuid.uuid4()}/"])
def test_nobody_types_without_signing_in(client, project, path):
    answer = client.get(path)
    assert answer.status_code == 302
    assert "/sign-in/" in answer["Location"]


def test_a_reader_is_told_why_not(make_agent, project):
    client = Client()
    client.force_login(make_agent("rea"), backend="portal.accounts.backends.EmailOrUsernameBackend")
    draft = PortInDraft.objects.create(project=project, by=User.objects.get(), title="Pike")
    for url in (CREATE, draft.get_absolute_url(), f"{draft.get_absolute_url()}live/"):
        answer = client.get(url)
        assert answer.status_code == 403
        assert "agent role" in answer.content.decode()
        assert "Pike" not in answer.content.decode()


def test_other_methods_are_refused(desk, project):
    assert desk.client.delete(CREATE).status_code == 405
    assert desk.client.put(f"/orders/drafts/{uuid.uuid4()}/").status_code == 405
    assert desk.client.post(f"/orders/drafts/{uuid.uuid4()}/live/").status_code == 405


def test_an_unknown_draft_is_not_there(desk):
    assert desk.client.get(f"/orders/drafts/{uuid.uuid4()}/").status_code == 404
    assert desk.client.get(f"/orders/drafts/{uuid.uuid4()}/live/").status_code == 404


def test_without_a_project_the_page_says_what_to_do(agent_client):
    answer = agent_client.get(CREATE)
    assert "No Sinch project is connected." in answer.content.decode()


# --- Portability --------------------------------------------------------------------------------


def test_portability_is_asked_by_a_worker_while_the_page_says_so(desk):
    desk.post({"numbers": "206 555 0142\n206 555 0199"}, "save")
    answer = desk.post({"numbers": "206 555 0142\n206 555 0199"}, "check")
    assert answer["Location"].endswith("#s2")
    assert "Asking Sinch…" in desk.html
    assert not PortabilityResult.objects.exists()
    assert runner.run_one()
    html = desk.open(desk.draft.get_absolute_url())
    assert "1 of 2 numbers cannot move" in html
    assert "Number is not portable" in html
    assert "Continue with the 1 portable one<" in html
    assert "Check again" in html


def test_numbers_that_nobody_asked_about_are_counted_and_asked_about_alone(desk, project):
    for number, portable in (("+12065550142", True), ("+12065550199", False)):
        PortabilityResult.objects.create(
            project=project,
            phone_number=number,
            portable=portable,
            carrier="Lumen",
            checked_at=timezone.now(),
        )
    numbers = "206 555 0142; 206 555 0199; 206 555 0143; 206 555 0145; 253 555 0130"
    desk.post({"numbers": numbers} | details(), "save")
    assert "1 of 5 can move, 3 not asked yet" in desk.html
    assert re.search(r"Asked Sinch .*, 3 not asked yet</span>", desk.html)
    assert "Continue with the other 4<" in desk.html
    assert "losing carriers answer at different speeds" not in desk.html
    assert "Make 2 orders" not in desk.html
    assert "Send 2 orders" not in desk.html
    assert "Check the 3</button>" in desk.html
    desk.post({}, "check")
    asked = ["+12065550143", "+12065550145", "+12535550130"]
    assert Operation.objects.get().payload == {"numbers": asked}
    runner.run_one()
    html = desk.open(desk.draft.get_absolute_url())
    assert "not asked yet" not in html
    assert "Check again</button>" in html
    desk.post({}, "check")
    assert len(Operation.objects.latest("pk").payload["numbers"]) == 5


def test_an_answer_too_old_is_told_and_asked_for_alone(desk, project):
    for number, hours in (("+12065550142", 1), ("+12065550143", 25)):
        PortabilityResult.objects.create(
            project=project,
            phone_number=number,
            portable=True,
            carrier="Lumen",
            checked_at=timezone.now() - timedelta(hours=hours),
        )
    desk.post({"numbers": "206 555 0142; 206 555 0143"}, "save")
    assert "1 of 2 can move, 1 answer too old" in desk.html
    assert "Check the 1</button>" in desk.html


def test_a_second_click_asks_once(desk):
    for _ in range(2):
        desk.post({"numbers": "206 555 0142"}, "check")
    assert Operation.objects.filter(kind="port_in.check").count() == 1


def test_the_portable_ones_go_on_and_the_others_stay_named(desk):
    desk.post({"numbers": "206 555 0142; 206 555 0199\n206 555 0143"}, "check")
    runner.run_one()
    desk.open(desk.draft.get_absolute_url())
    desk.post({}, "keep_portable")
    assert desk.draft.field("numbers") == "206 555 0142\n206 555 0143"
    assert "Left out of this order" in desk.html
    assert "+1 206 555 0199" in desk.html
    assert "cannot move" not in desk.html


def test_two_carriers_are_an_advice_and_block_nothing(desk):
    fields = {"numbers": "206 555 0142\n206 555 0133"} | details()
    desk.post(fields, "check")
    runner.run_one()
    html = desk.open(desk.draft.get_absolute_url())
    assert "2 losing carriers answer at different speeds" in html
    assert CAN_BE_SENT in html


def test_sending_asks_once_more_and_the_question_outlives_an_autosave(checked):
    checked.post({}, "ask")
    html = checked.open(f"{checked.draft.get_absolute_url()}?ask=1")
    assert "Yes, send 1 order" in html
    checked.post({"asking": "yes"}, **HTMX)
    assert "Yes, send 1 order" in checked.html
    checked.post({"asking": "yes"}, "save", **HTMX)
    assert "Yes, send 1 order" not in checked.html
    assert not Operation.objects.filter(kind="port_in.create").exists()


def test_asking_too_early_says_what_is_wrong_beside_the_fields(desk):
    desk.post({"numbers": "206 555 0142"}, "ask")
    html = desk.open(f"{desk.draft.get_absolute_url()}?ask=1")
    assert "Yes, send 1 order" not in html
    assert "error-summary" in html


def test_an_answer_older_than_a_day_is_asked_again(checked):
    PortabilityResult.objects.update(checked_at=timezone.now() - timedelta(hours=25))
    html = checked.open(checked.draft.get_absolute_url())
    assert "older than a day; check again" in html
    assert CAN_BE_SENT not in html


def test_a_check_that_failed_says_why_and_can_be_asked_again(desk, sandbox):
    desk.post({"numbers": "206 555 0142"}, "check")
    sandbox.control.faults.add("402", "checkPortingAvailability")
    assert runner.run_one()
    html = desk.open(desk.draft.get_absolute_url())
    assert "Portability could not be checked" in html
    assert "no balance left" in html
    assert "Asking Sinch…" not in html
    desk.post({}, "check")
    runner.run_one()
    assert PortabilityResult.objects.get().portable


def test_an_empty_list_cannot_be_checked(desk):
    answer = desk.post({"numbers": ""}, "check")
    assert answer.status_code == 422
    assert not Operation.objects.exists()


# --- Live ---------------------------------------------------------------------------------------


def live_url(html: str) -> str:
    match = re.search(r'hx-get="(/orders/drafts/[^"]+/live/[^"]+)"', html)
    assert match, "the page does not poll"
    return match[1].replace("&amp;", "&")


def test_a_poll_of_an_unchanged_draft_costs_one_statement(desk):
    desk.post({"numbers": "206 555 0142"}, "check")
    url = live_url(desk.html)
    desk.client.get(url)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        answer = desk.client.get(url, headers=HTMX)
    assert answer.status_code == 204
    assert len(queries) == 1


def test_the_results_arrive_by_the_poll_without_touching_a_field(desk):
    desk.post({"numbers": "206 555 0142"}, "check")
    url = live_url(desk.html)
    runner.run_one()
    text = desk.client.get(url, headers=HTMX).content.decode()
    assert 'id="s2"' in text
    assert "Lumen" in text or "T-Mobile" in text or "Verizon" in text or "Comcast" in text
    assert 'id="s3"' not in text
    assert "<textarea" not in text


def test_a_poll_without_signing_in_leads_to_the_sign_in_page(client, project, agent):
    draft = PortInDraft.objects.create(project=project, by=agent)
    answer = client.get(f"{draft.get_absolute_url()}live/", headers=HTMX)
    assert "/sign-in/" in answer.get("HX-Redirect", "")


# --- Sending ------------------------------------------------------------------------------------


def test_what_is_open_is_named_with_links(desk):
    fields = {"numbers": PASTED + "\n604 555 0110"} | details(pin="", account="", port_date="")
    desk.post(fields, "save")
    why = re.search(r'id="notyet">(.*?)</p>', desk.html, re.S)
    assert why
    text = re.sub(r"<[^>]+>", "", why[1])
    assert text.startswith("Not yet: line 4 of the numbers, ")
    assert "the PIN" in text
    assert "the port date" in text
    assert "the reseller name" in text
    assert "Portability is not checked yet." in text
    assert 'href="#id_pin"' in why[1]
    assert 'href="#fix-4"' in why[1]
    assert 'aria-disabled="true"' in desk.html


def test_an_order_is_sent_read_back_and_its_page_opened(checked, sandbox, agent):
    assert CAN_BE_SENT in checked.html
    answer = checked.post({}, "send")
    draft = checked.draft
    assert answer["Location"] == draft.get_absolute_url()
    assert draft.state == PortInDraft.State.SENDING
    assert draft.operation is not None
    assert "You can leave this page" in checked.html
    assert '<meta http-equiv="refresh"' in checked.html
    url = live_url(checked.html)
    assert runner.run_one()
    draft.refresh_from_db()
    order = PortInOrder.objects.get()
    assert draft.order == order
    assert order.reference == "PSB-2026-003"
    assert order.item.assignee == agent
    assert checked.client.get(url, headers=HTMX)["HX-Redirect"] == order.get_absolute_url()
    assert checked.client.get(draft.get_absolute_url())["Location"] == order.get_absolute_url()
    assert not sandbox.violations
    sent = draft.operation.payload["body"]["phoneNumbers"][0]
    assert sent["endUser"] == {
        "name": "Pike Street Books LLC",
        "streetNum": "88",
        "streetName": "Pike St",
        "locationType1": "Suite",
        "locationValue1": "210",
        "city": "Seattle",
        "state": "WA",
        "zipCode": "98101",
        "typeOfService": "B",
    }
    assert sent["portOutInfo"]["accountPhoneNumber"] == "+12065550142"
    assert sent["portOutInfo"]["existingPortOutPin"] == PIN
    assert sent["voiceConfiguration"]["trunkId"] == "01HX0TRUNK000000000000PIKE"
    told = " ".join(TimelineEntry.objects.values_list("text", flat=True))
    assert "Order of 3 numbers sent on its way to Sinch" in told
    assert PIN not in told
    assert ACCOUNT not in told


def test_a_double_click_a_reload_and_going_back_send_one_order(checked, sandbox):
    page = checked.hidden()
    for _ in range(2):
        checked.client.post(CREATE, page | {"action": "send"})
    assert Operation.objects.filter(kind="port_in.create").count() == 1
    runner.run_one()
    back = checked.client.post(CREATE, page | {"action": "send"})
    assert back["Location"] == checked.draft.get_absolute_url()
    assert Operation.objects.filter(kind="port_in.create").count() == 1
    assert sandbox.state.calls["orderPortIn"] == 1


def test_an_old_page_sent_again_after_a_refusal_sends_nothing(checked, sandbox):
    page = checked.hidden()
    sandbox.control.faults.add("402", "orderPortIn")
    checked.client.post(CREATE, page | {"action": "send"})
    runner.run_one()
    assert checked.draft.state == PortInDraft.State.OPEN
    checked.client.post(CREATE, page | {"action": "send"})
    assert Operation.objects.filter(kind="port_in.create").count() == 1


def test_an_empty_reference_is_made_by_the_desk(checked):
    checked.post({"reference": ""}, "save")
    checked.post({}, "send")
    body = Operation.objects.get(kind="port_in.create").payload["body"]
    assert re.fullmatch(r"PI-\d{6}-[0-9A-F]{8}", body["customerOrderReference"])
    assert checked.draft.field("reference") == body["customerOrderReference"]


def test_details_of_a_single_number_go_with_that_number_only(checked):
    checked.post({}, "add_override")
    key = re.search(r'name="override" value="([^"]+)"', checked.html)[1]
    own = {
        "has_overrides": "1",
        "override": key,
        f"{key}-number": "+12065550144",
        f"{key}-street_num": "410",
        f"{key}-street": "Dock St",
        f"{key}-city": "Tacoma",
        f"{key}-state": "WA",
        f"{key}-zip": "98402",
        f"{key}-pin": "993174",
    }
    checked.post(own, "save")
    assert "993174" not in checked.html
    checked.post(own | {f"{key}-pin": ""}, "send")
    numbers = Operation.objects.get(kind="port_in.create").payload["body"]["phoneNumbers"]
    by_number = {entry["phoneNumber"]: entry for entry in numbers}
    assert by_number["+12065550144"]["endUser"]["city"] == "Tacoma"
    assert "locationValue1" not in by_number["+12065550144"]["endUser"]
    assert by_number["+12065550144"]["endUser"]["name"] == "Pike Street Books LLC"
    assert by_number["+12065550144"]["portOutInfo"]["existingPortOutPin"] == "993174"
    assert by_number["+12065550142"]["endUser"]["city"] == "Seattle"
    assert by_number["+12065550142"]["portOutInfo"]["existingPortOutPin"] == PIN


def test_details_of_a_single_number_are_removed(checked):
    checked.post({}, "add_override")
    key = re.search(r'name="override" value="([^"]+)"', checked.html)[1]
    checked.post({"has_overrides": "1", "override": key}, f"remove_override:{key}")
    assert checked.draft.field("overrides") == []


def test_a_draft_that_is_being_sent_cannot_be_typed_in(checked):
    page = checked.hidden()
    checked.post({}, "send")
    answer = checked.client.post(CREATE, page | {"name": "Somebody else"}, headers=HTMX)
    assert answer.status_code == 409
    assert "on its way to Sinch" in answer.content.decode()
    assert checked.draft.field("name") == "Pike Street Books LLC"


# --- Bad input gets its clear answer and loses nothing ------------------------------------------


def many(count: int) -> str:
    return "\n".join(f"206-555-{n:04d}" for n in range(1000, 1000 + count))


def test_501_numbers_of_one_order_become_two(desk):
    desk.post({"numbers": many(501), "split": "one"} | details(), "save")
    assert "Send 2 orders to Sinch…" in desk.html
    assert "PSB-2026-003-2" in desk.html
    answer = desk.post({}, "send")
    assert answer.status_code == 422
    assert "206-555-1500" in answer.content.decode()
    assert not Operation.objects.exists()


def test_500_numbers_are_sent(desk, sandbox):
    desk.post({"numbers": many(500), "split": "one"} | details(), "check")
    runner.run_one()
    desk.open(desk.draft.get_absolute_url())
    desk.post({}, "keep_portable")
    numbers = review(desk.draft).numbers
    assert len(numbers) == 495
    assert desk.post({}, "send").status_code == 302
    runner.run_one()
    assert PortInNumber.objects.count() == 495
    assert not sandbox.violations


@pytest.mark.parametrize(
    ("changed", "said", "anchor"),
    [
        ({"reference": "R" * 101}, "101 characters, at most 100", "id_reference"),
        ({"signed_on": in_days(2)}, "Lies in the future", "id_signed_on"),
        ({"state": "Washington"}, "Two letters of a US state", "id_state"),
        ({"zip": "9810"}, "5 digits, such as 98101", "id_zip"),
        ({"zip": "K1A 0B1"}, "Does not go with WA", "id_zip"),
        ({"btn": "206 555"}, "6 digits; a number has 10", "id_btn"),
        ({"voice_id": ""}, "Write the trunk id", "id_voice_id"),
        ({"name": "N" * 400}, "400 characters, at most 100", "id_name"),
        ({"port_zone": "GMT"}, "Choose one of the four zones", "id_port_zone"),
        ({"port_date": "soon"}, "This is no date", "id_port_date"),
        ({"city": ""}, "Write the city", "id_city"),
    ],
)
def test_a_wrong_field_says_what_to_do_and_everything_typed_stays(checked, changed, said, anchor):
    fields = details(**changed)
    answer = checked.post(fields, "send")
    text = answer.content.decode()
    assert answer.status_code == 422
    assert said in text
    assert f'href="#{anchor}"' in text
    assert not Operation.objects.filter(kind="port_in.create").exists()
    for name in ("signer", "sms_app", "street"):
        assert f'value="{fields[name]}"' in text
    for name, value in changed.items():
        assert checked.draft.field(name) == value


def coach_in(html: str) -> str:
    """What stands where the coach speaks."""
    return html.partition('id="coach"')[2].partition("Activate on demand")[0]


def next_saturday() -> str:
    today = timezone.localdate()
    return (today + timedelta(days=14 + (5 - today.weekday()) % 7)).isoformat()


def test_the_port_date_is_coached_and_the_suggestion_taken_without_script(checked):
    assert "banner" not in coach_in(desk_with(checked, good_day()))
    html = desk_with(checked, next_saturday())
    assert "is no business day" in coach_in(html)
    button = re.search(r'name="action" value="take_date:([\d-]+)"[^>]*>(Take [^<]+)<', html)
    assert button
    answer = checked.post({}, f"take_date:{button[1]}")
    assert answer["Location"].endswith("#when")
    assert checked.draft.field("port_date") == button[1]
    assert f'value="{button[1]}"' in checked.html
    assert "banner" not in coach_in(checked.html)


def good_day() -> str:
    """A date the coach warns of in no way."""
    advice = dates.coach(
        numbers=["+12065550142", "+12065550143"],
        carriers=[],
        wanted=timezone.localdate(),
        at=None,
        zone="US/Pacific",
        on_demand=True,
        now=timezone.now(),
    )
    assert advice
    assert advice.suggestion
    return advice.suggestion.isoformat()


def desk_with(desk: Desk, day: str) -> str:
    desk.post({"port_date": day}, "save")
    return desk.html


def test_autosave_refreshes_the_coach_when_it_has_something_else_to_say(checked):
    desk_with(checked, good_day())
    said = checked.post({"port_date": in_days(1)}, **HTMX).content.decode()
    assert 'id="coach" aria-live="polite" hx-swap-oob="true"' in said
    assert "safer" in said
    assert 'id="port-date-box"' not in said
    again = checked.post({"city": "Tacoma"}, **HTMX).content.decode()
    assert 'id="coach"' not in again
    taken = checked.post({}, f"take_date:{good_day()}", **HTMX).content.decode()
    assert f'value="{good_day()}"' in taken
    assert 'id="port-date-box" hx-swap-oob="true"' in taken


@pytest.mark.parametrize("day", [in_days(-2), in_days(0), in_days(1), in_days(90)])
def test_no_port_date_keeps_an_order_from_being_sent(checked, day):
    assert "banner" in coach_in(desk_with(checked, day))
    assert checked.post({"port_date": day}, "send").status_code == 302
    assert Operation.objects.filter(kind="port_in.create").exists()


def test_a_suggestion_that_is_no_date_changes_nothing(checked):
    before = checked.draft.field("port_date")
    checked.post({}, "take_date:soon")
    assert checked.draft.field("port_date") == before


def test_a_canadian_number_needs_a_reseller_name(desk):
    desk.post({"numbers": "604 555 0110"} | details(state="BC", zip="V6B 1A1"), "check")
    runner.run_one()
    desk.open(desk.draft.get_absolute_url())
    assert "British Columbia: needs a reseller name" in desk.html
    answer = desk.post({}, "send")
    assert answer.status_code == 422
    assert "Canadian numbers need a reseller name." in answer.content.decode()
    assert desk.post({"reseller": "Alder Voice Inc"}, "send").status_code == 302
    runner.run_one()
    assert PortInOrder.objects.get().reseller_name == "Alder Voice Inc"


def test_a_reference_of_another_order_is_not_taken_twice(checked, project):
    WorkItem.objects.create(
        kind="port_in", project=project, target_pk=1, sinch_id="40118273", reference="psb-2026-003"
    )
    answer = checked.post({}, "send")
    assert answer.status_code == 422
    assert (
        "Order 40118273 has this reference already; use another, such as PSB-2026-003-2."
        in answer.content.decode()
    )


def test_a_draft_being_sent_that_no_key_reads_stops_no_other_one(checked, project, agent):
    lost, sent = (
        PortInDraft.objects.create(
            pk=uuid.uuid4(), project=project, by=agent, state="sending", data={"reference": name}
        )
        for name in ("LOST", "psb-2026-003")
    )
    lose(lost, "data")
    answer = checked.post({}, "send")
    assert "A draft that is being sent has this reference" in answer.content.decode()
    sent.delete()
    assert checked.post({}, "send").status_code == 302


def test_an_unchecked_number_keeps_the_order_here(checked):
    numbers = checked.draft.field("numbers")
    answer = checked.post({"numbers": f"{numbers}\n206 555 0150"}, "send")
    assert answer.status_code == 422
    assert "1 number not checked for portability." in answer.content.decode()


def test_a_number_on_its_way_in_another_order_is_named_with_a_link(checked):
    checked.post({}, "send")
    runner.run_one()
    order = PortInOrder.objects.get()
    second = Desk(checked.client)
    second.open()
    fields = {"numbers": "206 555 0142\n206 555 0150"} | details(reference="PSB-2")
    second.pk = second.hidden()["draft"]
    second.post(fields, "check")
    assert "Already in" in second.html
    assert order.get_absolute_url() in second.html
    runner.run_one()
    answer = second.client.post(CREATE, second.hidden() | {"action": "send"})
    assert answer.status_code == 422
    assert "is in Pike Street Books LLC" in answer.content.decode()
    draft = PortInDraft.objects.get(pk=second.pk)
    with pytest.raises(actions.NumberInLiveOrder):
        actions_parts.submit_orders(draft, attempt=1, by=draft.by)


# --- Sinch says no, or nothing ------------------------------------------------------------------


def send_with(desk: Desk, sandbox: Any, kind: str, **fault: Any) -> str:
    """Send the draft while Sinch misbehaves once; return the page as it then reads."""
    sandbox.control.faults.add(kind, "orderPortIn", **fault)
    desk.post({}, "send")
    assert runner.run_one()
    return desk.open(desk.draft.get_absolute_url())


@pytest.mark.parametrize(
    ("status", "said"),
    [(402, "The Sinch account has no balance left"), (403, "may not use this Sinch project")],
)
def test_a_refusal_without_fields_is_told_in_plain_words(checked, sandbox, status, said):
    html = send_with(checked, sandbox, "status", status=status)
    assert said in html
    assert "Nothing changed at Sinch" in html
    assert 'value="Pike Street Books LLC"' in html
    assert "A PIN is saved" in html
    assert CAN_BE_SENT in html
    assert checked.draft.state == PortInDraft.State.OPEN


def test_a_key_sinch_does_not_accept_is_told_in_plain_words(checked, sandbox):
    html = send_with(checked, sandbox, "401", times=None)
    assert "does not accept the access key of this project" in html
    assert CAN_BE_SENT in html


def test_too_many_requests_wait_here_and_go_by_themselves(checked, sandbox):
    html = send_with(checked, sandbox, "429")
    assert "Sinch asks us to slow down" in html
    assert "It is tried again by itself." in html
    assert checked.draft.state == PortInDraft.State.SENDING
    Operation.objects.filter(kind="port_in.create").update(next_try_at=timezone.now())
    runner.run_one()
    assert PortInOrder.objects.count() == 1


def test_a_failure_of_sinch_is_looked_up_before_anything_is_sent_again(checked, sandbox):
    html = send_with(checked, sandbox, "500")
    assert "we are looking it up" in html
    assert "looking it up by reference" in html
    assert "PSB-2026-003" in html
    assert sandbox.state.calls["orderPortIn"] == 1


def test_an_answer_lost_after_the_order_was_made_ends_with_one_order(checked, sandbox):
    send_with(checked, sandbox, "drop_after")
    Operation.objects.filter(kind="port_in.create").update(next_try_at=timezone.now())
    runner.run_one()
    assert PortInOrder.objects.count() == 1
    assert len(sandbox.state.orders) == 1
    assert checked.draft.state == PortInDraft.State.SENT


def test_sinch_down_is_told_and_nothing_is_lost(checked, sandbox):
    html = send_with(checked, sandbox, "drop_before")
    assert "PSB-2026-003" in html
    assert checked.draft.state == PortInDraft.State.SENDING


def refuse(draft: PortInDraft, *violations: tuple[str, str]) -> Operation:
    """Let Sinch refuse the draft's order over these fields."""
    operation = draft.operation
    assert operation is not None
    Operation.objects.filter(pk=operation.pk).update(
        state=Operation.State.REFUSED,
        next_try_at=None,
        finished_at=timezone.now(),
        staff_message="Sinch did not accept this: Invalid parameters.",
        answer={
            "status": 422,
            "message": "Invalid parameters",
            "violations": [{"field": f, "description": d} for f, d in violations],
        },
    )
    PortInDraft.objects.filter(pk=draft.pk).update(state=PortInDraft.State.OPEN)
    operation.refresh_from_db()
    return operation


def test_violations_come_back_beside_the_fields_with_everything_typed_intact(checked):
    checked.post({}, "send")
    refuse(
        checked.draft,
        ("phoneNumbers[0].endUser.zipCode", "zipCode does not match state"),
        ("phoneNumbers[1].endUser.zipCode", "zipCode does not match state"),
        ("desiredPortSchedule.desiredPortDate", "too soon"),
        ("somethingNew", "not understood"),
    )
    html = checked.open(checked.draft.get_absolute_url())
    assert html.count("Sinch: zipCode does not match state") == 2, "beside the field and on top"
    assert "Sinch: too soon" in html
    assert "Sinch: not understood" in html
    assert "3 things to put right" in html
    assert 'href="#id_zip"' in html
    assert "data-focus" in html
    for value in ("98101", "Ada Renner", "PSB-2026-003"):
        assert f'value="{value}"' in html
    checked.post({"zip": "98102"}, "save")
    place = re.search(r'id="id_zip_error"[^>]*>', checked.html)
    assert place, "its errors have a place to come back to"
    assert "hidden" in place[0], "it was corrected since"
    assert "Sinch: too soon" in checked.html


def test_a_violation_of_which_sinch_names_no_field_is_told_without_one(checked):
    checked.post({}, "send")
    refuse(checked.draft, ("", "not understood"))
    assert "<li>Sinch: “not understood”</li>" in checked.open(checked.draft.get_absolute_url())


def test_the_sandbox_refuses_a_real_order_and_the_draft_is_sent_again(checked, sandbox):
    checked.post({}, "send")
    sandbox.state.calls.clear()
    operation = Operation.objects.get(kind="port_in.create")
    operation.payload["body"]["phoneNumbers"][0]["endUser"]["state"] = "Washington"
    operation.save(update_fields=["payload"])
    runner.run_one()
    html = checked.open(checked.draft.get_absolute_url())
    assert "Sinch:" in html
    assert checked.draft.state == PortInDraft.State.OPEN
    assert 'id="id_state_error"' in html
    assert "Sinch refused our order" in checked.client.get("/").content.decode()
    checked.post({}, "send")
    runner.run_one()
    assert "Sinch refused our order" not in checked.client.get("/").content.decode()
    assert PortInOrder.objects.count() == 1
    assert Operation.objects.filter(kind="port_in.create").count() == 2


def test_a_stopped_try_that_may_have_arrived_keeps_a_new_one_back(checked):
    checked.post({}, "send")
    Operation.objects.filter(kind="port_in.create").update(
        state=Operation.State.DEAD,
        uncertain_since=timezone.now(),
        next_try_at=None,
        staff_message="Sinch could not be asked what became of it.",
    )
    PortInDraft.objects.update(state=PortInDraft.State.OPEN)
    html = checked.open(checked.draft.get_absolute_url())
    assert "We could not find out whether it arrived" in html
    answer = checked.post({}, "send")
    assert answer.status_code == 422
    assert "The last try may have arrived at Sinch" in answer.content.decode()
    assert Operation.objects.filter(kind="port_in.create").count() == 1


def test_a_stopped_try_that_did_nothing_makes_way_for_a_new_one(checked):
    checked.post({}, "send")
    Operation.objects.filter(kind="port_in.create").update(
        state=Operation.State.DEAD, next_try_at=None, attempts=30
    )
    PortInDraft.objects.update(state=PortInDraft.State.OPEN)
    checked.open(checked.draft.get_absolute_url())
    assert checked.post({}, "send").status_code == 302
    first = Operation.objects.filter(kind="port_in.create").earliest("pk")
    assert first.state == Operation.State.REFUSED
    assert runner.take_up(first)


def stopped_unsent(desk: Desk) -> Operation:
    """Send the draft, and have that stop as what never left does; the draft is open again."""
    desk.post({}, "send")
    operation = Operation.objects.filter(kind="port_in.create").latest("pk")
    Operation.objects.filter(pk=operation.pk).update(
        state=Operation.State.DEAD, next_try_at=None, finished_at=timezone.now()
    )
    draft = PortInDraft.objects.get(operation=operation)
    PortInDraft.objects.filter(pk=draft.pk).update(state=PortInDraft.State.OPEN)
    desk.open(draft.get_absolute_url())
    return operation


def test_a_stopped_try_is_not_sent_once_the_draft_says_something_else(checked, sandbox, settle):
    stopped = stopped_unsent(checked)
    checked.post({"zip": "98102"}, "save")
    again = f"{stopped.get_absolute_url()}again/"
    why = "Its draft was changed since. Open the draft and send it as it is now."
    html = checked.client.get(checked.draft.get_absolute_url()).content.decode()
    assert f'action="{again}"' not in html
    assert why in html
    answer = checked.client.post(again, follow=True)
    assert why in answer.content.decode()
    checked.open(checked.draft.get_absolute_url())
    checked.post({}, "send")
    settle()
    assert sandbox.state.calls["orderPortIn"] == 1
    sent = PortInOrder.objects.get().payload["phoneNumbers"]
    assert {entry["endUser"]["zipCode"] for entry in sent} == {"98102"}


@pytest.mark.parametrize("taken", ["", "numbers", "reference"])
def test_a_stopped_try_is_not_sent_beside_an_order_of_its_numbers_or_reference(
    checked, sandbox, settle, taken
):
    stopped = stopped_unsent(checked)
    if taken:
        other = Desk(checked.client)
        other.open()
        lines = "206 555 0142" if taken == "numbers" else "206 555 0149"
        own = "PSB-2026-003" if taken == "reference" else "PSB-2026-004"
        other.post({"numbers": lines} | details(reference=own, btn="+1 206 555 0142"))
        other.post({}, "check")
        settle()
        other.post({}, "send")
        settle()
        assert PortInOrder.objects.count() == 1
    what = {"numbers": "some of its numbers", "reference": "its reference"}.get(taken, "")
    assert runner.take_up(stopped).startswith(f"Another order has {what} by now." if taken else "")
    stopped.refresh_from_db()
    assert stopped.is_under_way == (not taken)
    settle()
    assert sandbox.state.calls["orderPortIn"] == 1


def test_what_is_corrected_on_an_old_page_of_a_refused_order_stays_on_the_page(checked, sandbox):
    page = checked.hidden()
    sandbox.control.faults.add("402", "orderPortIn")
    checked.client.post(CREATE, page | {"action": "send"})
    runner.run_one()
    corrected = page | {"zip": "98102"}
    answer = checked.client.post(CREATE, corrected | {"action": "send"})
    assert answer.status_code == 409
    assert 'value="98102"' in answer.content.decode()
    assert checked.draft.data["zip"] == "98101", "nothing is saved over it unasked"
    assert Operation.objects.filter(kind="port_in.create").count() == 1


def test_the_page_of_a_draft_costs_no_more_statements_for_500_numbers(desk):
    def cost(text: str) -> int:
        desk.post({"numbers": text} | details(), "save")
        url = reverse("orders:draft", args=[desk.draft.pk])
        with CaptureQueriesContext(connection) as queries:
            desk.client.get(url)
        return len(queries)

    few = cost(many(2))
    assert cost(many(500)) == few


def test_a_second_project_does_not_see_the_results_of_the_first(checked, project):
    other = SinchProject.objects.create(
        name="Other", project_id="other", key_id="k", key_secret="s"
    )
    draft = PortInDraft(project=other, by=checked.draft.by, data=dict(checked.draft.data))
    assert review(draft).verdicts.portable == 0
    assert review(checked.draft).verdicts.portable == 3
