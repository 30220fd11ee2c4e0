"""One table turns Sinch's words into ours, and nothing Sinch says can break a page."""

import datetime
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from django.utils import timezone

from portal import words

ROOT = Path(__file__).parents[2]
CONTRACT = yaml.safe_load((ROOT / "portal/sandbox/openapi/porting.openapi.yaml").read_text())
SCHEMAS = CONTRACT["components"]["schemas"]
SPRITE = (ROOT / "templates/components/_sprite.html").read_text()
NOON = datetime.datetime(2026, 6, 9, 16, 0, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("kind", "word"),
    [("order", word) for word in SCHEMAS["OrderStatus"]["enum"]]
    + [("number", word) for word in SCHEMAS["NumberStatus"]["enum"]],
)
def test_every_status_of_the_contract_has_its_own_chip(kind, word):
    chip = words.chip(kind, word)
    assert not chip.raw
    assert chip.label != word
    assert chip.sentence.endswith(".")
    assert chip.move in words.MOVES


def test_every_chip_of_every_table_can_be_drawn():
    for kind, table in words.TABLES.items():
        for word, chip in table.items():
            assert f'id="g-{chip.glyph}"' in SPRITE, (kind, word)


def test_every_state_of_an_operation_and_every_bucket_has_a_chip():
    from portal.operations.models import Operation
    from portal.work.models import WorkItem

    assert not any(words.chip("operation", state).raw for state in Operation.State.values)
    for bucket, label in WorkItem.Bucket.choices:
        assert words.chip("bucket", bucket).label == label


def test_an_unknown_word_is_shown_as_itself():
    chip = words.chip("order", "ORDER_BUILDING")
    assert (chip.label, chip.tone, chip.glyph, chip.raw) == (
        "ORDER_BUILDING",
        "wait",
        "unknown",
        True,
    )
    assert "does not know yet" in chip.sentence


def test_letter_case_does_not_matter_and_nothing_is_said_plainly():
    assert words.chip("number", "Activated").label == "Live"
    assert words.chip("order", "").label == "Not said"
    assert words.chip("step", None).label == "n/a"
    assert words.chip("qualified", "GLOBAL_PROCESS_STATE_VERIFIED").label == "Verified"


def test_numbers_dates_and_times_are_written_the_house_way():
    assert words.phone_text("+12065550142") == "+1 206 555 0142"
    assert words.phone_text("not a number") == "not a number"
    assert words.day_text(datetime.date(2026, 6, 9), datetime.date(2026, 1, 1)) == "Tue 9 Jun"
    assert words.day_text(datetime.date(2025, 6, 9), datetime.date(2026, 1, 1)) == "Mon 9 Jun 2025"
    assert words.clock_text("09:00:00", "US/Pacific") == "09:00 Pacific"
    assert words.moment_text(NOON, "US/Pacific").endswith("09:00 Pacific")
    assert words.size_text(214_000) == "214 kB"
    assert words.count_text(1, "number") == "1 number"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-3, "0 s ago"), (40, "40 s ago"), (180, "3 min ago"), (2 * 3600, "10:00")],
)
def test_ages_are_words_up_to_an_hour_and_then_the_time(seconds, said):
    with timezone.override("US/Eastern"):
        assert words.age_text(NOON - datetime.timedelta(seconds=seconds), NOON) == said
        assert words.age_text(NOON - datetime.timedelta(days=1), NOON) == "Mon 8 Jun"


def an_operation(state, **more):
    values = {
        "state": state,
        "subject": "“bill.pdf”",
        "created_at": NOON,
        "sent_at": NOON,
        "finished_at": None,
        "uncertain_since": None,
        "staff_message": "",
        "answer": {},
        "attempts": 6,
    }
    return SimpleNamespace(**(values | more))


@pytest.mark.parametrize(
    ("op", "title"),
    [
        (an_operation("queued"), "Waiting to go"),
        (an_operation("sending"), "“bill.pdf” is on its way to Sinch"),
        (an_operation("succeeded", finished_at=NOON), "Arrived at Sinch"),
        (an_operation("refused", answer={"message": "no"}), "Sinch refused it: “no”"),
        (an_operation("uncertain"), "we are looking it up"),
        (an_operation("dead"), "Stopped after 6 tries"),
        (an_operation("dead", uncertain_since=NOON), "could not find out whether it arrived"),
    ],
)
def test_a_write_tells_where_it_is_at_every_moment(op, title):
    panel = words.operation_panel(op)
    assert title in panel.title
    assert next(step[3] for step in panel.steps) == "Saved"


def test_read_back_is_said_only_once_the_order_was_read_after_it():
    op = an_operation("succeeded", finished_at=NOON)
    assert words.operation_panel(op).steps[-1][3] == "Reading back"
    later = words.operation_panel(op, NOON + datetime.timedelta(seconds=1))
    assert later.steps[-1][3] == "Read back"


def test_no_sentence_begs_or_shouts():
    said = [chip.sentence for table in words.TABLES.values() for chip in table.values()]
    assert not [
        text for text in said if re.search(r"!|\bplease\b|\boops\b|successfully", text, re.I)
    ]
