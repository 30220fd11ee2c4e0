"""Pasted numbers: every North American spelling is read, and what cannot be is named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.numbers import (
    MAX_LINES,
    Line,
    is_canadian,
    is_too_long,
    numbers_of,
    read_numbers,
    replaced,
    without,
)

NUMBER = "+12065550142"


def only(text: str) -> Line:
    lines = read_numbers(text)
    assert len(lines) == 1, lines
    return lines[0]


@pytest.mark.parametrize(
    "spelling",
    [
        "2065550142",
        "12065550142",
        "+12065550142",
        "+1 206 555 0142",
        "(206) 555-0142",
        "(206)555-0142",
        "+1 (206) 555-0142",
        "1-206-555-0142",
        "1 (206) 555 0142",
        "206.555.0142",
        "1.206.555.0142",
        "206 555-0142",
        "206/555-0142",
        "206-5550142",
        "tel:+1-206-555-0142",
        "tel:+12065550142;phone-context=+1",
        "sms:2065550142",
        "001 206 555 0142",
        "011 1 206 555 0142",
        "  206 555 0142  ",
        "206\u00a0555\u00a00142",
        "206\u2011555\u20110142",
        "206\u2013555\u20130142",
        "206\u2212555\u22120142",
        "\u200e+1 206 555 0142\u200e",
        "\ufeff206 555 0142",
        "２０６５５５０１４２",
        "٢٠٦٥٥٥٠١٤٢",
        "（206）555-0142",
        "- 206 555 0142",
        "• 206 555 0142",
        "3. 206 555 0142",
        "2) 206 555 0142",
    ],
)
def test_a_spelling_is_read_without_a_word(spelling):
    line = only(spelling)
    assert (line.number, line.problem, line.remark) == (NUMBER, "", "")


@pytest.mark.parametrize(
    ("spelling", "remark"),
    [
        ("206 555 0142 ext 3", "“ext 3” dropped"),
        ("206 555 0142 ext. 3", "“ext. 3” dropped"),
        ("206 555 0142, ext 3", "“ext 3” dropped"),
        ("206 555 0142 extension 17", "“extension 17” dropped"),
        ("206 555 0142x3", "“x3” dropped"),
        ("206 555 0142 #4", "“#4” dropped"),
        ("tel:+1-206-555-0142;ext=3", "“ext=3” dropped"),
        ("Main: 206 555 0142", "“Main” dropped"),
        ("206 555 0142 (fax)", "“fax” dropped"),
    ],
)
def test_what_is_dropped_is_said(spelling, remark):
    line = only(spelling)
    assert (line.number, line.problem, line.remark) == (NUMBER, "", remark)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("206-555-014", "9 digits; a number has 10. Correct it here or leave it out."),
        ("7", "1 digit; a number has 10."),
        ("555-0142", "7 digits: the area code is missing."),
        ("2 206 555 0142", "11 digits, but the first is not 1"),
        ("206 555 0142 99", "12 digits; a number has 10."),
        ("hello", "No digits; a number has 10."),
        ("106 555 0142", "No area code is 106."),
        ("911 555 0142", "No area code is 911."),
        ("206 155 0142", "155 cannot follow an area code."),
        ("206 911 0142", "911 cannot follow an area code."),
        ("1-800-FLOWERS", "Letters; on a keypad this is +1 800 356 9377."),
        ("+44 20 7946 0018", "+44 is outside the US and Canada"),
        ("011 44 20 7946 0018", "+44 is outside the US and Canada"),
        ("0044 20 7946 0018", "+44 is outside the US and Canada"),
        ("876 555 0142", "876 is Jamaica; only US and Canadian numbers can move."),
        ("206 555 0142-0149", "This reads like a range"),
        ("1" * 90, "Too long for a number."),
    ],
)
def test_what_cannot_be_read_is_named(text, problem):
    line = only(text)
    assert line.number is None
    assert line.problem.startswith(problem)


@pytest.mark.parametrize("separator", [",", ";", "|", "\t", "/", "\n", "\r\n", " , ", " / ", " "])
def test_several_numbers_are_told_apart(separator):
    text = separator.join(["206 555 0142", "206-555-0143", "(206) 555-0144"])
    assert numbers_of(read_numbers(text)) == ["+12065550142", "+12065550143", "+12065550144"]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("206 555 0146 / 0147", ["+12065550146", "+12065550147"]),
        ("206 555 0146/47/48", ["+12065550146", "+12065550147", "+12065550148"]),
        ("206 555 0146, 0147", ["+12065550146", "+12065550147"]),
        ("206 555 0146 / 556 0147", ["+12065550146", "+12065560147"]),
    ],
)
def test_a_number_may_lean_on_the_one_before_it(text, numbers):
    assert numbers_of(read_numbers(text)) == numbers


def test_a_number_never_leans_on_the_line_before():
    assert [line.number for line in read_numbers("206 555 0146\n0147")] == ["+12065550146", None]


def test_a_repeated_number_counts_once_and_says_where_it_stood_first():
    lines = read_numbers("206 555 0142\n\n+1 206 555 0142\n206 555 0143, 206 555 0143")
    assert numbers_of(lines) == ["+12065550142", "+12065550143"]
    assert lines[1].remark == "Same as line 1; counted once"
    assert lines[3].remark == "Same as earlier in this line; counted once"


def test_a_bad_piece_hides_none_of_its_neighbours():
    lines = read_numbers("206 555 0142, nonsense, 206 555 0143\n???\n206 555 0144")
    assert numbers_of(lines) == ["+12065550142", "+12065550143", "+12065550144"]
    assert [(line.key, bool(line.problem)) for line in lines][1] == ("1-2", True)


@pytest.mark.parametrize(
    ("number", "remark"),
    [
        ("604 555 0110", "British Columbia: needs a reseller name"),
        ("204 555 0110", "Manitoba: needs a reseller name"),
        ("600 555 0110", "Canada: needs a reseller name"),
        ("800 555 0142", "Toll-free: Sinch may not take it yet"),
        ("787 555 0142", "Puerto Rico: Sinch may not take it"),
        ("238 555 0142", "Area code 238 is new to this desk; is it right?"),
    ],
)
def test_an_area_code_may_be_worth_a_look(number, remark):
    line = only(number)
    assert line.number
    assert line.remark == remark


def test_canada_is_told_from_the_us_by_the_area_code():
    assert is_canadian("+16045550110")
    assert not is_canadian("+12065550142")


def test_the_corrected_spelling_takes_the_place_of_the_wrong_one():
    text = "206 555 0142; 206 555 01\r\n206 555 0144"
    bad = read_numbers(text)[1]
    assert replaced(text, bad, " 206 555 0143 ") == "206 555 0142; 206 555 0143\r\n206 555 0144"


def test_a_piece_that_is_left_out_takes_its_row_along_when_nothing_else_is_in_it():
    text = "206 555 0142\nnonsense\n206 555 0144"
    assert replaced(text, read_numbers(text)[1], "") == "206 555 0142\n206 555 0144"


def test_a_number_that_leaned_on_one_taken_out_is_written_in_full():
    assert without("206 555 0146 / 0147\n206 555 0148", {"+12065550146"}) == (
        "+1 206 555 0147\n206 555 0148"
    )


def test_a_file_pasted_by_mistake_is_read_to_its_limit_only():
    text = "x\n" * (MAX_LINES + 10)
    assert len(read_numbers(text)) == MAX_LINES
    assert is_too_long(text)
    assert not is_too_long("206 555 0142")


# --- Whatever people write ----------------------------------------------------------------------

AREA_CODES = st.sampled_from(["206", "425", "253", "212", "604", "416", "907"])
SPELLINGS = st.sampled_from(
    [
        "{a}{b}{c}",
        "+1{a}{b}{c}",
        "1{a}{b}{c}",
        "({a}) {b}-{c}",
        "+1 ({a}) {b}-{c}",
        "{a}.{b}.{c}",
        "{a} {b} {c}",
        "{a}\u00a0{b}\u2011{c}",
        "1-{a}-{b}-{c}",
        "tel:+1-{a}-{b}-{c}",
    ]
)
SEPARATORS = st.sampled_from(["\n", "\r\n", ", ", ";", " | ", "\t", "\n\n", " / "])


@given(st.lists(st.tuples(AREA_CODES, st.integers(100, 199), SPELLINGS), max_size=30), SEPARATORS)
def test_whatever_the_spelling_and_the_separator_the_numbers_are_the_same(entries, separator):
    written = [how.format(a=a, b="555", c=f"{n:04d}") for a, n, how in entries]
    wanted = list(dict.fromkeys(f"+1{a}555{n:04d}" for a, n, _ in entries))
    lines = read_numbers(separator.join(written))
    assert numbers_of(lines) == wanted
    assert not [line.problem for line in lines if line.problem]


@given(st.text(max_size=300))
def test_any_text_is_read_without_an_error_and_every_piece_is_where_it_says(text):
    for line in read_numbers(text):
        assert text[line.start : line.end] == line.text
        assert bool(line.number) != bool(line.problem)
        if line.number:
            assert len(line.number) == 12
            assert line.number.startswith("+1")


@given(st.text(alphabet="0123456789-/., ()+x\n", max_size=200))
def test_taking_a_number_out_leaves_the_others_as_they_were(text):
    numbers = numbers_of(read_numbers(text))
    for gone in numbers[:2]:
        kept = [number for number in numbers if number != gone]
        assert numbers_of(read_numbers(without(text, {gone}))) == kept
