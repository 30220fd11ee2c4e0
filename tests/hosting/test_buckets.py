"""In which bucket a hosting order is and why: facts and a moment in, a verdict out; no database."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hosting import buckets, clocks
from hosting.buckets import pause_before_reading, work_out
from hosting.facts import Facts, Number, Write
from portal import words
from portal.work import marks
from portal.work.marks import Mark
from portal.work.office import Calendar
from portal.work.verdicts import Verdict

PACIFIC = ZoneInfo("US/Pacific")
# A Tuesday; everything here is told in its week.
NOW = datetime(2026, 6, 9, 14, 0, tzinfo=PACIFIC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
PHONES = [f"+1206555014{n}" for n in range(6)]
DONE = {"osr": "DONE", "platform": "DONE", "campaign": "DONE"}
OPEN = DONE | {"campaign": "WAITING"}
BROKEN = DONE | {"campaign": "FAILED"}
HELD = DONE | {"sms_tmo": "FAILED"}
THIRD = ("60135", "Number is with another provider")
MOMENT = timedelta(microseconds=1)


def number(at: int, steps: Any = OPEN, *, hours_ago: float = 1, **fields: Any) -> Number:
    """Return one number whose steps have been as they are for some hours."""
    return Number(PHONES[at], steps, NOW - timedelta(hours=hours_ago), **fields)


def broken(at: int, code: str = "CAMPAIGN_EXPIRED", **fields: Any) -> Number:
    """Return one number that could not be linked to its campaign."""
    return number(at, BROKEN, failure_codes={"campaign": code}, **fields)


def held(at: int, state: str = "FAILED", **fields: Any) -> Number:
    """Return one number that another provider holds at T-Mobile."""
    return number(at, HELD | {"sms_tmo": state}, errors={"sms_tmo": THIRD}, **fields)


def facts(status: str = "IN_PROGRESS", *numbers: Number, hours: float = 1, **fields: Any) -> Facts:
    """Return an order that has been in its state for some hours."""
    since = NOW - timedelta(hours=hours)
    values: dict[str, Any] = {
        "progress_at": since,
        "state_since": since,
        "signer": "Owen Marsh",
        "default_zone": "US/Pacific",
        "numbers": numbers or (number(0), number(1)),
    }
    return Facts(status, **(values | fields))


def mark(kind: str, fact: str, at: datetime = NOW - HOUR, reason: str = "H3") -> Mark:
    """Return a decision of staff about a fact."""
    return Mark(kind, reason, fact, at)


def settled(case: Facts, *keys: str) -> Facts:
    """Return an order of which these facts are settled."""
    return replace(case, marks=(*case.marks, *(mark(marks.SETTLED, key) for key in keys)))


def asked(case: Facts, key: str, at: datetime = NOW - HOUR) -> Facts:
    """Return an order about a fact of which somebody was asked."""
    return replace(case, marks=(*case.marks, mark(marks.ASKED, key, at)))


def codes(case: Facts, now: datetime = NOW) -> list[str]:
    """Return the codes of the reasons, worst first."""
    return [reason.code for reason in work_out(case, now).reasons]


def told(case: Facts, now: datetime = NOW) -> list[str]:
    """Return the reasons in words, worst first."""
    return [reason.text for reason in work_out(case, now).reasons]


def place(case: Facts, now: datetime = NOW) -> tuple[str, str]:
    """Return the bucket and whose move it is."""
    verdict = work_out(case, now)
    return verdict.bucket, verdict.move


# --- Where an order is without a reason -----------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "bucket", "move", "text"),
    [
        ("DRAFT", "wait", "sinch", "Sinch has not begun"),
        ("SUBMITTED", "wait", "sinch", "Sinch is checking the order"),
        ("WAITING_FOR_LOA_SIGNATURE", "wait", "signer", "LOA to be signed by Owen Marsh"),
        ("IN_PROGRESS", "wait", "sinch", "0 of 2 numbers done at every step"),
        ("COMPLETED", "wait", "sinch", "Completed; 2 numbers not done yet"),
        ("PAUSED_BY_REGULATOR", "wait", "sinch", "Sinch reports PAUSED_BY_REGULATOR"),
        ("", "wait", "sinch", "Sinch reports no state"),
    ],
)
def test_every_state_has_a_bucket_known_or_not(
    status: str, bucket: str, move: str, text: str
) -> None:
    case = facts(status)
    assert place(case) == (bucket, move)
    assert told(case) == [text]


@pytest.mark.parametrize(
    ("steps", "bucket"),
    [
        ((DONE, DONE), "done"),
        ((DONE, OPEN), "wait"),
        ((DONE, {}), "wait"),
        ((DONE, {"osr": "STATE_UNSPECIFIED"}), "wait"),
        ((DONE, DONE | {"sms_att": "STATE_UNSPECIFIED", "mms_att": ""}), "done"),
        ((DONE, BROKEN), "us"),
    ],
)
def test_a_completed_order_is_done_when_no_number_is_open(steps: Any, bucket: str) -> None:
    numbers = [number(at, one) for at, one in enumerate(steps)]
    assert work_out(facts("COMPLETED", *numbers), NOW).bucket == bucket


def test_a_completed_order_whose_numbers_all_failed_ends_once_they_are_settled() -> None:
    both = (broken(0), broken(1, "INVALID_NNID"))
    case = facts("COMPLETED", *both)
    assert place(case) == ("us", "us")
    assert place(settled(case, both[0].fact)) == ("us", "us")
    assert place(settled(case, both[0].fact, both[1].fact)) == ("ended", "nobody")
    with_one_done = replace(case, numbers=(*both, number(2, DONE)))
    assert place(settled(with_one_done, both[0].fact, both[1].fact)) == ("done", "nobody")


def test_a_completed_order_whose_numbers_were_not_read_yet_waits() -> None:
    case = facts("COMPLETED", is_read=False)
    assert place(replace(case, numbers=())) == ("wait", "sinch")
    assert told(replace(case, numbers=())) == ["Completed; being read"]


def test_an_order_that_sinch_forgot_has_ended() -> None:
    assert place(facts("IN_PROGRESS", broken(0), gone_at=NOW)) == ("ended", "nobody")


# --- Dated soon -----------------------------------------------------------------------------------


def test_a_scheduled_time_within_five_business_days_is_dated_soon() -> None:
    near = facts(scheduled_at=datetime(2026, 6, 16, 9, tzinfo=PACIFIC))
    assert place(near) == ("date", "date")
    assert told(near) == ["Routing runs Tue 16 Jun, 09:00 Pacific"]
    assert told(replace(near, is_toll_free=True)) == ["Provisioning runs Tue 16 Jun, 09:00 Pacific"]
    far = facts(scheduled_at=datetime(2026, 6, 17, 9, tzinfo=PACIFIC))
    verdict = work_out(far, NOW)
    assert verdict.bucket == "wait"
    assert verdict.next_change_at == datetime(2026, 6, 10, tzinfo=PACIFIC)
    assert work_out(far, verdict.next_change_at).bucket == "date"


def test_a_day_off_of_the_project_brings_a_scheduled_time_nearer() -> None:
    far = facts(scheduled_at=datetime(2026, 6, 17, 9, tzinfo=PACIFIC))
    off = replace(far, days_off=frozenset({date(2026, 6, 15)}))
    assert work_out(off, NOW).bucket == "date"


def test_an_order_stays_dated_until_the_day_of_its_time_is_over() -> None:
    today = facts(scheduled_at=NOW - HOUR)
    assert work_out(today, NOW).bucket == "date"
    midnight = datetime(2026, 6, 10, tzinfo=PACIFIC)
    assert work_out(today, midnight - MOMENT).bucket == "date"
    assert work_out(today, midnight).bucket == "wait"


@pytest.mark.parametrize("status", ["DRAFT", "SUBMITTED"])
def test_an_order_whose_loa_is_still_to_be_mailed_is_not_dated(status: str) -> None:
    case = facts(status, scheduled_at=datetime(2026, 6, 12, 9, tzinfo=PACIFIC))
    assert work_out(case, NOW).bucket == "date"
    assert work_out(replace(case, needs_signature=True), NOW).bucket == "wait"


def test_nearer_times_come_first() -> None:
    days = [datetime(2026, 6, day, 20, tzinfo=PACIFIC) for day in (9, 11, 16)]
    ranks = [work_out(facts(scheduled_at=day), NOW).rank for day in days]
    assert ranks == sorted(set(ranks))


@pytest.mark.parametrize("status", ["WAITING_FOR_LOA_SIGNATURE", "COMPLETED", "REJECTED"])
def test_a_time_counts_only_for_a_living_order_with_its_signature(status: str) -> None:
    case = facts(status, scheduled_at=datetime(2026, 6, 12, 9, tzinfo=PACIFIC))
    assert work_out(case, NOW).bucket != "date"


# --- H1: our writes -------------------------------------------------------------------------------


def test_a_refused_order_for_held_numbers_is_ours_while_they_are_held() -> None:
    refused = Write("hosting.import", "refused", NOW - HOUR, NOW - HOUR)
    case = facts("IN_PROGRESS", held(0), number(1))
    assert codes(replace(case, writes=(refused,))) == ["H1", "H4"]
    assert codes(replace(case, writes=(replace(refused, is_seen=True),))) == ["H4"]
    later = Write("hosting.import", "succeeded", NOW, NOW)
    assert codes(replace(case, writes=(refused, later))) == ["H4"]
    assert codes(facts(writes=(refused,))) == ["WAIT"]


def test_a_lost_answer_is_ours_after_a_quarter_of_an_hour() -> None:
    lost = Write("hosting.import", "uncertain", NOW, uncertain_since=NOW)
    case = facts("IN_PROGRESS", held(0), writes=(lost,))
    assert codes(case) == ["H4"]
    due = NOW + timedelta(minutes=15)
    assert work_out(case, NOW).next_change_at == due
    assert codes(case, due) == ["H1", "H4"]


# --- H2: refused ----------------------------------------------------------------------------------


def test_a_refused_order_is_ours_until_it_is_settled() -> None:
    case = facts("REJECTED", hours=2)
    verdict = work_out(case, NOW)
    assert (verdict.bucket, verdict.move) == ("us", "us")
    assert [(r.code, r.text, r.next) for r in verdict.reasons] == [
        ("H2", "Sinch refused this order", buckets.ASK_SUPPORT)
    ]
    assert place(settled(case, case.state_fact)) == ("ended", "nobody")


def test_a_refusal_that_comes_again_is_open_again() -> None:
    first = facts("REJECTED", hours=2)
    again = settled(replace(first, state_since=NOW), first.state_fact)
    assert codes(again) == ["H2"]


# --- H3: failed numbers ---------------------------------------------------------------------------


def test_numbers_that_failed_alike_are_one_reason_with_what_is_wrong() -> None:
    case = facts("IN_PROGRESS", broken(0), broken(1), broken(2, "EXCEEDED_10DLC_LIMIT"), number(3))
    verdict = work_out(case, NOW)
    assert (verdict.bucket, verdict.move) == ("us", "us")
    assert sorted(told(case)) == [
        "1 number: the campaign is full",
        "2 numbers: the campaign has run out or was stopped",
    ]
    assert {(r.code, r.next) for r in verdict.reasons} == {("H3", buckets.LOOK)}


def test_the_most_serious_cause_is_told_first_then_that_of_the_most_numbers() -> None:
    case = facts(
        "IN_PROGRESS",
        broken(0, "INTERNAL_ERROR"),
        broken(1, "INSUFFICIENT_BALANCE"),
        broken(2, "INVALID_NNID"),
        broken(3, "EXCEEDED_10DLC_LIMIT"),
        broken(4, "EXCEEDED_10DLC_LIMIT"),
    )
    assert told(case) == [
        "2 numbers: the campaign is full",
        "1 number: the routing id is not valid",
        "1 number: not enough credit at Sinch",
        "1 number: Sinch could not finish it",
    ]


@pytest.mark.parametrize(
    ("code", "due"),
    [
        # From Tuesday 14:00: hours of the clock, not of business.
        ("PARTNER_SERVICE_UNAVAILABLE", datetime(2026, 6, 9, 18, tzinfo=PACIFIC)),
        ("CAMPAIGN_PENDING_ACCEPTANCE", datetime(2026, 6, 12, 14, tzinfo=PACIFIC)),
        ("CAMPAIGN_MNO_REVIEW", datetime(2026, 6, 16, 14, tzinfo=PACIFIC)),
    ],
)
@pytest.mark.parametrize("status", ["IN_PROGRESS", "COMPLETED"])
def test_a_failure_that_may_pass_is_ours_when_its_time_is_over(
    status: str, code: str, due: datetime
) -> None:
    case = facts(status, broken(0, code, hours_ago=0), number(1, DONE), hours=0)
    assert place(case) == ("wait", "sinch")
    assert "it may pass by itself" in told(case)[0]
    assert work_out(case, due - MOMENT).bucket == "wait"
    assert codes(case, due) == ["H3"]


def test_a_failure_that_became_ours_has_a_day_from_then_on() -> None:
    case = facts("IN_PROGRESS", broken(0, "CAMPAIGN_MNO_REVIEW", hours_ago=0), hours=0)
    due = datetime(2026, 6, 16, 14, tzinfo=PACIFIC)
    (reason,) = work_out(case, due).reasons
    assert reason.since == due
    assert not reason.is_late(due)
    assert reason.is_late(due + DAY)


def test_a_number_is_told_with_its_most_serious_cause() -> None:
    steps = BROKEN | {"sms_att": "FAILED"}
    errors = {"sms_att": ("", "daily limit")}
    one = number(0, steps, errors=errors, failure_codes={"campaign": "CAMPAIGN_EXPIRED"})
    assert told(facts("IN_PROGRESS", one)) == ["1 number: the campaign has run out or was stopped"]


def test_a_failure_without_any_cause_goes_to_support() -> None:
    one = number(0, DONE | {"platform": "FAILED"})
    assert told(facts("IN_PROGRESS", one)) == ["1 number: failed without a cause we know"]


def test_a_settled_failure_is_open_again_when_something_new_is_said() -> None:
    one = broken(0)
    case = settled(facts("IN_PROGRESS", one, number(1)), one.fact)
    assert codes(case) == ["WAIT"]
    other_code = replace(one, failure_codes={"campaign": "CAMPAIGN_MNO_REJECTED"})
    assert codes(replace(case, numbers=(other_code,))) == ["H3"]
    other_step = replace(one, steps=one.steps | {"platform": "FAILED"})
    assert codes(replace(case, numbers=(other_step,))) == ["H3"]


@pytest.mark.parametrize("age", [clocks.HOURS_OF_A_DAY - 1, clocks.HOURS_OF_A_DAY])
def test_a_failure_that_nobody_took_up_is_late_after_a_day(age: int) -> None:
    case = facts("IN_PROGRESS", broken(0, hours_ago=0), hours=0)
    opened = Calendar(PACIFIC, ("US",)).plus_bh(NOW, age)
    (reason,) = work_out(case, opened).reasons
    assert reason.is_late(opened) == (age == clocks.HOURS_OF_A_DAY)


# --- H4: held at T-Mobile -------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["WAITING", "IN_PROGRESS", "FAILED"])
@pytest.mark.parametrize("status", ["IN_PROGRESS", "COMPLETED"])
def test_a_number_held_at_t_mobile_is_ours_whatever_the_state(status: str, state: str) -> None:
    case = facts(status, held(0, state), number(1, DONE))
    verdict = work_out(case, NOW)
    assert [(r.code, r.text, r.next) for r in verdict.reasons] == [
        ("H4", "1 number is held by another provider at T-Mobile", buckets.MOVE_HELD)
    ]


@pytest.mark.parametrize("said", ["TN belongs to another aggregator", "Number must be migrated"])
def test_a_number_of_which_t_mobile_says_so_in_words_alone_is_ours_as_well(said: str) -> None:
    one = number(0, HELD, errors={"sms_tmo": ("", said)})
    for status in ("IN_PROGRESS", "COMPLETED"):
        assert place(facts(status, one, number(1, DONE))) == ("us", "us")


@pytest.mark.parametrize("code", ["TMO-60135", "60135 "])
def test_the_code_counts_wherever_it_is_written(code: str) -> None:
    one = number(0, HELD, errors={"sms_tmo": (code, "")})
    assert codes(facts("IN_PROGRESS", one)) == ["H4"]


def test_a_number_that_t_mobile_took_after_all_is_not_held() -> None:
    one = held(0, "DONE")
    assert place(facts("COMPLETED", one)) == ("done", "nobody")


def test_a_number_being_moved_by_another_order_is_told_until_it_is_done() -> None:
    for status in ("IN_PROGRESS", "COMPLETED"):
        case = facts(status, held(0), number(1, DONE), migrating=frozenset(PHONES[:1]))
        verdict = work_out(case, NOW)
        assert (verdict.bucket, verdict.move) == ("us", "sinch"), status
        assert [(r.code, r.text, r.next) for r in verdict.reasons] == [
            ("H4", "1 number being moved to Sinch at T-Mobile by another order", "")
        ]
        assert not verdict.reasons[0].is_late(NOW + 30 * DAY)
        assert verdict.rank > work_out(replace(case, migrating=frozenset()), NOW).rank
        done = replace(case, migrating=frozenset(), migrated=frozenset(PHONES[:1]))
        assert work_out(done, NOW).bucket in ("wait", "done")


def test_numbers_that_are_not_being_moved_yet_come_before_those_that_are() -> None:
    case = facts("IN_PROGRESS", held(0), held(1), migrating=frozenset(PHONES[:1]))
    verdict = work_out(case, NOW)
    assert verdict.move == "us"
    assert [r.text for r in verdict.reasons] == [
        "1 number is held by another provider at T-Mobile",
        "1 number being moved to Sinch at T-Mobile by another order",
    ]


def test_a_number_that_was_moved_is_done() -> None:
    case = facts("COMPLETED", held(0), held(1), migrated=frozenset(PHONES[:1]))
    assert codes(case) == ["H4"]
    assert told(case) == ["1 number is held by another provider at T-Mobile"]
    both = replace(case, migrated=frozenset(PHONES[:2]))
    assert place(both) == ("done", "nobody")


def test_settling_other_failures_leaves_a_held_number_open() -> None:
    one = number(
        0,
        BROKEN | {"sms_tmo": "WAITING"},
        errors={"sms_tmo": THIRD},
        failure_codes={"campaign": "CAMPAIGN_EXPIRED"},
    )
    case = facts("IN_PROGRESS", one)
    assert codes(case) == ["H3", "H4"]
    assert codes(settled(case, one.fact)) == ["H4"]
    assert codes(settled(case, one.held_fact)) == ["H3"]


# --- H5: not signed -------------------------------------------------------------------------------


def test_an_order_unsigned_for_two_business_days_is_ours() -> None:
    case = facts("WAITING_FOR_LOA_SIGNATURE", hours=0)
    due = datetime(2026, 6, 11, 14, tzinfo=PACIFIC)
    assert work_out(case, NOW).next_change_at == due
    assert place(case, due - MOMENT) == ("wait", "signer")
    verdict = work_out(case, due)
    assert [(r.code, r.text, r.next) for r in verdict.reasons] == [
        ("H5", "LOA not signed by Owen Marsh", buckets.PHONE_SIGNER)
    ]
    assert verdict.move == "us"


def test_an_unsigned_order_whose_time_is_less_than_a_business_day_away_is_ours() -> None:
    at = datetime(2026, 6, 10, 15, tzinfo=PACIFIC)
    case = facts("WAITING_FOR_LOA_SIGNATURE", scheduled_at=at)
    due = datetime(2026, 6, 9, 15, tzinfo=PACIFIC)
    assert work_out(case, NOW).next_change_at == due
    assert codes(case, due) == ["H5"]
    assert told(case, due) == ["LOA not signed by Owen Marsh, and its time is near"]


def test_a_signer_who_was_phoned_has_the_move_for_two_business_days() -> None:
    case = facts("WAITING_FOR_LOA_SIGNATURE", hours=72)
    phoned = asked(case, case.state_fact)
    verdict = work_out(phoned, NOW)
    assert (verdict.bucket, verdict.move) == ("us", "signer")
    assert verdict.reasons[0].is_asked
    assert verdict.reasons[0].text == "LOA not signed by Owen Marsh; signer asked Tue 9 Jun"
    again = work_out(phoned, datetime(2026, 6, 11, 13, tzinfo=PACIFIC))
    assert again.move == "us"


# --- H6: completed, and not all done --------------------------------------------------------------


@pytest.mark.parametrize("is_read", [True, False])
def test_a_completed_order_with_open_numbers_is_ours_after_a_business_day(is_read: bool) -> None:
    case = facts("COMPLETED", number(0, DONE), number(1), hours=0, is_read=is_read)
    due = datetime(2026, 6, 10, 14, tzinfo=PACIFIC)
    assert place(case) == ("wait", "sinch")
    assert work_out(case, NOW).next_change_at == due
    assert codes(case, due) == ["H6"]
    assert told(case, due) == ["Completed, but 1 number is not done"]
    assert place(settled(case, case.state_fact), due) == ("done", "nobody")


def test_a_completed_order_unread_for_a_business_day_is_ours() -> None:
    case = replace(facts("COMPLETED", hours=0, is_read=False), numbers=())
    assert codes(case, datetime(2026, 6, 10, 14, tzinfo=PACIFIC)) == ["H6"]


# --- H7: nothing moves ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "fields", "due"),
    [
        ("DRAFT", {}, datetime(2026, 6, 10, 14, tzinfo=PACIFIC)),
        ("SUBMITTED", {}, datetime(2026, 6, 10, 14, tzinfo=PACIFIC)),
        ("IN_PROGRESS", {}, datetime(2026, 6, 16, 14, tzinfo=PACIFIC)),
        (
            "IN_PROGRESS",
            {"manual": 2, "report_since": NOW},
            datetime(2026, 6, 12, 14, tzinfo=PACIFIC),
        ),
    ],
)
def test_an_order_that_nobody_moves_is_to_be_asked_about(
    status: str, fields: dict[str, Any], due: datetime
) -> None:
    case = facts(status, hours=0, **fields)
    verdict = work_out(case, NOW)
    assert verdict.bucket == "wait"
    assert verdict.next_change_at == due
    assert work_out(case, due - MOMENT).bucket == "wait"
    stalled = work_out(case, due)
    assert [(r.code, r.next) for r in stalled.reasons] == [("H7", buckets.ASK_SUPPORT)]
    chased = asked(case, buckets.chase_fact(case), due)
    assert work_out(chased, due).bucket == "wait"


def test_the_clock_of_an_order_in_progress_starts_anew_when_something_moves() -> None:
    case = facts("IN_PROGRESS", hours=24 * 30)
    assert codes(case) == ["H7"]
    assert codes(replace(case, progress_at=NOW)) == ["WAIT"]


# --- Ranks and moves ------------------------------------------------------------------------------


def test_what_the_customer_was_asked_about_sinks_and_comes_back() -> None:
    one = held(0)
    case = facts("IN_PROGRESS", one)
    waiting = asked(case, one.held_fact)
    verdict = work_out(waiting, NOW)
    assert (verdict.bucket, verdict.move) == ("us", "customer")
    assert verdict.reasons[0].text.endswith("; customer asked Tue 9 Jun")
    assert verdict.rank > work_out(case, NOW).rank
    due = datetime(2026, 6, 11, 13, tzinfo=PACIFIC)
    assert work_out(waiting, due).move == "us"


def test_sinch_has_the_move_once_its_support_was_asked() -> None:
    case = facts("REJECTED")
    verdict = work_out(asked(case, case.state_fact), NOW)
    assert (verdict.bucket, verdict.move) == ("us", "sinch")
    assert verdict.reasons[0].text == "Sinch refused this order; Sinch support asked Tue 9 Jun"


def test_worst_comes_first_over_all_buckets() -> None:
    worst_first = [
        facts("IN_PROGRESS", broken(0, hours_ago=100)),  # late
        facts("REJECTED"),
        facts("IN_PROGRESS", broken(0)),
        facts("IN_PROGRESS", held(0)),
        asked(facts("IN_PROGRESS", held(0)), held(0).held_fact),
        facts(scheduled_at=NOW + DAY),
        facts(),
        facts("COMPLETED", number(0, DONE)),
        facts("IN_PROGRESS", gone_at=NOW),
    ]
    ranks = [work_out(case, NOW).rank for case in worst_first]
    assert ranks == sorted(set(ranks))


def test_orders_of_both_kinds_sort_together() -> None:
    """A reason of the same number ranks alike in both, asked or not."""
    from orders import buckets as port_in
    from orders import facts as port_in_facts

    refused = port_in_facts.Number(PHONES[0], "REJECTED", NOW - HOUR, reject_reason="PIN wrong")
    order = port_in_facts.Facts(
        "PENDING", progress_at=NOW, default_zone="US/Pacific", expects_loa=False, numbers=(refused,)
    )
    ours = facts("IN_PROGRESS", broken(0))
    assert work_out(ours, NOW).rank == port_in.work_out(order, NOW).rank
    there = replace(order, marks=(mark(marks.ASKED, refused.fact),))
    here = asked(ours, broken(0).fact)
    assert work_out(here, NOW).rank == port_in.work_out(there, NOW).rank


# --- When to read again ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("case", "pause"),
    [
        (facts("IN_PROGRESS", hours=1), timedelta(minutes=15)),
        (facts("SUBMITTED", hours=1), timedelta(minutes=15)),
        (facts("WAITING_FOR_LOA_SIGNATURE", hours=1), HOUR),
        (facts("IN_PROGRESS", hours=0), timedelta(minutes=2)),
        (facts("PAUSED_BY_REGULATOR", hours=1), timedelta(minutes=15)),
        (facts("COMPLETED"), HOUR),
        (facts("COMPLETED", hours=24 * 8), DAY),
        (facts("COMPLETED", number(0, DONE)), None),
        (facts("REJECTED"), DAY),
        (facts("IN_PROGRESS", gone_at=NOW), None),
    ],
)
def test_open_orders_are_read_again_and_finished_ones_are_not(
    case: Facts, pause: timedelta | None
) -> None:
    assert pause_before_reading(case, NOW) == pause


def test_a_completed_order_is_read_again_while_anything_may_still_pass() -> None:
    passing = facts("COMPLETED", broken(0, "PARTNER_SERVICE_UNAVAILABLE"), number(1, DONE))
    assert pause_before_reading(passing, NOW) is not None
    unread = replace(facts("COMPLETED", is_read=False), numbers=())
    assert pause_before_reading(unread, NOW) is not None


# --- Qualified numbers ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "days"),
    [
        ("ELIGIBLE_CHECK_PENDING", 1),
        ("ELIGIBLE", 2),
        ("VERIFICATION_PENDING", 2),
        ("VERIFICATION_FAILED", 2),
        ("VERIFICATION_BLOCKED", 2),
        ("HOSTING_IN_PROGRESS", 5),
        ("VERIFIED", 0),
        ("NOT_ELIGIBLE", 0),
        ("HOSTING_DONE", 0),
        ("A_STATE_OF_NEXT_YEAR", 0),
    ],
)
def test_a_qualified_number_has_the_clock_of_its_state(state: str, days: int) -> None:
    office = Calendar(PACIFIC, ("US",))
    clock = clocks.qualified_clock(state, NOW, None, office)
    assert (clock.out_at if clock else None) == (office.plus_bd(NOW, days) if days else None)


def test_mailed_invoices_have_a_clock_of_their_own_while_proof_is_open() -> None:
    office = Calendar(PACIFIC, ("US",))
    mailed = NOW + HOUR
    for state in ("ELIGIBLE", "VERIFICATION_PENDING", "VERIFICATION_FAILED"):
        clock = clocks.qualified_clock(state, NOW, mailed, office)
        assert clock is not None
        assert clock.out_at == office.plus_bd(mailed, 4)
    checked = clocks.qualified_clock("HOSTING_IN_PROGRESS", NOW, mailed, office)
    assert checked is not None
    assert checked.out_at == office.plus_bd(NOW, 5)


# --- Anything at all ------------------------------------------------------------------------------

_STATES = st.sampled_from(
    ["", "WAITING", "IN_PROGRESS", "DONE", "FAILED", "STATE_UNSPECIFIED", "X"]
)
_ORDER_STATES = (
    "DRAFT",
    "SUBMITTED",
    "WAITING_FOR_LOA_SIGNATURE",
    "IN_PROGRESS",
    "COMPLETED",
    "REJECTED",
    "ODD",
    "",
)
_AGES = st.integers(0, 24 * 20).map(lambda hours: NOW - timedelta(hours=hours))
_COLUMNS = ("osr", "platform", "campaign", "sms_att", "sms_tmo", "mms_att", "mms_tmo")
_ERRORS = st.sampled_from(
    [("60135", ""), ("", "another aggregator"), ("", "try again"), ("33", "odd"), ("", "duplicate")]
)
_CODES = st.sampled_from(["CAMPAIGN_MNO_REVIEW", "CAMPAIGN_EXPIRED", "INTERNAL_ERROR", "ODD"])


@st.composite
def _numbers(draw: st.DrawFn) -> tuple[Number, ...]:
    count = draw(st.integers(0, 4))
    return tuple(
        Number(
            PHONES[at],
            draw(st.fixed_dictionaries(dict.fromkeys(_COLUMNS, _STATES))),
            draw(_AGES),
            draw(st.dictionaries(st.sampled_from(_COLUMNS[2:]), _ERRORS, max_size=2)),
            draw(st.dictionaries(st.sampled_from(_COLUMNS[:3]), _CODES, max_size=2)),
        )
        for at in range(count)
    )


@st.composite
def _orders(draw: st.DrawFn) -> Facts:
    numbers = draw(_numbers())
    phones = st.frozensets(st.sampled_from(PHONES[:4]), max_size=2)
    case = Facts(
        draw(st.sampled_from(_ORDER_STATES)),
        progress_at=draw(_AGES),
        state_since=draw(_AGES),
        scheduled_at=draw(
            st.none()
            | st.integers(-200, 400).map(lambda hours: NOW + timedelta(hours=hours, minutes=7))
        ),
        manual=draw(st.integers(0, 2)),
        report_since=draw(st.none() | _AGES),
        is_read=draw(st.booleans()),
        is_toll_free=draw(st.booleans()),
        default_zone=draw(st.sampled_from(["US/Pacific", "US/Eastern", "Nowhere"])),
        gone_at=draw(st.none() | st.none() | st.none() | _AGES),
        numbers=numbers,
        migrated=draw(phones),
        migrating=draw(phones),
        writes=draw(
            st.lists(
                st.builds(
                    Write,
                    st.sampled_from(["hosting.import", "hosting.text_enable"]),
                    st.sampled_from(["queued", "uncertain", "succeeded", "refused", "dead"]),
                    _AGES,
                    st.none() | _AGES,
                    st.none() | _AGES,
                ),
                max_size=2,
            )
        ),
    )
    keys = [case.state_fact, buckets.chase_fact(case)]
    keys += [key for number in numbers for key in (number.fact, number.held_fact)]
    kinds = st.sampled_from([marks.SETTLED, marks.ASKED, marks.ASKED])
    decided = st.builds(lambda k, f, at: Mark(k, "H3", f, at), kinds, st.sampled_from(keys), _AGES)
    return replace(case, marks=tuple(draw(st.lists(decided, max_size=4))))


def _look(verdict: Verdict) -> tuple[Any, ...]:
    """Return what a list shows of a verdict; clocks carry all their moments in themselves."""
    reasons = [(r.code, r.text, r.tone, r.next, r.since, r.is_asked) for r in verdict.reasons]
    return verdict.bucket, verdict.rank, verdict.move, reasons


@given(_orders())
def test_any_facts_have_one_bucket_and_a_reason_where_somebody_has_the_move(case: Facts) -> None:
    verdict = work_out(case, NOW)
    assert verdict.bucket in ("us", "date", "wait", "done", "ended")
    assert verdict.move in words.MOVES
    assert bool(verdict.reasons) == (verdict.bucket in ("us", "date", "wait"))
    assert verdict.next_change_at is None or verdict.next_change_at > NOW
    pause = pause_before_reading(case, NOW)
    assert pause is None or pause > timedelta()
    assert pause is not None or not case.is_living


@given(_orders(), st.floats(0, 1, exclude_max=True))
def test_a_verdict_stays_the_same_until_it_says_that_it_changes(case: Facts, part: float) -> None:
    verdict = work_out(case, NOW)
    end = verdict.next_change_at or NOW + 60 * DAY
    last = end - MOMENT
    for moment in (min(NOW + (end - NOW) * part, last), last):
        assert _look(work_out(case, moment)) == _look(verdict)


@given(_orders())
def test_no_failed_number_of_an_order_is_lost_from_sight(case: Facts) -> None:
    """A failed number nobody settled and no order moves keeps its order from being finished."""
    case = replace(case, marks=(), gone_at=None, migrated=frozenset())
    if any(number.verdict == "failed" for number in case.numbers):
        assert work_out(case, NOW).bucket not in ("done", "ended")
