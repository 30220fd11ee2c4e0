"""The rows of a file that a draft takes its numbers from, and what the rows say by themselves.

A draft with a file of its own has the rows of that file; a draft that was split off from such a
one has the rows it was given. Everything here is counted by the database. Only which fields the
rows fill themselves stands inside what is encrypted: it is read once and kept until a row changes.
"""

import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from django.core.cache import cache
from django.db import connection
from django.db.models import BigIntegerField, Count, Min, Q, Sum
from django.db.models.expressions import RawSQL
from django.db.models.functions import Substr

from orders.forms import DraftForm
from orders.models import ListRow, ListRows, NumberList, PortInDraft

# How a draft that was split off from one with a file remembers that its numbers are rows.
FROM_LIST: Final = "from_list"
KEPT_SECONDS: Final = 24 * 3600
BATCH: Final = 2_000  # rows that are decrypted at a time
SAMPLE_SIZE: Final = 200
UNDER_WAY: Final = frozenset([NumberList.State.UPLOADED, NumberList.State.READING])


def list_of(draft: PortInDraft) -> NumberList | None:
    """Return the file of a draft, without its content; None for pasted numbers."""
    found = NumberList.objects.defer("content", "sample").filter(draft=draft).first()
    if found is not None:
        found.draft = draft
    return found


def is_under_way(number_list: NumberList) -> bool:
    """Tell whether a worker has something to do with the list, or with corrections of it."""
    return (
        number_list.state in UNDER_WAY
        or number_list.corrections.filter(state__in=UNDER_WAY).exists()
    )


def rows_of(draft: PortInDraft, numbers: NumberList | None) -> ListRows | None:
    """Return all rows of a draft, wrong ones included; None when its numbers are pasted."""
    if numbers is not None:
        return ListRow.objects.filter(list=numbers)
    if draft.field(FROM_LIST):
        return ListRow.objects.filter(part=draft)
    return None


@dataclass(frozen=True)
class Tally:
    """The rows of a draft, counted by what becomes of them."""

    rows: int = 0
    wrong: int = 0
    repeated: int = 0
    left_out: int = 0


def tally_of(rows: ListRows) -> Tally:
    """Count rows by what becomes of them; one statement."""
    kept = Q(left_out="")
    return Tally(
        **rows.aggregate(
            rows=Count("pk"),
            wrong=Count("pk", filter=kept & ~Q(problems=[])),
            repeated=Count("pk", filter=kept & Q(problems=[]) & Q(repeats__gt=0)),
            left_out=Count("pk", filter=~kept),
        )
    )


def sample_of(rows: ListRows) -> list[str]:
    """Return about SAMPLE_SIZE numbers that are spread over area codes as all of them are."""
    codes = list(
        rows.order_by()
        .values(code=Substr("number", 3, 3))
        .annotate(count=Count("pk"), first=Min("number"))
        .values_list("first", "count")
    )
    total = sum(count for _, count in codes)
    if not total:
        return []
    return [
        number
        for number, count in codes
        for _ in range(max(1, round(count * min(SAMPLE_SIZE, total) / total)))
    ]


@dataclass(frozen=True)
class OwnFields:
    """How many of the rows fill which field themselves, and how many a secret."""

    rows: int = 0
    filled: Mapping[str, int] = field(default_factory=dict)
    with_secret: int = 0

    @property
    def everywhere(self) -> frozenset[str]:
        """The fields that every row fills: nobody has to fill them once more for all."""
        return frozenset(name for name, count in self.filled.items() if count == self.rows > 0)

    @property
    def all_have_a_secret(self) -> bool:
        """Whether every row has a PIN or an account number."""
        return self.with_secret == self.rows > 0


def own_fields(rows: ListRows) -> OwnFields:
    """Return what the rows fill themselves; counted anew only after one of them has changed.

    20,000 rows take about a second to decrypt, so the counts, which hold no secret, are kept
    under a key that is another one as soon as any row is written.
    """
    key = f"own-fields:{_stamp(rows)}"
    if (kept := cache.get(key)) is not None:
        return OwnFields(kept["rows"], kept["filled"], kept["with_secret"])
    filled: Counter[str] = Counter()
    count = with_secret = 0
    for data in rows.order_by().values_list("data", flat=True).iterator(chunk_size=BATCH):
        details = details_in(data)
        filled.update(details.keys())
        count += 1
        with_secret += "pin" in details or "account" in details
    cache.set(
        key, {"rows": count, "filled": dict(filled), "with_secret": with_secret}, KEPT_SECONDS
    )
    return OwnFields(count, dict(filled), with_secret)


def details_in(data: Mapping[str, Any]) -> dict[str, str]:
    """Return a row's own details that are filled in, by the fields of a draft."""
    details = data.get("details") or {}
    return {name: str(value) for name, value in details.items() if value not in (None, "")}


def _stamp(rows: ListRows) -> str:
    """Return what becomes another text with any write to any of the rows.

    PostgreSQL notes in each row which transaction wrote it (`xmin`), and in which of its
    statements (`cmin`).
    """
    number = BigIntegerField()
    said = rows.order_by().aggregate(
        count=Count("pk"),
        rows=Sum("pk"),
        transactions=Sum(RawSQL('"orders_listrow"."xmin"::text::bigint', (), number)),
        statements=Sum(RawSQL('"orders_listrow"."cmin"::text::bigint', (), number)),
    )
    return ":".join(str(value) for value in said.values())


def hand_over(rows: Mapping[uuid.UUID, Sequence[int]]) -> None:
    """Give rows, by their keys, to the drafts they go out with; one statement for all of them."""
    keys = [key for own in rows.values() for key in own]
    parts = [draft for draft, own in rows.items() for _ in own]
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE orders_listrow SET part_id = given.part"
            " FROM unnest(%s::bigint[], %s::uuid[]) AS given (id, part)"
            " WHERE orders_listrow.id = given.id",
            [keys, parts],
        )


class RowsForm(DraftForm):
    """A draft whose numbers are rows of a file, which may fill fields of the order themselves."""

    def __init__(
        self, data: Mapping[str, Any], *, numbers: list[str], own: OwnFields, **options: Any
    ) -> None:
        """Bind the form; `numbers` are the numbers, or a sample that stands for them."""
        self.own = own
        super().__init__(data, lines=(), needs_secret=not own.all_have_a_secret, **options)
        self.phone_numbers = numbers

    def clean_numbers(self) -> list[str]:
        """Return the numbers: the rows were judged when they were read."""
        return self.phone_numbers

    def _need(self, *names: str) -> None:
        super()._need(*(name for name in names if name not in self.own.everywhere))
