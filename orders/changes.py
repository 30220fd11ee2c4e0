"""What happened to an order between two readings, in sentences for its timeline; no database."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any

from orders.buckets import ACTIVATED, CANCELED, CONFIRMED, EXCLUDED, PENDING, REJECTED
from orders.comparing import comparable, same_order
from orders.wire import NumberFacts, OrderFacts, feature_text
from portal import words
from portal.work.items import Event
from portal.work.models import TimelineEntry

_ORDER_WORDS = {
    "PENDING": ("Order pending", "wait", "wait"),
    "CONFIRMED": ("Order confirmed by the losing carrier", "date", "date"),
    "COMPLETED": ("Order completed", "done", "done"),
    "PENDING_CANCELATION": ("Canceling is under way at Sinch", "ended", "half"),
    "CANCELED": ("Order canceled", "ended", "ended"),
}
# Sinch documents these moves; any other is stored as well, and marked.
_USUAL_MOVES = {
    ("PENDING", "CONFIRMED"),
    ("CONFIRMED", "COMPLETED"),
    ("PENDING", "PENDING_CANCELATION"),
    ("PENDING_CANCELATION", "CANCELED"),
    ("PENDING", "CANCELED"),
    ("CONFIRMED", "CANCELED"),
}


def found_elsewhere(facts: OrderFacts, cause: str) -> Event:
    """Return the one entry for an order this desk sees for the first time."""
    parts = [words.count_text(len(facts.numbers), "number")]
    if facts.end_user:
        parts.append(facts.end_user)
    parts.append(words.chip("order", facts.status).label.lower())
    return Event(
        text=f"{TimelineEntry.FOUND}: {', '.join(parts)}",
        fact=("found", facts.sinch_id),
        tone="date",
        glyph="date",
        cause=cause,
    )


def known_again(read_at: datetime, cause: str) -> Event:
    """Return the entry for an order that Sinch did not know for a while."""
    return Event("Sinch knows this order again", ("back", read_at), cause=cause)


def changes_between(
    old: OrderFacts,
    new: OrderFacts,
    carriers: Mapping[str, str],
    *,
    read_at: datetime,
    cause: str,
) -> list[Event]:
    """Return what the newer reading tells, one entry for each group of numbers it is true of.

    `carriers` names the losing carrier by number. An entry's fact holds the moment of the
    reading, since the same thing may happen again later; that one reading is not told twice is
    seen to by whoever stores it.
    """
    told = _Told(new, carriers, read_at, cause)
    if old.status != new.status:
        told.status_move(old.status, new.status)
    before = {number.phone_number: number for number in old.numbers}
    told.joined([n for n in new.numbers if n.phone_number not in before])
    now = {number.phone_number for number in new.numbers}
    told.left([number for phone, number in before.items() if phone not in now])
    pairs = [(before[n.phone_number], n) for n in new.numbers if n.phone_number in before]
    told.moved_dates([(was, is_) for was, is_ in pairs if _foc_changed(was, is_)])
    told.new_statuses([(was, is_) for was, is_ in pairs if was.status != is_.status])
    told.new_reasons([is_ for was, is_ in pairs if _reason_changed(was, is_)])
    told.features([is_ for was, is_ in pairs if _lost_features(was, is_)])
    told.schedule(old, new)
    return told.events


def details_changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Tell whether values that were ordered differ between two payloads; new ones do not count.

    Dates of the schedule are told by themselves, and what an answer fills in is no change.
    """
    if same_order(old, new):
        return False
    before, after = comparable(old), comparable(new)
    return any(
        value and after.get(path, value) != value
        for path, value in before.items()
        if path[0] != "desiredPortSchedule"
    )


def notice_of_move(old: OrderFacts, new: OrderFacts) -> str:
    """Return what the customer should hear: a confirmed date that moved or fell away, else ""."""
    before = {number.phone_number: number for number in old.numbers}
    pairs = [(before[n.phone_number], n) for n in new.numbers if n.phone_number in before]
    changed = [
        (was.foc_date, is_.foc_date)
        for was, is_ in pairs
        if was.foc_date and _foc_changed(was, is_)
    ]
    for first, last in changed:
        if last:
            return f"FOC date moved from {words.day_text(first)} to {words.day_text(last)}"
    if changed:
        return f"FOC date {words.day_text(changed[0][0])} fell away, date open again"
    fell = [
        is_ for was, is_ in pairs if was.status == CONFIRMED and is_.status in (PENDING, REJECTED)
    ]
    if fell:
        return f"{words.count_text(len(fell), 'confirmed number')} fell back, date open again"
    return ""


