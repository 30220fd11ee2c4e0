"""Where a request came from, with proxies in front and without."""

import pytest
from django.test import RequestFactory

from portal.callers import address_of


def called(forwarded: str | None = None, peer: str = "10.0.0.7") -> str | None:
    headers = {} if forwarded is None else {"HTTP_X_FORWARDED_FOR": forwarded}
    return address_of(RequestFactory().post("/", REMOTE_ADDR=peer, **headers))


def test_without_a_trusted_proxy_nobody_writes_their_own_address(settings):
    settings.TRUSTED_PROXIES = 0
    assert called("54.76.19.159") == "10.0.0.7"


def test_behind_one_proxy_the_last_place_counts_and_what_the_caller_wrote_does_not(settings):
    settings.TRUSTED_PROXIES = 1
    assert called("54.76.19.159, 203.0.113.9") == "203.0.113.9"


def test_behind_two_proxies_the_last_but_one_counts(settings):
    settings.TRUSTED_PROXIES = 2
    assert called("198.51.100.1, 203.0.113.9, 10.0.0.9") == "203.0.113.9"


@pytest.mark.parametrize("forwarded", [None, "", "203.0.113.9"])
def test_a_call_that_went_around_the_proxies_has_no_address(settings, forwarded):
    settings.TRUSTED_PROXIES = 2
    assert called(forwarded) is None


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("203.0.113.9:44321", "203.0.113.9"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("2001:DB8::1", "2001:db8::1"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("fe80::1%eth0", "fe80::1"),
        ("unknown", None),
    ],
)
def test_ports_and_spellings_of_an_address_do_not_matter(settings, written, read):
    settings.TRUSTED_PROXIES = 1
    assert called(written) == read
