"""Business days with their holidays, and the coach: each rule at its edge, and none that blocks."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders import dates
from orders.dates import Advice
from portal.work import office

PACIFIC, EASTERN = ZoneInfo("US/Pacific"), ZoneInfo("US/Eastern")
SEATTLE = ("+12065550142", "+12065550143")
VANCOUVER, HALIFAX, TORONTO = "+16045550110", "+19025550110", "+14165550110"
BOTH = ("CA", "US")
TUESDAY = date(2026, 6, 9)


def at(day: date, hour: int = 9, minute: int = 0, zone: ZoneInfo = PACIFIC) -> datetime:
    return datetime.combine(day, time(hour, minute), zone)


@pytest.mark.parametrize(
    ("now", "open_day"),
    [
        (datetime(2026, 6, 9, 7, 30, tzinfo=UTC), date(2026, 6, 8)),  # half past midnight, Pacific
        (datetime(2026, 6, 9, 10, 59, tzinfo=UTC), date(2026, 6, 8)),
        (datetime(2026, 6, 9, 11, 0, tzinfo=UTC), date(2026, 6, 9)),
    ],
)
def test_a_day_is_over_when_it_is_over_in_samoa(now: datetime, open_day: date) -> None:
    assert office.first_open_day(now) == open_day


def coach(
    wanted: date | None,
    numbers: tuple[str, ...] = SEATTLE,
    *,
    now: datetime | None = None,
    hour: int = 9,
    zone: str = "US/Pacific",
    on_demand: bool = False,
) -> Advice | None:
    return dates.coach(
        numbers=numbers,
        carriers=["Lumen"],
        wanted=wanted,
        at=time(hour),
        zone=zone,
        on_demand=on_demand,
        now=now or at(TUESDAY),
    )


def said(advice: Advice | None) -> str:
    assert advice is not None
    return " ".join((advice.title, *advice.lines))


# --- Business days ------------------------------------------------------------------------------


def test_business_days_leave_out_the_weekend():
    friday, monday = date(2026, 6, 12), date(2026, 6, 15)
    assert office.bd_between(friday, monday) == 1
    assert office.bd_between(monday, friday) == -1
    assert office.bd_between(TUESDAY, date(2026, 6, 16)) == 5
    assert office.add_bd(friday, 1) == monday
    assert office.add_bd(monday, -1) == friday
    assert office.add_bd(TUESDAY, 0) == TUESDAY


@given(
    start=st.dates(date(2020, 1, 1), date(2040, 1, 1)),
    count=st.integers(0, 40),
    countries=st.sampled_from([("US",), ("CA",), BOTH]),
)
def test_adding_business_days_and_counting_them_agree(start, count, countries):
    later = office.add_bd(start, count, countries)
    assert office.bd_between(start, later, countries) == count
    one_by_one = sum(
        office.is_bd(start + timedelta(days=n), countries)
        for n in range(1, (later - start).days + 1)
    )
    assert one_by_one == count


@pytest.mark.parametrize(
    ("day", "country", "name"),
    [
        (date(2026, 6, 19), "US", "Juneteenth"),
        (date(2026, 7, 3), "US", "Independence Day (observed)"),  # the 4th is a Saturday
        (date(2027, 7, 5), "US", "Independence Day (observed)"),  # the 4th is a Sunday
        (date(2027, 12, 31), "US", "New Year's Day (observed)"),  # of the year after
        (date(2026, 10, 12), "US", "Columbus Day"),
        (date(2026, 4, 3), "US", ""),
        (date(2026, 4, 3), "CA", "Good Friday"),
        (date(2026, 9, 30), "CA", "the Day for Truth and Reconciliation"),
        (date(2026, 9, 7), "CA", "Labour Day"),
        (date(2026, 11, 11), "CA", "Remembrance Day"),
        (date(2026, 12, 28), "CA", "Boxing Day (observed)"),  # the 26th is a Saturday
        (date(2028, 7, 3), "CA", "Canada Day (observed)"),  # the 1st is a Saturday
        (date(2027, 12, 27), "CA", "Christmas Day (observed)"),  # the 25th is a Saturday
        (date(2027, 12, 28), "CA", "Boxing Day (observed)"),  # pushed on by Christmas
        (date(2026, 8, 3), "CA", ""),  # kept by provinces only
        (date(2026, 6, 19), "CA", ""),
    ],
)
def test_holidays_are_the_federal_ones_on_the_day_they_are_kept(day, country, name):
    assert office.holiday_name(day, country) == name
    assert office.is_bd(day, (country,)) == (not name)


def test_a_holiday_of_either_country_is_no_business_day_for_numbers_of_both():
    assert office.countries_of([*SEATTLE, VANCOUVER]) == BOTH
    assert office.countries_of([VANCOUVER]) == ("CA",)
    assert office.countries_of([]) == ("US",)
    assert not office.is_bd(date(2026, 6, 19), BOTH)
    assert not office.is_bd(date(2026, 7, 1), BOTH)


def test_the_same_time_of_day_is_kept_when_the_clocks_change():
    friday = at(date(2026, 3, 6))
    monday = office.moment_plus_bd(friday, 1, PACIFIC)
    assert (monday.date(), monday.hour) == (date(2026, 3, 9), 9)
    assert monday.astimezone(UTC) - friday.astimezone(UTC) == timedelta(hours=71)


@pytest.mark.parametrize(
    ("asked", "confirmed", "gap"),
    [
        (date(2026, 6, 16), date(2026, 6, 18), "+2"),
        (date(2026, 6, 18), date(2026, 6, 22), "+1"),  # over Juneteenth and a weekend
        (date(2026, 6, 18), date(2026, 6, 16), "−2"),
        (date(2026, 6, 16), date(2026, 6, 16), "none"),
        (date(2026, 6, 19), date(2026, 6, 20), "0"),
        (date(2026, 6, 16), None, ""),
        (None, date(2026, 6, 16), ""),
    ],
)
def test_the_gap_between_two_dates_is_told_in_business_days(asked, confirmed, gap):
    assert dates.gap_text(asked, confirmed) == gap


# --- The coach ----------------------------------------------------------------------------------


def test_a_good_date_needs_no_advice():
    assert coach(date(2026, 6, 23)) is None
    assert coach(None) is None


@pytest.mark.parametrize(
    ("wanted", "verdict"),
    [
        (date(2026, 6, 8), "has passed"),
        (date(2026, 6, 9), "It is today"),
    ],
)
def test_a_date_that_came_is_refused_by_any_carrier_and_a_better_one_offered(wanted, verdict):
    advice = coach(wanted, SEATTLE[:1])
    assert "will be refused" in said(advice)
    assert verdict in said(advice)
    assert advice.suggestion == date(2026, 6, 11)


def test_one_number_of_the_us_needs_two_business_days():
    assert "may be refused" in said(coach(date(2026, 6, 10), SEATTLE[:1]))
    assert "1 business day (bd) from now" in said(coach(date(2026, 6, 10), SEATTLE[:1]))
    assert coach(date(2026, 6, 11), SEATTLE[:1]) is None


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (date(2026, 6, 15), "is early and may be refused"),  # 4 bd
        (date(2026, 6, 16), "7 to 10 are safer"),  # 5 bd
        (date(2026, 6, 17), "7 to 10 are safer"),  # 6 bd
        (date(2026, 6, 22), ""),  # 8 bd with Juneteenth left out
    ],
)
def test_several_numbers_need_five_business_days_and_seven_are_safer(wanted, words):
    advice = coach(wanted)
    if not words:
        assert advice is None
        return
    assert words in said(advice)
    # 7 bd is Thursday 18 June, with a holiday the day after.
    assert advice.suggestion == date(2026, 6, 22)
    assert advice.button == "Take Mon 22 June"


def test_a_canadian_number_takes_longer():
    advice = coach(date(2026, 6, 15), (VANCOUVER,))
    assert "In Canada a move mostly takes about 2 weeks" in said(advice)
    assert advice.suggestion == date(2026, 6, 23)  # 10 bd; Juneteenth is none of theirs
    assert "In Canada" not in said(coach(date(2026, 6, 16), (VANCOUVER,)))


def test_business_days_are_spelled_out_once():
    text = said(coach(date(2026, 6, 15), (VANCOUVER, SEATTLE[0])))
    assert text.count("business days") == 1


@pytest.mark.parametrize(
    ("hour", "minute", "words"),
    [(13, 0, ""), (13, 1, "past 13:00 in Los Angeles’s zone: the carrier counts from tomorrow")],
)
def test_after_the_cut_off_the_count_begins_on_the_next_business_day(hour, minute, words):
    advice = coach(date(2026, 6, 16), now=at(TUESDAY, hour, minute))
    assert ("5 business days" in said(advice)) == (not words)
    assert words in said(advice)


def test_the_cut_off_is_that_of_the_easternmost_number():
    numbers = (SEATTLE[0], "+12125550142")
    assert "past 13:00 in New York’s zone" in said(
        coach(date(2026, 6, 16), numbers, now=at(TUESDAY, 10, 30))
    )
    assert "past 13:00" not in said(coach(date(2026, 6, 16), numbers, now=at(TUESDAY, 9, 30)))


def test_when_the_count_begins_is_no_warning_by_itself():
    advice = coach(date(2026, 6, 23), now=at(TUESDAY, 14))
    assert advice.title == ""
    assert advice.suggestion is None
    assert "past 13:00" in said(advice)


def test_what_is_sent_on_a_weekend_counts_from_monday():
    saturday = at(date(2026, 6, 13))
    assert "Today is at the weekend: the carrier counts from Mon 15 June." in said(
        coach(date(2026, 6, 23), now=saturday)
    )


def test_a_holiday_is_named_with_its_country_where_there_are_two():
    numbers = (*SEATTLE, VANCOUVER)
    assert "Wed 1 July is Canada Day in Canada" in said(
        coach(date(2026, 7, 1), numbers, now=at(TUESDAY))
    )
    assert coach(date(2026, 7, 1), SEATTLE) is None
    advice = coach(date(2026, 6, 19))
    assert advice.title == "Fri 19 June is no business day; Mon 22 June is safer"
    assert "is Juneteenth: carriers do not work then" in said(advice)


def test_the_day_before_a_holiday_or_a_weekend_leaves_nobody_to_repair_it():
    advice = coach(date(2026, 6, 18), now=at(date(2026, 6, 3)))
    assert advice.title == "Thu 18 June is possible; Mon 22 June is safer"
    assert advice.lines == (
        "The day after, Fri 19 June, is Juneteenth: nobody is there to repair it.",
    )
    assert "is at the weekend: nobody" in said(coach(date(2026, 6, 26)))


def test_a_date_more_than_30_days_ahead_is_far():
    assert coach(TUESDAY + timedelta(days=30)) is None
    advice = coach(TUESDAY + timedelta(days=31), now=at(TUESDAY))
    assert "31 days from now" in said(advice)
    assert "is nearer" in advice.title
    assert advice.suggestion == date(2026, 7, 9)


@pytest.mark.parametrize(
    ("number", "zone", "words"),
    [
        ("+12065550142", "US/Eastern", "09:00 Eastern is 06:00 in Los Angeles"),
        ("+12065550142", "US/Eastern", "in the zone US/Pacific"),
        (HALIFAX, "US/Eastern", "09:00 Eastern is 10:00 in Halifax"),
        (HALIFAX, "US/Eastern", "None of Sinch’s four zones is that of Halifax"),
        ("+18085550142", "US/Pacific", "is 06:00 in Honolulu"),
        ("+19075550142", "US/Pacific", "is 08:00 in Anchorage"),
    ],
)
def test_a_zone_that_is_not_the_numbers_shows_the_local_hour(number, zone, words):
    assert words in said(coach(date(2026, 6, 23), (number, number[:-1] + "9"), zone=zone))


def test_most_numbers_decide_about_the_zone_and_toll_free_ones_have_none():
    numbers = (*SEATTLE, "+12125550142")
    assert coach(date(2026, 6, 23), numbers, zone="US/Pacific") is None
    coasts = ("+12125550142", "+12125550143", SEATTLE[0], SEATTLE[1], VANCOUVER)
    assert coach(date(2026, 6, 24), coasts, zone="US/Pacific") is None
    assert coach(date(2026, 6, 23), ("+18005550142", "+18005550143"), zone="US/Central") is None


def test_a_zone_without_summer_time_fits_another_of_sinchs_in_summer_and_in_winter():
    phoenix = ("+16025550142", "+16025550143")
    assert coach(date(2026, 6, 23), phoenix, zone="US/Pacific") is None
    winter = at(date(2026, 12, 1))
    assert "09:00 Pacific is 10:00 in Phoenix" in said(
        coach(date(2026, 12, 15), phoenix, now=winter, zone="US/Pacific")
    )
    assert coach(date(2026, 12, 15), phoenix, now=winter, zone="US/Mountain") is None


def test_numbers_that_go_live_by_themselves_outside_working_hours_are_warned_of():
    wanted = date(2026, 6, 23)
    assert "by themselves at 06:00 in Los Angeles" in said(coach(wanted, zone="US/Eastern"))
    assert "by themselves at 18:00" in said(coach(wanted, hour=18))
    assert coach(wanted, hour=18, on_demand=True) is None
    assert coach(wanted, hour=17) is None
    assert coach(wanted, hour=8) is None


def test_a_zone_alone_suggests_no_other_date():
    advice = coach(date(2026, 6, 23), zone="US/Eastern", on_demand=True)
    assert advice.title == "09:00 Eastern is 06:00 in Los Angeles"
    assert advice.suggestion is None
    assert advice.button == ""


@given(
    wanted=st.dates(),
    numbers=st.lists(
        st.sampled_from([*SEATTLE, VANCOUVER, HALIFAX, TORONTO, "+18005550142", "+12"]),
        max_size=4,
    ),
    now=st.datetimes(datetime(2024, 1, 1), datetime(2035, 1, 1)),
    on_demand=st.booleans(),
)
def test_any_date_is_answered_and_a_suggestion_raises_no_warning_about_itself(
    wanted, numbers, now, on_demand
):
    moment = now.replace(tzinfo=UTC)

    def ask(day: date) -> Advice | None:
        return coach(day, tuple(numbers), now=moment, on_demand=on_demand)

    advice = ask(wanted)
    if advice and advice.suggestion:
        assert advice.suggestion > moment.date() - timedelta(days=1)
        again = ask(advice.suggestion)
        assert again is None or again.suggestion is None


# --- The last 48 hours --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "warns"),
    [
        (timedelta(hours=48), False),
        (timedelta(hours=47, minutes=59), True),
        (timedelta(minutes=5), True),
        (timedelta(0), False),
        (-timedelta(hours=3), False),
    ],
)
def test_a_change_in_the_last_48_hours_may_come_too_late(before, warns):
    moment = at(date(2026, 6, 18))
    text = dates.freeze_text([moment], moment - before)
    assert bool(text) == warns
    assert ("the old date may still fire" in text) == warns


def test_48_hours_are_counted_by_the_clock_where_a_day_has_25():
    moment = at(date(2026, 11, 2))  # the clocks went back the day before
    assert not dates.freeze_text([moment], at(date(2026, 10, 31)))
    assert dates.freeze_text([moment], at(date(2026, 10, 31), 10, 1))


# --- Extra days off -----------------------------------------------------------------------------

DAY_AFTER = {date(2026, 11, 27): "Day after Thanksgiving"}


def test_extra_days_off_are_no_business_days_anywhere_business_days_are_counted():
    friday, monday = date(2026, 11, 27), date(2026, 11, 30)
    assert office.is_bd(friday)
    assert not office.is_bd(friday, office.US, DAY_AFTER)
    assert office.bd_between(date(2026, 11, 25), monday) == 2
    assert office.bd_between(date(2026, 11, 25), monday, office.US, DAY_AFTER) == 1
    assert office.bd_between(monday, date(2026, 11, 25), office.US, DAY_AFTER) == -1
    assert office.add_bd(date(2026, 11, 25), 1, office.US, DAY_AFTER) == monday
    moved = office.moment_plus_bd(at(date(2026, 11, 25)), 1, PACIFIC, office.US, DAY_AFTER)
    assert moved == at(monday)
    assert dates.gap_text(date(2026, 11, 25), monday, office.US, DAY_AFTER) == "+1"


def test_a_day_off_on_a_weekend_or_a_holiday_counts_once():
    twice = {date(2026, 11, 26): "Thanksgiving again", date(2026, 11, 28): "A Saturday"}
    start, end = date(2026, 11, 25), date(2026, 11, 30)
    assert office.bd_between(start, end, office.US, twice) == office.bd_between(start, end)


@given(
    start=st.dates(date(2025, 1, 1), date(2027, 12, 31)),
    count=st.integers(-40, 40),
    off=st.sets(st.dates(date(2025, 1, 1), date(2027, 12, 31)), max_size=30),
)
def test_adding_and_counting_agree_with_extra_days_off(start, count, off):
    first = office.add_bd(start, 1, BOTH, off)
    day = office.add_bd(first, count, BOTH, off)
    assert office.bd_between(first, day, BOTH, off) == count


def test_the_coach_names_an_extra_day_off_and_suggests_another():
    now = at(date(2026, 11, 16))
    advice = dates.coach(
        numbers=SEATTLE,
        carriers=["Lumen"],
        wanted=date(2026, 11, 27),
        at=time(9),
        zone="US/Pacific",
        on_demand=False,
        now=now,
        extra=DAY_AFTER,
    )
    assert advice is not None
    assert "is no business day" in advice.title
    assert "Day after Thanksgiving (an extra day off): carriers do not work then." in said(advice)
    assert advice.suggestion is not None
    assert advice.suggestion not in DAY_AFTER
    before = dates.coach(
        numbers=SEATTLE,
        carriers=["Lumen"],
        wanted=date(2026, 12, 2),
        at=time(9),
        zone="US/Pacific",
        on_demand=False,
        now=now,
        extra={date(2026, 12, 3): "Stocktaking"},
    )
    assert "The day after, Thu 3 December, is Stocktaking (an extra day off)" in said(before)


def test_the_count_begins_after_an_extra_day_off():
    advice = dates.coach(
        numbers=SEATTLE,
        carriers=["Lumen"],
        wanted=date(2026, 12, 2),
        at=time(9),
        zone="US/Pacific",
        on_demand=False,
        now=at(date(2026, 11, 27)),
        extra=DAY_AFTER,
    )
    assert "Today is Day after Thanksgiving (an extra day off): the carrier counts from" in said(
        advice
    )


def test_an_loa_too_old_on_the_wanted_date_is_told_and_blocks_nothing():
    old = "The LOA of Mon 2 Mar is too old on Tue 23 Jun; carriers take one for 90 days."
    advice = dates.coach(
        numbers=SEATTLE,
        carriers=["Lumen"],
        wanted=date(2026, 6, 23),
        at=time(9),
        zone="US/Pacific",
        on_demand=False,
        now=at(TUESDAY),
        papers=[old],
    )
    assert advice is not None
    assert (advice.title, advice.lines, advice.suggestion) == (old.rstrip("."), (), None)
