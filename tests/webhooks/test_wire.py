"""What a webhook is understood to say, without a database."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tools import ROOT
from webhooks.wire import EVENTS, MOST_DIGITS, read_notice

EXAMPLES = [
    example
    for example in json.loads((Path(ROOT) / "tests/sinch/porting-examples.json").read_text())
    if example["kind"] == "webhook"
]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: f"{e['operation']}: {e['name']}")
def test_every_event_of_the_contract_names_its_order(example):
    notice = read_notice(json.dumps(example["body"]).encode())
    assert notice.is_known
    assert notice.event in EVENTS
    assert notice.order_id == "897867"


@pytest.mark.parametrize(
    ("body", "order_id"),
    [
        ({"orderId": 17}, "17"),
        ({"orderId": "17"}, "17"),
        ({"orderId": " 17 "}, "17"),
        ({"orderId": 17.0}, "17"),
        ({"order": {"id": 17}}, "17"),
        ({"order": {"orderId": "17"}}, "17"),
        ({"orderId": None, "order": {"id": "17"}}, "17"),
        ({"orderId": True}, ""),
        ({"orderId": -3}, ""),
        ({"orderId": 1.5}, ""),
        ({"orderId": "٣٤"}, ""),
        ({"orderId": "../1"}, ""),
        ({"orderId": "9" * (MOST_DIGITS + 1)}, ""),
        ({"orderId": 10**MOST_DIGITS}, ""),
        ({"orderId": {"id": 3}}, ""),
        ({"order": [1]}, ""),
        ({}, ""),
    ],
)
def test_an_order_id_is_text_of_digits_whatever_it_came_as(body, order_id):
    assert read_notice(json.dumps(body).encode()).order_id == order_id


def test_the_event_stands_under_either_key_and_is_cleaned():
    assert read_notice(b'{"type": "order_updated"}').event == "ORDER_UPDATED"
    assert read_notice(b'{"event": "ORDER_SPLIT"}').event == "ORDER_SPLIT"
    assert read_notice(b'{"type": 3, "event": "A"}').event == "A"
    assert read_notice(b'{"type": "A\\u0000B<script>\\ud800"}').event == "ABSCRIPT"
    assert len(read_notice(json.dumps({"type": "X" * 500}).encode()).event) == 60


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff\xfe\x00\xd8", b"[" * 200_000, b"\x80", b"9" * 5000, b"NaN x"]
)
def test_what_is_not_json_is_said_to_be_none(body):
    assert not read_notice(body).is_json


@pytest.mark.parametrize("body", [b"null", b"[]", b'"ORDER_UPDATED"', b"17"])
def test_json_that_is_no_object_names_nothing(body):
    notice = read_notice(body)
    assert notice.is_json
    assert (notice.event, notice.order_id) == ("", "")


@given(st.one_of(st.binary(max_size=300), st.text(max_size=300).map(str.encode)))
def test_no_body_at_all_is_too_odd(body):
    read_notice(body)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


@given(st.fixed_dictionaries({"orderId": _json, "type": _json, "event": _json, "order": _json}))
def test_an_id_is_always_digits_or_nothing(said):
    notice = read_notice(json.dumps(said).encode())
    assert notice.order_id == "" or notice.order_id.isdigit()
    assert "\x00" not in notice.event
