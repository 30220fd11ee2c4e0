"""WorkItem, timeline and team notes: what both kinds of order share on screen."""

import hashlib
from datetime import date, datetime
from typing import Any

from django.conf import settings
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.contrib.postgres.search import SearchVectorField
from django.db import models
from django.db.models import F, Func, Value
from django.db.models.functions import Coalesce, Greatest, Least, Upper
from django.urls import reverse
from django.utils import timezone

from portal.accounts.models import SinchProject
from portal.operations.models import Operation

# Days of the FOC date fit below a rank: up to 2149; what has none, or a later one, comes last.
_DAYS = 2**16
_FOC_DAY = Func(
    Coalesce("foc_date", Value(date.max)),
    template="(%(expressions)s - DATE '1970-01-01')",
    output_field=models.IntegerField(),
)


class WorkItem(models.Model):
    """One order of either kind, as the lists see it. Written by the app the order belongs to."""

    class Kind(models.TextChoices):
        PORT_IN = "port_in", "Port-in"
        HOSTING = "hosting", "Hosting"

    class Bucket(models.TextChoices):
        READY = "ready", "Ready to activate"
        US = "us", "Needs us"
        DATE = "date", "Dated soon"
        WAIT = "wait", "Waiting on carrier"
        DONE = "done", "Done"
        ENDED = "ended", "Ended"

    HOME = (Bucket.READY, Bucket.US)
    LIVING = (Bucket.READY, Bucket.US, Bucket.DATE, Bucket.WAIT)

    kind = models.CharField(max_length=10, choices=Kind)
    project = models.ForeignKey(SinchProject, on_delete=models.CASCADE)
    target_pk = models.PositiveBigIntegerField()
    sinch_id = models.CharField(max_length=64)
    reference = models.CharField(max_length=100, blank=True)
    end_user = models.CharField(max_length=200, blank=True)
    carriers = models.CharField(max_length=300, blank=True)
    status = models.CharField(max_length=32)
    bucket = models.CharField(max_length=8, choices=Bucket, default=Bucket.WAIT)
    # Smaller is worse: rank of the bucket and of its first reason, for "worst first".
    rank = models.PositiveSmallIntegerField(default=900)
    # Rank and FOC date as one number, so that a page of "worst first" is one stretch of an index.
    urgency = models.GeneratedField(
        expression=F("rank") * _DAYS + Least(Greatest(_FOC_DAY, 0), _DAYS - 1),
        output_field=models.PositiveIntegerField(),
        db_persist=True,
    )
    # [{"code": "P3", "text": "2 numbers rejected: PIN", "tone": "bad", "glyph": "bad",
    #   "next": "Fix PIN", "since": ISO}], worst first.
    reasons = models.JSONField(default=list)
    move = models.CharField(max_length=20, blank=True)
    live_count = models.PositiveIntegerField(default=0)
    counted = models.PositiveIntegerField(default=0)
    # [["done", 5], ["date", 3]]: the parts of the progress bar.
    parts = models.JSONField(default=list)
    requested_date = models.DateField(null=True)
    foc_date = models.DateField(null=True)
    # [["2026-12-04", 3], ["2026-12-08", 6]]: how many numbers go, or went, on each day.
    foc_dates = models.JSONField(default=list)
    assignee = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL
    )
    waiting_since = models.DateTimeField(default=timezone.now)
    # When the bucket has to be worked out again although nothing happens.
    next_change_at = models.DateTimeField(null=True)
    search = SearchVectorField(null=True, editable=False)
    # Grows with every visible change: what open pages ask by.
    version = models.PositiveIntegerField(default=1)
    changed_at = models.DateTimeField(default=timezone.now)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["kind", "target_pk"], name="one_item_for_an_order"),
        ]
        indexes = [
            # "Worst first", then the oldest: the order of the list and of home.
            models.Index(fields=["urgency", "id"], name="item_worst"),
            models.Index(fields=["bucket", "urgency", "id"], name="item_bucket"),
            models.Index(fields=["status", "-id"], name="item_status"),
            models.Index(fields=["-changed_at", "-id"], name="item_changed"),
            models.Index(fields=["foc_date", "-id"], name="item_foc"),
            models.Index(fields=["assignee", "urgency", "id"], name="item_owner"),
            # What home shows of one's own and of nobody's, and what lives without an owner: among
            # what is others', and what is done.
            models.Index(
                fields=["assignee", "bucket", "urgency", "id"],
                name="item_home",
                condition=models.Q(bucket__in=("ready", "us")),
            ),
            models.Index(
                fields=["bucket", "urgency", "id"],
                name="item_home_nobody",
                condition=models.Q(assignee=None, bucket__in=("ready", "us")),
            ),
            models.Index(
                fields=["id"],
                name="item_nobody",
                condition=models.Q(assignee=None, bucket__in=("ready", "us", "date", "wait")),
            ),
            # What home sounds the alarm about: late numbers, and activations that wait.
            models.Index(
                fields=["foc_date"],
                name="item_late",
                condition=models.Q(bucket__in=("ready", "us"), reasons__contains=[{"code": "P2"}]),
            ),
            models.Index(
                fields=["foc_date"], name="item_ready", condition=models.Q(bucket="ready")
            ),
            # What goes live on a day, the worst first.
            models.Index(
                fields=["foc_date", "urgency", "id"],
                name="item_day",
                condition=~models.Q(bucket="ended"),
            ),
            models.Index(
                fields=["next_change_at"],
                name="item_next_change",
                condition=models.Q(next_change_at__isnull=False),
            ),
            # Prefixes of ids and references, in any case.
            models.Index(OpClass(Upper("reference"), "text_pattern_ops"), name="item_reference"),
            models.Index(OpClass("sinch_id", "varchar_pattern_ops"), name="item_sinch_id"),
            GinIndex(fields=["search"], name="item_words"),
        ]

    def __str__(self) -> str:
        return self.end_user or self.reference or self.sinch_id

    def get_absolute_url(self) -> str:
        """The page of the order; each app has a route `detail` by the mirror row's key."""
        return self._address("detail")

    @property
    def team_note_url(self) -> str:
        """Where a note for colleagues is posted to."""
        return self._address("team_note")

    @property
    def owner_url(self) -> str:
        """Where an order is taken over or handed over."""
        return self._address("owner")

    def _address(self, name: str) -> str:
        app = {"port_in": "orders", "hosting": "hosting"}[self.kind]
        return reverse(f"{app}:{name}", args=[self.target_pk])

    @property
    def first_reason(self) -> dict[str, Any] | None:
        """The worst of its reasons."""
        return self.reasons[0] if self.reasons else None


