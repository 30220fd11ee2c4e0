"""Thousands of numbers asked about in the background: which can move, and away from whom.

A `PortabilityRun` is a list of numbers and how far Sinch has been asked about them. Its first
`done` numbers have an answer that is fresh or was asked for in this run; one claim asks about the
next 500, stores what Sinch said and lets the run go, so that runs take turns and a worker that
dies costs one question. A check changes nothing at Sinch: asking twice does no harm.
"""

import logging
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from django.db import connection, transaction
from django.utils import timezone

from orders import wire
from orders.models import PortabilityResult, PortabilityRun, PortInDraft
from orders.review import CHECK_HOLDS
from portal.accounts.models import SinchProject, User
from portal.operations import clients, doorbell
from portal.operations.leases import LEASE_SECONDS, held, pause_after
from portal.sinch.errors import SinchError, SinchUnavailable
from portal.sinch.porting import CHECK_BATCH

log = logging.getLogger(__name__)

TASK: Final = "orders.tasks.check_portability"
LONGEST_PAUSE: Final = 60.0  # seconds between two tries while Sinch cannot be reached
# Faults of our own on one batch before a person is asked; a Sinch out of reach is never given up.
MOST_FAULTS: Final = 10
OUT_OF_USE: Final = (
    "This Sinch project is out of use. An administrator can put it back into use; then ask again."
)


# --- What Sinch says ----------------------------------------------------------------------------


def store_verdicts(
    project: SinchProject, verdicts: Iterable[Mapping[str, Any]], asked_at: datetime
) -> None:
    """Store what a portability check said, one row a number; an older answer replaces no newer.

    `verdicts` as `PortingClient.check_porting_availability` returns them; `asked_at` is when the
    question left.
    """
    by_number = {wire.phone_of(verdict): verdict for verdict in verdicts}
    by_number.pop("", None)
    said = list(by_number.values())
    with connection.cursor() as cursor:
        cursor.execute(
            _STORE,
            [
                project.pk,
                asked_at,
                list(by_number),
                [bool(verdict["portable"]) for verdict in said],
                [wire.text(verdict.get("carrier"), 120) for verdict in said],
                [wire.text(verdict.get("reason"), 500) for verdict in said],
            ],
        )


# In one order everywhere: two checks of the same numbers must not wait for each other.
_STORE = """
INSERT INTO orders_portabilityresult
    (project_id, checked_at, phone_number, portable, carrier, reason)
SELECT %s, %s, said.phone_number, said.portable, said.carrier, said.reason
FROM unnest(%s::text[], %s::boolean[], %s::text[], %s::text[])
     AS said(phone_number, portable, carrier, reason)
ORDER BY said.phone_number
ON CONFLICT (project_id, phone_number) DO UPDATE SET
    portable = EXCLUDED.portable, carrier = EXCLUDED.carrier, reason = EXCLUDED.reason,
    checked_at = EXCLUDED.checked_at
WHERE orders_portabilityresult.checked_at <= EXCLUDED.checked_at
"""


def fresh_numbers(project: SinchProject, numbers: Sequence[str]) -> set[str]:
    """Return those of the numbers whose answer is young enough to send an order on."""
    since = timezone.now() - CHECK_HOLDS
    return set(
        PortabilityResult.objects.filter(
            project=project, phone_number__in=numbers, checked_at__gte=since
        ).values_list("phone_number", flat=True)
    )


# --- Asking for it ------------------------------------------------------------------------------


def start(
    project: SinchProject,
    numbers: Sequence[str],
    *,
    by: User,
    draft: PortInDraft | None = None,
    title: str = "",
    only_stale: bool = True,
    pk: uuid.UUID | None = None,
) -> PortabilityRun:
    """Have Sinch asked about numbers (E.164) in the background; return the run.

    Numbers whose answer is younger than CHECK_HOLDS are not asked about again, unless
    `only_stale` is False; with nothing to ask the run is finished at once. A run under way for
    the same draft is returned, with the numbers it lacked. `pk` is the id the page came with: a
    click that arrives twice gets the run that exists.
    """
    distinct = list(dict.fromkeys(numbers))
    with transaction.atomic():
        if draft is not None:
            # Two clicks at once: the second one finds the run of the first.
            PortInDraft.objects.select_for_update(no_key=True).only("pk").get(pk=draft.pk)
            running = (
                PortabilityRun.objects.select_for_update(no_key=True)
                .filter(draft=draft, next_try_at__isnull=False)
                .first()
            )
            if running is not None:
                return _with_more(running, distinct, only_stale=only_stale)
        run, made = PortabilityRun.objects.get_or_create(
            pk=pk or uuid.uuid4(),
            defaults={"project": project, "by": by, "draft": draft, "title": title[:200]}
            | _begun(project, distinct, only_stale=only_stale),
        )
        if made and run.is_under_way:
            doorbell.ring_on_commit(TASK)
    return run


