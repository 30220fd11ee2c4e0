"""What staff do with imported numbers; moves between plans and campaigns are in `moves`."""

import re
from typing import Final

from django.db import transaction
from django.utils import timezone

from hosting import moves, sync
from hosting.actions_number import (
    import_of,
    refuse_in_order,
    running,
    same,
    submit_once,
    why_not_anew,
)
from hosting.models import Combination, ImportedNumber
from portal import words
from portal.accounts.guards import MAY_SEND
from portal.accounts.models import SinchProject, User
from portal.operations import readings
from portal.operations.actions import submit
from portal.operations.models import Operation
from portal.work.actions import NotPossible, NotSendable

LONGEST_NAME: Final = 80
UNKNOWN_PAIR: Final = (
    "The desk does not know this plan with this campaign, and adding them needs the agent role."
)
SEARCH_READER: Final = "imported_search"
WHERE: Final = {"START": "begin with", "CONTAIN": "contain", "END": "end with"}


def import_one(
    project: SinchProject, phone: str, *, plan: str, campaign: str, name: str, region: str, by: User
) -> Operation:
    """Import one number; the same number is not asked for twice while it is under way.

    Raises NotSendable while it is under way with something else typed, or while a write about the
    number has no end yet; NotPossible while it is in an order on its way.
    """
    body: dict[str, object] = {"phoneNumber": phone, "regionCode": region}
    if name:
        body["displayName"] = name
    body["smsConfiguration"] = {
        "servicePlanId": plan,
        **({"campaignId": campaign} if campaign else {}),
    }
    target = import_of(project, phone)
    with transaction.atomic():
        SinchProject.objects.select_for_update(no_key=True).get(pk=project.pk)
        if (found := running(target, "imported.create")) is not None:
            return same(found, {"body": body})
        if reason := why_not_anew(ImportedNumber, project, [phone]):
            raise NotSendable(reason)
        refuse_in_order(ImportedNumber(project=project, phone_number=phone))
        sync.remember_pair(project, plan, campaign)
        operation, _ = submit(
            project,
            "imported.create",
            target=target,
            payload={"phone": phone, "body": body},
            by=by,
            subject=f"The import of {words.phone_text(phone)}",
        )
    return operation


def rename(number: ImportedNumber, name: str, *, by: User) -> Operation | None:
    """Give a number another name; None when it has it. Raises NotSendable, NotPossible."""
    name = " ".join(name.split())
    if not name:
        raise NotSendable("Write the new name.")
    if len(name) > LONGEST_NAME:
        raise NotSendable(f"{len(name)} characters; at most {LONGEST_NAME} fit.")
    with transaction.atomic():
        number = _there(number)
        if number.display_name == name and running(number.target, "imported.rename") is None:
            return None
        return submit_once(number, "imported.rename", {"name": name}, f"The name “{name}”", by)


def delete(number: ImportedNumber, *, by: User) -> Operation:
    """Delete a number at Sinch. Raises NotPossible while it is on its way somewhere."""
    with transaction.atomic():
        number = _there(number)
        moves.refuse_moving(number)
        refuse_in_order(number)
        what = f"The deletion of {words.phone_text(number.phone_number)}"
        return submit_once(number, "imported.delete", {}, what, by)


def _there(number: ImportedNumber) -> ImportedNumber:
    found = moves.locked(number.pk)
    if found.gone_at is not None:
        raise NotPossible(moves.GONE)
    return found


def check_now(number: ImportedNumber) -> None:
    """Have a number read again, before anything nobody waits for."""
    moves.read_soon(number)


# --- Sinch's own search -------------------------------------------------------------------------


def search_at_sinch(
    project: SinchProject, *, plan: str, campaign: str, digits: str, where: str, by: User
) -> None:
    """Have Sinch's own pattern search asked by a worker; what it finds is stored.

    A plan and campaign that are new to the desk are walked from then on, so whoever may not send
    searches in those it knows. Raises NotSendable for what was typed, NotPossible for a plan and
    campaign they may not add.
    """
    if not plan:
        raise NotSendable("Choose the service plan to look in; Sinch lists by plan and campaign.")
    digits = re.sub(r"[^0-9+]", "", digits)
    if where not in WHERE or not digits or len(digits) > 16:
        raise NotSendable("Write the digits to look for.")
    if where == "START" and not digits.startswith("+"):
        digits = f"+{digits}" if digits.startswith("1") else f"+1{digits}"
    if by.has_perm(MAY_SEND):
        sync.remember_pair(project, plan, campaign)
    pair = Combination.objects.filter(
        project=project, service_plan_id=plan, campaign_id=campaign
    ).first()
    if pair is None:
        raise NotPossible(UNKNOWN_PAIR)
    wish = {f"{pair.pk}|{where}|{digits}": timezone.now()}
    readings.want(project, SEARCH_READER, wish, "staff")
