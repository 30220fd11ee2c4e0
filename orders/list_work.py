"""Lists are read in the background: looked over, read in batches, and taken up again when killed.

A batch and how far it got are one transaction under the lease, so that whoever goes on after a
worker has died neither skips a row nor stores one twice.
"""

import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from itertools import islice
from typing import Any, Final

from django.db import connection, transaction
from django.utils import timezone

from orders.list_catalog import COLUMNS, NUMBER, ROW, squeezed
from orders.list_columns import LOOKED_AT, Survey, survey
from orders.list_files import MOST_ROWS, NotReadable, Numbered, rows_of
from orders.lists import cells_kept, is_masked, judged, read_row
from orders.models import ListRow, NumberList, PortInDraft
from portal.values import whole

log = logging.getLogger(__name__)

TASK: Final = "orders.tasks.read_lists"
# A batch takes a fraction of a second; a killed worker's list must not wait for long.
LEASE_SECONDS: Final = 30.0
RENEWED_AFTER: Final = 8.0  # seconds, where rows are only passed over
BATCH: Final = 500
MOST_TRIES: Final = 8
EXAMPLE: Final = "The example of the template"
_EXAMPLE_CELLS: Final = {c.example for c in COLUMNS.values() if c.in_template and c.example}

State = NumberList.State


def run_one() -> bool:
    """Claim one list on which something is to be done and do it; False when none was due."""
    rows = NumberList.objects.select_related("corrects").defer(
        "content", "corrects__content", "corrects__sample"
    )
    claimed = NumberList.claim(rows, limit=1, seconds=LEASE_SECONDS)
    for number_list in claimed:
        _work(number_list)
    return bool(claimed)


def _work(number_list: NumberList) -> None:
    try:
        if number_list.state == State.UPLOADED:
            _look_over(number_list)
        if number_list.state == State.READING:
            _read(number_list)
        else:
            number_list.let_go(attempts=0)
    except _LostLease:
        log.info("List %s is read by another worker", number_list.pk)
    except NotReadable as refusal:
        number_list.let_go(state=State.FAILED, problem=str(refusal)[:300], content=None)
    except Exception as error:
        log.exception("List %s could not be read", number_list.pk)
        if number_list.attempts < MOST_TRIES:
            number_list.try_later(type(error).__name__)
        else:
            number_list.let_go(
                state=State.FAILED,
                problem="The file could not be read here; your administrator finds why in the "
                "log. Save it as CSV and add it again.",
                content=None,
            )


# --- Looking over -------------------------------------------------------------------------------


def _look_over(number_list: NumberList) -> None:
    """Count the rows and guess the columns; go on to reading when nobody has to be asked."""
    rows = _held(number_list, rows_of(bytes(number_list.content or b"")))
    # Headings and titles stand above the rows the guess is made from.
    first = list(islice(rows, LOOKED_AT + 20))
    corrected = number_list.corrects
    found = survey(first, corrects=corrected is not None)
    total = sum(position >= found.first for position, _ in first) if found.sample else 0
    for _ in rows:
        total += 1
        if total > MOST_ROWS:
            break
    if total > MOST_ROWS:
        raise NotReadable(
            f"More than {MOST_ROWS:,} rows. Split the file and make a draft of each part."
        )
    if not total:
        raise NotReadable(
            "There are titles and no rows below them. Add the numbers."
            if first
            else "Nothing stands in this file, or only on hidden sheets. Choose another."
        )
    columns = {int(index): name for index, name in number_list.columns.items()} or found.columns
    if corrected is not None:
        columns = _columns_of_corrections(found, corrected)
        if NUMBER not in columns.values():
            raise NotReadable(
                "No column of numbers. Take the file of wrong rows from here, and leave its "
                "titles as they are."
            )
    # Columns that are known from the start are those of pasted numbers, written here.
    certain = found.is_certain or corrected is not None or bool(number_list.columns)
    number_list.state = State.READING if certain else State.COLUMNS
    number_list.titles = found.titles
    number_list.columns = {str(index): name for index, name in columns.items()}
    number_list.sample = [list(row) for row in found.sample]
    number_list.total = total
    mine = NumberList.objects.filter(pk=number_list.pk, lease_id=number_list.lease_id).update(
        state=number_list.state,
        titles=number_list.titles,
        columns=number_list.columns,
        sample=number_list.sample,
        total=total,
    )
    if not mine:
        raise _LostLease


