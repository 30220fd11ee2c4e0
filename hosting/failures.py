"""Why a step failed, in plain words, and what to do about it.

Codes are those of callbacks (`failureCode`) and of the carrier blocks; texts are looked into for
the words that carriers use. Source: Imported Numbers and Hosting Orders API, "Callbacks" and
"Provisioning errors"; the classes and times are the desk's own.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from hosting import wire
from hosting.facts import Number
from portal import words
from portal.work.office import Limit

WAIT, FIX, ACCOUNT, SUPPORT = "wait", "fix", "account", "support"
# The most serious first; a number is told with the first of its classes.
_ORDER: Final = (FIX, ACCOUNT, SUPPORT, WAIT)

STEP_WORDS: Final = {
    "osr": "Carrier routing record",
    "platform": "Service plan link",
    "campaign": "10DLC campaign link",
    "sms_att": "SMS at AT&T",
    "sms_tmo": "SMS at T-Mobile",
    "mms_att": "MMS at AT&T",
    "mms_tmo": "MMS at T-Mobile",
}


@dataclass(frozen=True)
class Cause:
    """A cause of failures: what it means, what to do, and who can do it.

    `short` goes into a sentence about numbers: "2 numbers: the campaign is full". `patience` is
    how long one of class "wait" may last before it is ours.
    """

    key: str
    short: str
    plain: str
    do: str
    kind: str
    patience: Limit | None = None
    codes: frozenset[str] = frozenset()
    pattern: re.Pattern[str] | None = None
    steps: frozenset[str] = frozenset()  # for these steps only; empty for any


@dataclass(frozen=True)
class Failure:
    """One failed step of a number; `said` are the operator's or Sinch's own words."""

    phone_number: str
    step: str
    cause: Cause
    code: str = ""
    said: str = ""

    @property
    def step_words(self) -> str:
        """What the step is called."""
        return STEP_WORDS[self.step]


def _words(text: str) -> re.Pattern[str]:
    return re.compile(text, re.IGNORECASE)


HELD: Final = Cause(
    "held",
    "held by another provider at T-Mobile",
    "Another messaging provider holds the number at T-Mobile.",
    "Have the customer confirm in writing that they left it, then move the number to Sinch at "
    "T-Mobile. If Sinch says the number is imported already, unlink it first.",
    FIX,
    codes=frozenset({wire.HELD}),
    pattern=wire.ELSEWHERE,
    steps=frozenset(wire.TMO),
)
HELD_AT_ATT: Final = Cause(
    "held_att",
    "held by another provider at AT&T",
    "Another messaging provider holds the number at AT&T; no flag for moving it is documented.",
    "Have the customer ask the old provider to release it, then ask Sinch support, with proof.",
    SUPPORT,
    pattern=_words(r"another aggregator|owned by another"),
    steps=frozenset({"sms_att", "mms_att"}),
)
ALREADY: Final = Cause(
    "already",
    "perhaps done already",
    "The operator says that this was done before.",
    "Check with Sinch now: read again, it may be done.",
    WAIT,
    Limit(4, "h"),
    pattern=_words(r"already (?:assigned|processed|provisioned)|duplicate"),
)
UNKNOWN: Final = Cause(
    "unknown",
    "failed without a cause we know",
    "Sinch or an operator could not finish this step.",
    "Read the AT&T and T-Mobile columns first; then ask Sinch support with number, order and time.",
    SUPPORT,
)
CAUSES: Final = (
    HELD,
    HELD_AT_ATT,
    Cause(
        "full",
        "the campaign is full",
        "Too many numbers on the campaign: most take about 50, sole proprietors one.",
        "Unlink some, use another campaign, or ask Sinch for a number pool.",
        FIX,
        codes=frozenset({"EXCEEDED_10DLC_LIMIT", "CRS0001"}),
    ),
    Cause(
        "campaign_unknown",
        "the campaign is not known to Sinch",
        "The campaign is unknown, or Sinch is not its connecting partner.",
        "Check the campaign id; its owner picks Sinch at The Campaign Registry.",
        FIX,
        codes=frozenset({"CAMPAIGN_NOT_AVAILABLE", "501", "502"}),
    ),
    Cause(
        "campaign_over",
        "the campaign has run out or was stopped",
        "The campaign ran out, or an operator refused or stopped it.",
        "Its owner renews, amends or appeals; or link another campaign.",
        FIX,
        codes=frozenset({"CAMPAIGN_EXPIRED", "CAMPAIGN_MNO_REJECTED", "CAMPAIGN_MNO_SUSPENDED"}),
    ),
    Cause(
        "toll_free",
        "toll-free, on the path for local numbers",
        "A toll-free number cannot go this way.",
        "Make a toll-free text-enable order for it, without a campaign.",
        FIX,
        codes=frozenset({"TFN_NOT_ALLOWED"}),
    ),
    Cause(
        "nnid",
        "the routing id is not valid",
        "The routing id (NNID) of the order is not valid.",
        "Order again and leave it out, unless the account manager agreed one.",
        FIX,
        codes=frozenset({"INVALID_NNID"}),
    ),
    Cause(
        "mock",
        "a test campaign",
        "A test campaign cannot carry real numbers.",
        "Use the id of the real campaign.",
        FIX,
        codes=frozenset({"MOCK_CAMPAIGN_NOT_ALLOWED"}),
    ),
    Cause(
        "balance",
        "not enough credit at Sinch",
        "There is not enough credit on the Sinch account.",
        "The account's owner tops it up; then repeat.",
        ACCOUNT,
        codes=frozenset({"INSUFFICIENT_BALANCE"}),
    ),
    Cause(
        "acceptance",
        "Sinch has not accepted the campaign yet",
        "Sinch has not accepted the campaign yet.",
        "The campaign's owner checks that Sinch was asked. It is tried again by itself.",
        WAIT,
        Limit(3, "bd"),
        codes=frozenset({"CAMPAIGN_PENDING_ACCEPTANCE"}),
    ),
    Cause(
        "review",
        "an operator is reviewing the campaign",
        "An operator is reviewing the campaign.",
        "Nothing to send; wait for the review.",
        WAIT,
        Limit(5, "bd"),
        codes=frozenset({"CAMPAIGN_MNO_REVIEW"}),
    ),
    Cause(
        "passing",
        "passing trouble at an operator",
        "Passing trouble at a partner or an operator.",
        "Try again later, on the next day for quotas; ask support after one business day.",
        WAIT,
        Limit(4, "h"),
        codes=frozenset({"PARTNER_SERVICE_UNAVAILABLE"}),
        pattern=_words(
            r"time[ -]?out|timed out|throttl|try again|temporar|unavailable|quota|daily limit"
        ),
    ),
    ALREADY,
    Cause(
        "provisioning",
        "Sinch could not finish it",
        "Sinch or an operator could not finish this step.",
        "Read the AT&T and T-Mobile columns first; then ask Sinch support with number, order "
        "and time.",
        SUPPORT,
        codes=frozenset(
            {
                "NUMBER_PROVISIONING_FAILED",
                "CAMPAIGN_PROVISIONING_FAILED",
                "MNO_SHARING_ERROR",
                "INTERNAL_ERROR",
                "CRS0003",
                "CRS0013",
                "CRS0015",
            }
        ),
    ),
)
BY_KEY: Final = {cause.key: cause for cause in (*CAUSES, UNKNOWN)}


def cause_of(step: str, code: str, said: str, failure_code: str = "") -> Cause:
    """Return the cause of a failed step from its own error, else from the callback's code."""
    if step in wire.TMO and wire.is_held(code, said):
        return HELD
    for words_ in (code, failure_code):
        for cause in CAUSES:
            fits = not cause.steps or step in cause.steps
            if fits and words_.upper() in cause.codes:
                return cause
    for cause in CAUSES:
        fits = not cause.steps or step in cause.steps
        if fits and said and cause.pattern is not None and cause.pattern.search(said):
            return cause
    return UNKNOWN


