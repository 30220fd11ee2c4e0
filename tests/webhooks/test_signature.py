"""Signatures of hosting callbacks, and where a call came from."""

import base64
import hashlib
import hmac

import pytest
from django.test import RequestFactory

from webhooks.signature import is_signed
from webhooks.sources import address_of

# The vector of the contract's `x-signature`.
SECRET = b"hosting-test-secret"
BODY = b'{"eventId":"01hpa0mww4m79q8j2dwn3ggbgz","status":"SUCCEEDED"}'
SIGNATURE = "dfe726b706a48137d57995ae849485d9478b5fc8"


def test_the_vector_of_the_contract_fits():
    assert is_signed(BODY, SIGNATURE, [SECRET])


@pytest.mark.parametrize(
    "signature",
    [SIGNATURE.upper(), f" {SIGNATURE} ", base64.b64encode(bytes.fromhex(SIGNATURE)).decode()],
)
def test_the_other_spellings_of_the_same_digest_fit(signature):
    assert is_signed(BODY, signature, [SECRET])


@pytest.mark.parametrize(
    "signature",
    [
        "",
        "0" * 40,
        SIGNATURE[:-1],
        f"{SIGNATURE}0",
        "ünïcödé",
        base64.b64encode(b"x" * 20).decode(),
    ],
)
def test_any_other_signature_does_not(signature):
    assert not is_signed(BODY, signature, [SECRET])


def test_one_changed_byte_of_the_body_is_enough():
    assert not is_signed(BODY + b" ", SIGNATURE, [SECRET])


def test_each_of_several_secrets_signs_and_none_signs_nothing():
    assert is_signed(BODY, SIGNATURE, [b"newer", SECRET])
    assert is_signed(BODY, SIGNATURE, [SECRET, b"older"])
    assert not is_signed(BODY, SIGNATURE, [])


def test_a_digest_of_another_algorithm_does_not_fit():
    longer = hmac.new(SECRET, BODY, hashlib.sha256).hexdigest()
    assert not is_signed(BODY, longer, [SECRET])


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
        ("unknown", None),
    ],
)
def test_ports_and_spellings_of_an_address_do_not_matter(settings, written, read):
    settings.TRUSTED_PROXIES = 1
    assert called(written) == read