def has_progress(old: OrderFacts, new: OrderFacts) -> bool:
    """Tell whether anything moved that starts the clocks anew: a status, a date, a note."""
    if (old.status, len(old.notes)) != (new.status, len(new.notes)):
        return True
    before = {number.phone_number: (number.status, number.foc_date) for number in old.numbers}
    return any(before.get(n.phone_number) != (n.status, n.foc_date) for n in new.numbers)


def _foc_changed(was: NumberFacts, is_: NumberFacts) -> bool:
    # A number may be confirmed before it has a date, or lose the one it had.
    return was.status == is_.status == CONFIRMED and was.foc_date != is_.foc_date


def _reason_changed(was: NumberFacts, is_: NumberFacts) -> bool:
    same_status = was.status == is_.status
    return same_status and (
        (is_.status == REJECTED and was.reject_reason != is_.reject_reason)
        or (is_.status == EXCLUDED and was.exclusion_reason != is_.exclusion_reason)
    )


def _lost_features(was: NumberFacts, is_: NumberFacts) -> bool:
    return bool(is_.excluded_features) and was.excluded_features != is_.excluded_features


class _Told:
    """Collects the entries of one comparison."""

    def __init__(
        self, facts: OrderFacts, carriers: Mapping[str, str], read_at: datetime, cause: str
    ) -> None:
        self.events: list[Event] = []
        self._facts = facts
        self._carriers = carriers
        self._read_at = read_at
        self._cause = cause

    def status_move(self, old: str, new: str) -> None:
        text, tone, glyph = _ORDER_WORDS.get(
            new, (f"Sinch reports the order as {new}", "wait", "unknown")
        )
        if (old, new) not in _USUAL_MOVES and old:
            label = words.chip("order", old).label.lower()
            text, tone, glyph = f"{text}, straight from {label}", "us", "us"
        self._tell(text, ("order", old, new), tone, glyph)

    def joined(self, numbers: list[NumberFacts]) -> None:
        if numbers:
            text = f"{self._many(numbers)} joined the order"
            self._tell(text, ("joined", *_phones(numbers)), "wait", "wait")

    def left(self, numbers: list[NumberFacts]) -> None:
        if numbers:
            is_are = "is" if len(numbers) == 1 else "are"
            text = f"{self._many(numbers)} {is_are} no longer in the order"
            self._tell(text, ("left", *_phones(numbers)), "us", "out")

    def moved_dates(self, pairs: list[tuple[NumberFacts, NumberFacts]]) -> None:
        groups: dict[tuple[str, date | None, date | None], list[NumberFacts]] = defaultdict(list)
        for was, is_ in pairs:
            groups[(self._at(is_), was.foc_date, is_.foc_date)].append(is_)
        for (at, first, last), numbers in groups.items():
            said = f"moved from {words.day_text(first)} to {words.day_text(last)}"
            if first is None:
                said = f"is {words.day_text(last)}"
            elif last is None:
                said = f"is open again; it was {words.day_text(first)}"
            text = f"FOC date of {self._many(numbers, at)} {said}"
            tone = "us" if first else "date"
            self._tell(text, ("foc", first, last, *_phones(numbers)), tone, "date")

    def new_statuses(self, pairs: list[tuple[NumberFacts, NumberFacts]]) -> None:
        groups: dict[tuple[str, ...], list[NumberFacts]] = defaultdict(list)
        for was, is_ in pairs:
            groups[self._sort_of_move(was, is_)].append(is_)
        for (status, at, detail, was_confirmed), numbers in groups.items():
            self._status(status, at, detail, bool(was_confirmed), numbers)

    def _sort_of_move(self, was: NumberFacts, is_: NumberFacts) -> tuple[str, str, str, str]:
        """Return what numbers must share to be told in one sentence."""
        if is_.status == CONFIRMED:
            foc = is_.foc_date.isoformat() if is_.foc_date else ""
            return is_.status, self._at(is_), foc, ""
        if is_.status == REJECTED:
            return is_.status, "", is_.reject_reason, ""
        if is_.status == EXCLUDED:
            return is_.status, "", is_.exclusion_reason, ""
        fell = "yes" if was.status == CONFIRMED and is_.status == PENDING else ""
        return is_.status, self._at(is_), "", fell

    def _status(
        self, status: str, at: str, detail: str, fell: bool, numbers: list[NumberFacts]
    ) -> None:
        many = self._many(numbers, at)
        fact = ("numbers", status, detail, *_phones(numbers))
        if status == CONFIRMED:
            text = f"{many} confirmed"
            if detail:
                day, asked = date.fromisoformat(detail), self._facts.desired_port_date
                text += f" for {words.day_text(day)}"
                if asked and asked != day:
                    text += f"; asked for {words.day_text(asked)}"
            self._tell(text, fact, "date", "date")
        elif status == REJECTED:
            self._tell(f"{many} rejected{_quoted(detail)}", fact, "bad", "bad")
        elif status == EXCLUDED:
            self._tell(f"{many} excluded{_quoted(detail)}", fact, "us", "out")
        elif status == ACTIVATED:
            self._tell(f"{many} went live", fact, "done", "done")
        elif status == CANCELED:
            self._tell(f"{many} canceled", fact, "ended", "ended")
        elif status == PENDING:
            text = f"{many} fell back to pending" if fell else f"{many} with the carrier again"
            self._tell(text, fact, "us" if fell else "wait", "us" if fell else "wait")
        else:
            self._tell(f"{many} now {status}", fact, "wait", "unknown")

    def new_reasons(self, numbers: list[NumberFacts]) -> None:
        groups: dict[tuple[str, str], list[NumberFacts]] = defaultdict(list)
        for number in numbers:
            reason = number.reject_reason if number.status == REJECTED else number.exclusion_reason
            groups[(number.status, reason)].append(number)
        for (status, reason), alike in groups.items():
            tone, glyph = ("bad", "bad") if status == REJECTED else ("us", "out")
            what = "rejected" if status == REJECTED else "excluded"
            text = f"{self._many(alike)} {what} with another reason{_quoted(reason)}"
            self._tell(text, ("reason", status, reason, *_phones(alike)), tone, glyph)

    def features(self, numbers: list[NumberFacts]) -> None:
        groups: dict[tuple[str, str], list[NumberFacts]] = defaultdict(list)
        for number in numbers:
            for feature in number.excluded_features:
                groups[(feature["featureName"], feature["exclusionReason"])].append(number)
        for (name, reason), alike in groups.items():
            text = f"{feature_text(name)} left out for {self._many(alike)}{_quoted(reason)}"
            self._tell(text, ("feature", name, reason, *_phones(alike)), "us", "out")

    def schedule(self, old: OrderFacts, new: OrderFacts) -> None:
        was, is_ = old.desired_port_date, new.desired_port_date
        if was and is_ and was != is_:
            text = f"Requested date is now {words.day_text(is_)}; it was {words.day_text(was)}"
            self._tell(text, ("asked", was, is_), "wait", "date")
        elif (
            old.desired_port_time
            and new.desired_port_time
            and (old.desired_port_time[:5], old.desired_port_time_zone)
            != (new.desired_port_time[:5], new.desired_port_time_zone)
            and old.desired_port_time_zone
        ):
            at = words.clock_text(new.desired_port_time, new.desired_port_time_zone)
            self._tell(f"Requested time is now {at}", ("time", at), "wait", "date")

    def _at(self, number: NumberFacts) -> str:
        return self._carriers.get(number.phone_number, "")

    @staticmethod
    def _many(numbers: Iterable[NumberFacts], at: str = "") -> str:
        found = list(numbers)
        if len(found) == 1:
            return words.phone_text(found[0].phone_number)
        return words.count_text(len(found), "number") + (f" at {at}" if at else "")

    def _tell(self, text: str, fact: tuple[object, ...], tone: str, glyph: str) -> None:
        self.events.append(
            Event(text, (*fact, self._read_at), tone=tone, glyph=glyph, cause=self._cause)
        )


def _phones(numbers: Iterable[NumberFacts]) -> list[str]:
    return sorted(number.phone_number for number in numbers)


def _quoted(reason: str) -> str:
    reason = " ".join(reason.split())
    return f": “{reason[:300]}”" if reason else ""
