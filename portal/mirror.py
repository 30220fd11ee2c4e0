"""What every mirror row has: Sinch's JSON as last read, and when."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from django.db import connection, models


class MirroredRecord(models.Model):
    """A thing at Sinch as it was last read.

    `payload` holds no port-out PIN and no account number: `wire` takes them out before storing.
    """

    payload = models.JSONField("What Sinch sent", default=dict, editable=False)
    # The moment the request left, not the moment the answer came: what Sinch changed in between
    # may or may not be in the answer, so only the earlier moment is safe to compare with.
    fetched_at = models.DateTimeField("Read at", editable=False)

    class Meta:
        abstract = True


def key_after_births(model: type[models.Model], project: int, sinch_id: str) -> int:
    """Let only one at a time make the row of a thing; return the key that it may take.

    There is no row to lock yet, so the caller looks again before it makes one. Holds until the
    transaction ends. A key that is not taken is lost, which does no harm.
    """
    table = model._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0)),"
            " nextval(pg_get_serial_sequence(%s, 'id'))",
            [f"{table}:{project}:{sinch_id}", table],
        )
        return int(cursor.fetchone()[1])


def update(row: models.Model, values: Mapping[str, Any]) -> None:
    """Write some columns of a row by its key, and set them on the object; nothing for no values.

    As `QuerySet.update` does, with the statement put together once for each set of columns.
    """
    if not values:
        return
    text, fields = _update_of(type(row), tuple(values))
    given = [value.pk if isinstance(value, models.Model) else value for value in values.values()]
    put = [
        field.get_db_prep_save(value, connection)
        for field, value in zip(fields, given, strict=True)
    ]
    with connection.cursor() as cursor:
        cursor.execute(text, [*put, row.pk])
    for name, value in values.items():
        setattr(row, name, value)


@cache
def _update_of(model: type[models.Model], names: tuple[str, ...]) -> tuple[str, list[Any]]:
    fields: list[Any] = [model._meta.get_field(name) for name in names]
    columns = ", ".join(f'"{field.column}" = %s' for field in fields)
    return f'UPDATE "{model._meta.db_table}" SET {columns} WHERE id = %s', fields  # noqa: S608
