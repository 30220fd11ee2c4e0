"""Rows in great number: PostgreSQL makes them itself from one real row, faster than any copying.

An order leaves something behind in nearly every table: the writes and webhooks about it, its
reading, its draft, what its timeline tells. What a page costs must not depend on how much that is.
"""

import os
from collections.abc import Iterable, Mapping

from django.db import connection
from django.db.models import Model
from django.utils import timezone

from hosting.models import ImportedNumber, QualifiedNumber
from orders import sync
from orders.models import PortabilityRun, PortInDraft, PortInOrder
from portal.accounts.models import User
from portal.operations.models import Operation, Reading, SinchCall
from portal.work.models import TimelineEntry
from webhooks.models import Delivery

# Keys of what is grown begin here; those of what is made otherwise lie below.
FIRST_KEY = 10_000_000


def grow(
    template: Model,
    changes: Mapping[str, str],
    begin: int,
    end: int,
    *,
    step: int = 1,
    which: str = "",
) -> None:
    """Insert a changed copy of a row for each `step`th `n` from `begin` to before `end`.

    `changes` are SQL expressions by column, of `n` and the columns of the row `t`; `which` replaces
    the condition that `t` is this row.
    """
    table = template._meta.db_table
    columns = columns_of(table)
    quoted = ", ".join(f'"{name}"' for name in columns)
    values = ", ".join(changes.get(name, f't."{name}"') for name in columns)
    which = which or f"t.id = '{template.pk}'"
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({quoted}) SELECT {values} FROM {table} t,"  # noqa: S608
            f" generate_series({begin}, {end - 1}, {step}) AS s(n) WHERE {which}"
        )


def columns_of(table: str) -> list[str]:
    """Return the columns of a table that are written."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = 'public'"
            " AND table_name = %s AND is_generated = 'NEVER' ORDER BY ordinal_position",
            [table],
        )
        return [name for (name,) in cursor.fetchall()]


def settle(tables: Iterable[str]) -> None:
    """Do what PostgreSQL does by itself after a bulk load, before anything is measured."""
    with connection.cursor() as cursor:
        for statement in ("CHECKPOINT", *(f"VACUUM ANALYZE {table}" for table in tables)):
            cursor.execute(statement)
    os.sync()


class History:
    """What orders leave behind: one finished row of each kind an order, a webhook a minute.

    Of the kinds in `seldom` there is one for every `one_in` orders.
    """

    models = (
        Operation,
        Reading,
        Delivery,
        SinchCall,
        PortInDraft,
        PortabilityRun,
        TimelineEntry,
        ImportedNumber,
        QualifiedNumber,
    )

    seldom = (PortabilityRun, ImportedNumber, QualifiedNumber)

    def __init__(self, template: PortInOrder, person: User, one_in: int = 1) -> None:
        """Make the one real row of each kind that the others are copies of."""
        self.one_in = one_in
        project, now = template.project, timezone.now()
        self.made: dict[type[Model], Model] = {
            Operation: Operation.objects.create(
                project=project,
                kind="port_in.create",
                state=Operation.State.SUCCEEDED,
                subject="Order",
                payload={"draft": "", "body": {}},
                by=person,
                sent_at=now,
                finished_at=now,
                next_try_at=None,
            ),
            Reading: Reading.objects.create(
                project=project,
                kind=sync.READER,
                resource_id="0",
                read_at=now,
                cause="sweep",
                next_try_at=None,
            ),
            Delivery: Delivery.objects.create(
                project=project,
                state=Delivery.State.DONE,
                body=b"{}",
                size=2,
                verdict=Delivery.Verdict.KNOWN,
                event_type="portIn.updated",
                processed_at=now,
                next_try_at=None,
            ),
            SinchCall: SinchCall.objects.create(
                project=project, method="GET", path="/orders/portIns/…", status=200, milliseconds=50
            ),
            PortInDraft: PortInDraft.objects.create(
                project=project, by=person, state=PortInDraft.State.SENT, title="Bench"
            ),
            PortabilityRun: PortabilityRun.objects.create(
                project=project, by=person, finished_at=now, next_try_at=None
            ),
            TimelineEntry: TimelineEntry.objects.create(
                item=template.item, source=TimelineEntry.Source.SINCH, text="Bench", fact="bench"
            ),
            ImportedNumber: ImportedNumber.objects.create(
                project=project,
                phone_number="+12125550100",
                reversed_digits="00105552121",
                display_name="Bench",
                service_plan_id="bench",
                campaign_id="CBENCH",
                fetched_at=now,
            ),
            QualifiedNumber: QualifiedNumber.objects.create(
                project=project,
                phone_number="+12125550101",
                reversed_digits="10105552121",
                state=QualifiedNumber.State.HOSTING_DONE,
                fetched_at=now,
            ),
        }

    def grow(self, begin: int, end: int) -> None:
        """Add what the orders `begin` to before `end` leave behind."""
        key = f"{FIRST_KEY} + n"
        ago = "- n * interval '1 minute'"
        phone = {
            "id": key,
            "phone_number": "'+1' || (2000000000 + n * 37::bigint)",
            "reversed_digits": "reverse('1' || (2000000000 + n * 37::bigint))",
        }
        changes = {
            Operation: {
                "id": key,
                "key": "gen_random_uuid()",
                "target": "'draft:' || n",
                "created_at": f"t.created_at {ago}",
            },
            # A quarter of all orders is read again by itself, one after the other.
            Reading: {
                "id": key,
                "resource_id": "(50000000 + n)::text",
                "next_try_at": "CASE WHEN n % 4 = 0 THEN now() + n * interval '1 minute'"
                " + interval '1 day' END",
            },
            Delivery: {
                "id": key,
                "resource_id": "(50000000 + n)::text",
                "digest": "md5(n::text)",
                "received_at": f"t.received_at {ago}",
            },
            SinchCall: {"id": key, "at": f"t.at {ago}"},
            PortInDraft: {
                "id": "gen_random_uuid()",
                "order_id": key,
                "operation_id": key,
                "created_at": f"t.created_at {ago}",
                "updated_at": f"t.updated_at {ago}",
            },
            PortabilityRun: {"id": "gen_random_uuid()", "created_at": f"t.created_at {ago}"},
            TimelineEntry: {"id": key, "item_id": key, "at": f"t.at {ago} - interval '1 day'"},
            ImportedNumber: phone,
            QualifiedNumber: phone
            | {"state": "CASE WHEN n % 50 = 0 THEN 'VERIFIED' ELSE t.state END"},
        }
        for model, template in self.made.items():
            step = self.one_in if model in self.seldom else 1
            grow(template, changes[model], begin, end, step=step)