def failures_of(number: Number) -> list[Failure]:
    """Return the failed steps of a number with their causes; held ones even before they fail."""
    found: list[Failure] = []
    if not number.errors and number.verdict != "failed":
        return found
    for step in STEP_WORDS:
        code, said = number.errors.get(step, ("", ""))
        told = number.failure_codes.get(step, "")
        failed = number.steps.get(step) == wire.FAILED
        held = step in wire.TMO and wire.is_held(code, said)
        if failed or (held and number.steps.get(step) != wire.DONE):
            found += [
                Failure(number.phone_number, step, cause, one or told, said)
                for one, cause in _causes_of(step, code, said, told)
            ]
    return found


def _causes_of(step: str, code: str, said: str, told: str) -> list[tuple[str, Cause]]:
    """Return each different cause of a failed step with its code; unknown ones only if alone."""
    causes: dict[str, tuple[str, Cause]] = {}
    for one in code.split(wire.AND):
        cause = cause_of(step, one, said, told)
        causes.setdefault(cause.key, (one, cause))
    known = [found for key, found in causes.items() if key != UNKNOWN.key]
    return known or list(causes.values())


def rank_of(cause: Cause) -> int:
    """Return how serious a cause is; smaller is worse."""
    return _ORDER.index(cause.kind)


@dataclass(frozen=True)
class Group:
    """Numbers that failed for the same cause."""

    cause: Cause
    failures: tuple[Failure, ...]

    @property
    def phones(self) -> list[str]:
        """The numbers, each once."""
        return list(dict.fromkeys(failure.phone_number for failure in self.failures))

    @property
    def text(self) -> str:
        """`2 numbers: the campaign is full`."""
        return f"{words.count_text(len(self.phones), 'number')}: {self.cause.short}"

    @property
    def said(self) -> list[str]:
        """The different words of Sinch and the operators, with their codes."""
        found = dict.fromkeys(
            " ".join(filter(None, (failure.code, failure.said))) for failure in self.failures
        )
        return [text for text in found if text]

    @property
    def steps(self) -> list[str]:
        """What the steps are called that failed."""
        return list(dict.fromkeys(failure.step_words for failure in self.failures))


def grouped(numbers: Iterable[Number]) -> list[Group]:
    """Return failures by cause, the most serious class and the most numbers first."""
    found: dict[str, list[Failure]] = {}
    for number in numbers:
        for failure in failures_of(number):
            found.setdefault(failure.cause.key, []).append(failure)
    groups = [Group(BY_KEY[key], tuple(failures)) for key, failures in found.items()]
    return sorted(groups, key=lambda group: (rank_of(group.cause), -len(group.phones)))