def _columns_of_corrections(found: Survey, corrected: NumberList) -> dict[int, str]:
    """Return the columns of a file of corrected rows: those of the list it was taken from first."""
    known = {
        squeezed(title): name
        for index, title in enumerate(corrected.titles)
        if title and (name := corrected.columns.get(str(index)))
    }
    columns = dict(found.columns)
    for index, title in enumerate(found.titles):
        if name := known.get(squeezed(title)):
            columns = {i: held for i, held in columns.items() if held != name}
            columns[index] = name
    return columns


# --- Reading ------------------------------------------------------------------------------------


def _read(number_list: NumberList) -> None:
    """Read what is left of the rows, batch by batch."""
    columns = {int(index): name for index, name in number_list.columns.items()}
    stored = ListRow.objects.filter(list=number_list).exclude(number="").exclude(left_out=EXAMPLE)
    seen = dict(stored.order_by("-position").values_list("number", "position"))
    rows = _held(number_list, _data_of(number_list))
    done = number_list.done
    for _ in islice(rows, done):
        pass  # read before whoever had the list was stopped
    while batch := list(islice(rows, BATCH)):
        done += len(batch)
        made = [_row(number_list, numbered, columns, seen) for numbered in batch]
        if not _keep(number_list, made, done):
            return
    if number_list.corrects is not None:
        _take_over(number_list, number_list.corrects)
    else:
        number_list.let_go(
            state=State.READY, total=done, finished_at=timezone.now(), attempts=0, problem=""
        )


class _LostLease(Exception):
    """Raised when the list has passed on to another worker, or is gone."""


def _held(number_list: NumberList, rows: Iterable[Numbered]) -> Iterator[Numbered]:
    """Pass rows on, and keep the lease while that takes long."""
    renewed = time.monotonic()
    for row in rows:
        if time.monotonic() - renewed > RENEWED_AFTER:
            if not _renewed(number_list):
                raise _LostLease
            renewed = time.monotonic()
        yield row


def _renewed(number_list: NumberList, **values: Any) -> bool:
    """Keep the lease, and say how far the work is; False when the list is another's by now."""
    until = timezone.now() + timedelta(seconds=LEASE_SECONDS)
    mine = NumberList.objects.filter(
        pk=number_list.pk, lease_id=number_list.lease_id, state=number_list.state
    ).update(lease_until=until, next_try_at=until, **values)
    return bool(mine)


def _data_of(number_list: NumberList) -> Iterator[Numbered]:
    first = number_list.sample[0][0]
    return (
        (position, cells)
        for position, cells in rows_of(bytes(number_list.content or b""))
        if position >= first
    )


def _row(
    number_list: NumberList,
    numbered: Numbered,
    columns: Mapping[int, str],
    seen: dict[str, int],
) -> ListRow:
    position, cells = numbered
    read = read_row(cells, columns)
    data: dict[str, Any] = {
        "cells": cells_kept(cells, columns),
        "written": read.written,
        "details": {name: text for name, text in read.details.items() if name in COLUMNS},
    }
    if ROW in columns.values():
        data["row"] = read.details.get(ROW, "")
    left_out = EXAMPLE if {cell for cell in cells if cell} == _EXAMPLE_CELLS else ""
    repeats = 0
    if read.number and not left_out:
        repeats = seen.setdefault(read.number, position)
    return ListRow(
        list=number_list,
        position=position,
        number=read.number,
        data=data,
        problems=read.problems,
        remark=read.remark,
        repeats=repeats if repeats != position else 0,
        left_out=left_out,
    )


def _keep(number_list: NumberList, rows: list[ListRow], done: int) -> bool:
    """Store a batch and how far it got, and keep the lease; False when the list is another's."""
    with transaction.atomic():
        mine = _renewed(number_list, done=done)
        if mine:
            ListRow.objects.bulk_create(rows, ignore_conflicts=True)
    return mine


# --- Corrected rows take the places of wrong ones -----------------------------------------------


