"""What staff do with a list: add it, say what its columns are, correct rows or leave them out.

Each is one transaction under the draft's lock. The reading itself is done by `orders.list_work`.
"""

import csv
import io
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from django.db import transaction
from django.utils import timezone

from orders.actions import Typed, save_draft
from orders.details import DETAIL_FIELDS, SECRET_FIELDS
from orders.list_catalog import COLUMNS
from orders.list_columns import objections
from orders.list_files import MOST_ROWS, kind_of
from orders.list_work import TASK, number_repeats
from orders.lists import judged, written_of
from orders.models import ListRow, NumberList, PortInDraft
from portal.accounts.models import SinchProject, User
from portal.numbers import MAX_LINES, Line, read_numbers
from portal.operations import doorbell
from portal.work.drafts import locked_draft, refuse_unless_open

BY_HAND: Final = "Left out by hand"
ELSEWHERE: Final = "On its way in another order"

State = NumberList.State


class NotPossible(Exception):
    """Raised when a list cannot be dealt with as asked; its text says why."""


# --- Adding -------------------------------------------------------------------------------------


def add_list(
    pk: uuid.UUID, project: SinchProject, typed: Typed, *, name: str, content: bytes, by: User
) -> NumberList:
    """Save the draft as typed and put a file in the place of its typed numbers.

    Raises NotReadable for a file that is no list (what was typed is saved all the same),
    ChangedElsewhere and NotEditable as `save_draft`.
    """
    draft = save_draft(pk, project, typed, by=by)
    kind_of(content)
    return _put(draft, name=name, content=content, by=by)


def _put(
    draft: PortInDraft,
    *,
    name: str,
    content: bytes,
    by: User,
    columns: Mapping[str, str] | None = None,
) -> NumberList:
    with transaction.atomic():
        draft = locked_draft(draft)
        refuse_unless_open(draft)
        NumberList.objects.filter(draft=draft).delete()
        made = NumberList.objects.create(
            project=draft.project,
            by=by,
            draft=draft,
            name=_name_of(name),
            content=content,
            columns=dict(columns or {}),
        )
        if not draft.title:
            draft.title = made.name
            draft.save(update_fields=["title"])
        doorbell.ring_on_commit(TASK)
    return made


def _name_of(name: str) -> str:
    """Return a file's name without folders and control characters, short enough to be shown."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(c for c in last if c.isprintable()).strip()[-120:] or "list"


def make_list_of_pasted(draft: PortInDraft, *, by: User) -> NumberList:
    """Turn the pasted numbers of a draft into a list, with their own details where they have any.

    The text stays in the draft and comes back when the list is removed. Raises NotPossible when
    there is nothing to turn, NotEditable.
    """
    lines = list(_all_lines(str(draft.field("numbers"))))
    if not lines:
        raise NotPossible("There are no numbers to make a list of.")
    if len(lines) > MOST_ROWS:
        raise NotPossible(
            f"These are {len(lines):,} numbers; a list takes {MOST_ROWS:,}. Make a draft of the "
            "rest."
        )
    own = [n for n in DETAIL_FIELDS if any(e.get(n) for e in _own_details(draft).values())]
    columns = {str(i): name for i, name in enumerate(["number", *own])}
    content = _as_file(draft, lines, own)
    return _put(draft, name="Pasted numbers", content=content, by=by, columns=columns)


def _all_lines(text: str) -> Iterable[Line]:
    """Yield what is read in a text of any length."""
    rows = text.splitlines()
    for start in range(0, len(rows), MAX_LINES):
        yield from read_numbers("\n".join(rows[start : start + MAX_LINES]))


def _own_details(draft: PortInDraft) -> dict[str, dict[str, Any]]:
    return {str(entry.get("number")): entry for entry in draft.field("overrides", []) or []}


def _as_file(draft: PortInDraft, lines: Iterable[Line], names: Sequence[str]) -> bytes:
    own = _own_details(draft)
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow([COLUMNS["number"].title, *(COLUMNS[name].title for name in names)])
    for line in lines:
        # "… 0146 / 0147": the second leans on the first, which is in another row from now on.
        written = line.number if line.number and not line.problem else line.text
        details = own.get(line.number or "", {})
        writer.writerow([written, *(str(details.get(name, "")) for name in names)])
    return text.getvalue().encode()


def remove_list(draft: PortInDraft) -> None:
    """Take a list out of its draft; what was typed before it comes back. Raises NotEditable."""
    with transaction.atomic():
        draft = locked_draft(draft)
        refuse_unless_open(draft)
        NumberList.objects.filter(draft=draft).delete()


def add_corrections(draft: PortInDraft, *, name: str, content: bytes, by: User) -> NumberList:
    """Take in a file of corrected rows; they take the places of the wrong ones once they are read.

    Raises NotReadable, NotPossible, NotEditable.
    """
    kind_of(content)
    with transaction.atomic():
        corrected = _locked(draft, State.READY)
        if corrected.corrections.exclude(state__in=[State.READY, State.FAILED]).exists():
            raise NotPossible("Another file of corrections is being read. Wait until it is done.")
        made = NumberList.objects.create(
            project=corrected.project,
            by=by,
            corrects=corrected,
            name=_name_of(name),
            content=content,
        )
        doorbell.ring_on_commit(TASK)
    return made


def forget_corrections(draft: PortInDraft) -> None:
    """Take away files of corrections that could not be read."""
    NumberList.objects.filter(corrects__draft=draft, state=State.FAILED).delete()


# --- Columns ------------------------------------------------------------------------------------


def choose_columns(draft: PortInDraft, columns: Mapping[int, str]) -> NumberList:
    """Say what each column is and have the rows read, anew if they were read before.

    Raises NotPossible with everything that is wrong with the choice, NotEditable.
    """
    known = {i: name for i, name in columns.items() if name in COLUMNS}
    if wrong := list(objections(known)):
        raise NotPossible(" ".join(wrong))
    with transaction.atomic():
        number_list = _locked(draft, State.COLUMNS, State.READY, State.READING)
        if not number_list.sample:
            raise NotPossible("The file is not kept any more. Add it again.")
        ListRow.objects.filter(list=number_list).delete()
        number_list.corrections.all().delete()
        number_list.columns = {str(i): name for i, name in known.items()}
        number_list.state = State.READING
        number_list.done = 0
        number_list.attempts = 0
        number_list.next_try_at = timezone.now()
        # Whoever reads it by the old columns finds the lease gone at the next batch.
        number_list.lease_id = number_list.lease_until = None
        number_list.save(
            update_fields=[
                *("columns", "state", "done", "attempts"),
                *("next_try_at", "lease_id", "lease_until"),
            ]
        )
        doorbell.ring_on_commit(TASK)
    return number_list


def _locked(draft: PortInDraft, *states: str) -> NumberList:
    """Return the draft's list, both locked; call inside a transaction."""
    draft = locked_draft(draft)
    refuse_unless_open(draft)
    found = NumberList.objects.select_for_update().filter(draft=draft).first()
    if found is None:
        raise NotPossible("This draft has no list any more.")
    if found.state not in states:
        raise NotPossible("The list is still being read. Wait until it is done.")
    return found


