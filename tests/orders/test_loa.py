"""The letter of authorization as a PDF: every number once, no PIN, marked while it is a draft."""

import datetime
import io
from collections import Counter
from dataclasses import fields, replace
from typing import Any

import pytest
from pypdf import PdfReader

from orders import documents
from orders.loa import Letter, can_print, pdf
from portal import words

CODES = ("312", "630", "847")
NUMBERS = tuple(
    f"+1{code}555{line:04d}" for code in CODES for line in (*range(100, 196), *range(200, 296))
)
FULL = Letter(
    end_user="Harborview Dental LLC",
    address=("1420 Alder St, Ste 200", "Seattle, WA 98101"),
    carrier="Lumen",
    account="9930-114431",
    btn="+12065550140",
    numbers=NUMBERS[:1],
    receiver="Northwind Telecom",
    signer="Dana Holt",
    contact="Mara Lindqvist, porting@desk.example",
    reference="HVD-2026-014",
    prepared_on=datetime.date(2026, 6, 2),
)


def pages_of(letter: Letter) -> list[str]:
    return [page.extract_text() for page in PdfReader(io.BytesIO(pdf(letter))).pages]


def test_a_letter_of_one_number_is_one_page_with_everything_on_it() -> None:
    (text,) = pages_of(FULL)
    for wanted in (
        *("Harborview Dental LLC", "1420 Alder St, Ste 200", "Seattle, WA 98101", "Lumen"),
        *("9930-114431", "+1 206 555 0140", "+1 312 555 0100", "Northwind Telecom", "Dana Holt"),
        *("Mara Lindqvist", "HVD-2026-014", "2 June 2026", "Page 1 of 1"),
        *("Printed name of the signer", "Title", "Signature", "Date signed"),
        *("release the telephone number listed in this letter", "I authorize Northwind Telecom"),
    ):
        assert wanted in " ".join(text.split()), wanted
    assert "Draft" not in text
    assert "Reseller" not in text


@pytest.mark.parametrize(
    ("count", "pages"), [(1, 1), (10, 1), (11, 2), (176, 2), (177, 3), (500, 4)]
)
def test_every_number_stands_in_it_once_and_in_an_annex_when_there_are_many(
    count: int, pages: int
) -> None:
    letter = replace(FULL, numbers=NUMBERS[:count])
    found = pages_of(letter)
    assert len(found) == pages
    whole = "\n".join(found)
    counts = Counter({number: whole.count(words.phone_text(number)) for number in letter.numbers})
    assert set(counts.values()) == {1}
    for place, text in enumerate(found, 1):
        assert f"Page {place} of {pages}" in text
    for text in found[1:]:
        assert f"Annex: {count} numbers" in text
        assert "Of Harborview Dental LLC, now at Lumen." in text
    assert (f"{count} numbers, listed in the annex" in found[0]) is (count > 10)


@pytest.mark.parametrize(
    ("gap", "said"),
    [
        ({"end_user": ""}, "the end user’s name"),
        ({"address_gaps": ("the ZIP",)}, "the ZIP"),
        ({"carrier": ""}, "the losing carrier"),
        ({"account": ""}, "the account number"),
        ({"btn": ""}, "the BTN"),
        ({"numbers": ()}, "the numbers"),
        ({"receiver": ""}, "who receives the numbers"),
        ({"signer": ""}, "the signer’s name"),
        ({"is_canadian": True}, "the reseller"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_missing_is_named_on_top_and_the_letter_is_a_draft(
    gap: dict[str, Any], said: str
) -> None:
    letter = replace(FULL, **gap)
    assert not letter.is_complete
    text = pages_of(letter)[0]
    assert "Draft, not to be signed." in text
    assert said in " ".join(text.split())


def test_every_page_of_a_draft_is_marked_and_none_of_a_whole_letter() -> None:
    many = replace(FULL, numbers=NUMBERS[:200])
    assert not any("Draft" in text for text in pages_of(many))
    marked = pages_of(replace(many, account=""))
    assert len(marked) == 3
    assert all("Draft" in text for text in marked)


def test_a_canadian_letter_names_the_reseller() -> None:
    letter = replace(
        FULL,
        end_user="Société de l’Érable & Łukasz Peña <filiale>",
        address=("1200, rue Sainte-Catherine O", "Montréal, QC H3B 1K9"),
        is_canadian=True,
        reseller="Aurora Télécom inc.",
    )
    (text,) = pages_of(letter)
    assert letter.is_complete
    assert letter.by_hand == []
    for wanted in (letter.end_user, "Montréal, QC H3B 1K9", "Reseller (Canada)", letter.reseller):
        assert wanted in " ".join(text.split()), wanted


def test_letters_the_font_lacks_leave_a_line_and_are_told() -> None:
    letter = replace(FULL, end_user="王小明 Trading", signer="Őry Ödön")
    assert letter.by_hand == ["王小明 Trading", "Őry Ödön"]
    (text,) = pages_of(letter)
    assert "Write by hand on the lines left open" in text
    assert "王" not in text
    assert "Trading" not in text
    assert "_____" in text
    assert can_print("e\u0301"), "composed before it is printed"


def test_the_same_facts_give_the_same_bytes_that_pass_our_own_check() -> None:
    letter = replace(FULL, numbers=NUMBERS[:30])
    assert pdf(letter) == pdf(letter)
    checked = documents.check("LOA.pdf", pdf(letter))
    assert checked.content_type == "application/pdf"


def test_very_long_texts_stay_on_the_paper() -> None:
    letter = replace(FULL, end_user="W" * 100, address=("M" * 100, "x " * 50), signer="S" * 100)
    found = pages_of(replace(letter, numbers=NUMBERS[:10]))
    assert "".join("".join(found).split()).count("W" * 100) >= 1
    assert f"Page 1 of {len(found)}" in found[0]


def test_there_is_no_place_for_a_pin() -> None:
    assert not [field.name for field in fields(Letter) if "pin" in field.name]
    info = PdfReader(io.BytesIO(pdf(FULL))).metadata
    assert info is not None
    assert FULL.account not in str(dict(info))
