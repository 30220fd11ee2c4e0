"""The desk's words: one table from Sinch's words, and our own, to what staff read.

Pure functions and data, no models. A word that is in no table is shown as itself, in mono, so a
status Sinch adds next year appears on the screen instead of stopping it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.utils import timezone

MOVES: Final = {
    "us": "Our move",
    "customer": "Customer’s move",
    "carrier": "Carrier’s move",
    "sinch": "Sinch’s move",
    "signer": "Signer’s move",
    "date": "Waits for its date",
    "nobody": "Nobody’s move",
}


@dataclass(frozen=True, slots=True)
class Chip:
    """A status as staff see it: word, tone and shape, what it means, and whose move it is.

    `move` is a key of MOVES. `raw` marks a word of Sinch's that no table knows.
    """

    label: str
    tone: str
    glyph: str
    sentence: str
    move: str = "nobody"
    raw: bool = False


_NOT_SAID = "Sinch has not said where this stands."

_BUCKET: Final = {
    "READY": Chip("Ready to activate", "ready", "ready", "We can press the button now.", "us"),
    "NEEDS_US": Chip("Needs us", "us", "us", "The next step is ours; the reason says which.", "us"),
    "DATED_SOON": Chip(
        "Dated soon", "date", "date", "A confirmed date within 5 business days.", "date"
    ),
    "WAITING": Chip(
        "Waiting on carrier",
        "wait",
        "wait",
        "The losing carrier has the next word.",
        "carrier",
    ),
    "WAITING_ON_SINCH": Chip(
        "Waiting on Sinch", "wait", "wait", "Sinch has the next word.", "sinch"
    ),
    "WAITING_ON_SIGNER": Chip(
        "Waiting on signer",
        "wait",
        "wait",
        "Nothing moves until the LOA is signed.",
        "signer",
    ),
    "DONE": Chip("Done", "done", "done", "Finished, at least one number live."),
    "ENDED": Chip("Ended", "ended", "ended", "Over without a live number."),
    "DRAFT": Chip("Draft", "wait", "edit", "Kept here; Sinch has not seen it yet.", "us"),
}

_ORDER: Final = {
    "PENDING": Chip(
        "Pending",
        "wait",
        "wait",
        "Sinch is settling this order with the losing carrier; "
        "it can still be changed or canceled.",
        "carrier",
    ),
    "CONFIRMED": Chip(
        "Confirmed",
        "date",
        "date",
        "The losing carrier agreed and the order is locked until its port date.",
        "date",
    ),
    "COMPLETED": Chip(
        "Completed",
        "done",
        "done",
        "The port is finished; the numbers below show which ones went live.",
    ),
    "PENDING_CANCELATION": Chip(
        "Canceling",
        "ended",
        "half",
        "Canceling is under way; until it ends, these numbers cannot be ordered again.",
        "sinch",
    ),
    "CANCELED": Chip(
        "Canceled",
        "ended",
        "ended",
        "This order ended; its numbers can be ordered again.",
    ),
}

_NUMBER: Final = {
    "PENDING": Chip(
        "Pending",
        "wait",
        "wait",
        "The losing carrier has not answered for this number yet.",
        "carrier",
    ),
    "CONFIRMED": Chip(
        "Confirmed",
        "date",
        "date",
        "The losing carrier agreed: it moves on its FOC date.",
        "date",
    ),
    "ACTIVATED": Chip("Live", "done", "done", "Live at Sinch."),
    "REJECTED": Chip("Rejected", "bad", "bad", "Refused, with the reason beside it.", "us"),
    "EXCLUDED": Chip(
        "Excluded",
        "us",
        "out",
        "Sinch took this number out of the order; it will not move with it.",
        "us",
    ),
    "CANCELED": Chip(
        "Canceled",
        "ended",
        "ended",
        "The move of this number was ended before it happened.",
    ),
}

_HOSTING_ORDER: Final = {
    "DRAFT": Chip(
        "Draft at Sinch",
        "wait",
        "unknown",
        "Sinch holds this order as a draft and has not begun.",
        "sinch",
    ),
    "SUBMITTED": Chip(
        "Submitted", "wait", "wait", "Sinch has the order and is checking it.", "sinch"
    ),
    "WAITING_FOR_LOA_SIGNATURE": Chip(
        "Waiting for signature",
        "wait",
        "sign",
        "Sinch mailed the LOA to the signer; nothing moves until it is signed.",
        "signer",
    ),
    "IN_PROGRESS": Chip(
        "In progress",
        "wait",
        "half",
        "The numbers are being set up, step by step.",
        "sinch",
    ),
    "COMPLETED": Chip(
        "Completed",
        "done",
        "done",
        "Sinch finished this order; check the numbers, some may have failed.",
    ),
    "REJECTED": Chip(
        "Rejected",
        "bad",
        "bad",
        "Sinch refused this order and does not say why here; "
        "ask Sinch support before sending it again.",
        "us",
    ),
}

_NOT_APPLICABLE = Chip("n/a", "ended", "none", "Does not apply, or Sinch has not said.")
_STEP: Final = {
    "WAITING": Chip(
        "Waiting",
        "wait",
        "wait",
        "Not started; it may need an earlier step first.",
        "sinch",
    ),
    "IN_PROGRESS": Chip("Under way", "wait", "half", "This step is under way.", "sinch"),
    "DONE": Chip("Done", "done", "tick", "This step is finished."),
    "FAILED": Chip("Failed", "bad", "bad", "This step failed; its cause stands beside it.", "us"),
    "STATE_UNSPECIFIED": _NOT_APPLICABLE,
    "": _NOT_APPLICABLE,
    "DEPROVISIONING": Chip("Being unlinked", "wait", "half", "This step is being undone.", "sinch"),
}

_PROOF_REFUSED = "Proof not accepted"
_QUALIFIED: Final = {
    "ELIGIBLE_CHECK_PENDING": Chip(
        "Checking",
        "wait",
        "wait",
        "Sinch is checking whether this number can be text-enabled.",
        "sinch",
    ),
    "ELIGIBLE": Chip(
        "Eligible",
        "us",
        "us",
        "It can be text-enabled; next, prove that the customer owns it.",
        "us",
    ),
    "VERIFICATION_PENDING": Chip(
        "Proof open",
        "us",
        "sign",
        "Proof of ownership is open: enter the code from the call, or wait for the invoice "
        "review (mostly 1 to 3 days).",
        "us",
    ),
    "VERIFICATION_FAILED": Chip(
        _PROOF_REFUSED,
        "bad",
        "bad",
        "The proof was not accepted; call again or use invoices.",
        "us",
    ),
    "VERIFICATION_BLOCKED": Chip(
        _PROOF_REFUSED,
        "bad",
        "bad",
        "Proof by phone call is blocked for this number; use invoices.",
        "us",
    ),
    "VERIFIED": Chip(
        "Verified",
        "ready",
        "ready",
        "Ownership is proven; it can go into a text-enable order.",
        "us",
    ),
    "HOSTING_IN_PROGRESS": Chip(
        "Being text-enabled", "wait", "half", "It is being text-enabled.", "sinch"
    ),
    "HOSTING_DONE": Chip("Text-enabled", "done", "done", "It is text-enabled."),
    "NOT_ELIGIBLE": Chip("Not eligible", "bad", "bad", "It cannot be text-enabled.", "us"),
    "HOSTING_FAILED": Chip("Failed", "bad", "bad", "Text-enabling failed.", "us"),
}

_OPERATION: Final = {
    "QUEUED": Chip("Waiting to go", "wait", "wait", "Queued; it leaves by itself."),
    "SENDING": Chip("Sending", "date", "half", "On its way to Sinch.", "sinch"),
    "SUCCEEDED": Chip("Arrived", "done", "done", "Accepted by Sinch."),
    "REFUSED": Chip("Refused", "bad", "bad", "Sinch said no; nothing changed there.", "us"),
    "UNCERTAIN": Chip(
        "Looking it up", "us", "unknown", "The answer was lost; it is never sent twice."
    ),
    "DEAD": Chip("Stopped", "bad", "out", "Tried often; try again by hand.", "us"),
}

_DELIVERY: Final = {
    "KNOWN": Chip("Known order", "done", "done", "It made the desk read the order again."),
    "NEW": Chip("Made elsewhere", "date", "date", "The desk read this order for the first time."),
    "UNKNOWN_EVENT": Chip(
        "Unknown event", "us", "unknown", "Kept; the order was read all the same.", "us"
    ),
    "NOT_JSON": Chip("Not JSON", "bad", "bad", "Kept and answered, so that it is not repeated."),
    "SIGNED": Chip(
        "Signature good", "done", "done", "Signed with our secret; the desk read it again."
    ),
    "OLDER": Chip("Older event", "ended", "none", "Something newer of its kind was applied."),
    "REPEAT": Chip("Repeat", "ended", "none", "The same event again; it does no harm."),
}

_WAITS: Final = ("sinch", "signer")

TABLES: Final[dict[str, dict[str, Chip]]] = {
    "bucket": _BUCKET,
    "order": _ORDER,
    "number": _NUMBER,
    "hosting_order": _HOSTING_ORDER,
    "step": _STEP,
    "qualified": _QUALIFIED,
    "operation": _OPERATION,
    "delivery": _DELIVERY,
}
TABLE_TITLES: Final = {
    "bucket": "Buckets",
    "order": "Port-in order",
    "number": "Port-in number",
    "hosting_order": "Hosting order",
    "step": "Hosting step",
    "qualified": "Qualified number",
    "operation": "A write to Sinch",
    "delivery": "A webhook",
}
# The same bucket under the short names that work items carry.
_ALIASES: Final = {
    "bucket": {
        "US": "NEEDS_US",
        "DATE": "DATED_SOON",
        "WAIT": "WAITING",
    },
}


@lru_cache(maxsize=2048)
def chip(kind: str, word: str | None) -> Chip:
    """Return the chip of a word; any letter case. KeyError for a kind that has no table."""
    table = TABLES[kind]
    key = (word or "").strip().upper().replace("-", "_").replace(" ", "_")
    key = key.removeprefix("GLOBAL_PROCESS_STATE_") if kind == "qualified" else key
    key = _ALIASES.get(kind, {}).get(key, key)
    if key in table:
        return table[key]
    if not key:
        return Chip("Not said", "wait", "unknown", _NOT_SAID, "sinch")
    shown = (word or "").strip()
    if key.endswith("UNSPECIFIED"):
        return Chip(shown, "wait", "unknown", _NOT_SAID, "sinch", raw=True)
    return Chip(
        shown,
        "wait",
        "unknown",
        f"Sinch reports {shown}, which this desk does not know yet.",
        "sinch",
        raw=True,
    )


def bucket_chip(bucket: str, move: str = "") -> Chip:
    """Return the chip of a work item's bucket; waiting names on whom."""
    return chip(
        "bucket",
        f"waiting_on_{move}" if bucket == "wait" and move in _WAITS else bucket,
    )