# --- Rows ---------------------------------------------------------------------------------------


def correct_rows(draft: PortInDraft, corrections: Mapping[int, Mapping[str, str]]) -> int:
    """Put corrected values into rows and judge them anew; return how many are still wrong.

    `corrections` maps a row to fields and their text, the number as "number"; an empty secret
    keeps what is stored. Raises NotPossible, NotEditable.
    """
    with transaction.atomic():
        number_list = _locked(draft, State.READY)
        columns = {int(i): name for i, name in number_list.columns.items()}
        rows = list(number_list.rows.filter(position__in=corrections))
        for row in rows:
            _correct(row, columns, corrections[row.position])
        ListRow.objects.bulk_update(rows, ["number", "data", "problems", "remark"], batch_size=100)
        number_repeats(number_list)
    return sum(bool(row.problems) for row in rows)


def _correct(row: ListRow, columns: Mapping[int, str], given: Mapping[str, str]) -> None:
    details = dict(row.data.get("details", {}))
    for name, text in given.items():
        if name in DETAIL_FIELDS and (text or name not in SECRET_FIELDS):
            details[name] = text.replace("\0", "")
    written = given.get("number", written_of(row.data, columns, row.number))
    read = judged(written.replace("\0", ""), details)
    row.number, row.problems, row.remark = read.number, read.problems, read.remark
    row.data = row.data | {"written": read.written, "details": read.details}


def leave_out(draft: PortInDraft, positions: Collection[int], why: str = BY_HAND) -> int:
    """Leave rows out, saying why; return how many. Raises NotPossible, NotEditable."""
    with transaction.atomic():
        number_list = _locked(draft, State.READY)
        rows = number_list.rows.filter(position__in=positions, left_out="")
        count = rows.update(left_out=why)
        number_repeats(number_list)
    return count


def leave_numbers_out(draft: PortInDraft, numbers: Collection[str], why: str) -> int:
    """Leave out the rows of these numbers, saying why; return how many. Raises as `leave_out`."""
    with transaction.atomic():
        number_list = _locked(draft, State.READY)
        rows = number_list.rows.filter(number__in=list(numbers), left_out="")
        count = rows.update(left_out=why)
        number_repeats(number_list)
    return count


def leave_wrong_out(draft: PortInDraft) -> int:
    """Leave out every row that is wrong; return how many. Raises NotPossible, NotEditable."""
    with transaction.atomic():
        number_list = _locked(draft, State.READY)
        count = number_list.rows.wrong().update(left_out=BY_HAND)
        number_repeats(number_list)
    return count


def take_back(draft: PortInDraft, positions: Collection[int]) -> int:
    """Take rows in again that were left out; return how many. Raises NotPossible, NotEditable."""
    with transaction.atomic():
        number_list = _locked(draft, State.READY)
        rows = number_list.rows.filter(position__in=positions).exclude(left_out="")
        count = rows.update(left_out="")
        number_repeats(number_list)
    return count


def list_of(draft: PortInDraft) -> NumberList | None:
    """Return the draft's list without its file; None when its numbers are typed."""
    return NumberList.objects.select_related("by").defer("content").filter(draft=draft).first()


def forget_file(draft: PortInDraft) -> None:
    """Drop the file of a draft that is sent: its rows say all that is needed from then on."""
    NumberList.objects.filter(draft=draft).update(content=None, sample=[])
