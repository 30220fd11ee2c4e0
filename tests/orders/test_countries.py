"""Canadian toll-free numbers: told by what is known of the order, as 800 is in no country."""

import pytest

from orders.countries import canadian_toll_free

TOLL_FREE, OTHER = "+18335550142", "+18885550143"
SEATTLE, VANCOUVER = "+12065550142", "+16045550142"


@pytest.mark.parametrize(
    ("countries", "state", "code", "found"),
    [
        ({TOLL_FREE: "CA"}, "WA", "98101", [TOLL_FREE]),
        ({TOLL_FREE: "US", OTHER: ""}, "BC", "V6B 1A1", [OTHER]),
        ({}, "BC", "V6B 1A1", [TOLL_FREE, OTHER]),
        ({}, "bc", "", [TOLL_FREE, OTHER]),
        ({}, "", "v6b1a1", [TOLL_FREE, OTHER]),
        ({}, "CA", "90210", []),
        ({}, "", "", []),
    ],
)
def test_sinchs_word_counts_first_and_then_the_address(countries, state, code, found):
    numbers = [SEATTLE, TOLL_FREE, OTHER]
    assert canadian_toll_free(numbers, countries, state, code) == found


def test_without_an_address_the_numbers_beside_it_tell():
    assert canadian_toll_free([VANCOUVER, TOLL_FREE], {}, "", "") == [TOLL_FREE]
    assert canadian_toll_free([VANCOUVER, TOLL_FREE], {}, "WA", "98101") == []
    assert canadian_toll_free([VANCOUVER], {VANCOUVER: "CA"}, "BC", "V6B 1A1") == []
