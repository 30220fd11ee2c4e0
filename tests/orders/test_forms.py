"""The intake's forms: what they make of text, what they refuse, and where Sinch's words go."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from orders.details import WESTERNMOST, authorizing_moment, split_unit
from orders.edits import override_forms
from orders.forms import DraftForm, clean_details, details_body
from portal.numbers import read_numbers
from portal.operations.models import Operation

NUMBERS = "206 555 0142\n206 555 0143"
FIRST, SECOND = "+12065550142", "+12065550143"

TOLL_FREE = "+18335550142"
IN_VANCOUVER = {
    "street_num": "88",
    "street": "Water St",
    "city": "Vancouver",
    "state": "BC",
    "zip": "V6B 1A1",
}
IN_SEATTLE = IN_VANCOUVER | {"city": "Seattle", "state": "WA", "zip": "98101"}


def typed(**changed: Any) -> dict[str, Any]:
    return {
        "numbers": NUMBERS,
        "name": "Pike Street Books LLC",
        "street_num": "88",
        "street": "Pike St",
        "city": "Seattle",
        "state": "WA",
        "zip": "98101",
        "pin": "482193",
        "port_date": (timezone.localdate() + timedelta(days=9)).isoformat(),
        "port_time": "09:00",
        "port_zone": "US/Pacific",
    } | changed


def form_of(fields: dict[str, Any], *, complete: bool = True, **options: Any) -> DraftForm:
    lines = read_numbers(fields.get("numbers", ""))
    numbers = [line.number for line in lines if line.number]
    return DraftForm(
        fields,
        lines=lines,
        saved=fields,
        complete=complete,
        overrides=override_forms(fields.get("overrides", []), numbers, complete=complete),
        **options,
    )


def said(form: DraftForm, name: str) -> str:
    return " ".join(form.errors.get(name, []))


def test_a_complete_form_is_valid_and_becomes_what_sinch_takes():
    form = form_of(typed(unit="Ste. 210", state="wa", zip="981011234", voice="EST", voice_id="T1"))
    assert form.is_valid(), form.errors
    assert form.shared() == {
        "end_user": {
            "name": "Pike Street Books LLC",
            "streetNum": "88",
            "streetName": "Pike St",
            "locationType1": "Ste",
            "locationValue1": "210",
            "city": "Seattle",
            "state": "WA",
            "zipCode": "98101-1234",
            "typeOfService": "B",
        },
        "port_out": {"existingPortOutPin": "482193"},
        "voice": {"type": "EST", "id": "T1"},
    }
    assert form.schedule()["desiredPortTime"] == "09:00:00"


def test_an_unfinished_draft_is_not_blamed_for_what_is_still_empty():
    assert form_of({}, complete=False).is_valid()


def test_everything_that_is_open_is_named_with_its_field():
    points = dict(form_of({"numbers": NUMBERS}).open_points())
    assert points["the name on the bill"] == "id_name"
    assert points["the port date"] == "id_port_date"
    assert points["the PIN"] == "id_pin"
    assert "the unit" not in points


@pytest.mark.parametrize("missing", ["name", "street_num", "street", "city", "state", "zip"])
def test_the_end_user_has_to_be_whole(missing):
    form = form_of(typed(**{missing: ""}))
    assert list(form.errors) == [missing]


def test_a_pin_or_an_account_number_is_enough():
    assert form_of(typed(pin="", account="9930-114431")).is_valid()
    assert said(form_of(typed(pin="")), "pin") == (
        "Write the port-out PIN, or else the account number."
    )


def test_a_pin_of_its_own_for_each_number_is_enough():
    own = [{"key": f"o{n}", "number": n, "pin": "1111"} for n in (FIRST, SECOND)]
    assert form_of(typed(pin="", overrides=own)).is_valid()
    assert not form_of(typed(pin="", overrides=own[:1])).is_valid()


@pytest.mark.parametrize(
    ("reference", "sentence"),
    [("R" * 100, ""), ("R" * 101, "101 characters, at most 100. Shorten it.")],
)
def test_a_reference_has_at_most_100_characters(reference, sentence):
    assert said(form_of(typed(reference=reference)), "reference") == sentence


def test_a_reference_that_is_taken_comes_with_a_free_one():
    taken = {"X", "X-2"}
    form = form_of(
        typed(reference="X"),
        reference_owner=lambda reference: "Order 40118273" if reference in taken else "",
    )
    assert said(form, "reference") == (
        "Order 40118273 has this reference already; use another, such as X-3."
    )


def test_a_free_reference_for_one_of_100_characters_is_no_longer():
    form = form_of(
        typed(reference="R" * 100),
        reference_owner=lambda reference: "Order 1" if reference == "R" * 100 else "",
    )
    assert f"such as {'R' * 98}-2." in said(form, "reference")


def test_501_numbers_are_no_mistake_but_more_than_one_order():
    def many(count: int) -> str:
        return "\n".join(f"206555{n:04d}" for n in range(count))

    assert form_of(typed(numbers=many(500))).is_valid()
    assert form_of(typed(numbers=many(501))).is_valid()


def test_a_date_of_signature_has_to_have_come_everywhere_in_the_us():
    west = timezone.now().astimezone(WESTERNMOST).date()
    assert form_of(typed(signed_on=west.isoformat())).is_valid()
    tomorrow = (west + timedelta(days=1)).isoformat()
    assert "Lies in the future" in said(form_of(typed(signed_on=tomorrow)), "signed_on")


def test_a_slip_in_the_year_is_noticed():
    assert "The year 206 looks like a slip" in said(
        form_of(typed(signed_on="0206-06-08")), "signed_on"
    )


@given(st.dates(date(2000, 1, 1), date(2100, 1, 1)))
def test_the_moment_of_signature_is_that_day_or_its_first_minute_and_never_to_come(day):
    west = datetime.now(UTC).astimezone(WESTERNMOST).date()
    day = min(day, west)
    moment = datetime.fromisoformat(authorizing_moment(day))
    assert moment <= datetime.now(UTC)
    assert moment.date() == day


def test_no_port_date_is_an_error_and_one_that_has_passed_is_advised_against():
    today = timezone.now().astimezone(ZoneInfo("US/Pacific")).date()
    for day, words in ((today, "It is today"), (today - timedelta(days=2), "has passed")):
        form = form_of(typed(port_date=day.isoformat()))
        assert form.is_valid()
        advice = form.advice(timezone.now())
        assert advice
        assert "will be refused" in advice.title
        assert words in " ".join(advice.lines)


@pytest.mark.parametrize(
    ("changed", "days"),
    [
        ({"state": "BC", "zip": "V6B 1A1"}, "15 days when a number is Canadian toll-free."),
        ({}, "30 days when a number is toll-free."),
        (
            {"overrides": [IN_VANCOUVER | {"number": TOLL_FREE, "key": "n1"}]},
            "15 days when a number is Canadian toll-free.",
        ),
        (
            {
                "state": "BC",
                "zip": "V6B 1A1",
                "overrides": [IN_SEATTLE | {"number": TOLL_FREE, "key": "n1"}],
            },
            "30 days when a number is toll-free.",
        ),
    ],
)
def test_a_toll_free_loa_ages_as_in_the_country_of_its_address_and_blocks_nothing(changed, days):
    signed = timezone.now().astimezone(WESTERNMOST).date() - timedelta(days=29)
    fields = {"numbers": f"{NUMBERS}\n833 555 0142", "signed_on": signed.isoformat()}
    form = form_of(typed(**fields | {"reseller": "Aurora Télécom inc."} | changed))
    assert form.is_valid(), form.errors
    advice = form.advice(timezone.now())
    assert advice
    told = " ".join((advice.title, *advice.lines))
    assert f"carriers take one for {days.rstrip('.')}" in told


def test_what_sinch_says_of_a_toll_free_number_counts_more_than_its_address():
    signed = timezone.now().astimezone(WESTERNMOST).date() - timedelta(days=29)
    form = form_of(typed(numbers="833 555 0142", signed_on=signed.isoformat()))
    told = form.advice(timezone.now(), countries={TOLL_FREE: "CA"})
    assert told
    assert "15 days when a number is Canadian toll-free" in " ".join((told.title, *told.lines))


@pytest.mark.parametrize(
    ("state", "code", "clean"),
    [
        ("WA", "98101", "98101"),
        ("WA", "98101-1234", "98101-1234"),
        ("BC", "v6b1a1", "V6B 1A1"),
        ("ON", "K1A-0B1", "K1A 0B1"),
        ("WA", "K1A 0B1", None),
        ("ON", "98101", None),
        ("WA", "9810", None),
        ("ON", "D1A 0B1", None),
    ],
)
def test_a_zip_has_the_shape_of_its_country(state, code, clean):
    form = form_of(typed(state=state, zip=code))
    assert form.is_valid() == (clean is not None)
    if clean:
        assert form.cleaned_data["zip"] == clean


@pytest.mark.parametrize("btn", ["(206) 555-0142", "206.555.0142", "+12065550142"])
def test_a_billing_number_is_read_in_any_spelling(btn):
    form = form_of(typed(btn=btn))
    assert form.is_valid()
    assert form.shared()["port_out"]["accountPhoneNumber"] == FIRST


@pytest.mark.parametrize("btn", ["206 555", "none", "206 555 0142, 206 555 0143"])
def test_a_billing_number_is_one_number(btn):
    assert said(form_of(typed(btn=btn)), "btn")


def test_voice_and_its_id_go_together():
    assert "trunk id" in said(form_of(typed(voice="EST")), "voice_id")
    assert "app id" in said(form_of(typed(voice="RTC")), "voice_id")
    assert said(form_of(typed(voice_id="T1", voice="")), "voice")


def test_a_canadian_number_asks_for_a_reseller_name():
    form = form_of(typed(numbers="604 555 0110"))
    assert said(form, "reseller") == "Canadian numbers need a reseller name."
    assert form.canadian == ["604"]


@pytest.mark.parametrize("name", ["name", "street", "city", "reseller", "signer", "sms_app"])
def test_a_slip_of_the_clipboard_is_named_by_its_length(name):
    assert said(form_of(typed(**{name: "x" * 4000})), name).startswith("4000 characters, at most")


def test_a_secret_that_is_too_long_is_not_repeated_in_the_sentence():
    form = form_of(typed(pin="9" * 101))
    assert said(form, "pin") == "101 characters, at most 100. Type it again."


def test_no_secret_is_ever_rendered():
    own = [{"key": "o1", "number": FIRST, "pin": "7712", "account": "555-0142-031"}]
    form = form_of(typed(account="9930-114431", overrides=own))
    text = str(form) + "".join(str(other) for other in form.overrides) + repr(form.data)
    for secret in ("482193", "9930-114431", "7712", "555-0142-031"):
        assert secret not in text
    assert form.account_end == "4431"


@pytest.mark.parametrize(
    ("unit", "wanted"),
    [
        ("Suite 210", ("Suite", "210")),
        ("apt 4 B", ("apt", "4 B")),
        ("#12", ("Unit", "12")),
        ("210", ("Unit", "210")),
        ("", ("", "")),
    ],
)
def test_a_unit_becomes_sinchs_type_and_value(unit, wanted):
    assert split_unit(unit) == wanted


def test_an_address_of_a_single_number_has_to_be_whole_and_needs_no_unit():
    own = {"key": "o1", "number": SECOND, "street": "Dock St"}
    form = form_of(typed(overrides=[own], unit="Suite 210"))
    assert {text for text, _ in form.open_points()} >= {
        "the street number of +1 206 555 0143",
        "the ZIP of +1 206 555 0143",
    }
    whole = own | {"street_num": "410", "city": "Tacoma", "state": "WA", "zip": "98402"}
    form = form_of(typed(overrides=[whole], unit="Suite 210"))
    assert not form.open_points()
    assert form.override_details()[SECOND]["end_user"]["locationValue1"] == ""


@pytest.mark.parametrize(
    ("numbers", "sentence"),
    [
        (["+12065550199"], "not in the list any more"),
        ([FIRST, FIRST], "has details of its own already"),
        ([""], "Choose the number"),
    ],
)
def test_details_of_a_single_number_need_a_number_of_the_list(numbers, sentence):
    own = [{"key": f"o{n}", "number": number} for n, number in enumerate(numbers)]
    form = form_of(typed(overrides=own))
    assert sentence in " ".join(form.overrides[-1].errors["number"])


# --- Sinch's words ------------------------------------------------------------------------------


def refusal(*violations: tuple[str, str], message: str = "") -> Operation:
    return Operation(
        state=Operation.State.REFUSED,
        staff_message=message,
        payload={"body": {"phoneNumbers": [{"phoneNumber": FIRST}, {"phoneNumber": SECOND}]}},
        answer={"violations": [{"field": f, "description": d} for f, d in violations]},
    )


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("phoneNumbers[0].endUser.state", "state"),
        ("phoneNumbers.0.endUser.zipCode", "zip"),
        ("/phoneNumbers/0/endUser/streetNum", "street_num"),
        ("$.phoneNumbers[0].endUser.name", "name"),
        ("phoneNumbers[1].endUser.locationValue1", "unit"),
        ("phoneNumbers[0].portOutInfo.existingPortOutPin", "pin"),
        ("phoneNumbers[0].portOutInfo.accountNum", "account"),
        ("phoneNumbers[0].portOutInfo.authorizingDate", "signed_on"),
        ("phoneNumbers[0].voiceConfiguration.trunkId", "voice_id"),
        ("phoneNumbers[0].smsConfiguration.smsAppId", "sms_app"),
        ("phoneNumbers[0].phoneNumber", "numbers"),
        ("phoneNumbers[1]", "numbers"),
        ("desiredPortSchedule.desiredPortDate", "port_date"),
        ("desiredPortSchedule.desiredPortTimeZone", "port_zone"),
        ("customerOrderReference", "reference"),
        ("resellerName", "reseller"),
        ("onDemandActivation", "on_demand"),
        ("zipCode", "zip"),
        ("phoneNumbers[0].endUser.streetPreDir", "street_pre"),
        ("phoneNumbers[0].endUser.locationType3", "place3"),
        ("phoneNumbers[0].newPortOutPin", "new_pin"),
        ("phoneNumbers[0].features.e911.state", "e911_state"),
        ("phoneNumbers[0].features.e911.postalCodePlusFour", "e911_zip4"),
        ("phoneNumbers[0].features.e911", "e911_name"),
        ("loaUploadedBy", "loa_by"),
        ("loaAttachmentDate", "loa_date"),
    ],
)
def test_sinchs_words_stand_beside_the_field_they_mean(path, name):
    form = form_of(typed())
    form.add_refusal(refusal((path, "not as expected")))
    assert "Sinch: not as expected" in said(form, name)
    assert list(form.errors) == [name]


@pytest.mark.parametrize("place", ["²", "9" * 5000, "2", "-1"])
def test_a_place_in_the_order_that_is_none_names_no_number(place):
    form = form_of(typed())
    form.add_refusal(refusal((f"phoneNumbers[{place}].endUser.state", "not as expected")))
    assert said(form, "state") == "Sinch: not as expected"


def test_a_field_nobody_knows_is_told_on_top_with_sinchs_name_for_it():
    form = form_of(typed())
    form.add_refusal(refusal(("phoneNumbers[0].features.directory.state", "unknown")))
    assert form.non_field_errors() == ["Sinch: unknown (phoneNumbers[0].features.directory.state)"]


def test_the_same_words_about_many_numbers_are_said_once():
    form = form_of(typed())
    paths = [f"phoneNumbers[{n}].endUser.state" for n in (0, 1)]
    form.add_refusal(refusal(*[(path, "unknown state") for path in paths]))
    assert form.errors["state"] == ["Sinch: unknown state"]


def test_words_about_a_number_name_the_number():
    form = form_of(typed())
    form.add_refusal(refusal(("phoneNumbers[1].phoneNumber", "Number is not portable")))
    assert said(form, "numbers") == "+1 206 555 0143. Sinch: Number is not portable"


def test_words_about_a_number_with_details_of_its_own_stand_there():
    own = [{"key": "o1", "number": SECOND, "pin": "7712"}]
    form = form_of(typed(overrides=own))
    form.add_refusal(
        refusal(
            ("phoneNumbers[1].portOutInfo.existingPortOutPin", "wrong PIN"),
            ("phoneNumbers[1].endUser.name", "wrong name"),
        )
    )
    assert form.overrides[0].errors["pin"] == ["Sinch: wrong PIN"]
    assert form.errors["name"] == ["Sinch: wrong name"], "the name is the one of the order"


def test_a_refusal_without_fields_stands_on_top():
    form = form_of(typed())
    form.add_refusal(refusal(message="The Sinch account has no balance left."))
    assert form.non_field_errors() == ["The Sinch account has no balance left."]


def test_a_field_that_was_corrected_since_is_not_blamed_again():
    form = form_of(typed())
    said_no = refusal(("resellerName", "unknown"), ("customerOrderReference", "taken"))
    form.add_refusal(said_no, same=lambda name: name != "reference")
    assert list(form.errors) == ["reseller"]


def test_details_in_a_list_are_judged_as_the_form_judges_them():
    rows = [
        {"name": "  Bay   Books ", "state": "wa", "zip": "981011234", "btn": "(206) 555-0142"},
        {"signed_on": "6/1/2026", "service": "residential", "voice": "sip trunk", "voice_id": "T1"},
    ]
    assert clean_details(rows[1]) == (
        {"signed_on": "2026-06-01", "service": "R", "voice": "EST", "voice_id": "T1"},
        [],
    )
    cleaned, problems = clean_details(rows[0])
    assert cleaned == {"name": "Bay Books", "state": "WA", "zip": "98101-1234", "btn": FIRST}
    # An address of its own is a whole one.
    assert [name for name, _ in problems] == ["street_num", "street", "city"]


def test_what_is_wrong_with_details_is_said_without_the_secret():
    secret = "4821" * 30
    cleaned, problems = clean_details({"pin": secret, "state": "Washington", "zip": "9810"})
    assert cleaned == {}
    assert {name for name, _ in problems} >= {"pin", "state", "zip"}
    assert secret not in str(problems)


def test_an_address_of_its_own_inherits_no_part_of_the_shared_one():
    own = details_body({"street_num": "7", "street": "Elm St", "e911_street": "Elm St"})
    assert own["end_user"]["streetName"] == "Elm St"
    assert own["end_user"]["locationValue1"] == own["end_user"]["streetPreDir"] == ""
    assert own["e911"]["location"] == ""
    assert details_body({"pin": "4821", "new_pin": "7755"}) == {
        "port_out": {"existingPortOutPin": "4821"},
        "new_pin": "7755",
    }
