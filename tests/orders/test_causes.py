"""What carriers write when they refuse a number, and what staff are told of it."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders.causes import CAUSES, MOST_CAUSES, cause_named, causes_of, names_of
from orders.details import ADDRESS_FIELDS
from orders.fixes import Fix

# Sentences as carriers write them, by the number of the cause they speak of first.
SAID = {
    1: (
        "The passcode you supplied does not match our records",
        "Wireless line: PORT_OUT_PIN is required to release this TN",
        "Customer gave the wrong security code (last 4 of SSN)",
    ),
    2: (
        "Acct Number on the LSR was not found in our billing system",
        "INVALID_ACCOUNT_NUMBER",
        "8A: Incorrect account no. for the telephone number listed",
    ),
    3: (
        "BTN on the request doesn't match the CSR",
        "The billing telephone number provided is incorrect for this customer",
        "Main number of the account is missing from the LSR",
    ),
    4: (
        "Dana Holt is not authorized to make changes on this account",
        "Authorized person mismatch; see the bill",
        "LSR signer is wrong per customer of record",
    ),
    5: (
        "End user name does not match CSR",
        "Business name differs from what we have on the customer service record",
        "Name mismatch - please send it as printed on the invoice... subscriber differs",
    ),
    6: (
        "Service address on LSR doesn't match, check house number",
        "ZIP is not valid for the premises",
        "Cannot accept a P.O. Box as the end user's place",
    ),
    7: (
        "There is a pending service order on this account (C1234)",
        "Reject: an open order exists, resubmit once it is completed",
        "LSR pending from a previous request",
    ),
    8: (
        "TN was disconnected on 05/12",
        "Line is no longer in service: status inactive",
        "Account suspended at the customer's request",
    ),
    9: (
        "TN not found on account 5551",
        "The numbers listed belong to multiple accounts, please split",
        "This line does not belong to the customer named",
    ),
    10: (
        "Partial ports need instructions for the lines that stay",
        "What should happen to the remaining numbers? New BTN required",
        "Porting this would leave lines stranded",
    ),
    11: (
        "Port-protection: customer must remove the number lock in the app",
        "Account is frozen by the end user",
        "A local service provider freeze is on the line",
    ),
    12: (
        "DSL on line has to be taken off first",
        "Number is part of a hunting group",
        "Remote call forwarding must be removed before the move",
    ),
    13: (
        "Signature on the form could not be read",
        "Please provide a copy of bill not older than 30 days",
        "The letter of authorization attached is older than 90 days",
    ),
    14: (
        "Due date is less than 4 business days out",
        "FOC expired, please supplement",
        "Requested on too short notice: the standard interval applies",
    ),
    15: (
        "Duplicate of a request we received yesterday",
        "TN has an active port with another carrier",
        "Number was already ported on 06/01",
    ),
    16: (
        "Rate center is not portable to this provider",
        "TN sits out of footprint for our network",
        "We have no coverage in this area",
    ),
    17: (
        "RNID is blank for this Canadian number",
        "Reseller of record has to be named",
        "Please supply the reseller the customer pays",
    ),
    18: (
        "Customer has a past due amount",
        "Unpaid balance of 210.44, port denied",
        "Early termination fee applies until the agreement ends",
    ),
    19: (
        "No response received from the losing provider after 3 attempts",
        "OSP is unresponsive, escalating",
        "The old provider did not respond in time",
    ),
}


def test_every_cause_has_three_sentences_to_be_known_by() -> None:
    assert [cause.number for cause in CAUSES] == list(range(1, 20))
    assert set(SAID) == {cause.number for cause in CAUSES}
    assert all(len(said) >= 3 for said in SAID.values())


@pytest.mark.parametrize(("number", "said"), [(n, text) for n in SAID for text in SAID[n]])
def test_a_cause_is_known_by_what_carriers_write(number: int, said: str) -> None:
    assert number in [cause.number for cause in causes_of(said)]


def test_words_count_whole_and_case_and_punctuation_do_not() -> None:
    assert [cause.key for cause in causes_of("INVALID:PassCode/pin!")] == ["pin"]
    assert [cause.key for cause in causes_of("the pass-code was   wrong")] == ["pin"]
    assert causes_of("wrong spinning") == ()
    assert causes_of("the urban area is incorrect") == ()
    assert causes_of("Thanks for the PIN and the address") == (), "nothing is wrong with them"


def test_a_wrong_signer_is_not_called_a_wrong_name() -> None:
    assert [cause.number for cause in causes_of("Authorized name is incorrect")] == [4]
    assert [cause.number for cause in causes_of("Name is incorrect")] == [5]


def test_a_number_of_another_account_is_not_called_a_wrong_account_number() -> None:
    assert [cause.number for cause in causes_of("Account number invalid: TN not on account")] == [9]
    assert [cause.number for cause in causes_of("Account number invalid")] == [2]


def test_three_causes_at_most_are_told_in_the_order_of_the_table() -> None:
    found = causes_of("Bill missing: zip, street, subscriber, btn, pin and account number differ")
    assert [cause.key for cause in found] == ["pin", "account", "btn"]
    assert names_of(found) == "PIN, account number, BTN"


@pytest.mark.parametrize(
    "said", ["", "Not on <it>", "RC-114", "See ticket 20448", "Kontakt aufnehmen", "🙂"]
)
def test_what_matches_nothing_has_no_cause(said: str) -> None:
    assert causes_of(said) == ()


def test_every_cause_says_what_it_means_and_where_it_is_mended() -> None:
    for cause in CAUSES:
        assert cause_named(cause.key) is cause
        assert cause.meaning.endswith(".")
        assert cause.edits or cause.place or cause.remedy == "terminal"
        assert cause.ask or cause.also
        if cause.remedy != "fix":
            assert not cause.edits
            assert cause.also
    assert cause_named("nothing") is None


def test_a_button_names_what_it_mends_and_how_often() -> None:
    said = {cause.key: cause.button(2) for cause in CAUSES}
    assert said["pin"] == "Fix PIN on 2 numbers"
    assert said["other-account"] == "Fix account number on 2 numbers"
    assert said["date"] == "Fix date"
    assert said["papers"] == "Upload LOA"
    assert said["lock"] == "Write to Sinch"
    assert CAUSES[0].button(1) == "Fix PIN on 1 number"


@given(
    st.one_of(st.text(), st.lists(st.sampled_from([*SAID[1], *SAID[9], "_", "pin"])).map("".join))
)
def test_any_text_is_judged_and_always_alike(said: str) -> None:
    found = causes_of(said)
    assert len(found) <= MOST_CAUSES
    assert [cause.number for cause in found] == sorted({cause.number for cause in found})
    causes_of.cache_clear()
    assert causes_of(said) == found
    assert {cause.key for cause in causes_of(re.sub(r"\s+", " _ ", said))} == {
        cause.key for cause in found
    }


# --- What is typed once for several numbers -------------------------------------------------------

A, B, C = "+12065550100", "+12065550101", "+12065550102"
START: dict[str, Any] = {
    "name": "Harborview Dental LLC",
    "btn": A,
    "street_num": "1420",
    "street": "Alder St",
    "unit": "Suite 2",
    "city": "Seattle",
    "state": "WA",
    "zip": "98101",
    "pin": "1111",
    "overrides": [{"key": "k", "number": C, "pin": "2222", "name": "Harborview Annex"}],
}


def fix(key: str, numbers: list[str], **typed: str) -> dict[str, Any]:
    cause = cause_named(key)
    assert cause
    return Fix(cause.edits, START, numbers, [A, B, C], typed, cause=cause).applied(START)


def test_a_value_for_some_numbers_becomes_their_own() -> None:
    found = fix("pin", [B, C], pin="3333")
    assert found["pin"] == "1111"
    own = {entry["number"]: entry for entry in found["overrides"]}
    assert own[B]["pin"] == own[C]["pin"] == "3333"
    assert own[C]["name"] == "Harborview Annex"
    assert START["overrides"][0]["pin"] == "2222", "what it began with stays as it was"


def test_a_value_for_all_numbers_becomes_that_of_the_order() -> None:
    found = fix("name", [A, B, C], name="Harborview Dental, LLC")
    assert found["name"] == "Harborview Dental, LLC"
    assert found["overrides"] == [{"key": "k", "number": C, "pin": "2222"}]
    assert fix("name", [A, B, C], name="")["overrides"] == START["overrides"]


def test_an_address_goes_as_a_whole_and_may_lose_its_unit() -> None:
    parts = {name: START[name] for name in ("street_num", "street", "city", "state")}
    found = fix("address", [B], **parts, unit="", zip="98102")
    own = {entry["number"]: entry for entry in found["overrides"]}
    assert own[B] == {"key": own[B]["key"], "number": B} | dict.fromkeys(ADDRESS_FIELDS, "") | {
        **parts,
        "zip": "98102",
    }


def test_what_is_left_as_it_was_changes_nothing() -> None:
    assert fix("pin", [B], pin="") == START
    assert fix("name", [A, B], name="Harborview Dental LLC") == START
    assert fix("reseller", [A], reseller="Northline Telecom")["reseller"] == "Northline Telecom"