def _take_over(corrections: NumberList, corrected: NumberList) -> None:
    """Put the rows of a file of corrections into the list they belong to; others are added."""
    with transaction.atomic():
        drafts = PortInDraft.objects.select_for_update(of=("self",), no_key=True)
        draft = drafts.filter(number_list=corrected).first()
        # Taken by the lease once more: nobody else may have done this meanwhile.
        mine = NumberList.objects.select_for_update().filter(
            pk=corrections.pk, lease_id=corrections.lease_id
        )
        if not mine.exists():
            return
        if draft is None or draft.state != PortInDraft.State.OPEN:
            raise NotReadable("The order was sent meanwhile. Its numbers stay as they were.")
        list(NumberList.objects.select_for_update().filter(pk=corrected.pk).values_list("pk"))
        taken = _put_in_place(corrections, corrected)
        number_repeats(corrected)
        ListRow.objects.filter(list=corrections).delete()
        corrections.let_go(
            state=State.READY,
            content=None,
            sample=[],
            total=taken,
            done=taken,
            finished_at=timezone.now(),
            attempts=0,
        )


def _put_in_place(corrections: NumberList, corrected: NumberList) -> int:
    """Write the corrected rows; return how many there were."""
    columns = {name for name in corrections.columns.values() if name in COLUMNS}
    given = _fields_of(columns)
    last = corrected.rows.order_by("-position").values_list("position", flat=True).first() or 0
    here = set(corrected.rows.values_list("position", flat=True))
    if len(here) + corrections.rows.count() > 2 * MOST_ROWS:
        raise NotReadable(f"More than {MOST_ROWS:,} rows would be added. Make a draft of its own.")
    count = 0
    rows = corrections.rows.order_by("position").iterator(chunk_size=BATCH)
    while batch := list(islice(rows, BATCH)):
        # The last of two rows with the same "Row" is the one somebody meant.
        placed: dict[int, ListRow] = {}
        for row in batch:
            position = _place(row.data.get("row", ""))
            if position not in here:
                last += 1
                position = last
                here.add(position)
            placed[position] = row
        before = {row.position: row for row in corrected.rows.filter(position__in=placed)}
        made = [
            _corrected(corrected, position, row, before.get(position), given)
            for position, row in placed.items()
        ]
        corrected.rows.filter(position__in=placed).delete()
        ListRow.objects.bulk_create(made)
        count += len(batch)
    return count


def _place(text: object) -> int:
    """Return the row a corrected row names; 0 for none."""
    return whole(str(text).strip().removesuffix(".0"), 9_999_999) or 0


def _fields_of(columns: Iterable[str]) -> set[str]:
    """Return the fields of a draft that columns speak about."""
    parts = {
        "address": {"street_num", "street", "unit"},
        "unit_type": {"unit"},
        "place2_type": {"place2"},
        "place3_type": {"place3"},
        "est": {"voice", "voice_id"},
        "rtc": {"voice", "voice_id"},
        "fax": {"voice", "voice_id"},
    }
    return {field for name in columns for field in parts.get(name, {name})}


def _corrected(
    corrected: NumberList,
    position: int,
    row: ListRow,
    before: ListRow | None,
    given: set[str],
) -> ListRow:
    """Return the row that stands in the list from now on."""
    kept = dict(before.data.get("details", {})) if before else {}
    details = {name: text for name, text in kept.items() if name not in given}
    for name, text in row.data.get("details", {}).items():
        if not is_masked(text):
            details[name] = text
        elif name in kept:
            details[name] = kept[name]
    read = judged(row.data.get("written", ""), details)
    data = {
        "cells": before.data.get("cells", []) if before else [],
        "written": read.written,
        "details": read.details,
    }
    return ListRow(
        list=corrected,
        position=position,
        number=read.number,
        data=data,
        problems=read.problems,
        remark=read.remark,
    )


# A row that was left out because it was wrong does not hide another with the same number.
_REPEATS: Final = """
UPDATE orders_listrow AS row SET repeats = found.repeats
FROM (
    SELECT id, CASE WHEN number <> '' AND first < position THEN first ELSE 0 END AS repeats
    FROM (
        SELECT id, number, position,
               MIN(position) FILTER (
                   WHERE NOT (left_out <> '' AND (problems <> '[]' OR left_out = %s))
               ) OVER (PARTITION BY number) AS first
        FROM orders_listrow WHERE list_id = %s
    ) AS all_rows
) AS found
WHERE row.id = found.id AND row.repeats <> found.repeats
"""


def number_repeats(number_list: NumberList) -> None:
    """Say anew which rows repeat the number of an earlier one; one statement for all of them."""
    with connection.cursor() as cursor:
        cursor.execute(_REPEATS, [EXAMPLE, number_list.pk])
