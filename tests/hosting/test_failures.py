"""Why steps failed: every code and text of the table, and what is said about several numbers."""

from datetime import UTC, datetime
from typing import Any

import pytest

from hosting import failures
from hosting.facts import Number
from hosting.failures import (
    ACCOUNT,
    CAUSES,
    FIX,
    SUPPORT,
    UNKNOWN,
    WAIT,
    cause_of,
    failures_of,
    grouped,
)
from portal.work.office import Limit

SINCE = datetime(2026, 6, 9, 15, 0, tzinfo=UTC)
PHONE, OTHER = "+12065550142", "+12065550143"


def number(phone: str = PHONE, errors: Any = None, codes: Any = None, **steps: str) -> Number:
    """Return a number with these steps, FAILED where only an error or a code is given."""
    errors, codes = errors or {}, codes or {}
    all_steps = dict.fromkeys([*errors, *codes], "FAILED") | steps
    return Number(phone, all_steps, SINCE, errors, codes)


@pytest.mark.parametrize(
    ("code", "key", "kind", "patience"),
    [
        ("PARTNER_SERVICE_UNAVAILABLE", "passing", WAIT, Limit(4, "h")),
        ("CAMPAIGN_PENDING_ACCEPTANCE", "acceptance", WAIT, Limit(3, "bd")),
        ("CAMPAIGN_MNO_REVIEW", "review", WAIT, Limit(5, "bd")),
        ("CAMPAIGN_NOT_AVAILABLE", "campaign_unknown", FIX, None),
        ("501", "campaign_unknown", FIX, None),
        ("502", "campaign_unknown", FIX, None),
        ("CAMPAIGN_EXPIRED", "campaign_over", FIX, None),
        ("CAMPAIGN_MNO_REJECTED", "campaign_over", FIX, None),
        ("CAMPAIGN_MNO_SUSPENDED", "campaign_over", FIX, None),
        ("EXCEEDED_10DLC_LIMIT", "full", FIX, None),
        ("CRS0001", "full", FIX, None),
        ("TFN_NOT_ALLOWED", "toll_free", FIX, None),
        ("INVALID_NNID", "nnid", FIX, None),
        ("MOCK_CAMPAIGN_NOT_ALLOWED", "mock", FIX, None),
        ("INSUFFICIENT_BALANCE", "balance", ACCOUNT, None),
        ("NUMBER_PROVISIONING_FAILED", "provisioning", SUPPORT, None),
        ("CAMPAIGN_PROVISIONING_FAILED", "provisioning", SUPPORT, None),
        ("MNO_SHARING_ERROR", "provisioning", SUPPORT, None),
        ("INTERNAL_ERROR", "provisioning", SUPPORT, None),
        ("CRS0003", "provisioning", SUPPORT, None),
        ("CRS0013", "provisioning", SUPPORT, None),
        ("CRS0015", "provisioning", SUPPORT, None),
        ("", "unknown", SUPPORT, None),
        ("A_CODE_OF_NEXT_YEAR", "unknown", SUPPORT, None),
    ],
)
def test_every_code_has_its_cause_wherever_it_was_told(
    code: str, key: str, kind: str, patience: Limit | None
) -> None:
    for cause in (cause_of("campaign", "", "", code), cause_of("campaign", code, "")):
        assert (cause.key, cause.kind, cause.patience) == (key, kind, patience)
        assert cause.plain
        assert cause.do


@pytest.mark.parametrize(
    ("step", "said", "key"),
    [
        ("sms_att", "Request timeout at gateway", "passing"),
        ("sms_att", "The call timed out", "passing"),
        ("mms_att", "Throttled by the operator", "passing"),
        ("mms_tmo", "Try again later", "passing"),
        ("sms_tmo", "temporarily down", "passing"),
        ("sms_tmo", "Service Unavailable", "passing"),
        ("sms_tmo", "Quota reached", "passing"),
        ("sms_att", "Daily limit of changes", "passing"),
        ("sms_att", "Number already assigned", "already"),
        ("sms_tmo", "Request was already processed", "already"),
        ("mms_att", "DUPLICATE request", "already"),
        ("sms_tmo", "Error 60135", "held"),
        ("mms_tmo", "TN belongs to another aggregator", "held"),
        ("sms_tmo", "Number must be migrated", "held"),
        ("sms_att", "TN belongs to another aggregator", "held_att"),
        ("mms_att", "Number is owned by another provider", "held_att"),
        ("sms_att", "Number must be migrated", "unknown"),
        ("sms_att", "Code 33: profile mismatch", "unknown"),
    ],
)
def test_what_an_operator_says_is_understood_for_the_step_it_is_about(
    step: str, said: str, key: str
) -> None:
    assert cause_of(step, "", said).key == key


