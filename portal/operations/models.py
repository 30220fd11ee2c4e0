"""What the desk means to write to Sinch and what it means to read again."""

import uuid
from typing import Any

from django.conf import settings
from django.db import models
from django.utils import timezone

from portal.accounts.models import SinchProject
from portal.crypto import EncryptedJSONField
from portal.operations.leases import LeasedRow

# Readings that failed so often in a row mean that Sinch does not answer.
TRIES_UNTIL_SILENT = 3


class Operation(LeasedRow):
    """One intended write to Sinch: who, what, about what, and what became of it.

    Written in the transaction of the decision, sent by a worker, kept for ever. What is sent is
    encrypted, as it holds port-out PINs.
    """

    class State(models.TextChoices):
        QUEUED = "queued"
        SENDING = "sending"
        UNCERTAIN = "uncertain"
        SUCCEEDED = "succeeded"
        REFUSED = "refused"
        DEAD = "dead"

    UNDER_WAY = (State.QUEUED, State.SENDING, State.UNCERTAIN)

    key = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    project = models.ForeignKey(SinchProject, on_delete=models.PROTECT)
    # A dotted word such as "port_in.create"; a handler is registered for each.
    kind = models.CharField(max_length=40)
    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    # What staff read: "Order HVD-2026-014", "“bill.pdf”".
    subject = models.CharField(max_length=200, blank=True)
    # The mirror row or draft it is about, named by the app above: "port_in:17", "draft:<uuid>".
    target = models.CharField(max_length=80, db_index=True)
    # Two operations with one marker cannot both exist: the guard against a double click.
    marker = models.CharField(max_length=120, unique=True, null=True, blank=True)
    payload = EncryptedJSONField(default=dict)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL)
    created_at = models.DateTimeField(default=timezone.now)
    sent_at = models.DateTimeField(null=True)
    # Until when a write whose worker is gone may still be on its way to Sinch.
    flies_until = models.DateTimeField(null=True)
    uncertain_since = models.DateTimeField(null=True)
    looks = models.PositiveSmallIntegerField(default=0)
    finished_at = models.DateTimeField(null=True)
    # Sinch's answer, without secrets; after a refusal {"status", "message", "violations": [...]},
    # and {"status", "judged"} where Sinch took the write and what it then said of it was no.
    answer = models.JSONField(default=dict)
    staff_message = models.CharField(max_length=500, blank=True)
    seen_at = models.DateTimeField(null=True)

    # No column: why a stopped one cannot be tried again, where whoever read it asked that as well.
    obstacle = ""

    class Meta:
        indexes = [
            # The queue itself: only rows with work left are in it.
            models.Index(
                fields=["next_try_at"],
                name="operation_due",
                condition=models.Q(next_try_at__isnull=False),
            ),
            # Whatever a new order might have been made by, and those that stopped and that nobody
            # has looked at: a handful among millions.
            models.Index(
                fields=["project"],
                name="operation_under_way",
                condition=models.Q(state__in=("queued", "sending", "uncertain")),
            ),
            models.Index(
                fields=["-id"],
                name="operation_stopped",
                condition=models.Q(state="dead", seen_at=None),
            ),
            # "Your last actions" on the home page.
            models.Index(fields=["by", "-created_at"], name="operation_by"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject or self.target}"

    def get_absolute_url(self) -> str:
        """The page that shows what became of it."""
        from django.urls import reverse

        return reverse("operations:detail", args=[self.key])

    @property
    def is_under_way(self) -> bool:
        """Whether its outcome is still open."""
        return self.state in self.UNDER_WAY

    @property
    def violations(self) -> list[dict[str, str]]:
        """Sinch's field violations: `[{"field": …, "description": …}]`."""
        return self.answer.get("violations", []) if self.state == self.State.REFUSED else []


class Reading(LeasedRow):
    """A thing at Sinch that is read again and again: when it was, and when it is wanted next.

    One row for each thing, so that 500 deliveries about one order ask for one reading.
    """

    project = models.ForeignKey(SinchProject, on_delete=models.CASCADE)
    kind = models.CharField(max_length=30)
    resource_id = models.CharField(max_length=64)
    # The newest wish. A reading that left before it does not fulfil it.
    requested_at = models.DateTimeField(default=timezone.now)
    # Why it was wanted, for the timeline: "webhook", "sweep", "staff".
    cause = models.CharField(max_length=20, blank=True)
    read_at = models.DateTimeField(null=True)
    # True when the last reading found a change that no delivery had announced.
    missed_webhooks = models.PositiveIntegerField(default=0)
    is_gone = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "kind", "resource_id"],
                name="one_reading_for_a_thing",
            )
        ]
        indexes = [
            models.Index(
                fields=["next_try_at"],
                name="reading_due",
                condition=models.Q(next_try_at__isnull=False),
            ),
            # A full sweep leaves a heap of due rows; what is waited for is found beside it.
            models.Index(
                fields=["next_try_at"],
                name="reading_waited_for",
                condition=models.Q(next_try_at__isnull=False) & ~models.Q(cause="sweep"),
            ),
            # Those that Sinch leaves without an answer, and those it announced nothing of: looked
            # for with every page, and few.
            models.Index(
                fields=["-attempts"],
                name="reading_unanswered",
                condition=models.Q(next_try_at__isnull=False, attempts__gte=TRIES_UNTIL_SILENT),
            ),
            models.Index(
                fields=["missed_webhooks"],
                name="reading_missed",
                condition=models.Q(missed_webhooks__gt=0),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.resource_id}"

    def fulfils(self, moment: Any) -> bool:
        """Tell whether the last reading left at or after the moment."""
        return self.read_at is not None and self.read_at >= moment


class SinchCall(models.Model):
    """One exchange with Sinch, for the health page: no query, no body, no secret.

    Purged by age; see `CALL_LOG_DAYS`.
    """

    project = models.ForeignKey(SinchProject, on_delete=models.CASCADE)
    at = models.DateTimeField(default=timezone.now)
    method = models.CharField(max_length=8)
    path = models.CharField(max_length=120)  # after the project, ids left out: "/orders/portIns/…"
    status = models.PositiveSmallIntegerField(null=True)  # None: no answer came
    milliseconds = models.PositiveIntegerField()
    error = models.CharField(max_length=200, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["-at"], name="sinch_call_newest"),
            # The few of a day that did not go well.
            models.Index(
                fields=["-at"],
                name="sinch_call_trouble",
                condition=models.Q(status=None) | models.Q(status__gte=400),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.method} {self.path} {self.status or 'no answer'}"


class Loop(models.Model):
    """A loop of the background work, and when it last went round.

    `ahead` is by how many seconds the clock of the machine that went round was ahead of the
    database's, less than 0 where it was behind.
    """

    name = models.CharField(max_length=80, primary_key=True)
    ran_at = models.DateTimeField()
    ahead = models.FloatField(db_default=0.0)

    def __str__(self) -> str:
        return self.name
