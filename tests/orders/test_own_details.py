"""Details of single numbers, few and hundreds; emergency addresses; what Sinch took before."""

import re
from typing import Any

import pytest

from orders import actions, bodies, edits
from orders.details import DETAIL_FIELDS, UNITS
from orders.forms_own import SHOWN_AT_FIRST
from orders.models import PortInDraft
from tests.orders.test_edit import Order, number
from tests.orders.test_forms import FIRST, SECOND, form_of, refusal, said, typed

pytestmark = pytest.mark.django_db

MANY = [f"+1206555{n:04d}" for n in range(100, 160)]


def entries(count: int, **more: str) -> list[dict[str, Any]]:
    return [
        {"key": f"k{n}", "number": MANY[n], "pin": f"7748{n:02d}", **more} for n in range(count)
    ]


@pytest.fixture
def draft(agent, project) -> PortInDraft:
    """A draft in which forty numbers have details of their own."""
    data = actions.default_fields(project) | typed(numbers="\n".join(MANY), overrides=entries(40))
    return PortInDraft.objects.create(project=project, by=agent, data=data)


def keys_of(html: str) -> list[str]:
    return re.findall(r'name="override" value="([^"]+)"', html)


# --- Hundreds -----------------------------------------------------------------------------------


def test_the_first_entries_are_forms_and_the_rest_is_offered(agent_client, draft):
    html = agent_client.get(draft.get_absolute_url()).content.decode()
    assert keys_of(html) == [f"k{n}" for n in range(SHOWN_AT_FIRST)]
    assert "Different details for single numbers (40)" in html
    assert "20 more numbers" in html
    everything = agent_client.get(f"{draft.get_absolute_url()}?own=all").content.decode()
    assert len(keys_of(everything)) == 40
    assert "774831" not in everything, "a PIN is never shown"


def test_what_a_page_does_not_show_stays_when_it_is_saved(agent_client, draft):
    answer = agent_client.post(
        draft.get_absolute_url(),
        {
            "version": "1",
            "has_overrides": "1",
            "override": "k0",
            "k0-number": "(206) 555-0100",
            "k0-name": "Bay Deli",
            "action": "show_own",
        },
    )
    assert answer["Location"].endswith("?own=all#overrides")
    draft.refresh_from_db()
    own = draft.field("overrides")
    assert len(own) == 40
    assert (own[0]["name"], own[0]["number"], own[0]["pin"]) == ("Bay Deli", MANY[0], "774800")
    assert own[39] == {"key": "k39", "number": MANY[39], "pin": "774839"}


def test_an_entry_with_a_problem_is_shown_wherever_it_stands():
    own = entries(40)
    own[35]["zip"] = "981"
    form = form_of(typed(numbers="\n".join(MANY), overrides=own))
    assert [other.key for other in form.overrides][-1] == "k35"
    assert len(form.overrides) == SHOWN_AT_FIRST + 1
    assert ("the ZIP of +1 206 555 0135", "id_k35-zip") in form.open_points()


def test_sinchs_words_about_a_number_that_is_not_shown_bring_it_up():
    form = form_of(typed(numbers="\n".join(MANY), overrides=entries(40)))
    refused = refusal(("phoneNumbers[0].portOutInfo.existingPortOutPin", "wrong PIN"))
    refused.payload = {"body": {"phoneNumbers": [{"phoneNumber": MANY[30]}]}}
    form.add_refusal(refused)
    assert "Sinch: wrong PIN" in str(form.overrides[-1].errors["pin"])
    assert form.overrides[-1].phone_number == MANY[30]


def test_all_entries_are_sent_whether_shown_or_not():
    form = form_of(typed(numbers="\n".join(MANY), overrides=entries(40, new_pin="775518")))
    assert not form.open_points()
    own = form.override_details()
    assert own[MANY[39]] == {"port_out": {"existingPortOutPin": "774839"}, "new_pin": "775518"}


# --- Emergency addresses ------------------------------------------------------------------------


def body_of(fields: dict[str, Any]) -> dict[str, Any]:
    form = form_of(fields)
    assert form.is_valid(), form.errors
    body = bodies.create_body(
        numbers=form.phone_numbers,
        shared=form.shared(),
        overrides=form.override_details(),
        schedule=form.schedule(),
        reference="R",
        on_demand=False,
        reseller="",
        loa=form.loa(),
    )
    return {entry["phoneNumber"]: entry for entry in body["phoneNumbers"]}


def test_one_tick_makes_each_service_address_the_emergency_address():
    home = {"street_num": "7", "street": "Dock St", "city": "Kent", "state": "WA", "zip": "98030"}
    own = [{"key": "o1", "number": SECOND, **home}]
    sent = body_of(
        typed(e911_same=True, street_pre="N", unit="Suite 210", zip="98101-1234", overrides=own)
    )
    assert sent[FIRST]["features"]["e911"] == {
        "name": "Pike Street Books LLC",
        "streetNum": "88",
        "streetInfo": "N Pike St",
        "location": "Suite 210",
        "city": "Seattle",
        "state": "WA",
        "postalCode": "98101",
        "postalCodePlusFour": "1234",
    }
    assert sent[SECOND]["features"]["e911"]["streetInfo"] == "Dock St"
    assert "location" not in sent[SECOND]["features"]["e911"]


