"""In which bucket an order is and why: facts and a moment in, a verdict out; no database."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from orders import buckets, marks
from orders.buckets import Facts, Note, Notice, Number, Offer, Reason, Write, work_out
from orders.facts import is_about_features, without_text
from portal import words
from portal.work.marks import Mark

PACIFIC = ZoneInfo("US/Pacific")
# A Tuesday; everything here is told in its week.
NOW = datetime(2026, 6, 9, 14, 0, tzinfo=PACIFIC)
TODAY = date(2026, 6, 9)
EARLIER = NOW - timedelta(days=4)
PHONES = [f"+1206555014{n}" for n in range(6)]


def number(at: int, status: str, **fields: Any) -> Number:
    """Return one number; confirmed ones have a date."""
    values: dict[str, Any] = {"since": EARLIER, "group": "GW Lumen Grp1", "carrier": "Lumen"}
    if status == "CONFIRMED":
        values["foc_date"] = date(2026, 6, 18)
    return Number(PHONES[at], status, **(values | fields))


def facts(status: str = "PENDING", *numbers: Number, **fields: Any) -> Facts:
    """Return an order of a project that asks for no LOA."""
    values: dict[str, Any] = {
        "progress_at": EARLIER,
        "desired_date": date(2026, 6, 16),
        "desired_time": "09:00:00",
        "zone": "US/Pacific",
        "expects_loa": False,
        "numbers": numbers or (number(0, "PENDING"), number(1, "PENDING")),
    }
    return Facts(status, **(values | fields))


def write(kind: str, state: str, hours_ago: float = 1, **fields: Any) -> Write:
    """Return an operation decided and, where it has ended, ended some hours ago."""
    at = NOW - timedelta(hours=hours_ago)
    ended = {"finished_at": at} if state in ("succeeded", "refused", "dead") else {}
    return Write(f"port_in.{kind}", state, at, **(ended | fields))


def codes(case: Facts, now: datetime = NOW) -> list[str]:
    """Return the codes of the reasons, worst first."""
    return [reason.code for reason in work_out(case, now).reasons]


def mark(kind: str, fact: str, at: datetime = NOW, reason: str = "P3") -> Mark:
    """Return a decision of staff about a fact."""
    return Mark(kind, reason, fact, at)


def offered(case: Facts, *offers: Offer) -> Facts:
    """Return an on-demand order for which Sinch offers these groups."""
    return replace(case, on_demand=True, offers=offers, offered_at=NOW - timedelta(minutes=1))


# --- Buckets without a reason ---------------------------------------------------------------


def test_an_order_that_nobody_answered_yet_waits_on_the_carrier() -> None:
    verdict = work_out(facts(), NOW)
    assert (verdict.bucket, verdict.move) == ("wait", "carrier")
    assert verdict.reasons[0].text == "2 numbers at Lumen not answered yet"


def test_days_off_of_the_project_are_no_business_days() -> None:
    dated = facts("CONFIRMED", number(0, "CONFIRMED", foc_date=date(2026, 6, 17)))
    assert work_out(dated, NOW).bucket == "wait", "6 business days ahead"
    off = replace(dated, days_off=frozenset({date(2026, 6, 15)}))
    assert work_out(off, NOW).bucket == "date"
    silent = facts("PENDING", progress_at=NOW)
    later = replace(silent, days_off=frozenset({date(2026, 6, 10)}))
    ticks = [work_out(case, NOW).reasons[0].as_json()["clock"]["ticks"] for case in (silent, later)]
    assert ticks[0][1:] == ticks[1][:-1], "one business day later"


def test_a_confirmed_date_within_five_business_days_is_dated_soon() -> None:
    near = number(0, "CONFIRMED", foc_date=date(2026, 6, 16))
    far = number(0, "CONFIRMED", foc_date=date(2026, 6, 17))
    verdict = work_out(facts("CONFIRMED", near), NOW)
    assert (verdict.bucket, verdict.move) == ("date", "date")
    assert verdict.reasons[0].text == "Goes live Tue 16 Jun, 09:00 Pacific"
    later = work_out(facts("CONFIRMED", far), NOW)
    assert later.bucket == "wait"
    assert later.next_change_at == datetime(2026, 6, 10, tzinfo=PACIFIC)
    assert work_out(facts("CONFIRMED", far), later.next_change_at).bucket == "date"


@pytest.mark.parametrize("day", [date(2026, 6, 20), date(2026, 6, 21)], ids=["Sat", "Sun"])
def test_a_confirmed_date_at_a_weekend_is_dated_soon_when_it_says_so(day: date) -> None:
    case = facts("CONFIRMED", number(0, "CONFIRMED", foc_date=day))
    verdict = work_out(case, NOW)
    assert verdict.bucket == "wait"
    moment = verdict.next_change_at
    assert moment
    assert work_out(case, moment - timedelta(seconds=1)).bucket == "wait"
    assert work_out(case, moment).bucket == "date"


def test_nearer_dates_come_first() -> None:
    days = [date(2026, 6, 9), date(2026, 6, 11), date(2026, 6, 16)]
    ranks = [
        work_out(facts("CONFIRMED", number(0, "CONFIRMED", foc_date=d)), NOW).rank for d in days
    ]
    assert ranks == sorted(set(ranks))


@pytest.mark.parametrize(
    ("status", "number_status", "bucket", "move"),
    [
        ("COMPLETED", "ACTIVATED", "done", "nobody"),
        ("COMPLETED", "REJECTED", "us", "us"),
        ("COMPLETED", "EXCLUDED", "us", "us"),
        ("CANCELED", "CANCELED", "ended", "nobody"),
        ("CANCELED", "EXCLUDED", "ended", "nobody"),
        ("PENDING_CANCELATION", "PENDING", "wait", "sinch"),
        ("ORDER_BUILDING", "PENDING", "wait", "sinch"),
        ("", "", "wait", "sinch"),
    ],
)
def test_every_status_has_a_bucket_known_or_not(
    status: str, number_status: str, bucket: str, move: str
) -> None:
    verdict = work_out(facts(status, number(0, number_status), progress_at=NOW), NOW)
    assert (verdict.bucket, verdict.move) == (bucket, move)


def test_an_unknown_word_counts_as_on_its_way() -> None:
    case = facts("COMPLETED", number(0, "ACTIVATED"), number(1, "TESTING"), progress_at=NOW)
    assert work_out(case, NOW).bucket == "wait"


# --- P1 -------------------------------------------------------------------------------------


def test_a_refused_change_needs_us_until_a_later_one_succeeds() -> None:
    refused = write("update", "refused", 3, field="phoneNumbers[0].endUser.zipCode")
    verdict = work_out(facts(writes=(refused,)), NOW)
    assert verdict.bucket == "us"
    assert verdict.reasons[0].text == "Sinch refused our change: ZIP code"
    assert codes(facts(writes=(refused, write("update", "succeeded", 1)))) == ["WAIT"]
    assert codes(facts(writes=(refused, write("update", "succeeded", 5)))) == ["P1"]
    assert codes(facts(writes=(refused, write("note", "succeeded", 1)))) == ["P1"]


def test_a_write_that_we_stopped_ourselves_is_not_said_to_be_refused_by_sinch() -> None:
    stopped = write("activate", "refused", 3, by_sinch=False)
    (reason,) = work_out(facts(writes=(stopped,)), NOW).reasons
    assert reason.text == "Our activation did not go through"
    assert (reason.code, reason.next) == ("P1", "Activate again")


def test_an_outcome_that_was_seen_is_settled() -> None:
    assert codes(facts(writes=(write("note", "dead", is_seen=True),))) == ["WAIT"]


def test_an_uncertain_write_needs_us_after_a_quarter_of_an_hour() -> None:
    since = NOW - timedelta(minutes=14)
    case = facts(writes=(write("update", "uncertain", uncertain_since=since),))
    verdict = work_out(case, NOW)
    assert verdict.bucket == "wait"
    assert verdict.next_change_at == NOW + timedelta(minutes=1)
    assert codes(case, verdict.next_change_at) == ["P1"]


def test_what_is_merely_under_way_is_no_reason() -> None:
    assert codes(facts(writes=(write("note", "queued"), write("update", "sending")))) == ["WAIT"]


# --- P2 -------------------------------------------------------------------------------------


def test_an_automatic_number_is_late_four_hours_after_its_port_moment() -> None:
    case = facts("CONFIRMED", number(0, "CONFIRMED", foc_date=TODAY))
    due = datetime(2026, 6, 9, 13, tzinfo=PACIFIC)
    assert work_out(case, due - timedelta(seconds=1)).bucket == "date"
    assert work_out(case, due - timedelta(seconds=1)).next_change_at == due
    verdict = work_out(case, due)
    assert verdict.bucket == "us"
    assert verdict.reasons[0].text == "1 number confirmed for Tue 9 Jun is not live"
    assert verdict.reasons[0].since == due


def test_the_port_moment_is_in_the_orders_zone() -> None:
    case = facts("CONFIRMED", number(0, "CONFIRMED", foc_date=TODAY), zone="US/Eastern")
    assert codes(case, datetime(2026, 6, 9, 10, 1, tzinfo=PACIFIC)) == ["P2"]


@pytest.mark.parametrize("zone", ["", "Mars/Base", "GMT", "../etc"])
def test_a_missing_or_unknown_zone_falls_back_to_the_project(zone: str) -> None:
    expected = "GMT" if zone == "GMT" else "US/Central"
    assert str(facts(zone=zone, default_zone="US/Central").time_zone) == expected


def test_an_on_demand_order_past_its_date_without_an_offer_is_late() -> None:
    yesterday = number(0, "CONFIRMED", foc_date=TODAY - timedelta(days=1))
    case = offered(facts("CONFIRMED", yesterday))
    assert codes(case) == ["P2"]
    unread = replace(case, offered_at=None)
    assert work_out(unread, NOW).bucket == "date"
    assert "checking" in work_out(unread, NOW).reasons[0].text


def test_an_on_demand_number_is_late_although_another_group_is_offered() -> None:
    day = TODAY - timedelta(days=1)
    numbers = [
        number(n, "CONFIRMED", foc_date=day, group=f"GW {name} Grp1")
        for n, name in enumerate(["Lumen", "Lumen", "Verizon"])
    ]
    lumen = Offer("g1", (PHONES[0], PHONES[1]))
    case = offered(facts("CONFIRMED", *numbers), lumen)
    late = work_out(case, NOW).reasons[1]
    assert (late.code, late.text) == (
        "P2",
        "1 number confirmed for Mon 8 Jun is not live, and Sinch does not offer them",
    )
    by_name = offered(case, lumen, Offer("GW Verizon Grp1", ()))
    assert codes(by_name) == ["READY"]
    running = write("activate", "sending", 0.1, groups=("g2",), numbers=frozenset({PHONES[2]}))
    assert "P2" not in codes(replace(case, writes=(running,)))
    other = write("activate", "sending", 0.1, groups=("g1",), numbers=frozenset(PHONES[:2]))
    assert codes(replace(case, writes=(other,))) == ["P2"]


def test_an_answer_that_nothing_is_offered_counts_until_midnight() -> None:
    yesterday = number(0, "CONFIRMED", foc_date=TODAY - timedelta(days=1))
    case = offered(facts("CONFIRMED", yesterday))
    verdict = work_out(case, NOW)
    midnight = datetime(2026, 6, 10, tzinfo=PACIFIC)
    assert (verdict.reasons[0].code, verdict.next_change_at) == ("P2", midnight)
    assert codes(case, midnight) == ["DATE"]


def test_an_offer_that_names_no_number_of_the_order_may_be_of_any() -> None:
    yesterday = number(0, "CONFIRMED", foc_date=TODAY - timedelta(days=1))
    assert codes(offered(facts("CONFIRMED", yesterday), Offer("770014", ()))) == ["DATE"]


def test_numbers_not_live_an_hour_after_an_accepted_activation_are_late() -> None:
    case = offered(facts("CONFIRMED", number(0, "CONFIRMED", foc_date=TODAY)))
    groups = {"groups": ("g1",), "numbers": frozenset({PHONES[0]})}
    fresh = replace(case, writes=(write("activate", "succeeded", 0.5, **groups),))
    verdict = work_out(fresh, NOW)
    assert (verdict.bucket, verdict.move) == ("wait", "sinch")
    assert verdict.next_change_at == NOW + timedelta(minutes=30)
    assert codes(fresh, verdict.next_change_at)[0] == "P2"


def test_a_completed_order_with_a_number_that_is_not_live_is_late_after_a_business_day() -> None:
    numbers = (number(0, "ACTIVATED"), number(1, "CONFIRMED"))
    case = facts("COMPLETED", *numbers, progress_at=NOW)
    verdict = work_out(case, NOW)
    assert verdict.bucket == "wait"
    assert verdict.next_change_at == NOW + timedelta(days=1)
    assert codes(case, verdict.next_change_at) == ["P2"]


# --- P3 -------------------------------------------------------------------------------------


def refusals(*reasons: str, status: str = "PENDING") -> Reason:
    refused = [number(n, "REJECTED", reject_reason=said) for n, said in enumerate(reasons)]
    verdict = work_out(facts(status, *refused), NOW)
    assert verdict.bucket == "us"
    return verdict.reasons[0]


WRONG_PIN, WRONG_NAME = "Invalid passcode/PIN supplied", "End user name does not match CSR"


def test_a_rejection_needs_us_and_is_told_by_its_cause() -> None:
    reason = refusals(WRONG_PIN, WRONG_PIN)
    assert (reason.text, reason.next) == ("2 numbers rejected: PIN", "Fix PIN")
    assert reason.since == EARLIER
    reason = refusals(WRONG_NAME, WRONG_PIN, WRONG_NAME)
    assert (reason.text, reason.next) == ("3 numbers rejected: PIN, name", "Fix name")


def test_a_rejection_that_nobody_understands_is_told_in_sinchs_words() -> None:
    reason = refusals("See ticket 20448")
    assert (reason.text, reason.next) == ("1 number rejected: “See ticket 20448”", "Ask Sinch")
    assert refusals("").text == "1 number rejected"
    assert refusals("See ticket 20448", WRONG_PIN).text == "2 numbers rejected in 2 causes"


def test_a_rejection_says_first_what_helps_and_where_no_edit_does() -> None:
    assert refusals("Letter of agency unreadable").next == "Upload LOA"
    assert refusals("Port protection: number lock is on").next == "Write to Sinch"
    assert refusals("Rate center is not portable").next == "Look at it"
    assert refusals(WRONG_PIN, status="CONFIRMED").next == "New order for 1 number"
    mixed = refusals(WRONG_PIN, WRONG_PIN, "Rate center is not portable", status="CONFIRMED")
    assert mixed.next == "New order for 2 numbers", "where none can help it does not count"


def test_an_update_answers_a_rejection_for_two_business_days() -> None:
    case = facts("PENDING", number(0, "REJECTED"), writes=(write("update", "succeeded"),))
    verdict = work_out(case, NOW)
    assert verdict.bucket == "wait"
    assert verdict.next_change_at == datetime(2026, 6, 11, 13, 0, tzinfo=PACIFIC)
    assert codes(case, verdict.next_change_at) == ["P3"]


def test_a_number_rejected_anew_after_the_update_is_open_again() -> None:
    anew = number(0, "REJECTED", since=NOW)
    assert codes(facts("PENDING", anew, writes=(write("update", "succeeded"),))) == ["P3"]


def test_an_update_decided_before_the_rejection_was_seen_does_not_answer_it() -> None:
    seen = NOW - timedelta(hours=2)
    case = facts("PENDING", number(0, "REJECTED", since=seen))
    sent = write("update", "succeeded", 3, finished_at=NOW - timedelta(hours=1))
    assert codes(replace(case, writes=(sent,))) == ["P3"]
    later = replace(sent, created_at=seen + timedelta(minutes=1))
    assert work_out(replace(case, writes=(later,)), NOW).bucket == "wait"


# --- P4 -------------------------------------------------------------------------------------


def test_a_note_of_sinch_waits_for_our_answer_whatever_the_order_is() -> None:
    asked = Note(NOW - timedelta(hours=2), "Is the alarm line moving?", is_ours=False)
    for status in ("PENDING", "COMPLETED", "CANCELED"):
        verdict = work_out(facts(status, number(0, "ACTIVATED"), notes=(asked,)), NOW)
        assert verdict.reasons[0].text == "Sinch asks: “Is the alarm line moving?”"
        assert verdict.bucket == "us"


@pytest.mark.parametrize("kind", ["note", "document", "update"])
def test_a_later_write_of_ours_answers_a_note(kind: str) -> None:
    asked = Note(NOW - timedelta(hours=2), "Please attach the bill.", is_ours=False)
    assert codes(facts(notes=(asked,), writes=(write(kind, "succeeded", 1),))) == ["WAIT"]
    assert codes(facts(notes=(asked,), writes=(write(kind, "succeeded", 3),))) == ["P4"]
    assert "P4" in codes(facts(notes=(asked,), writes=(write(kind, "refused", 1),)))


@pytest.mark.parametrize("state", ["queued", "sending", "uncertain"])
@pytest.mark.parametrize("kind", ["note", "document", "update"])
def test_an_answer_that_nobody_knows_to_have_arrived_leaves_the_note_open(
    kind: str, state: str
) -> None:
    asked = Note(NOW - timedelta(hours=2), "Please attach the bill.", is_ours=False, fact="n1")
    verdict = work_out(facts(notes=(asked,), writes=(write(kind, state, 1),)), NOW)
    assert (verdict.bucket, verdict.move) == ("us", "sinch")
    told = "Sinch wrote: “Please attach the bill.”; no sign yet that our answer arrived"
    assert [(r.code, r.text, r.next) for r in verdict.reasons] == [("P4", told, "")]
    # What was under way before Sinch wrote answers nothing.
    before = work_out(facts(notes=(asked,), writes=(write(kind, state, 3),)), NOW)
    assert [(r.code, r.next) for r in before.reasons] == [("P4", "Answer")]
    # What nobody has taken up comes first.
    more = facts(
        "PENDING", number(0, "REJECTED"), notes=(asked,), writes=(write("note", state, 1),)
    )
    assert codes(more) == ["P3", "P4"]
    assert work_out(more, NOW).move == "us"


def test_a_note_of_ours_asks_nothing_of_us() -> None:
    assert codes(facts(notes=(Note(NOW, "The bill is attached.", is_ours=True),))) == ["WAIT"]


# --- P5, P6, P7 -----------------------------------------------------------------------------


def test_a_moved_date_is_told_until_somebody_says_that_the_customer_knows() -> None:
    moved = Notice(NOW, "FOC date moved from Mon 15 Jun to Tue 23 Jun")
    case = facts("CONFIRMED", number(0, "CONFIRMED"), moved=moved)
    assert [(r.code, r.next) for r in work_out(case, NOW).reasons] == [("P5", "Tell customer")]
    assert "P5" in codes(case, NOW + timedelta(days=30))
    told = replace(case, marks=(mark("settled", marks.notice_fact("P5", NOW)),))
    assert "P5" not in codes(told)
    again = replace(told, moved=Notice(NOW + timedelta(hours=1), "FOC date moved once more"))
    assert "P5" in codes(again), "another move is a new fact"


def test_a_moved_date_is_told_on_a_finished_order_too() -> None:
    moved = Notice(NOW, "FOC date moved from Mon 15 Jun to Tue 23 Jun")
    case = facts("COMPLETED", number(0, "ACTIVATED"), moved=moved)
    assert (work_out(case, NOW).bucket, codes(case)) == ("us", ["P5"])
    told = replace(case, marks=(mark("settled", marks.notice_fact("P5", NOW)),))
    assert work_out(told, NOW).bucket == "done"


def test_an_order_ended_by_others_is_told_until_it_is_settled() -> None:
    ended = Notice(NOW, "Order canceled, and not by us")
    case = facts("CANCELED", number(0, "CANCELED"), ended=ended)
    assert (work_out(case, NOW).bucket, codes(case)) == ("us", ["P6"])
    assert work_out(case, NOW + timedelta(days=70)).bucket == "us"
    settled = replace(case, marks=(mark("settled", marks.notice_fact("P6", NOW)),))
    assert work_out(settled, NOW).bucket == "ended"


def test_what_is_left_out_needs_us_until_it_is_settled() -> None:
    out = number(0, "EXCLUDED", exclusion_reason="Number not on account")
    verdict = work_out(facts("PENDING", out, number(1, "PENDING")), NOW)
    assert verdict.reasons[0].text == "1 number left out: “Number not on account”"
    assert verdict.reasons[0].next == "New order for 1 number"
    done = facts("COMPLETED", out, number(1, "ACTIVATED"))
    assert codes(done) == ["P7"]
    assert work_out(replace(done, marks=(mark("settled", out.fact),)), NOW).bucket == "done"
    assert work_out(replace(done, taken_up=frozenset({out.phone_number})), NOW).bucket == "done"
    canceled = number(0, "CANCELED")
    assert codes(facts("CONFIRMED", canceled, number(1, "CONFIRMED"))) == ["P7"]
    assert codes(facts("COMPLETED", canceled, number(1, "ACTIVATED"))) == []


def test_a_reason_about_features_is_known_by_its_words() -> None:
    messaging = '[{"featureName": "SMSMMS", "exclusionReason": "Not offered"}]'
    two = [number(n, "CONFIRMED", features=messaging) for n in range(2)]
    assert without_text(two) == "Messaging left out on 2 numbers"
    assert without_text([replace(two[0], features="[{}]")]).startswith("A feature left out on +1 ")
    assert is_about_features(without_text(two))
    assert not is_about_features("1 number left out: “Messaging left out on the line”")


def test_features_left_out_are_told_until_they_are_settled() -> None:
    without = number(0, "CONFIRMED", features="CNAM")
    case = facts("CONFIRMED", without)
    (reason,) = (r for r in work_out(case, NOW).reasons if r.code == "P7")
    assert reason.text == f"CNAM left out on {words.phone_text(without.phone_number)}"
    settled = replace(case, marks=(mark("settled", without.features_fact),))
    assert "P7" not in codes(settled)
    more = replace(settled, numbers=(replace(without, features="CNAM, E911"),))
    assert codes(more) == ["P7"]
    done = facts("COMPLETED", number(0, "ACTIVATED", features="E911"))
    assert (work_out(done, NOW).bucket, codes(done)) == ("us", ["P7"])
    told = replace(done, marks=(mark("settled", done.numbers[0].features_fact),))
    assert work_out(told, NOW).bucket == "done"
    assert codes(facts("CONFIRMED", replace(without, status="ACTIVATED"))) == ["P7"]


def test_features_of_a_number_that_does_not_move_are_not_told() -> None:
    refused = number(0, "REJECTED", features="E911")
    assert codes(facts("COMPLETED", refused, number(1, "ACTIVATED"))) == ["P3"]
    for status in ("CANCELED", "PENDING_CANCELATION"):
        assert "P7" not in codes(facts(status, number(0, "CONFIRMED", features="E911")))


# --- P8, P9 ---------------------------------------------------------------------------------


def test_a_requested_date_that_passed_needs_us_only_while_nothing_is_confirmed() -> None:
    case = facts(desired_date=TODAY)
    assert codes(case, datetime(2026, 6, 9, 8, 59, tzinfo=PACIFIC)) == ["WAIT"]
    assert codes(case, datetime(2026, 6, 9, 9, 0, tzinfo=PACIFIC)) == ["P8"]
    some = (number(0, "CONFIRMED"), number(1, "PENDING"))
    assert "P8" not in codes(facts("PENDING", *some, desired_date=TODAY - timedelta(days=3)))


def test_a_missing_loa_is_found_by_any_of_its_signs() -> None:
    case = facts(expects_loa=True)
    assert codes(case) == ["P9"]
    assert codes(replace(case, documents=(("scan.pdf", "loa"),))) == ["WAIT"]
    assert codes(replace(case, documents=(("LOA-signed-2-june.pdf", "other"),))) == ["WAIT"]
    assert codes(replace(case, documents=(("letter_of_authorisation.pdf", "other"),))) == ["WAIT"]
    assert codes(replace(case, documents=(("reload.pdf", "other"),))) == ["P9"]
    assert codes(replace(case, loa_attachment_date="2026-06-02")) == ["WAIT"]
    assert codes(replace(case, status="CONFIRMED")) == ["WAIT"]


# --- Ready ----------------------------------------------------------------------------------


@pytest.fixture
def ready() -> Facts:
    """An on-demand order with a group that can be activated now."""
    numbers = [number(n, "CONFIRMED", foc_date=TODAY) for n in (0, 1)]
    return offered(facts("CONFIRMED", *numbers), Offer("g1", (PHONES[0], PHONES[1])))


def test_an_offered_group_whose_day_has_come_is_ready(ready: Facts) -> None:
    verdict = work_out(ready, NOW)
    assert (verdict.bucket, verdict.move) == ("ready", "us")
    assert verdict.reasons[0].text == "Activate 2 numbers"
    assert verdict.rank < work_out(facts("PENDING", number(0, "REJECTED")), NOW).rank


def test_ready_comes_before_what_needs_us_except_a_failed_activation(ready: Facts) -> None:
    asked = Note(NOW - timedelta(hours=2), "Which line is the alarm?", is_ours=False)
    assert codes(replace(ready, notes=(asked,))) == ["READY", "P4"]
    failed = replace(ready, writes=(write("activate", "refused", groups=("g1",)),), notes=(asked,))
    verdict = work_out(failed, NOW)
    assert verdict.bucket == "us"
    assert [r.code for r in verdict.reasons] == ["P1", "P4", "READY"]
    assert verdict.rank < work_out(ready, NOW).rank


@pytest.mark.parametrize("state", ["queued", "sending", "uncertain", "succeeded"])
def test_a_group_being_activated_is_not_ready_again(ready: Facts, state: str) -> None:
    running = write("activate", state, 0.2, groups=("g1",), uncertain_since=NOW)
    assert work_out(replace(ready, writes=(running,)), NOW).bucket == "wait"


def test_another_group_stays_ready_beside_one_that_is_being_activated(ready: Facts) -> None:
    other = replace(ready, offers=(*ready.offers, Offer("g2", (PHONES[2],), TODAY)))
    other = replace(other, numbers=(*other.numbers, number(2, "CONFIRMED", foc_date=TODAY)))
    running = write(
        "activate", "sending", 0.1, groups=("g1",), numbers=frozenset({PHONES[0], PHONES[1]})
    )
    verdict = work_out(replace(other, writes=(running,)), NOW)
    assert verdict.reasons[0].text == "Activate 1 number"


def test_an_activation_is_over_when_its_own_numbers_are_live() -> None:
    later = TODAY + timedelta(days=1)
    numbers = (number(0, "ACTIVATED"), number(1, "CONFIRMED", foc_date=later))
    asked = {"groups": ("g1",), "numbers": frozenset({PHONES[0]})}
    case = facts("CONFIRMED", *numbers, writes=(write("activate", "succeeded", 0.1, **asked),))
    verdict = work_out(case, NOW)
    assert verdict.bucket == "date"
    assert "under way" not in verdict.reasons[0].text


def test_an_offer_for_another_day_becomes_ready_that_midnight(ready: Facts) -> None:
    tomorrow = TODAY + timedelta(days=1)
    numbers = tuple(replace(n, foc_date=tomorrow) for n in ready.numbers)
    verdict = work_out(replace(ready, numbers=numbers), NOW)
    assert verdict.bucket == "date"
    assert verdict.next_change_at == datetime(2026, 6, 10, tzinfo=PACIFIC)
    assert work_out(replace(ready, numbers=numbers), verdict.next_change_at).bucket == "ready"


@pytest.mark.parametrize("change", [{"on_demand": False}, {"status": "PENDING"}, {"gone_at": NOW}])
def test_nothing_is_ready_that_cannot_be_activated(ready: Facts, change: dict[str, Any]) -> None:
    assert work_out(replace(ready, **change), NOW).bucket != "ready"


# --- All together ---------------------------------------------------------------------------


def test_reasons_are_ranked_and_all_shown() -> None:
    case = facts(
        "PENDING",
        number(0, "REJECTED"),
        number(1, "EXCLUDED"),
        notes=(Note(NOW, "Please attach the bill.", is_ours=False),),
        writes=(write("update", "refused"),),
        expects_loa=True,
        desired_date=TODAY - timedelta(days=1),
    )
    assert codes(case) == ["P1", "P3", "P4", "P7", "P8", "P9"]


@pytest.mark.parametrize("status", ["CANCELED", "PENDING_CANCELATION"])
def test_rejections_late_and_moved_numbers_do_not_matter_once_it_ends(status: str) -> None:
    case = facts(
        status,
        number(0, "REJECTED"),
        number(1, "CONFIRMED", foc_date=TODAY - timedelta(days=3)),
        number(2, "EXCLUDED"),
        moved=Notice(NOW, "FOC date moved"),
    )
    assert not {"P2", "P3", "P5", "P7"} & set(codes(case))


def test_the_next_change_is_never_in_the_past(ready: Facts) -> None:
    for case in (ready, facts(desired_date=TODAY), facts("CONFIRMED", number(0, "CONFIRMED"))):
        now = NOW
        for _ in range(12):
            moment = work_out(case, now).next_change_at
            if moment is None:
                break
            assert moment > now
            now = moment


# --- How soon to read again -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("case", "minutes"),
    [
        (facts(), 15),
        (facts(writes=(write("note", "queued"),)), 1),
        (facts("CONFIRMED", number(0, "CONFIRMED")), 30),
        (facts("CONFIRMED", number(0, "CONFIRMED", foc_date=TODAY)), 1),
        (facts("CONFIRMED", number(0, "CONFIRMED", foc_date=TODAY + timedelta(days=1))), 5),
        (facts("PENDING_CANCELATION"), 5),
        (facts("ORDER_BUILDING"), 15),
        (facts("COMPLETED", number(0, "ACTIVATED"), progress_at=NOW), 24 * 60),
        (facts("CANCELED", number(0, "CANCELED"), progress_at=NOW), 24 * 60),
        # Sinch may still write a note about it, which no list shows.
        (facts("COMPLETED", number(0, "ACTIVATED"), progress_at=NOW - timedelta(29)), 24 * 60),
    ],
)
def test_the_pace_of_reading_follows_what_is_expected(case: Facts, minutes: int) -> None:
    assert buckets.pause_before_reading(case, NOW) == timedelta(minutes=minutes)


def test_what_is_over_for_a_month_or_gone_is_not_read_by_itself() -> None:
    over = facts("COMPLETED", number(0, "ACTIVATED"), progress_at=NOW - timedelta(days=31))
    assert buckets.pause_before_reading(over, NOW) is None
    assert buckets.pause_before_reading(facts(gone_at=NOW), NOW) is None


def test_offers_are_asked_for_once_the_day_has_come() -> None:
    today = facts("CONFIRMED", number(0, "CONFIRMED", foc_date=TODAY), on_demand=True)
    assert buckets.wants_offers(today, NOW)
    assert not buckets.wants_offers(replace(today, on_demand=False), NOW)
    assert not buckets.wants_offers(today, NOW - timedelta(days=1))


def test_offers_are_asked_for_from_the_day_asked_for_where_sinch_confirms_without_a_date() -> None:
    undated = number(0, "CONFIRMED", foc_date=None)
    case = facts("CONFIRMED", undated, on_demand=True, desired_date=TODAY)
    assert buckets.wants_offers(case, NOW)
    assert not buckets.wants_offers(case, NOW - timedelta(days=1))
    assert not buckets.wants_offers(replace(case, desired_date=None), NOW)
