"""What a carrier means by a refusal: Sinch's free text matched to the causes we know.

Pure functions, no database. `rejectReason` and `exclusionReason` are prose in the carrier's own
words, so a text is compared by whole words; what matches nothing is shown as it stands.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

from portal import words

MOST_CAUSES: Final = 3  # more would explain nothing

Remedy = Literal["fix", "first outside", "terminal"]
# Where the order page has what mends it, when no field of the edit does.
Place = Literal["", "upload", "composer"]

_ADDRESS: Final = ("street_num", "street", "unit", "city", "state", "zip")
# One value for all numbers of an order.
ORDER_FIELDS: Final = frozenset({"port_date", "port_time", "port_zone", "reseller"})

TRY_AGAIN: Final = (
    "There is nothing to correct here: when that is done, ask Sinch by note to try again."
)


@dataclass(frozen=True, slots=True)
class Cause:
    """A cause of refusals: what it means, what to ask, and where it is mended.

    `name` fits into "Fix PIN" and "2 numbers rejected: PIN"; `ask` goes on after "Ask the
    customer:"; `fields` are Sinch's names of what is wrong, `edits` the fields of our edit page
    that mend it; `mends` names these when they are not what the cause is called by.
    """

    number: int
    key: str
    name: str
    meaning: str
    ask: str
    remedy: Remedy
    fields: tuple[str, ...] = ()
    edits: tuple[str, ...] = ()
    mends: str = ""
    place: Place = ""
    also: str = ""

    @property
    def is_of_order(self) -> bool:
        """Whether its fields belong to the order and not to single numbers."""
        return bool(self.edits) and ORDER_FIELDS.issuperset(self.edits)

    @property
    def next_step(self) -> str:
        """What the button says that leads to the remedy: `Fix PIN`."""
        if self.edits:
            return f"Fix {self.mends or self.name}"
        return {"upload": "Upload LOA", "composer": "Write to Sinch", "": "Look at it"}[self.place]

    def button(self, count: int) -> str:
        """The same with how many numbers it is for: `Fix PIN on 2 numbers`."""
        if not self.edits or self.is_of_order:
            return self.next_step
        return f"{self.next_step} on {words.count_text(count, 'number')}"


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(","))


_BAD: Final = _listed(
    "invalid, incorrect, wrong, mismatch*, not match*, doesn t match, missing, required, "
    "not valid, not found, not on file, differ*, discrepan*"
)


@dataclass(frozen=True)
class _Row:
    """A cause and how it is recognised: `bad` words count only beside one of `_BAD`."""

    cause: Cause
    bad: tuple[str, ...] = ()
    plain: tuple[str, ...] = ()
    unless: int = 0  # the cause that explains the same words better


_ROWS: Final = (
    _Row(
        Cause(
            1,
            "pin",
            "PIN",
            "The PIN is missing or not the one the carrier expects.",
            "the account holder to get a fresh port-out PIN from the carrier; a wireless number "
            "always needs one.",
            "fix",
            ("existingPortOutPin",),
            ("pin",),
        ),
        bad=_listed("pin, passcode, pass code, password, security code, ssn"),
        plain=_listed("transfer pin, port out pin"),
    ),
    _Row(
        Cause(
            2,
            "account",
            "account number",
            "The account number is not the one the carrier has on file.",
            "the account number on the latest bill; some carriers use the BTN for it.",
            "fix",
            ("accountNum",),
            ("account",),
        ),
        bad=_listed(
            "account number, acct number, acct num, account no, acct no, account code, ban"
        ),
        unless=9,
    ),
    _Row(
        Cause(
            3,
            "btn",
            "BTN",
            "The main number of the account is wrong.",
            "which number the carrier bills; often it is one that does not move.",
            "fix",
            ("accountPhoneNumber",),
            ("btn",),
        ),
        bad=_listed(
            "btn, atn, billing telephone, billing number, billing tn, account telephone, "
            "main number"
        ),
    ),
    _Row(
        Cause(
            4,
            "signer",
            "signer",
            "The person who signed may not decide for this account.",
            "a signature from somebody on the account, or to have the carrier add the signer.",
            "fix",
            ("authorizingName", "authorizingDate"),
            ("signer", "signed_on"),
            also="Another signer needs another LOA; upload it under Documents.",
        ),
        bad=_listed(
            "auth name, authori* name, auth person, authori* person, authori* user, signer"
        ),
        plain=_listed("not authori*, unauthori*, not an authori*"),
    ),
    _Row(
        Cause(
            5,
            "name",
            "name",
            "The name is not written as the carrier has it.",
            "the name exactly as on the bill or the customer service record, commas and initials "
            "too.",
            "fix",
            ("endUser.name",),
            ("name",),
            also="If the LOA has the old name, upload a new one under Documents.",
        ),
        bad=_listed(
            "name, business name, company name, entity name, end user, subscriber, customer name"
        ),
        unless=4,
    ),
    _Row(
        Cause(
            6,
            "address",
            "address",
            "The service address is not the one the carrier has; a billing or mailing address "
            "will not do.",
            "the service address as it stands in the customer service record.",
            "fix",
            tuple(
                f"endUser.{name}"
                for name in ("streetNum", "streetName", "city", "state", "zipCode")
            ),
            _ADDRESS,
        ),
        bad=_listed("address, street, house number, city, state, zip, postal, location"),
        plain=_listed("po box, p o box"),
    ),
    _Row(
        Cause(
            7,
            "open-order",
            "open order",
            "Another change is still open on the account.",
            "to have the carrier finish or cancel that change, and to tell us when it is done.",
            "first outside",
            place="composer",
            also=TRY_AGAIN,
        ),
        plain=_listed(
            "pending order, open order, pending service order, order in progress, lsr pending, "
            "pending lsr, pending change, pending disconnect, conflicting order"
        ),
    ),
    _Row(
        Cause(
            8,
            "not-active",
            "not active",
            "The number is not in service, and only a working number can move.",
            "to have it restored, and never to cancel the old service before the port.",
            "first outside",
            place="composer",
            also=TRY_AGAIN,
        ),
        plain=_listed(
            "disconnect*, inactive, not active, not in service, out of service, suspended, "
            "deactivated, vacant, unassigned"
        ),
    ),
    _Row(
        Cause(
            9,
            "other-account",
            "other account",
            "The list mixes accounts or rate centers, or has a number that is a stranger there.",
            "which account each number is on.",
            "fix",
            ("phoneNumbers", "accountNum"),
            ("account",),
            mends="account number",
            also="Numbers of another account need an order of their own.",
        ),
        plain=_listed(
            "not on account, not found on account, another account, different account*, "
            "multiple account*, does not belong, tn not found, phone number mismatch, "
            "different rate cent*"
        ),
    ),
    _Row(
        Cause(
            10,
            "partial",
            "partial port",
            "Other lines or services stay behind, perhaps without their main number.",
            "what stays, what ends, and which number is the new BTN.",
            "fix",
            ("accountPhoneNumber",),
            ("btn",),
            mends="BTN",
            also="Tell Sinch by note what stays and what ends.",
        ),
        plain=_listed(
            "partial, remaining line*, remaining number*, remaining service*, new btn, "
            "main btn porting, pilot, stranded, migration"
        ),
    ),
    _Row(
        Cause(
            11,
            "lock",
            "lock",
            "Protection against moving is on.",
            "the account holder to have it lifted, and to tell us when it is.",
            "first outside",
            place="composer",
            also=TRY_AGAIN,
        ),
        plain=_listed(
            "freeze, frozen, port protect*, number lock, port lock, locked, lsp freeze, pic freeze"
        ),
    ),
    _Row(
        Cause(
            12,
            "features",
            "features",
            "A service that is tied to the line blocks the move.",
            "to have the carrier take it off, knowing what will be lost (internet, an alarm).",
            "first outside",
            place="composer",
            also=TRY_AGAIN,
        ),
        plain=_listed(
            "dsl, hunt*, centrex, isdn, alarm, distinctive ring, remote call forward*, rcf, "
            "special feature, feature* on line"
        ),
    ),
    _Row(
        Cause(
            13,
            "papers",
            "LOA or bill",
            "The paper is missing, unreadable or too old, or there is a newer one elsewhere.",
            "a fresh signed LOA that lists every number, and the latest bill.",
            "fix",
            ("loaAttachmentDate",),
            place="upload",
            also="Upload it under Documents.",
        ),
        plain=_listed(
            "loa, letter of auth*, letter of agency, signature, illegible, unreadable, "
            "csr required, invoice, copy of bill"
        ),
    ),
    _Row(
        Cause(
            14,
            "date",
            "date",
            "The date was refused or has run out.",
            "for another date.",
            "fix",
            ("desiredPortSchedule",),
            ("port_date", "port_time", "port_zone"),
            also="The date is that of the whole order.",
        ),
        plain=_listed(
            "due date, desired date, port date, foc expired, foc rejected, lead time, interval, "
            "too soon, date passed"
        ),
    ),
    _Row(
        Cause(
            15,
            "moving",
            "already moving",
            "A second request for the same number is under way.",
            "whether another provider was asked too, and which request goes on.",
            "first outside",
            place="composer",
            also="Look for the number here first: one of the two requests has to be canceled. "
            + TRY_AGAIN,
        ),
        plain=_listed(
            "duplicate, already pending, pending port, port in progress, active port, "
            "pending foc, already port*, another port"
        ),
    ),
    _Row(
        Cause(
            16,
            "not-portable",
            "not portable",
            "Sinch cannot take this number.",
            "whether text-enabling it, with calls staying where they are, would serve.",
            "terminal",
            also="No correction helps: the number stays where it is.",
        ),
        plain=_listed(
            "not portable, non portable, no coverage, not covered, out of footprint, "
            "out of area, not available, rate cent* not, unsupported"
        ),
    ),
    _Row(
        Cause(
            17,
            "reseller",
            "reseller",
            "In Canada: the firm that the end user pays is missing or wrong.",
            "whose name is on the bill.",
            "fix",
            ("resellerName",),
            ("reseller",),
            also="The reseller is that of the whole order.",
        ),
        plain=_listed("reseller, rnid"),
    ),
    _Row(
        Cause(
            18,
            "debt",
            "money owed",
            "The carrier points to money owed.",
            "to settle it or not; in the US it is no ground to keep a number.",
            "fix",
            place="composer",
            also="Write to Sinch that the FCC's guide on keeping a number when changing providers "
            "does not let a carrier refuse over an unpaid bill.",
        ),
        plain=_listed(
            "past due, unpaid, balance, delinquen*, collection*, early termination, contract"
        ),
    ),
    _Row(
        Cause(
            19,
            "silence",
            "no answer",
            "The losing carrier does not answer.",
            "",
            "first outside",
            place="composer",
            also="There is nothing to ask: Sinch takes it up with the carrier. Ask Sinch by note "
            "how it stands.",
        ),
        plain=_listed("no response, unresponsive, irresponsive, did not respond"),
    ),
)

CAUSES: Final = tuple(row.cause for row in _ROWS)
_BY_KEY: Final = {cause.key: cause for cause in CAUSES}
# A cause that others explain better is judged after them.
_UNLESS: Final = {row.cause.number: row.unless for row in _ROWS if row.unless}


def _pattern(phrases: Iterable[str]) -> re.Pattern[str]:
    ended = (re.escape(phrase).replace(r"\*", r"\w*") for phrase in phrases)
    return re.compile(rf"(?<!\S)(?:{'|'.join(ended)})(?!\S)")


_IS_BAD: Final = _pattern(_BAD)
_PATTERNS: Final = tuple(
    (row.cause, _pattern(row.bad) if row.bad else None, _pattern(row.plain) if row.plain else None)
    for row in _ROWS
)


def _plain_words(text: str) -> str:
    """Return a text in lower case with one space for all that is no letter and no digit."""
    return " ".join("".join(c if c.isalnum() else " " for c in text.lower()).split())


@lru_cache(maxsize=4096)
def causes_of(text: str) -> tuple[Cause, ...]:
    """Return the causes that a refusal's text speaks of, three at most, in the table's order.

    Empty when it speaks of none that we know; then the text stands for itself.
    Source: Porting API, "Get a port-in order", rejectReason and exclusionReason.
    """
    said = _plain_words(text)
    is_bad = bool(_IS_BAD.search(said))
    found = [
        cause
        for cause, bad, plain in _PATTERNS
        if (is_bad and bad and bad.search(said)) or (plain and plain.search(said))
    ]
    numbers = {cause.number for cause in found}
    found = [cause for cause in found if _UNLESS.get(cause.number) not in numbers]
    return tuple(found[:MOST_CAUSES])


def cause_named(key: str) -> Cause | None:
    """Return the cause with a key such as `pin`; None for a key that none has."""
    return _BY_KEY.get(key)


def with_causes(known: Iterable[str], text: str) -> list[str]:
    """Return keys of causes and those of a refusal's text, each once, in the table's order."""
    keys = {*known, *(cause.key for cause in causes_of(text))}
    return [cause.key for cause in CAUSES if cause.key in keys]


def repeated(text: str, before: Collection[str]) -> list[Cause]:
    """Return the causes of a refusal that an earlier one had too, if the carrier's record may help.

    `before` are the keys of the causes of earlier refusals of the same number. Nothing helps a
    number that cannot move at all, and where there is nothing to ask the customer no record does.
    """
    found = causes_of(text)
    if any(cause.remedy == "terminal" for cause in found):
        return []
    return [cause for cause in found if cause.key in before and cause.ask]


def names_of(causes: Sequence[Cause]) -> str:
    """Return the causes in a few words: `PIN, address`."""
    return ", ".join(cause.name for cause in causes)
