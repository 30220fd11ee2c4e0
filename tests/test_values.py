"""Single values, whatever shape they come in."""

import pytest
from django.core.exceptions import ImproperlyConfigured

from portal import env
from portal.values import MOST, whole


@pytest.mark.parametrize(
    ("written", "number"), [("0", 0), ("7", 7), ("007", 7), (str(MOST), MOST), ("0" * 19, 0)]
)
def test_digits_are_a_whole_number(written, number):
    assert whole(written) == number


@pytest.mark.parametrize(
    "written",
    [
        *("", "²", "1²", "٣", "１", "-1", "+1", " 1", "1 ", "1\n", "1.0", "1_0", "1e3", "a", "\0"),
        *(str(MOST + 1), "0" * 20, "9" * 5000),
    ],
)
def test_anything_else_is_none(written):
    assert whole(written) is None


@pytest.mark.parametrize(("written", "number"), [("99", 99), ("099", 99), ("100", None)])
def test_a_bound_is_the_largest_that_is_taken(written, number):
    assert whole(written, 99) == number


def test_the_largest_number_fits_where_the_database_keeps_keys():
    assert MOST.bit_length() == 63


@pytest.mark.parametrize("set_to", ["²", "٣", "9" * 5000, "-1", "1.5", "0", "11"])
def test_a_setting_that_is_no_number_within_its_limits_is_named(monkeypatch, set_to):
    monkeypatch.setenv("DESKS", set_to)
    with pytest.raises(ImproperlyConfigured, match="whole number from 1 to 10"):
        env.number("DESKS", 5, 1, 10)
