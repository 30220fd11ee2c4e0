"""Deliveries: webhooks as they came, and what became of them."""

import zlib

from django.contrib.postgres.indexes import OpClass
from django.db import models
from django.utils import timezone

from portal.accounts.models import SinchProject
from portal.crypto import EncryptedBytesField
from portal.operations.leases import LeasedRow
from portal.operations.models import Reading


class Delivery(LeasedRow):
    """A stored webhook. It is a hint: processing it means reading the thing it is about again."""

    class State(models.TextChoices):
        RECEIVED = "received"  # on disk, not looked into yet
        WAITING = "waiting"  # a reading is wanted because of it
        DONE = "done"
        SET_ASIDE = "set_aside"  # nothing to do: not JSON, or about nothing we know
        DEAD = "dead"  # tried too often

    class Verdict(models.TextChoices):
        KNOWN = "known", "Known order"
        NEW = "new", "Made elsewhere"
        UNKNOWN_EVENT = "unknown_event", "Unknown event"
        NOT_JSON = "not_json", "Not JSON"
        REPEAT = "repeat", "Repeat"
        SIGNED = "signed", "Signature good"
        OLDER = "older", "Older event"

    SMALL = 4096  # bytes; larger bodies are compressed before they are encrypted

    kind = models.CharField(max_length=10, default="porting")
    project = models.ForeignKey(SinchProject, on_delete=models.CASCADE)
    received_at = models.DateTimeField(default=timezone.now)
    state = models.CharField(max_length=10, choices=State, default=State.RECEIVED)
    body = EncryptedBytesField()
    is_compressed = models.BooleanField(default=False)
    size = models.PositiveIntegerField()
    # SHA-256, hex, of the body as it is kept: compressed if it is large, and not yet encrypted.
    digest = models.CharField(max_length=64)
    headers = models.JSONField(default=dict)  # chosen ones only
    source = models.GenericIPAddressField(null=True)
    # Sinch's own id of a hosting event; one that comes again is counted and not kept twice.
    event_id = models.CharField(max_length=64, blank=True)
    repeats = models.PositiveIntegerField(default=0)
    event_type = models.CharField(max_length=60, blank=True)
    resource_id = models.CharField(max_length=64, blank=True)
    verdict = models.CharField(max_length=14, choices=Verdict, blank=True)
    outcome = models.CharField(max_length=200, blank=True)
    reading = models.ForeignKey(Reading, null=True, on_delete=models.SET_NULL)
    processed_at = models.DateTimeField(null=True)
    seen_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "deliveries"
        constraints = [
            models.UniqueConstraint(
                fields=["project", "event_id"],
                name="an_event_is_kept_once",
                condition=~models.Q(event_id=""),
            ),
        ]
        indexes = [
            models.Index(
                fields=["next_try_at"],
                name="delivery_due",
                condition=models.Q(next_try_at__isnull=False),
            ),
            models.Index(fields=["-received_at", "-id"], name="delivery_newest"),
            # What the log is narrowed to: one kind, or how the name of an event begins.
            models.Index(fields=["kind", "-received_at", "-id"], name="delivery_kind"),
            models.Index(OpClass("event_type", "varchar_pattern_ops"), name="delivery_event"),
            # Deliveries that a reading is going to finish.
            models.Index(
                fields=["reading"],
                name="delivery_waiting",
                condition=models.Q(state="waiting"),
            ),
            models.Index(fields=["resource_id", "digest"], name="delivery_repeat"),
            # "Needs a look", a handful among millions.
            models.Index(
                fields=["-id"],
                name="delivery_look",
                condition=models.Q(seen_at=None)
                & (models.Q(state="dead") | models.Q(verdict__in=("not_json", "unknown_event"))),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.event_type or 'delivery'} {self.received_at:%Y-%m-%d %H:%M:%S}"

    @property
    def raw(self) -> bytes:
        """The body as it came."""
        return zlib.decompress(self.body) if self.is_compressed else self.body
