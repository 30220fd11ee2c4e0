"""What staff decide, and the clocks of business time: pure verdicts, no database."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from orders import marks
from orders.buckets import Facts, Note, Number, Write, work_out
from portal.work import clocks
from portal.work.marks import Mark
from tests.orders.test_buckets import (
    EARLIER,
    NOW,
    PACIFIC,
    codes,
    facts,
    mark,
    number,
    write,
)

EASTERN = ZoneInfo("US/Eastern")
REFUSED = [number(n, "REJECTED", reject_reason="Invalid passcode/PIN supplied") for n in (0, 1)]


def test_settled_numbers_do_not_count_and_new_refusals_do() -> None:
    one = (mark("settled", REFUSED[0].fact),)
    case = facts("PENDING", *REFUSED, marks=one)
    assert work_out(case, NOW).reasons[0].text == "1 number rejected: PIN"
    both = replace(case, marks=(*one, mark("settled", REFUSED[1].fact)))
    assert codes(both) == ["WAIT"]


@pytest.mark.parametrize(
    "change",
    [{"since": NOW}, {"reject_reason": "End user name does not match"}, {"status": "EXCLUDED"}],
)
def test_a_new_fact_about_a_number_is_not_settled(change: dict[str, Any]) -> None:
    case = facts("PENDING", REFUSED[0], marks=(mark("settled", REFUSED[0].fact),))
    assert work_out(case, NOW).bucket != "us"
    anew = replace(case, numbers=(replace(REFUSED[0], **change),))
    assert codes(anew)[0] in ("P3", "P7")


def test_a_key_of_a_fact_is_the_same_in_every_time_zone() -> None:
    same = replace(REFUSED[0], since=REFUSED[0].since.astimezone(UTC))
    assert same.fact == REFUSED[0].fact
    assert marks.notice_moment(marks.notice_fact("P5", NOW)) == NOW
    assert marks.notice_moment("nonsense") is None


def test_once_asked_it_sinks_until_two_business_days_are_over() -> None:
    asked = facts("PENDING", *REFUSED, marks=tuple(mark("asked", n.fact) for n in REFUSED))
    verdict = work_out(asked, NOW)
    assert (verdict.bucket, verdict.move) == ("us", "customer")
    assert verdict.reasons[0].text == "2 numbers rejected: PIN; customer asked Tue 9 Jun"
    assert verdict.rank > max(work_out(facts("PENDING", *REFUSED), NOW).rank, 210)
    assert verdict.rank < work_out(facts("CONFIRMED", number(0, "CONFIRMED")), NOW).rank
    back = datetime(2026, 6, 11, 14, 0, tzinfo=PACIFIC)
    assert verdict.next_change_at == back
    again = work_out(asked, back)
    assert (again.move, again.reasons[0].next) == ("us", "Ask again")
    assert again.reasons[0].text.endswith("customer asked Tue 9 Jun, no answer")
    assert again.rank < 110, "a clock that ran out comes first"


def test_asking_again_starts_the_clock_anew_and_ten_days_propose_to_cancel() -> None:
    first = datetime(2026, 5, 26, 14, 0, tzinfo=PACIFIC)
    asked = [mark("asked", REFUSED[0].fact, at) for at in (first, NOW - timedelta(days=1))]
    case = facts("PENDING", REFUSED[0], marks=tuple(asked))
    assert work_out(case, NOW).move == "customer"
    out = datetime(2026, 6, 10, 14, 0, tzinfo=PACIFIC)  # 2 bd after Mon 8, 11 bd after the first
    reason = work_out(case, out).reasons[0]
    assert (reason.next, work_out(case, out).move) == ("Cancel the order", "us")
    assert "no answer from the customer for 10 business days" in reason.text
    assert work_out(replace(case, status="CONFIRMED"), out).reasons[0].next == "Ask again"


def test_what_was_asked_stands_after_what_was_not() -> None:
    other = number(2, "REJECTED", reject_reason="Number lock active on line")
    asked = (mark("asked", REFUSED[0].fact), mark("asked", REFUSED[1].fact))
    verdict = work_out(facts("PENDING", *REFUSED, other, marks=asked), NOW)
    assert [r.text for r in verdict.reasons] == [
        "1 number rejected: lock",
        "2 numbers rejected: PIN; customer asked Tue 9 Jun",
    ]
    assert verdict.move == "us"


def test_a_note_needs_no_reply_when_somebody_says_so_until_sinch_writes_again() -> None:
    note = Note(NOW - timedelta(hours=2), "The FOC is on its way.", is_ours=False, fact="n1")
    case = facts(notes=(note,))
    assert codes(case) == ["P4"]
    quiet = replace(case, marks=(mark("no_reply", "n1", NOW - timedelta(hours=1)),))
    assert codes(quiet) == ["WAIT"]
    newer = Note(NOW, "Attach the bill.", is_ours=False, fact="n2")
    assert codes(replace(quiet, notes=(note, newer))) == ["P4"]


def test_a_note_still_needs_a_reply_when_somebody_says_so_until_we_write_again() -> None:
    note = Note(NOW - timedelta(hours=5), "Which line is the alarm?", is_ours=False, fact="n1")
    answered = facts(notes=(note,), writes=(write("document", "succeeded", 3),))
    assert codes(answered) == ["WAIT"]
    reopened = replace(answered, marks=(mark("needs_reply", "n1", NOW - timedelta(hours=2)),))
    assert codes(reopened) == ["P4"]
    written = replace(reopened, writes=(*reopened.writes, write("note", "succeeded", 1)))
    assert codes(written) == ["WAIT"]


def test_an_order_may_go_without_an_loa() -> None:
    case = facts(expects_loa=True)
    assert codes(case) == ["P9"]
    assert codes(replace(case, marks=(mark("no_loa", "LOA"),))) == ["WAIT"]


# --- Clocks -----------------------------------------------------------------------------------


def clock_of(case: Facts, now: datetime = NOW) -> tuple[int, int, str, str]:
    """Return how much of the first reason's clock is over, as the lists show it."""
    clock = clocks.clock_of(work_out(case, now).reasons[0].as_json(), now)
    assert clock is not None
    return clock.passed, clock.limit, clock.unit, clock.tone