def _begun(project: SinchProject, numbers: list[str], *, only_stale: bool) -> dict[str, Any]:
    """Return the columns of a run that has just begun: what is known first, the rest due now."""
    known = fresh_numbers(project, numbers) if only_stale else set()
    asks = [number for number in numbers if number not in known]
    now = timezone.now()
    return {
        "numbers": [*(number for number in numbers if number in known), *asks],
        "total": len(numbers),
        "done": len(numbers) - len(asks),
        "attempts": 0,
        "problem": "",
        "last_error": "",
        "next_try_at": now if asks else None,
        "finished_at": None if asks else now,
    }


def _with_more(run: PortabilityRun, numbers: list[str], *, only_stale: bool) -> PortabilityRun:
    """Add numbers to a locked run under way; a worker at it takes no notice until it is back."""
    has = set(run.numbers)
    more = _begun(run.project, [n for n in numbers if n not in has], only_stale=only_stale)
    known, asks = more["numbers"][: more["done"]], more["numbers"][more["done"] :]
    if known or asks:
        run.numbers = [*known, *run.numbers, *asks]
        run.done += len(known)
        run.total = len(run.numbers)
        run.save(update_fields=["numbers", "done", "total"])
    return run


def ask_again(run: PortabilityRun, *, only_stale: bool) -> PortabilityRun:
    """Ask about the numbers of a run once more; one that is under way is left alone."""
    with transaction.atomic():
        run = PortabilityRun.objects.select_for_update(no_key=True, of=("self",)).get(pk=run.pk)
        if run.is_under_way:
            return run
        begun = _begun(run.project, run.numbers, only_stale=only_stale)
        for name, value in begun.items():
            setattr(run, name, value)
        run.save(update_fields=list(begun))
        if begun["next_try_at"]:
            doorbell.ring_on_commit(TASK)
    return run


# --- Doing it -----------------------------------------------------------------------------------


def run_one() -> bool:
    """Claim one due run and ask about its next numbers; False when none was due."""
    rows = PortabilityRun.objects.select_related("project").defer("project__key_secret")
    claimed = PortabilityRun.claim(rows, limit=1, seconds=LEASE_SECONDS)
    with held(claimed):
        for run in claimed:
            try:
                _ask_next(run)
            except Exception as error:
                log.exception("Portability run %s failed here", run.pk)
                _trouble(run, type(error).__name__)
    return bool(claimed)


def _ask_next(run: PortabilityRun) -> None:
    if not run.project.is_active:
        _stop(run, OUT_OF_USE)
        return
    batch, asked_at = run.numbers[run.done : run.done + CHECK_BATCH], timezone.now()
    try:
        verdicts = clients.porting_client(run.project).check_porting_availability(batch)
    except SinchUnavailable as error:
        pause = max(error.retry_after or 0.0, min(pause_after(run.attempts), LONGEST_PAUSE))
        run.try_later(error.staff_message, pause, problem=error.staff_message[:300])
    except SinchError as error:
        _stop(run, error.staff_message)
    else:
        _store(run, verdicts, asked_at, len(batch))


def _store(
    run: PortabilityRun, verdicts: Sequence[Mapping[str, Any]], asked_at: datetime, asked: int
) -> None:
    """Store the answers and how far the run is, together; due again at once if more is left."""
    with transaction.atomic():
        # More numbers may have been added while Sinch was asked, in front and at the end.
        row = PortabilityRun.objects.select_for_update(no_key=True).get(pk=run.pk)
        store_verdicts(run.project, verdicts, asked_at)
        # Once the lease has passed to another worker, that one counts and this changes nothing.
        done, now = row.done + asked, timezone.now()
        is_over = done >= row.total
        run.let_go(
            next_try_at=None if is_over else now,
            finished_at=now if is_over else None,
            done=done,
            attempts=0,
            problem="",
            last_error="",
        )


def _stop(run: PortabilityRun, problem: str) -> None:
    run.let_go(finished_at=timezone.now(), problem=problem[:300], last_error=problem[:500])


def _trouble(run: PortabilityRun, error: str) -> None:
    if run.attempts >= MOST_FAULTS:
        _stop(run, "The desk itself failed on it. An administrator finds more in the log.")
    else:
        run.try_later(error, problem="The desk itself failed on it; it is tried again by itself.")