def test_an_emergency_address_is_whole_or_not_there():
    assert "the E911 address" in said(form_of(typed(e911_city="Seattle")), "e911_street")
    assert form_of(typed(e911_city="Seattle"), complete=False).is_valid()
    # The tick says all of it.
    assert form_of(typed(e911_city="Seattle", e911_same=True)).is_valid()


def test_an_edit_shows_what_sinch_made_of_an_address_and_can_take_the_service_address():
    e911 = {"streetNum": "88", "streetInfo": "Pike", "enhStreetInfo": "PIKE ST", "enhCity": None}
    entry = {**number("0142", streetName="Pike St", city="Seattle"), "features": {"e911": e911}}
    order = Order(entry)
    assert edits.validated_of(entry) == [("Street", "PIKE ST")]
    start = edits.fields_of(order, {})
    form = form_of({"numbers": FIRST} | start | {"e911_same": True}, complete=False)
    edit = edits.Edit(
        start,
        start | {"e911_same": True},
        form,
        edits.fields_by_number(order, {}),
        edits.validated_by_number(order),
    )
    assert form.validated == [("Street", "PIKE ST")]
    assert edit.changes["phoneNumbers"][FIRST]["features"]["e911"] == {
        "name": "Pike Street Books LLC",
        "streetInfo": "Pike St",
        "city": "Seattle",
    }


# --- What Sinch took before ---------------------------------------------------------------------


def test_an_odd_value_that_nobody_changed_does_not_hold_up_an_edit():
    odd = typed(state="WASH", voice="ISDN", e911_city="Seattle")
    form = form_of(odd, before=odd)
    assert form.is_valid(), form.errors
    changed = form_of(odd | {"city": "Kent"}, before=odd)
    assert said(changed, "state"), "an address is judged again as a whole"
    assert said(form_of(odd | {"name": ""}, before=odd | {"name": ""}), "name")


def test_numbers_without_what_most_have_are_told_of_before_a_change_reaches_them():
    voice = {"voiceConfiguration": {"type": "EST", "trunkId": "T1"}}
    order = Order(*({**number(last), **voice} for last in ("0142", "0143")), number("0144"))
    start = edits.fields_of(order, {})
    assert (start["voice"], start["overrides"]) == ("EST", [])
    changed = start | {"voice_id": "T2"}
    form = form_of({"numbers": FIRST} | changed, complete=False)
    actual = edits.fields_by_number(order, {})
    edit = edits.Edit(start, changed, form, actual, {})
    assert form.cautions["voice"] == [
        "1 number of 3 has none at Sinch; a change here is for all of them."
    ]
    sent = [entry["voiceConfiguration"] for entry in edit.changes["phoneNumbers"].values()]
    assert sent == [{"type": "EST", "trunkId": "T2"}] * 3


def test_what_few_numbers_have_is_theirs_alone():
    sms = {"smsConfiguration": {"smsAppId": "bay"}}
    order = Order(number("0142"), number("0143"), {**number("0144"), **sms})
    start = edits.fields_of(order, {})
    assert start["sms_app"] == ""
    assert [entry["sms_app"] for entry in start["overrides"]] == ["bay"]


def test_a_street_that_says_its_parts_twice_is_doubted_and_not_refused():
    form = form_of(typed(street="N Pike", street_pre="N", street_type="St"))
    assert form.is_valid()
    assert "N N Pike St" in form.cautions["street"][0]


@pytest.mark.parametrize(
    "box",
    [
        {"street": "PO Box 118", "street_num": ""},
        {"street": "Box 118", "street_num": "P.O."},
        {"street": "Pike St", "unit": "P O Box 7"},
    ],
)
def test_a_po_box_is_doubted_and_not_refused(box):
    form = form_of(typed(**box), complete=False)
    assert form.is_valid()
    assert form.cautions["street"] == ["A PO box is no service address. Write where the line is."]
    assert "street" not in form_of(typed(street="Boxwood Lane"), complete=False).cautions


def test_a_saved_new_pin_stays_until_it_is_removed(agent_client, agent, project, draft):
    url = draft.get_absolute_url()
    agent_client.post(url, {"version": "1", "tab": "t", "new_pin": "775518"})
    agent_client.post(url, {"version": "2", "tab": "t", "new_pin": "", "name": "Bay"})
    draft.refresh_from_db()
    assert draft.field("new_pin") == "775518"
    html = agent_client.get(url).content.decode()
    assert "A new PIN is saved" in html
    assert "775518" not in html
    agent_client.post(url, {"version": "3", "tab": "t", "new_pin_remove": "1"})
    draft.refresh_from_db()
    assert draft.field("new_pin") == ""


def test_every_field_of_a_number_belongs_to_one_unit():
    names = [name for unit in UNITS for name in unit]
    assert sorted(names) == sorted(DETAIL_FIELDS)