@pytest.mark.parametrize(
    ("phones", "limit"),
    [(["+12065550142"], 3), (["+12065550142", "+12065550143"], 5), (["+14165550142"], 5)],
)
def test_an_order_that_nobody_answers_has_a_clock_by_what_it_is(
    phones: list[str], limit: int
) -> None:
    numbers = [Number(phone, "PENDING", EARLIER) for phone in phones]
    assert clock_of(facts("PENDING", *numbers, progress_at=NOW)) == (0, limit, "bd", "")


def test_the_clock_skips_weekends_and_holidays_and_ends_in_a_chase() -> None:
    # Wed 17 Jun; Fri 19 Jun is Juneteenth, so five business days are over on Thu 25 Jun.
    start = datetime(2026, 6, 17, 10, 0, tzinfo=EASTERN)
    case = facts(progress_at=start, desired_date=date(2026, 7, 20))
    assert clock_of(case, start + timedelta(days=5)) == (2, 5, "bd", "")  # Mon 22 Jun
    assert clock_of(case, datetime(2026, 6, 24, 9, 0, tzinfo=EASTERN)) == (3, 5, "bd", "us")
    out = datetime(2026, 6, 25, 10, 0, tzinfo=EASTERN)
    assert work_out(case, out - timedelta(seconds=1)).bucket == "wait"
    assert work_out(case, out - timedelta(seconds=1)).next_change_at == out
    verdict = work_out(case, out)
    assert [(r.code, r.next) for r in verdict.reasons] == [("P11", "Ask how it stands")]
    assert verdict.reasons[0].text == "2 numbers at Lumen unanswered for 5 business days"
    assert clock_of(case, out) == (5, 5, "bd", "bad")


@pytest.mark.parametrize(
    "change",
    [
        {"notes": (Note(NOW, "How does it stand?", is_ours=True),)},
        {"writes": (Write("port_in.note", "succeeded", NOW, NOW),)},
        {"marks": (Mark("asked", "P11", "P11", NOW),)},
        {"progress_at": NOW},
    ],
)
def test_progress_or_a_chase_restarts_the_clock(change: dict[str, Any]) -> None:
    stalled = facts(progress_at=NOW - timedelta(days=20))
    assert codes(stalled) == ["P11"]
    assert codes(replace(stalled, **change)) == ["WAIT"]


def test_groups_that_drift_apart_and_a_slow_cancelation_stall_too() -> None:
    numbers = (
        number(0, "CONFIRMED", foc_date=date(2026, 7, 20)),
        number(1, "PENDING", carrier="Bell MTS", group="g2"),
    )
    case = facts("PENDING", *numbers, progress_at=NOW - timedelta(days=7))
    assert codes(case) == ["P11"]
    assert "Others have their date" in work_out(case, NOW).reasons[0].text
    assert codes(replace(case, progress_at=NOW - timedelta(days=1))) == ["WAIT"]
    canceling = facts("PENDING_CANCELATION", progress_at=NOW - timedelta(days=4))
    assert work_out(canceling, NOW).reasons[0].text == "Canceling takes longer than 2 business days"


def test_a_clock_of_ours_counts_business_hours() -> None:
    # Fri 12 Jun, 16:00 in the project's zone: one hour that day, the next on Monday.
    friday = datetime(2026, 6, 12, 16, 0, tzinfo=EASTERN)
    case = facts("PENDING", number(0, "REJECTED", since=friday))
    assert clock_of(case, friday + timedelta(minutes=59)) == (0, 9, "bh", "")
    assert clock_of(case, friday + timedelta(days=2)) == (1, 9, "bh", "")
    assert clock_of(case, datetime(2026, 6, 15, 14, 0, tzinfo=EASTERN)) == (7, 9, "bh", "us")
    out = datetime(2026, 6, 15, 16, 0, tzinfo=EASTERN)
    assert clock_of(case, out) == (9, 9, "bh", "bad")
    calm, late = work_out(case, out - timedelta(seconds=1)), work_out(case, out)
    assert calm.next_change_at == out
    assert late.rank < calm.rank
