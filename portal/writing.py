"""Writing rows with statements that are put together once, for what every reading stores.

The other half of `portal.prepared`: Django puts an INSERT or UPDATE together anew each time, which
takes longer than PostgreSQL needs for it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Any

from django.db import connection, models


@dataclass(frozen=True)
class Made:
    """A value that PostgreSQL makes: an expression, and what it is given."""

    text: str
    given: tuple[Any, ...] = ()


ONE_MORE = "{column} + 1"  # for `Made`: the column as it stands and one


def update(row: models.Model, values: Mapping[str, Any]) -> None:
    """Write some columns of a row by its key, and set them on the object; nothing for no values.

    As `QuerySet.update` does. What PostgreSQL makes is not set on the object.
    """
    if not values:
        return
    model = type(row)
    shape = tuple((name, _text_of(value)) for name, value in values.items())
    with connection.cursor() as cursor:
        cursor.execute(_update_text(model, shape), [*_given(model, values), row.pk])
    for name, value in values.items():
        if not isinstance(value, Made):
            setattr(row, name, value)


def insert(row: models.Model, made: Mapping[str, Made] | None = None) -> None:
    """Write a new row, with the key it has or else the next one, which is set on the object.

    As `save(force_insert=True)` does, without signals. `made` are columns that PostgreSQL makes.
    """
    model, made = type(row), made or {}
    values = {
        field.name: made.get(field.name) or getattr(row, field.attname)
        for field in _columns(model)
        if not (field.primary_key and row.pk is None)
    }
    shape = tuple((name, _text_of(value)) for name, value in values.items())
    with connection.cursor() as cursor:
        cursor.execute(_insert_text(model, shape), _given(model, values))
        row.pk = cursor.fetchone()[0]
    row._state.adding, row._state.db = False, connection.alias


def upsert(
    rows: Sequence[models.Model], unique: tuple[str, ...] = (), update: tuple[str, ...] = ()
) -> None:
    """Write new rows of one kind; where the columns of `unique` are there already, `update` them.

    Without `update` such a row stays as it is, as with `bulk_create(ignore_conflicts=True)`. The
    rows go as one JSON value, whose shape does not depend on how many they are. The objects get no
    keys. Raises TypeError for a model with columns that JSON has no value for (encrypted ones).
    """
    if not rows:
        return
    model = type(rows[0])
    columns = [field for field in _columns(model) if not field.primary_key]
    said = [{field.column: getattr(row, field.attname) for field in columns} for row in rows]
    with connection.cursor() as cursor:
        text = _upsert_text(model, unique, update)
        cursor.execute(text, [json.dumps(said, default=_as_json)])


def _as_json(value: object) -> str:
    """Return a date or an instant to the microsecond, which Django's own encoder cuts off."""
    if isinstance(value, date):  # an instant is one, too
        return value.isoformat()
    raise TypeError(f"JSON has no value for {type(value).__name__}")


def _text_of(value: object) -> str:
    return value.text if isinstance(value, Made) else "%s"


def _given(model: type[models.Model], values: Mapping[str, Any]) -> list[Any]:
    """Return what the statement is given for the values, as the columns store them."""
    given: list[Any] = []
    for name, value in values.items():
        if isinstance(value, Made):
            given += value.given
        else:
            field: Any = model._meta.get_field(name)
            plain = value.pk if isinstance(value, models.Model) else value
            given.append(field.get_db_prep_save(plain, connection))
    return given


@cache
def _columns(model: type[models.Model]) -> list[Any]:
    """Return the columns that are written; PostgreSQL works out generated ones itself."""
    return [field for field in model._meta.concrete_fields if not field.generated]


def _column(model: type[models.Model], name: str) -> str:
    field: Any = model._meta.get_field(name)
    return f'"{field.column}"'


Shape = tuple[tuple[str, str], ...]


@cache
def _placed(model: type[models.Model], shape: Shape) -> list[tuple[str, str]]:
    """Return each column and the expression for it."""
    named = [(_column(model, name), text) for name, text in shape]
    return [(column, text.replace("{column}", column)) for column, text in named]


@cache
def _update_text(model: type[models.Model], shape: Shape) -> str:
    put = ", ".join(f"{column} = {text}" for column, text in _placed(model, shape))
    return f'UPDATE "{model._meta.db_table}" SET {put} WHERE id = %s'  # noqa: S608


@cache
def _insert_text(model: type[models.Model], shape: Shape) -> str:
    placed = _placed(model, shape)
    names, texts = (", ".join(part) for part in zip(*placed, strict=True))
    return f'INSERT INTO "{model._meta.db_table}" ({names}) VALUES ({texts}) RETURNING id'  # noqa: S608


@cache
def _upsert_text(
    model: type[models.Model], unique: tuple[str, ...], changing: tuple[str, ...]
) -> str:
    fields = [field for field in _columns(model) if not field.primary_key]
    if any(isinstance(field, models.BinaryField) for field in fields):
        raise TypeError(f"rows of {model._meta.label} do not go as JSON")
    names = ", ".join(f'"{field.column}"' for field in fields)
    keys, put = ([_column(model, name) for name in part] for part in (unique, changing))
    conflict = f"({', '.join(keys)})" if keys else ""
    then = f"UPDATE SET {', '.join(f'{c} = EXCLUDED.{c}' for c in put)}" if put else "NOTHING"
    table = f'"{model._meta.db_table}"'
    return (
        f"INSERT INTO {table} ({names}) SELECT {names} "  # noqa: S608
        f"FROM jsonb_populate_recordset(NULL::{table}, %s) ON CONFLICT {conflict} DO {then}"
    )