def test_a_known_code_says_more_than_the_text_beside_it() -> None:
    assert cause_of("campaign", "CRS0001", "temporary problem").key == "full"
    assert cause_of("campaign", "33", "try again", "CAMPAIGN_EXPIRED").key == "campaign_over"


def test_the_code_of_t_mobile_means_nothing_at_att() -> None:
    assert cause_of("sms_tmo", "60135", "").key == "held"
    assert cause_of("sms_att", "60135", "") == UNKNOWN


def test_only_failed_steps_are_told_each_with_the_words_of_who_refused() -> None:
    found = failures_of(
        number(
            errors={"sms_att": ("33", "Profile mismatch")},
            codes={"campaign": "CAMPAIGN_EXPIRED"},
            osr="DONE",
            mms_att="WAITING",
        )
    )
    assert [(f.step, f.cause.key, f.code, f.said) for f in found] == [
        ("campaign", "campaign_over", "CAMPAIGN_EXPIRED", ""),
        ("sms_att", "unknown", "33", "Profile mismatch"),
    ]
    assert [f.step_words for f in found] == ["10DLC campaign link", "SMS at AT&T"]


def test_an_error_beside_a_step_that_went_well_is_no_failure() -> None:
    assert failures_of(number(errors={"sms_att": ("33", "retried")}, sms_att="DONE")) == []


@pytest.mark.parametrize("state", ["WAITING", "IN_PROGRESS", "FAILED", "STATE_UNSPECIFIED"])
def test_a_number_held_at_t_mobile_is_told_before_the_step_fails(state: str) -> None:
    found = failures_of(number(errors={"sms_tmo": ("60135", "")}, sms_tmo=state))
    assert [f.cause for f in found] == [failures.HELD]


def test_numbers_are_told_by_cause_the_most_serious_first_then_the_most_numbers() -> None:
    full = {"campaign": "EXCEEDED_10DLC_LIMIT"}
    groups = grouped(
        [
            number("+12065550140", codes={"campaign": "CAMPAIGN_MNO_REVIEW"}),
            number("+12065550141", codes={"campaign": "INTERNAL_ERROR"}),
            number("+12065550144", codes={"campaign": "INVALID_NNID"}),
            number(PHONE, codes=full),
            number(OTHER, codes=full),
            number("+12065550145", codes={"platform": "INSUFFICIENT_BALANCE"}),
        ]
    )
    assert [group.text for group in groups] == [
        "2 numbers: the campaign is full",
        "1 number: the routing id is not valid",
        "1 number: not enough credit at Sinch",
        "1 number: Sinch could not finish it",
        "1 number: an operator is reviewing the campaign",
    ]
    assert groups[0].phones == [PHONE, OTHER]
    assert groups[0].said == ["EXCEEDED_10DLC_LIMIT"]


def test_a_number_that_failed_twice_for_a_cause_is_counted_once() -> None:
    held = number(errors={"sms_tmo": ("60135", "held"), "mms_tmo": ("60135", "")})
    (group,) = grouped([held])
    assert group.phones == [PHONE]
    assert group.steps == ["SMS at T-Mobile", "MMS at T-Mobile"]
    assert group.said == ["60135 held", "60135"]


def test_no_code_has_two_causes_and_every_cause_that_waits_has_its_time() -> None:
    codes = [code for cause in CAUSES for code in cause.codes]
    assert len(codes) == len(set(codes))
    for cause in (*CAUSES, UNKNOWN):
        assert (cause.kind == WAIT) == (cause.patience is not None), cause.key