# --- Numbers, dates, times ------------------------------------------------------------------

_ZONES: Final = {
    "US/Eastern": "Eastern",
    "US/Central": "Central",
    "US/Mountain": "Mountain",
    "US/Pacific": "Pacific",
    "America/New_York": "Eastern",
    "America/Toronto": "Eastern",
    "America/Chicago": "Central",
    "America/Denver": "Mountain",
    "America/Los_Angeles": "Pacific",
    "GMT": "GMT",
    "UTC": "UTC",
}


def phone_text(number: str | None) -> str:
    """Return `+1 206 555 0142` for `+12065550142`; anything else as it is."""
    text = (number or "").strip()
    digits = text.removeprefix("+")
    if len(digits) == 11 and digits.isdigit() and digits.startswith("1"):
        return f"+1 {digits[1:4]} {digits[4:7]} {digits[7:]}"
    return text


def zone_word(zone: str | None) -> str:
    """Return how staff name a time zone: `Pacific` for `US/Pacific`."""
    name = zone or ""
    return _ZONES.get(name, name.rsplit("/", 1)[-1].replace("_", " "))


def _local(value: datetime) -> datetime:
    return timezone.localtime(value) if timezone.is_aware(value) else value


def day_text(value: date | datetime | None, today: date | None = None) -> str:
    """Return `Tue 9 Jun`, with the year only when it is not this one; "" for nothing.

    A moment is taken in the reader's time zone.
    """
    if value is None:
        return ""
    if isinstance(value, datetime):
        value = _local(value).date()
    today = today or timezone.localdate()
    year = "" if value.year == today.year else f" {value.year}"
    return f"{value:%a} {value.day} {value:%b}{year}"


