"""A letter of authorization as a PDF to be signed: facts in, bytes out; no database, no HTTP.

The letter holds the account number, because the losing carrier looks for it there, and is
therefore as secret as the number itself. It never holds a PIN: `Letter` has no place for one.
"""

import io
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any, Final
from xml.sax.saxutils import escape

from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import LETTER
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import inch
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    Flowable,
    Frame,
    KeepTogether,
    PageBreak,
    PageTemplate,
    Paragraph,
    Spacer,
    Table,
    TableStyle,
)

from portal import words

IN_BODY: Final = 10  # as many numbers stand in the letter itself, more in its annex
COLUMNS: Final = 4
ROWS: Final = 44  # of an annex page
PLAIN, BOLD = "Vera", "VeraBd"
_INK, _SOFT, _LINE, _WARN = (
    HexColor(color) for color in ("#14191d", "#56616a", "#b9c2c9", "#8a4b00")
)
_MARK = HexColor("#e9ecee")
_MARGIN: Final = 0.8 * inch
_WIDTH: Final = LETTER[0] - 2 * _MARGIN
_LABEL: Final = 1.75 * inch
_BY_HAND: Final = "_" * 44


@dataclass(frozen=True)
class Letter:
    """What one letter says: one losing carrier, one account, one end user.

    Numbers and the BTN are E.164; `address` is the service address line by line and
    `address_gaps` names what it lacks ("the street"). Empty text is a gap.
    """

    end_user: str
    address: tuple[str, ...]
    carrier: str
    account: str
    btn: str
    numbers: tuple[str, ...]
    receiver: str
    signer: str = ""
    contact: str = ""
    reseller: str = ""
    is_canadian: bool = False
    # Those of its toll-free numbers that are Canadian: such a letter ages sooner.
    canadian_toll_free: tuple[str, ...] = ()
    reference: str = ""
    prepared_on: date | None = None
    address_gaps: tuple[str, ...] = ()

    @property
    def missing(self) -> list[str]:
        """What the letter still needs, in the words of the sentence "Still missing: …"."""
        wanted = (
            ("the end user’s name", self.end_user),
            ("the losing carrier", self.carrier),
            ("the account number", self.account),
            ("the BTN", self.btn),
            ("the numbers", self.numbers),
            ("who receives the numbers", self.receiver),
            ("the signer’s name", self.signer),
            ("the reseller, as there are Canadian numbers", self.reseller or not self.is_canadian),
        )
        gaps = [name for name, value in wanted if not value]
        at = 1 if "the end user’s name" in gaps else 0
        return [*gaps[:at], *self.address_gaps, *gaps[at:]]

    @property
    def is_complete(self) -> bool:
        """Whether it can be signed as it is; until then every page is marked as a draft."""
        return not self.missing

    @property
    def by_hand(self) -> list[str]:
        """Texts the letter's font cannot print; a line to write on stands in their place."""
        texts = (self.end_user, *self.address, self.carrier, self.receiver, self.contact)
        texts = (*texts, self.reseller, self.signer)
        return [text for text in dict.fromkeys(texts) if not can_print(text)]

    @property
    def pages(self) -> int:
        """How many pages the annex has."""
        count = len(self.numbers)
        return -(-count // (COLUMNS * ROWS)) if count > IN_BODY else 0


@lru_cache(maxsize=1)
def _glyphs() -> frozenset[int]:
    """Make the fonts known and return the characters they have; they come with reportlab."""
    for name in (PLAIN, BOLD):
        pdfmetrics.registerFont(TTFont(name, f"{name}.ttf"))
    pdfmetrics.registerFontFamily(PLAIN, normal=PLAIN, bold=BOLD, italic=PLAIN, boldItalic=BOLD)
    found: list[frozenset[int]] = [
        frozenset(pdfmetrics.getFont(name).face.charToGlyph) for name in (PLAIN, BOLD)
    ]
    return found[0] & found[1]


def _clean(text: str) -> str:
    """Return a text in composed letters on one line, without control characters."""
    composed = unicodedata.normalize("NFC", text)
    kept = "".join(c if unicodedata.category(c)[0] != "C" else " " for c in composed)
    return " ".join(kept.split())


def can_print(text: str) -> bool:
    """Tell whether the letter's font has every character of a text."""
    return all(ord(character) in _glyphs() for character in _clean(text))


def pdf(letter: Letter) -> bytes:
    """Return the letter as a PDF on US letter paper; the same facts give the same bytes."""
    _glyphs()
    out = io.BytesIO()
    paper = BaseDocTemplate(
        out,
        pagesize=LETTER,
        leftMargin=_MARGIN,
        rightMargin=_MARGIN,
        topMargin=0.7 * inch,
        bottomMargin=0.8 * inch,
        title="Letter of authorization",
        author=_clean(letter.receiver),
        invariant=1,
    )
    frame = Frame(
        *(_MARGIN, 0.8 * inch, _WIDTH, LETTER[1] - 1.5 * inch),
        leftPadding=0,
        rightPadding=0,
        topPadding=0,
        bottomPadding=0,
    )
    mark = "" if letter.is_complete else "Draft"
    paper.addPageTemplates(
        PageTemplate(frames=[frame], onPage=lambda canvas, _: _draw_mark(canvas, mark))
    )
    foot = _foot(letter)
    paper.build(
        [*_body(letter), *_annex(letter)],
        canvasmaker=lambda *given, **named: _Counted(foot, *given, **named),
    )
    return out.getvalue()


class _Counted(Canvas):
    """A canvas that writes "page 1 of 4", which is known only when all pages are there."""

    def __init__(self, foot: str, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._foot = foot
        self._kept: list[dict[str, Any]] = []

    def showPage(self) -> None:
        """Keep the page until the number of pages is known."""
        self._kept.append(dict(self.__dict__))
        self._startPage()

    def save(self) -> None:
        """Write the feet and all pages."""
        for number, page in enumerate(self._kept, 1):
            self.__dict__.update(page)
            self.setFont(PLAIN, 7.5)
            self.setFillColor(_SOFT)
            self.drawString(_MARGIN, 0.5 * inch, self._foot)
            told = f"Page {number} of {len(self._kept)}"
            self.drawRightString(LETTER[0] - _MARGIN, 0.5 * inch, told)
            super().showPage()
        super().save()


def _draw_mark(canvas: Canvas, mark: str) -> None:
    """Draw the mark of an unfinished letter under the text of a page."""
    if not mark:
        return
    canvas.saveState()
    canvas.setFillColor(_MARK)
    canvas.setFont(BOLD, 150)
    canvas.translate(LETTER[0] / 2, LETTER[1] / 2)
    canvas.rotate(52)
    canvas.drawCentredString(0, -50, mark)
    canvas.restoreState()


def _foot(letter: Letter) -> str:
    parts = ["Letter of authorization"]
    if letter.reference and can_print(letter.reference):
        parts.append(f"reference {_clean(letter.reference)[:48]}")
    if letter.prepared_on:
        parts.append(f"prepared {long_date(letter.prepared_on)}")
    return ", ".join(parts)


def long_date(day: date) -> str:
    """Return a date as a letter has it: `9 June 2026`."""
    return f"{day.day} {day:%B} {day.year}"


# --- The letter -----------------------------------------------------------------------------


def _style(size: float, *, font: str = PLAIN, color: Any = _INK, after: float = 0) -> Any:
    return ParagraphStyle(
        f"{font}{size}{after}",
        fontName=font,
        fontSize=size,
        leading=size * 1.38,
        textColor=color,
        spaceAfter=after,
    )


def _shown(text: str) -> str:
    """Return a text for a paragraph: as it is, or a line to write on where no font has it."""
    return escape(_clean(text)) if text and can_print(text) else _BY_HAND


def _inline(text: str, instead: str) -> str:
    """Return a text for the middle of a sentence, or what is said in its place."""
    return escape(_clean(text)) if text and can_print(text) else instead


def _body(letter: Letter) -> list[Flowable]:
    parts: list[Flowable] = []
    if letter.missing:
        parts += [_draft_box(letter.missing), Spacer(1, 8)]
    parts += [
        Paragraph("Letter of authorization", _style(18, font=BOLD, after=3)),
        Paragraph("To move telephone numbers to another provider", _style(9.5, color=_SOFT)),
        Spacer(1, 8),
        *_section("The customer", _customer(letter)),
        *_section("The present provider", _present(letter)),
        *_section("The telephone numbers", []),
        _few_numbers(letter),
        *_section("Who receives the numbers", _receives(letter)),
        *_section("The authorization", []),
    ]
    parts += [Paragraph(text, _style(9, after=4.5)) for text in authorization(letter)]
    if letter.by_hand:
        note = "Write by hand on the lines left open: this form’s font lacks some letters there."
        parts.append(Paragraph(note, _style(8, color=_WARN, after=2)))
    parts.append(KeepTogether([Spacer(1, 6), _signature(letter)]))
    return parts


def _draft_box(missing: Sequence[str]) -> Table:
    text = f"<b>Draft, not to be signed.</b> Still missing: {escape(', '.join(missing))}."
    box = Table([[Paragraph(text, _style(9, color=_WARN))]], colWidths=[_WIDTH])
    box.setStyle(
        TableStyle(
            [
                ("BOX", (0, 0), (-1, -1), 0.9, _WARN),
                ("TOPPADDING", (0, 0), (-1, -1), 5),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 6),
            ]
        )
    )
    return box


def _section(title: str, rows: Iterable[tuple[str, str]]) -> list[Flowable]:
    parts: list[Flowable] = [Paragraph(title, _style(10.5, font=BOLD, after=2))]
    lines = [
        [Paragraph(label, _style(9, color=_SOFT)), Paragraph(text, _style(9))]
        for label, text in rows
    ]
    if lines:
        parts += [_plain_table(lines, [_LABEL, _WIDTH - _LABEL]), Spacer(1, 9)]
    return parts


def _plain_table(rows: list[list[Any]], widths: list[float]) -> Table:
    table = Table(rows, colWidths=widths)
    table.setStyle(
        TableStyle(
            [
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("LEFTPADDING", (0, 0), (-1, -1), 0),
                ("RIGHTPADDING", (0, 0), (-1, -1), 6),
                ("TOPPADDING", (0, 0), (-1, -1), 2),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 2.5),
                ("LINEABOVE", (0, 0), (-1, 0), 0.6, _LINE),
                ("LINEBELOW", (0, 0), (-1, -1), 0.4, _LINE),
            ]
        )
    )
    return table


