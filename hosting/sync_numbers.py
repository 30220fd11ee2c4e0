"""The only writer of imported and qualified numbers: stores what was read of each."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import Any, Final, TypeVar

from django.db import connection, transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from hosting import sync, wire
from hosting.models import STEPS, ImportedNumber, NumberMove, NumberRecord, QualifiedNumber
from portal.accounts.models import SinchProject
from portal.writing import insert, update

Record = TypeVar("Record", bound=NumberRecord)
# Numbers of a list that are compared, and held, together.
BATCH: Final = 500


def store_imported(
    project: SinchProject,
    payload: Mapping[str, Any],
    fetched_at: datetime,
    *,
    partial: bool = False,
) -> ImportedNumber:
    """Store an imported number as it was read; an older reading changes nothing.

    `partial` is the short answer of a POST or PATCH, which lacks the provisioning: it only adds,
    and a reading that left before the write is older than it. A move under way goes on as far as
    the number allows. Raises ValueError without a number.
    """
    from hosting import moves

    phone = _phone(payload)
    with transaction.atomic(savepoint=False):
        row = _locked(ImportedNumber, project, phone)
        is_newer = row.pk is None or fetched_at > row.known_at
        if is_newer:
            merged = wire.merge(row.payload, payload) if partial else dict(payload)
            said = wire.read_imported(merged)
            values = _imported_columns(said)
            if any(getattr(row, c) != values[c] for c in STEPS.values()):
                values["status_since"] = fetched_at
            pair = (row.service_plan_id, row.campaign_id)
            is_new = row.pk is None
            values["failure_codes"] = _codes_of(row, said.steps.steps)
            # A short answer is no reading: the whole one is still to come.
            moment = "answered_at" if partial and not is_new else "fetched_at"
            _store(row, merged, values, {moment: fetched_at})
            if is_new or pair != (row.service_plan_id, row.campaign_id):
                sync.remember_pair(project, row.service_plan_id, row.campaign_id)
        moves.go_on(row)
    return row


def _imported_columns(said: wire.ImportedFacts) -> dict[str, Any]:
    values: dict[str, Any] = {name: getattr(said, name) for name in wire.IMPORTED_COLUMNS}
    values |= {column: said.steps.steps.get(column, "") for column in STEPS.values()}
    return values | {"verdict": said.steps.verdict}


def _codes_of(row: ImportedNumber, steps: Mapping[str, str]) -> dict[str, str]:
    """Return the codes of the steps of a number as it was read; a callback may have been faster.

    No reading repeats a code: one that was told since the reading before this is looked for when a
    step has failed meanwhile for no known cause.
    """
    # One that was gone was made anew: what was told before is about the one before.
    known = row.failure_codes if row.gone_at is None else {}
    links = ("platform", "campaign")
    codes = sync.codes_that_hold(known, steps, {step: getattr(row, step) for step in links})
    failed = [s for s in links if steps[s] == wire.FAILED != getattr(row, s) and s not in codes]
    if row.pk is None or row.gone_at is not None or failed:
        phone = row.phone_number
        since = None if row.pk is None else {phone: row.known_at - wire.CLOCK_SLACK}
        told = sync.codes_told(row.project_id, [phone], of_order=False, since=since)
        codes = {**sync.codes_that_hold(told.get(phone, {}), steps), **codes}
    return codes


def store_qualified(
    project: SinchProject, payload: Mapping[str, Any], fetched_at: datetime
) -> QualifiedNumber:
    """Store a qualified number as it was read; an older reading changes nothing.

    Raises ValueError without a number.
    """
    phone = _phone(payload)
    with transaction.atomic(savepoint=False):
        row = _locked(QualifiedNumber, project, phone)
        if row.pk is not None and fetched_at <= row.known_at:
            return row
        said = _qualified_facts(row, payload)
        values = _qualified_columns(said)
        if row.state != said.state or _has_failed_anew(row, said, payload):
            values["state_since"] = fetched_at
        values |= _done_to_another(row, wire.made_at(payload))
        _store(row, dict(payload), values, {"fetched_at": fetched_at})
    return row


def _qualified_facts(row: QualifiedNumber, payload: Mapping[str, Any]) -> wire.QualifiedFacts:
    """Return what was read; without a state, which is sure in no answer, the one it had."""
    said = wire.read_qualified(payload)
    return replace(said, state=said.state or row.state)


def _qualified_columns(said: wire.QualifiedFacts) -> dict[str, Any]:
    return {name: getattr(said, name) for name in wire.QUALIFIED_COLUMNS}


def _has_failed_anew(
    row: QualifiedNumber, said: wire.QualifiedFacts, payload: Mapping[str, Any]
) -> bool:
    """Tell whether a proof that had failed has failed once more since invoices were mailed.

    The state stays what it was: Sinch's time of the number or its reason is another.
    """
    mailed_at, updated_at = row.invoices_sent_at, wire.updated_at(payload)
    if mailed_at is None or said.state not in QualifiedNumber.UNPROVEN:
        return False
    if updated_at is not None and updated_at < mailed_at - wire.CLOCK_SLACK:
        return False  # a code that was wrong before they were
    has_other_reason = said.ownership_error not in ("", row.ownership_error)
    return has_other_reason or updated_at != wire.updated_at(row.payload)


def _done_to_another(row: QualifiedNumber, made_at: datetime | None) -> dict[str, None]:
    """Return, emptied, what staff did for the proof of a number before it was made anew."""
    if made_at is None:
        return {}
    cleared: dict[str, None] = {}
    if row.invoices_sent_at is not None and row.invoices_sent_at < made_at:
        cleared |= {"invoices_sent_at": None, "invoices_sent_by": None}
    if row.called_at is not None and row.called_at < made_at:
        cleared["called_at"] = None
    return cleared


def store_imported_list(
    project: SinchProject, entries: Iterable[Mapping[str, Any]], fetched_at: datetime
) -> int:
    """Store imported numbers as a list shows them, as `store_imported` does; return how many.

    Those that are as they were cost three statements for some hundreds of them.
    """
    moving = NumberMove.objects.filter(state__in=NumberMove.LIVING)
    rows = ImportedNumber.objects.exclude(pk__in=moving.values("number"))

    def columns(row: ImportedNumber) -> dict[str, Any]:
        return _imported_columns(wire.read_imported(row.payload))

    return _store_list(rows, columns, store_imported, project, entries, fetched_at)


def store_qualified_list(
    project: SinchProject, entries: Iterable[Mapping[str, Any]], fetched_at: datetime
) -> int:
    """Store qualified numbers as a list shows them, as `store_imported_list` does."""

    def columns(row: QualifiedNumber) -> dict[str, Any]:
        return _qualified_columns(_qualified_facts(row, row.payload))

    rows = QualifiedNumber.objects.all()
    return _store_list(rows, columns, store_qualified, project, entries, fetched_at)


def _store_list(
    rows: QuerySet[Record],
    columns: Callable[[Record], dict[str, Any]],
    store: Callable[[SinchProject, Mapping[str, Any], datetime], Record],
    project: SinchProject,
    entries: Iterable[Mapping[str, Any]],
    fetched_at: datetime,
) -> int:
    count, rest = 0, iter(entries)
    while batch := {_phone(entry): dict(entry) for entry in islice(rest, BATCH)}:
        count += len(batch)
        there = rows.filter(project=project, phone_number__in=batch, gone_at=None)
        with transaction.atomic(savepoint=False):
            # Who holds a number is about to change it: that one is stored by itself.
            same = [
                row
                for row in there.select_for_update(skip_locked=True)
                if row.known_at < fetched_at
                and row.payload == batch[row.phone_number]
                # What this desk makes of it may have been another before it was updated.
                and all(getattr(row, name) == value for name, value in columns(row).items())
            ]
            rows.model._default_manager.filter(pk__in=[row.pk for row in same]).update(
                fetched_at=fetched_at
            )
        for phone in batch.keys() - {row.phone_number for row in same}:
            store(project, batch[phone], fetched_at)
    return count


def mark_imported_gone(project: SinchProject, phone: str, at: datetime) -> bool:
    """Note that Sinch does not know an imported number any more; False as for `_is_gone`."""
    from hosting import moves

    return _is_gone(ImportedNumber, project, phone, at, moves.number_is_gone)


def mark_qualified_gone(project: SinchProject, phone: str, at: datetime) -> bool:
    """Note that Sinch does not know a qualified number any more; False as for `_is_gone`."""
    return _is_gone(QualifiedNumber, project, phone, at)


def touch(row: NumberRecord) -> None:
    """Let open pages know that something visible about a number has changed."""
    type(row)._default_manager.filter(pk=row.pk).update(
        version=F("version") + 1, changed_at=timezone.now()
    )


def _phone(payload: Mapping[str, Any]) -> str:
    phone = wire.phone_of(payload)
    if not phone:
        raise ValueError("a number that was read has digits")
    return phone


def _locked(model: type[Record], project: SinchProject, phone: str) -> Record:
    """Return the row of a number, locked, or a new one that nobody else is making."""
    rows = model._default_manager.filter(project=project, phone_number=phone)
    if row := rows.select_for_update().first():
        return row
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))",
            [f"{model._meta.model_name}:{project.pk}:{phone}"],
        )
    return rows.select_for_update().first() or model(
        project=project, phone_number=phone, reversed_digits=phone.lstrip("+")[::-1]
    )


_PRESENCE = ("gone_at", "came_back_at")


def _store(
    row: NumberRecord, payload: dict[str, Any], values: dict[str, Any], moment: dict[str, datetime]
) -> None:
    is_new = row.pk is None
    changed = [name for name, value in values.items() if getattr(row, name) != value]
    came_back = row.gone_at is not None
    visible = is_new or came_back or bool(changed) or row.payload != payload
    for name, value in (values | moment).items():
        setattr(row, name, value)
    row.payload, row.gone_at = payload, None
    if came_back:
        # The moment the reading left, as that at which it was found gone is.
        row.came_back_at = next(iter(moment.values()))
    if visible and not is_new:
        row.version += 1
    if visible:
        row.changed_at = timezone.now()
    if is_new:
        insert(row)
        return
    more = (*changed, "payload", *_PRESENCE, "version", "changed_at") if visible else ()
    update(row, {name: getattr(row, name) for name in (*moment, *more)})


def _is_gone(
    model: type[Record],
    project: SinchProject,
    phone: str,
    at: datetime,
    follow: Callable[[Record], None] = lambda row: None,
) -> bool:
    """Note that Sinch did not know a number `at` a moment; False when something newer is known."""
    with transaction.atomic(savepoint=False):
        rows = model._default_manager.select_for_update()
        row = rows.filter(project=project, phone_number=phone, gone_at=None).first()
        if row is None:
            return True
        if at <= row.known_at:
            return False
        row.gone_at = row.fetched_at = at
        row.version, row.changed_at = row.version + 1, timezone.now()
        written = ("gone_at", "fetched_at", "version", "changed_at")
        update(row, {name: getattr(row, name) for name in written})
        follow(row)
    return True