def clock_text(value: datetime | time | str | None, zone: str | None = None) -> str:
    """Return `09:00`, or `09:00 Pacific` when a zone is given. Accepts `09:00:00` as text.

    A moment is taken in the given zone, else in the reader's.
    """
    if value in (None, ""):
        return ""
    word = f" {zone_word(zone)}" if zone else ""
    if isinstance(value, str):
        return f"{value[:5]}{word}"
    if isinstance(value, datetime) and timezone.is_aware(value):
        value = value.astimezone(ZoneInfo(zone)) if zone else _local(value)
    return f"{value:%H:%M}{word}"


def moment_text(value: datetime | None, zone: str | None = None, today: date | None = None) -> str:
    """Return `Tue 9 Jun, 14:05 Eastern` in the given zone, else in the reader's; "" for nothing."""
    if value is None:
        return ""
    there = value.astimezone(ZoneInfo(zone)) if zone else _local(value)
    name = zone or timezone.get_current_timezone_name()
    return f"{day_text(there.date(), today)}, {there:%H:%M} {zone_word(name)}"


def port_moment_text(day: date | None, at: time | str | None, zone: str | None) -> str:
    """Return `Tue 16 Jun, 09:00 Pacific` for a port date, its time and Sinch's name of the zone."""
    return ", ".join(part for part in (day_text(day), clock_text(at, zone) if at else "") if part)


