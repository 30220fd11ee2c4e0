"""What every mirror row has: Sinch's JSON as last read, and when."""

from django.db import models


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