def _customer(letter: Letter) -> list[tuple[str, str]]:
    return [
        ("Name on the account", _shown(letter.end_user)),
        ("Service address", "<br/>".join(map(_shown, letter.address)) or _BY_HAND),
    ]


def _present(letter: Letter) -> list[tuple[str, str]]:
    return [
        ("Losing carrier", _shown(letter.carrier)),
        ("Account number", _shown(letter.account)),
        ("Billing number (BTN)", _shown(words.phone_text(letter.btn))),
    ]


def _receives(letter: Letter) -> list[tuple[str, str]]:
    rows = [("New provider", _shown(letter.receiver) + _inline_carrier(letter))]
    if letter.contact:
        rows.append(("Contact", _shown(letter.contact)))
    if letter.is_canadian or letter.reseller:
        rows.append(("Reseller (Canada)", _shown(letter.reseller)))
    return rows


def _inline_carrier(letter: Letter) -> str:
    return "" if "sinch" in letter.receiver.casefold() else ", with Sinch as its carrier"


def _few_numbers(letter: Letter) -> Flowable:
    count = len(letter.numbers)
    if count > IN_BODY:
        pages = words.count_text(letter.pages, "page")
        told = f"{words.count_text(count, 'number')}, listed in the annex to this letter ({pages})"
        rows = [[Paragraph(f"<b>{told}</b>", _style(9))]]
        return KeepTogether([_plain_table(rows, [_WIDTH]), Spacer(1, 9)])
    shown = [words.phone_text(number) for number in letter.numbers] or [_BY_HAND]
    cells: list[Any] = [Paragraph(f"<b>{escape(text)}</b>", _style(9.5)) for text in shown]
    cells += [""] * (-len(cells) % COLUMNS)
    rows = [cells[at : at + COLUMNS] for at in range(0, len(cells), COLUMNS)]
    return KeepTogether([_plain_table(rows, [_WIDTH / COLUMNS] * COLUMNS), Spacer(1, 9)])


