"""What every mirror row has: Sinch's JSON as last read, and when."""

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