class TimelineEntry(models.Model):
    """One thing that happened to an order, in a sentence; unique by what it says."""

    # How the entry of an order begins that this desk did not make.
    FOUND = "Found at Sinch"

    class Source(models.TextChoices):
        SINCH = "sinch"
        STAFF = "staff"
        DESK = "desk"

    item = models.ForeignKey(WorkItem, null=True, on_delete=models.CASCADE, related_name="timeline")
    # Before Sinch has accepted a create there is no item; its entries wait on the operation.
    operation = models.ForeignKey(Operation, null=True, on_delete=models.SET_NULL)
    at = models.DateTimeField(default=timezone.now)
    source = models.CharField(max_length=6, choices=Source)
    tone = models.CharField(max_length=8, default="wait")
    glyph = models.CharField(max_length=10, default="wait")
    text = models.CharField(max_length=1000)
    # "webhook, read 1 s later", "sweep: no webhook came"
    cause = models.CharField(max_length=100, blank=True)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL)
    fact = models.CharField(max_length=64, editable=False)

    class Meta:
        verbose_name_plural = "timeline entries"
        ordering = ["-at", "-id"]
        constraints = [
            # Also where there is no item yet: a fact names the operation that it is about.
            models.UniqueConstraint(
                fields=["item", "fact"], name="a_fact_is_told_once", nulls_distinct=False
            ),
        ]
        indexes = [models.Index(fields=["-at"], name="timeline_newest")]

    def __str__(self) -> str:
        return self.text

    @staticmethod
    def fact_of(*parts: object) -> str:
        """Return the key under which a fact is told once, whatever way it was heard."""
        joined = "\x1f".join(
            part.isoformat() if isinstance(part, datetime) else str(part) for part in parts
        )
        return hashlib.sha256(joined.encode()).hexdigest()


class TeamNote(models.Model):
    """A note for colleagues; it never leaves the desk."""

    item = models.ForeignKey(WorkItem, on_delete=models.CASCADE, related_name="team_notes")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL)
    at = models.DateTimeField(default=timezone.now)
    text = models.TextField(max_length=4000)

    class Meta:
        ordering = ["at", "id"]

    def __str__(self) -> str:
        return self.text[:60]


class Decision(models.Model):
    """What staff decided about an order; it holds for the facts it was made about.

    `fact` names those facts (a key made by the app of the order): with a new one the decision is
    over. A subclass has the `order` and says which kinds there are.
    """

    kind: str
    reason = models.CharField(max_length=4, blank=True)  # the code it is about, such as "P3"
    fact = models.CharField(max_length=64, blank=True)
    text = models.CharField(max_length=300, blank=True)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL)
    at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True)  # taken back by a person

    class Meta:
        abstract = True
        ordering = ["at"]

    def __str__(self) -> str:
        return f"{self.kind} {self.reason}".strip()
