"""What staff do with qualified numbers: add them, prove who owns them, delete them."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone
from django.utils.crypto import salted_hmac

from hosting import sync, sync_numbers, wire
from hosting.actions_number import refuse_in_order, submit_once, why_not_anew
from hosting.models import QualifiedNumber
from portal import words
from portal.accounts.models import SinchProject, User
from portal.operations import readings
from portal.operations.actions import submit
from portal.operations.heard import SENDS
from portal.operations.models import Operation
from portal.sinch.hosting import QUALIFY_BATCH
from portal.work.actions import NotPossible, NotSendable

State = QualifiedNumber.State
GONE: Final = "Sinch does not know this number any more."
# States in which proof can be given by a call, and in which invoices can be.
CALLABLE: Final = (State.ELIGIBLE, State.VERIFICATION_PENDING, State.VERIFICATION_FAILED)
PROVABLE: Final = (*CALLABLE, State.VERIFICATION_BLOCKED)
NEEDS_US: Final = (*PROVABLE, State.VERIFIED, State.NOT_ELIGIBLE, State.HOSTING_FAILED)
JUST_CALLED: Final = timedelta(minutes=1)
CALLED: Final = (
    "Sinch was asked to call it a moment ago. If the phone has not rung in a minute, call again."
)
INVOICES_TO: Final = "orders@sinch.com"


def add(project: SinchProject, numbers: Sequence[str], *, by: User, key: str) -> list[Operation]:
    """Have numbers qualified, 500 in a call; the same `key` never sends one of them twice.

    Raises NotSendable while a write about one of them has no end yet.
    """
    marker = f"qualified:{project.pk}:{key}:"
    with transaction.atomic():
        rows = Operation.objects.filter(marker__startswith=marker).defer("payload")
        before = rows.annotate(sends=SENDS).order_by("pk")
        sent = {phone for one in before for phone in (one.sends or {}).get("numbers", ())}
        found: list[Operation] = [*before]
        numbers = [phone for phone in numbers if phone not in sent]
        if reason := why_not_anew(QualifiedNumber, project, numbers):
            raise NotSendable(reason)
        for place, start in enumerate(range(0, len(numbers), QUALIFY_BATCH), len(found) + 1):
            batch = list(numbers[start : start + QUALIFY_BATCH])
            operation, _ = submit(
                project,
                "qualified.add",
                target=f"project:{project.pk}:qualified",
                payload={"numbers": batch},
                by=by,
                subject=f"{words.count_text(len(batch), 'number')} to qualify",
                marker=f"{marker}{place}",
            )
            found.append(operation)
    return found


def why_no_call(number: QualifiedNumber) -> str:
    """Return why a number cannot be called with a code now; "" when it can."""
    if number.gone_at is not None:
        return GONE
    if number.state in CALLABLE:
        return ""
    if number.state == State.VERIFICATION_BLOCKED:
        return "Proof by phone call is blocked for this number; use invoices."
    if number.state == State.ELIGIBLE_CHECK_PENDING:
        return "Sinch is still checking whether it can be text-enabled."
    return words.chip("qualified", number.state).sentence


def call(number: QualifiedNumber, *, by: User) -> Operation:
    """Have Sinch call a number with a code; one call at a time. Raises NotPossible.

    A second click, or a colleague at the same page, makes no second call: it would put another
    code in the place of the one that is being read out.
    """
    with transaction.atomic():
        number = _locked(number)
        if reason := why_no_call(number):
            raise NotPossible(reason)
        if number.called_at is not None and timezone.now() - number.called_at < JUST_CALLED:
            raise NotPossible(CALLED)
        return submit_once(
            number,
            "qualified.call",
            {},
            f"The call to {words.phone_text(number.phone_number)}",
            by,
            state=number.state,
        )


def verify(number: QualifiedNumber, code: str, *, by: User, key: str = "") -> Operation:
    """Hand back the code somebody heard; it is not kept once Sinch has judged it.

    With a form's `key` the same code goes in once, as each wrong one costs a try. Raises
    NotPossible, and NotSendable while another code is on its way.
    """
    # Nobody can tell the code from what is kept of it.
    sign = salted_hmac(f"code:{key}", code, algorithm="sha256").hexdigest()[:16]
    marker = f"{number.target}:code:{key}:{sign}" if key else None
    with transaction.atomic():
        number = _locked(number)
        sent = Operation.objects.filter(marker=marker).defer("payload")
        if marker is not None and (found := sent.first()) is not None:
            return found
        if reason := why_no_call(number):
            raise NotPossible(reason)
        return submit_once(
            number,
            "qualified.verify",
            {"code": code},
            f"The code for {words.phone_text(number.phone_number)}",
            by,
            marker,
            state=number.state,
        )


def tries_of(number: QualifiedNumber) -> int:
    """Return how many codes that this desk handed back Sinch did not accept."""
    refused = Operation.objects.filter(
        target=number.target,
        kind="qualified.verify",
        state=Operation.State.REFUSED,
        answer__has_key="judged",
    )
    # Those about a number that was made anew since count no more.
    made_at = wire.made_at(number.payload)
    return refused.filter(created_at__gte=made_at).count() if made_at else refused.count()


def delete(number: QualifiedNumber, *, by: User) -> Operation:
    """Delete a number at Sinch; its proof is gone with it. Raises NotPossible."""
    with transaction.atomic():
        number = _locked(number)
        if number.gone_at is not None:
            raise NotPossible(GONE)
        if number.state == State.HOSTING_IN_PROGRESS:
            raise NotPossible("It is being text-enabled. Wait until that has ended.")
        refuse_in_order(number)
        what = f"The deletion of {words.phone_text(number.phone_number)}"
        return submit_once(number, "qualified.delete", {}, what, by)


def mark_mailed(numbers: Iterable[QualifiedNumber], *, by: User) -> int:
    """Note that the invoices that list these numbers were mailed to Sinch; return how many."""
    keys = [number.pk for number in numbers]
    rows = QualifiedNumber.objects.filter(pk__in=keys, state__in=PROVABLE, gone_at=None)
    count = 0
    for row in rows:
        QualifiedNumber.objects.filter(pk=row.pk).update(
            invoices_sent_at=timezone.now(), invoices_sent_by=by
        )
        sync_numbers.touch(row)
        count += 1
    return count


def under_review_since(number: QualifiedNumber) -> datetime | None:
    """Return when the invoices were mailed that Sinch has not judged yet; None for none."""
    mailed_at = number.invoices_sent_at
    if mailed_at is None or number.state not in PROVABLE:
        return None
    # A proof that failed since is ours again, be it the invoices or a code: nobody waits for that.
    has_failed = number.state in QualifiedNumber.UNPROVEN and number.state_since > mailed_at
    return None if has_failed else mailed_at


def needs_us() -> Q:
    """Return the condition of numbers whose next step is ours; under review they are not."""
    failed = Q(state__in=QualifiedNumber.UNPROVEN, state_since__gt=F("invoices_sent_at"))
    mailed = Q(state__in=PROVABLE, invoices_sent_at__isnull=False)
    return Q(state__in=NEEDS_US) & (~mailed | failed)


def take_mailed_back(number: QualifiedNumber) -> None:
    """Take back that invoices were mailed."""
    QualifiedNumber.objects.filter(pk=number.pk).update(
        invoices_sent_at=None, invoices_sent_by=None
    )
    sync_numbers.touch(number)


def check_now(number: QualifiedNumber) -> None:
    """Have a number read again, before anything nobody waits for."""
    readings.want_one(number.project_id, sync.QUALIFIED_READER, number.phone_number, "staff")


def mail_text(numbers: Iterable[str]) -> str:
    """Return the text of the mail that goes with the invoices."""
    listed = "\n".join(numbers)
    return (
        "Hello,\n\nattached are invoices of the present carrier that list the numbers below, to "
        "show that our customer owns them. Please verify them for text-enabling.\n\n"
        f"{listed}\n\nThank you"
    )


def _locked(number: QualifiedNumber) -> QualifiedNumber:
    return (
        QualifiedNumber.objects.select_for_update(of=("self",))
        .select_related("project")
        .get(pk=number.pk)
    )