def authorization(letter: Letter) -> list[str]:
    """Return the sentences that are signed, as paragraph text."""
    many = len(letter.numbers) != 1
    numbers = "numbers" if many else "number"
    count = f"{len(letter.numbers):,} " if many else ""
    moves = "they move" if many else "it moves"
    where = " in the annex" if letter.pages else " in this letter"
    old = _inline(letter.carrier, "the losing carrier named above")
    new = _inline(letter.receiver, "the new provider named above")
    acts = new if "sinch" in letter.receiver.casefold() else f"{new} and its carrier, Sinch,"
    return [
        "I am the customer named above, or I am authorized to decide about this account for that "
        "customer.",
        f"I ask {old} to release the {count}telephone {numbers} listed{where}, so that {moves} "
        f"to {new}. I authorize {acts} to act for me in this move: to order it, to exchange the "
        "account information it needs, to agree its date, and to withdraw it.",
        f"I understand that services at {old} which depend on the {numbers} may end with the move, "
        "and that what the contract there says about fees and notice still holds.",
        f"This letter is for the {numbers} listed and for nothing else. It holds from the day it "
        f"is signed until the move is done or I withdraw it in writing.",
    ]


def _signature(letter: Letter) -> Table:
    label = _style(8, color=_SOFT)
    name = _clean(letter.signer) if can_print(letter.signer) else ""
    cells = [
        [Paragraph(escape(name), _style(10)), "", ""],
        [Paragraph("Printed name of the signer", label), "", Paragraph("Title", label)],
        ["", "", ""],
        [
            Paragraph("Signature", label),
            "",
            Paragraph("Date signed (month, day, year)", label),
        ],
    ]
    gap = 0.3 * inch
    half = (_WIDTH - gap) / 2
    table = Table(cells, colWidths=[half, gap, half], rowHeights=[None, 15, 38, 15])
    rules: list[Any] = [
        ("LEFTPADDING", (0, 0), (-1, -1), 0),
        ("RIGHTPADDING", (0, 0), (-1, -1), 0),
        ("TOPPADDING", (0, 0), (-1, -1), 1),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 2),
        ("VALIGN", (0, 0), (-1, -1), "BOTTOM"),
        ("TOPPADDING", (0, 0), (-1, 0), 10),
        ("VALIGN", (0, 1), (-1, 1), "TOP"),
        ("VALIGN", (0, 3), (-1, 3), "TOP"),
    ]
    rules += [
        ("LINEBELOW", (column, row), (column, row), 0.8, _INK)
        for column in (0, 2)
        for row in (0, 2)
    ]
    table.setStyle(TableStyle(rules))
    return table