def age_text(value: datetime | None, now: datetime | None = None) -> str:
    """Return `40 s ago` up to an hour, then the time of today, then the day; "" for nothing."""
    if value is None:
        return ""
    now = now or timezone.now()
    age = now - value
    if age < timedelta(minutes=1):
        # A clock that runs a little ahead elsewhere is no reason to speak of the future.
        return f"{max(0, int(age.total_seconds()))} s ago"
    if age < timedelta(hours=1):
        return f"{int(age.total_seconds() // 60)} min ago"
    there = _local(value)
    if there.date() == _local(now).date():
        return f"{there:%H:%M}"
    return day_text(there.date(), _local(now).date())


def count_text(number: int, one: str, many: str = "") -> str:
    """Return `1 number`, `12 numbers`: a count carries its noun."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


MOST_DATES = 3  # named one by one


def dated_counts_text(days: Sequence[tuple[date, int]]) -> str:
    """Return `Fri 4 Dec, 3 numbers; Tue 8 Dec, 6 numbers`; of a single day only the day."""
    if len(days) == 1:
        return day_text(days[0][0])
    told = [f"{day_text(day)}, {count_text(count, 'number')}" for day, count in days[:MOST_DATES]]
    more = len(days) - len(told)
    return "; ".join(told + ([f"{count_text(more, 'more date')}"] if more > 0 else []))


def size_text(size: int) -> str:
    """Return `214 kB`, `3.1 MB` for a number of bytes."""
    if size < 1000:
        return count_text(size, "byte")
    if size < 1_000_000:
        return f"{size / 1000:.0f} kB"
    return f"{size / 1_000_000:.1f} MB"


# --- What becomes of a write ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Panel:
    """What staff read about one write: a title, a sentence, and where on its way it is.

    `steps` are (css class, tone, shape, words); the class is "was", "now" or "".
    """

    tone: str
    glyph: str
    title: str
    text: str
    steps: tuple[tuple[str, str, str, str], ...]


_PANEL_LOOK: Final = {
    "queued": ("wait", "wait"),
    "sending": ("date", "half"),
    "succeeded": ("done", "done"),
    "refused": ("bad", "bad"),
    "uncertain": ("us", "unknown"),
    "dead": ("bad", "out"),
}


def _seconds(value: datetime | None) -> str:
    return f"{_local(value):%H:%M:%S}" if value else ""


def operation_panel(op: Any, read_at: datetime | None = None) -> Panel:
    """Return what to tell about an operation; `read_at` is when its thing was last read."""
    subject = op.subject or "It"
    saved = f"Saved here at {_seconds(op.created_at)}."
    leave = "You can leave this page; it goes on by itself and says here what became of it."
    kept = "What you typed is kept."
    sinch_said = str((op.answer or {}).get("message") or "").strip()
    read_back = bool(op.finished_at and read_at and read_at >= op.finished_at)
    if op.state == "queued":
        title = f"Waiting to go: {subject}"
        waits = f"{op.staff_message} It is tried again by itself." if op.staff_message else leave
        text = f"{saved} {waits}"
    elif op.state == "sending":
        title, text = f"{subject} is on its way to Sinch", f"{saved} {leave}"
    elif op.state == "succeeded":
        title = f"Arrived at Sinch: {subject}"
        text = f"Accepted {_seconds(op.finished_at)}" + (" and read back." if read_back else ".")
        # What Sinch has only taken, and not judged.
        text = str((op.answer or {}).get("told") or "") or text
    elif op.state == "refused" and (op.answer or {}).get("judged"):
        # It arrived and Sinch said no to it: what it is about may well have changed there.
        title, text = op.answer["judged"], f"{subject}: {op.staff_message}"
    elif op.state == "refused" and op.uncertain_since and not sinch_said:
        # Given up in looking it up: it was sent, and may have been done.
        title, text = "Sent, and its answer was lost", f"{subject}: {op.staff_message}"
    elif op.state == "refused":
        title = f"Sinch refused it: “{sinch_said}”" if sinch_said else "Not sent"
        why = "" if sinch_said else f"{op.staff_message} "
        text = f"{subject}: {why}Nothing changed at Sinch. {kept}"
    elif op.state == "uncertain":
        title = "Sinch did not answer; we are looking it up"
        text = f"{subject} may have arrived. It is not sent again before we know."
    elif op.uncertain_since:
        title = "We could not find out whether it arrived"
        text = f"{subject}: {op.staff_message} Look in Sinch’s dashboard before you try again."
    else:
        title = f"Stopped after {count_text(op.attempts, 'try', 'tries')}"
        text = f"{subject}: {op.staff_message} Nothing was sent. It waits here."
    tone, glyph = _PANEL_LOOK[op.state]
    return Panel(tone, glyph, title, text, _operation_steps(op, read_back))


def _operation_steps(op: Any, read_back: bool) -> tuple[tuple[str, str, str, str], ...]:
    was = ("was", "done", "done")
    later = ("", "wait", "wait")
    saved = (*was, "Saved")
    if op.state == "queued":
        return (
            saved,
            ("now", "wait", "wait", "Waiting to go"),
            (*later, "Accepted by Sinch"),
        )
    if op.state == "sending":
        for_seconds = (
            max(0, int((timezone.now() - op.sent_at).total_seconds())) if op.sent_at else 0
        )
        return (
            saved,
            ("now", "date", "half", f"Sending, {for_seconds} s"),
            (*later, "Accepted by Sinch"),
            (*later, "Read back"),
        )
    if op.state == "uncertain":
        return saved, (*was, "Sent"), ("now", "us", "unknown", "Looking it up")
    if op.state == "succeeded":
        return (
            saved,
            (*was, "Sent"),
            (*was, "Accepted by Sinch"),
            (*was, "Read back") if read_back else ("now", "date", "half", "Reading back"),
        )
    if op.state == "refused":
        sent = (*was, "Sent") if op.sent_at else (*later, "Sent")
        here = "Looked up" if op.uncertain_since else "Refused here"
        by = "Refused by Sinch" if (op.answer or {}).get("status") else here
        return saved, sent, ("now", "bad", "bad", by)
    return saved, ("now", "bad", "out", "Stopped")
