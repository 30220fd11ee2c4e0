"""Signatures of hosting callbacks."""

import base64
import hashlib
import hmac

import pytest

from webhooks.signature import is_signed

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