# --- The annex ------------------------------------------------------------------------------


def _annex(letter: Letter) -> list[Flowable]:
    """Return the pages that list the numbers, down the columns, each under its own heading."""
    parts: list[Flowable] = []
    each, total = COLUMNS * ROWS, len(letter.numbers)
    for page in range(letter.pages):
        chunk = letter.numbers[page * each : (page + 1) * each]
        first = page * each + 1
        whose = _inline(letter.end_user, "the customer")
        carrier = _inline(letter.carrier, "the losing carrier")
        parts += [
            PageBreak(),
            Paragraph(f"Annex: {words.count_text(total, 'number')}", _style(14, font=BOLD)),
            Paragraph(
                f"Of {whose}, now at {carrier}. Numbers {first} to {first + len(chunk) - 1} of "
                f"{total}.",
                _style(9, color=_SOFT, after=6),
            ),
            _columns(chunk, first),
        ]
    return parts


def _columns(numbers: Sequence[str], first: int) -> Table:
    # A last page that is not full has columns of equal length.
    rows = min(ROWS, -(-len(numbers) // COLUMNS))
    place, phone = 0.42 * inch, _WIDTH / COLUMNS - 0.42 * inch
    cells: list[list[str]] = []
    for row in range(rows):
        line: list[str] = []
        for column in range(COLUMNS):
            at = column * rows + row
            shown = at < len(numbers)
            line += [
                f"{first + at}" if shown else "",
                words.phone_text(numbers[at]) if shown else "",
            ]
        cells.append(line)
    table = Table(cells, colWidths=[place, phone] * COLUMNS, rowHeights=13.9)
    rules: list[Any] = [
        ("FONT", (0, 0), (-1, -1), PLAIN, 9),
        ("TEXTCOLOR", (0, 0), (-1, -1), _INK),
        ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
        ("TOPPADDING", (0, 0), (-1, -1), 0),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 0),
        ("LEFTPADDING", (0, 0), (-1, -1), 0),
        ("RIGHTPADDING", (0, 0), (-1, -1), 6),
        ("LINEABOVE", (0, 0), (-1, 0), 0.6, _LINE),
        ("LINEBELOW", (0, 0), (-1, -1), 0.3, _LINE),
    ]
    for column in range(0, COLUMNS * 2, 2):
        rules += [
            ("ALIGN", (column, 0), (column, -1), "RIGHT"),
            ("FONT", (column, 0), (column, -1), PLAIN, 7),
            ("TEXTCOLOR", (column, 0), (column, -1), _SOFT),
        ]
    table.setStyle(TableStyle(rules))
    return table
