"""What the bare view stores."""

from django.db import models
from django.utils import timezone


class BareRow(models.Model):
    """A body and a time: the least that a view storing webhooks could write."""

    body = models.BinaryField()
    received_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"{self.received_at:%H:%M:%S}"
